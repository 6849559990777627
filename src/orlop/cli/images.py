"""``orlop images``."""

from __future__ import annotations

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from orlop.engine.location import Location
    from orlop.images.store import Image, ImageStore
    from orlop.options import Parsed

PARSER = Parser(
    "orlop images",
    "[REPOSITORY[:TAG]]",
    "List images",
    (
        Option("-a, --all", "Show all images (there are no hidden ones)"),
        Option("--digests", "Show digests"),
        Option(
            "-f, --filter",
            "Filter by dangling=true|false, label=KEY[=VALUE], before=IMAGE, since=IMAGE, until=TIME or reference=PATTERN",
            value="filter",
            many=True,
        ),
        Option("--format", "'table', 'json', or a template such as '{{.Repository}}'", value="string", default="table"),
        Option("--no-trunc", "Don't truncate output"),
        Option("-q, --quiet", "Only show image IDs"),
    ),
    at_most=1,
)

NONE = "<none>"

_COLUMNS = (
    ("REPOSITORY", "Repository"),
    ("TAG", "Tag"),
    ("DIGEST", "Digest"),
    ("IMAGE ID", "ID"),
    ("CREATED", "CreatedSince"),
    ("SIZE", "Size"),
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import listing
    from orlop.engine import image_store

    store = image_store.open_store(location)
    words = [*said["filter"], *(f"reference={_pattern(argument)}" for argument in said.arguments)]
    wanted = _chosen(store, words)
    matches = _matcher(words)
    rows: list[dict[str, Any]] = []
    for image in store.images():
        if wanted(image):
            rows += _rows(image, matches, digests=said["digests"], full=said["no-trunc"])
    columns = [column for column in _COLUMNS if said["digests"] or column[1] != "Digest"]
    if said["quiet"]:
        rows = list({row["ID"]: row for row in rows}.values())
    listing.show(said["format"], rows, columns, quiet="ID" if said["quiet"] else "")
    return 0


def _rows(image: Image, matches: Callable[[str], bool] | None, *, digests: bool, full: bool) -> list[dict[str, Any]]:
    """One row for each name, as Docker shows them: a tag, with its repository's digest beside it if that is wanted."""
    from orlop import ago, units

    created = image.created
    common = {
        "ID": image.id if full else image.id[7:19],
        "CreatedSince": f"{ago.since(created)} ago" if created else "N/A",
        "CreatedAt": created,
        "Size": units.human_size(image.size, 3),
        "VirtualSize": units.human_size(image.size, 3),
        "Containers": "N/A",
        "SharedSize": "N/A",
        "UniqueSize": "N/A",
    }
    names = _names(image, matches, digests=digests)
    if not names and matches is None:
        names = [(NONE, NONE, NONE)]
    return [{"Repository": repository, "Tag": tag, "Digest": digest, **common} for repository, tag, digest in names]


def _names(image: Image, matches: Callable[[str], bool] | None, *, digests: bool) -> list[tuple[str, str, str]]:
    """Repository, tag and digest of each name that is wanted, in Docker's short words."""
    pulled: dict[str, list[str]] = {}
    for name in filter(matches, image.digests):
        repository, _, digest = name.partition("@")
        pulled.setdefault(repository, []).append(digest)
    found = []
    tagged = set()
    for name in filter(matches, image.tags):
        repository, _, tag = name.rpartition(":")
        tagged.add(repository)
        shown = pulled.get(repository, [NONE]) if digests else [NONE]
        found += [(familiar(repository), tag, digest) for digest in shown]
    for repository, known in pulled.items():
        if repository not in tagged:
            found += [(familiar(repository), NONE, digest) for digest in (known if digests else known[:1])]
    return found


def familiar(repository: str) -> str:
    """A repository's name as Docker shows it."""
    from orlop.images.reference import Reference

    domain, _, path = repository.partition("/")
    return Reference(domain, path).familiar_name


def _pattern(argument: str) -> str:
    """``REPOSITORY[:TAG]`` on the command line as a pattern of names as Docker shows them."""
    if any(character in argument for character in "*?[\\"):
        return argument
    from orlop.images import reference

    return reference.parse(argument).familiar


def _matcher(words: list[str]) -> Callable[[str], bool] | None:
    """Which names the filters let through; None for all."""
    patterns = [word.partition("=")[2].strip() for word in words if word.startswith("reference=")]
    if not patterns:
        return None
    from orlop.engine import image_filters

    return image_filters.name_matcher(patterns)


def _chosen(store: ImageStore, words: list[str]) -> Callable[[Image], bool]:
    if not words:
        return lambda _: True
    from orlop import filters
    from orlop.engine import image_filters

    return filters.read(words, image_filters.known(store))
