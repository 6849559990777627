"""``orlop version``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop version",
    "",
    "Show the orlop version",
    (Option("-f, --format", "'json', or a template such as '{{.Version}}'", value="string"),),
    at_most=0,
)


def run(_location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import identity, template
    from orlop.cli.gotemplate.values import Method

    client, server = identity.client(), identity.server()
    if said["format"]:
        # What Docker has in two places can be asked for without naming one, too.
        short = {
            name: Method(lambda value=value: value) for name, value in server.items() if not isinstance(value, Method)
        }
        sys.stdout.write(template.render(said["format"], {"Client": client, "Server": server, **short}) + "\n")
        return 0
    oldest = f"(minimum version {server['MinAPIVersion']})"
    for about, title, indent, api in (
        (client, "Client:", " ", ""),
        (server, "\nServer: orlop\n Engine:", "  ", f" {oldest}"),
    ):
        rows = [
            ("Version", about["Version"]),
            ("API version", f"{about['ApiVersion']}{api}"),
            ("Python version", about["PythonVersion"]),
            ("OS/Arch", f"{about['Os']}/{about['Arch']}"),
        ]
        if about is client:
            rows.append(("Context", about["Context"]))
        else:
            rows += [
                ("Kernel version", about["KernelVersion"]),
                ("OCI version", about["OciVersion"]),
                ("Experimental", "false"),
            ]
        sys.stdout.write(
            f"{title}\n" + "".join(f"{indent}{name + ':':<{20 - len(indent)}}{value}\n" for name, value in rows)
        )
    return 0
