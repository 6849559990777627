"""``orlop search``."""

from __future__ import annotations

from orlop.options import Option, Parser, natural

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.engine.location import Location
    from orlop.images.registry.search import Found
    from orlop.options import Parsed

PARSER = Parser(
    "orlop search",
    "TERM",
    "Search a registry for images: the Docker Hub, or with REGISTRY/TERM another one",
    (
        Option("-f, --filter", "Filter by is-official=true|false or stars=NUMBER", value="filter", many=True),
        Option("--format", "'table', 'json', or a template such as '{{.Name}}'", value="string", default="table"),
        Option("--limit", "Max number of search results", value="int", read=natural, default=25),
        Option("--no-trunc", "Don't truncate output"),
    ),
    at_least=1,
    at_most=1,
)

_LONGEST = 45


def run(_location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from contextlib import closing

    from orlop import filters
    from orlop.cli import listing
    from orlop.images.registry.client import Registry
    from orlop.images.registry.search import search

    known = {
        "is-official": filters.flag(lambda found: found.is_official),
        "stars": _stars,
    }
    wanted = filters.read(said["filter"], known)
    domain, _, term = said.arguments[0].rpartition("/")
    first = domain.partition("/")[0]
    if not ("." in first or ":" in first or first == "localhost"):
        domain, term = "docker.io", said.arguments[0]
    elif "/" in domain:
        domain, term = first, said.arguments[0].partition("/")[2]
    with closing(Registry(domain)) as registry:
        found = [each for each in search(registry, term, said["limit"]) if wanted(each)]
    listing.show(
        said["format"],
        [_row(each, full=said["no-trunc"]) for each in found],
        (("NAME", "Name"), ("DESCRIPTION", "Description"), ("STARS", "StarCount"), ("OFFICIAL", "IsOfficial")),
    )
    return 0


def _stars(text: str) -> Callable[[Found], bool]:
    least = natural(text)
    return lambda found: found.stars >= least


def _row(found: Found, *, full: bool) -> dict[str, str]:
    description = " ".join(found.description.split())
    if not full and len(description) > _LONGEST:
        description = description[: _LONGEST - 1] + "…"
    return {
        "Name": found.name,
        "Description": description,
        "StarCount": "" if found.stars < 0 else str(found.stars),
        "IsOfficial": "[OK]" if found.is_official else "",
    }
