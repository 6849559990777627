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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.options import Parsed


def platform(purpose: str) -> Option:
    """``--platform``, of which the help says what it is for: "Pull the image of this platform"."""
    return Option("--platform", f"{purpose} (format: <os>[/<arch>[/<variant>]])", value="string")


def quiet(purpose: str = "Suppress verbose output") -> Option:
    """``--quiet``."""
    return Option("-q, --quiet", purpose)


def shown_as(said: Parsed) -> str:
    """What `orlop.cli.progress.choose` is told: ``--quiet`` counts before ``--progress``."""
    return "quiet" if said["quiet"] else str(said["progress"])
