"""``orlop context ls``."""

from __future__ import annotations

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop context ls",
    "",
    "List contexts",
    (
        Option("--format", "'table', 'json', or a template such as '{{.Name}}'", value="string", default="table"),
        Option("-q, --quiet", "Only show context names"),
    ),
    at_most=0,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import contexts, listing

    is_table = not said["quiet"] and said["format"].strip().partition(" ")[0] in ("", "table")
    row = {
        "Name": f"{contexts.DEFAULT} *" if is_table else contexts.DEFAULT,
        "Current": True,
        "Description": "This machine",
        "DockerEndpoint": contexts.endpoint(location),
        "Error": "",
    }
    columns = (
        ("NAME", "Name"),
        ("DESCRIPTION", "Description"),
        ("DOCKER ENDPOINT", "DockerEndpoint"),
        ("ERROR", "Error"),
    )
    listing.show(said["format"], [row], columns, quiet="Name" if said["quiet"] else "")
    return 0
