"""The options of commands that bring images from or to somewhere: how progress is told, and which platform is meant."""

from __future__ import annotations

from orlop.options import Option, one_of

#: How the user wants to be told what is done; see `shown_as`.
PROGRESS = Option(
    "--progress",
    "How to tell what is done: auto, plain or json",
    value="string",
    default="auto",
    read=one_of("auto", "plain", "json"),
)

#: Docker's, for who says that there is to be none; see `refuse_content_trust`.
CONTENT_TRUST = Option("--disable-content-trust", "Skip image verification", default=True, hidden=True)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.options import Parsed


def platform(purpose: str) -> Option:
    """``--platform``, of which the help says what it is for: "Pull the image of this platform"."""
    return Option("--platform", f"{purpose} (format: <os>[/<arch>[/<variant>]])", value="string")


def quiet(purpose: str = "Suppress verbose output") -> Option:
    """``--quiet``."""
    return Option("-q, --quiet", purpose)


def refuse_content_trust(said: Parsed) -> None:
    """Raise Unsupported for who wants the signatures of Docker's notary to be verified or made."""
    if not said["disable-content-trust"]:
        from orlop.errors import Unsupported

        raise Unsupported(
            "--disable-content-trust=false: signatures of Docker's notary are not supported; name a digest"
        )


def shown_as(said: Parsed) -> str:
    """What `orlop.cli.progress.choose` is told: ``--quiet`` counts before ``--progress``."""
    return "quiet" if said["quiet"] else str(said["progress"])
