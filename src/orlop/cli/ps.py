"""``orlop ps``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.container import Container
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop ps",
    "",
    "List containers",
    (
        Option("-a, --all", "Show all containers (default shows just running)"),
        Option("-q, --quiet", "Only display container IDs"),
        Option("--no-trunc", "Don't truncate output"),
        Option("--format", "'table', 'json', or a template such as '{{.Names}}'", value="string", default="table"),
    ),
    at_most=0,
)

_COLUMNS = (
    ("CONTAINER ID", "ID"),
    ("IMAGE", "Image"),
    ("COMMAND", "Command"),
    ("CREATED", "RunningFor"),
    ("STATUS", "Status"),
    ("PORTS", "Ports"),
    ("NAMES", "Names"),
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import template
    from orlop.engine import container, repair
    from orlop.errors import NotFound

    repair.everything(location)
    rows = []
    for container_id in container.every_id(location):
        target = container.Container(location, container_id)
        try:
            state = target.state()
            if said["all"] or state["Status"] == "running":
                rows.append((target.record["Created"], _row(target, state, full=said["no-trunc"])))
        except NotFound:
            continue  # removed while we looked
    rows.sort(key=lambda each: each[0], reverse=True)
    shown = [row for _, row in rows]
    if said["quiet"]:
        lines = [row["ID"] for row in shown]
    elif said["format"] == "table":
        lines = _table(shown)
    else:
        lines = [template.render(said["format"], row) for row in shown]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def _row(target: Container, state: dict[str, Any], *, full: bool) -> dict[str, Any]:
    from orlop.cli import ago

    record = target.record
    command = " ".join([record["Path"], *record["Args"]])
    if not full and len(command) > 20:
        command = command[:19] + "…"
    created = ago.since(record["Created"])
    return {
        "Command": f'"{command}"',
        "CreatedAt": record["Created"],
        "ID": target.id if full else target.id[:12],
        "Image": record["Config"]["Image"],
        "Labels": ",".join(f"{key}={value}" for key, value in record["Config"]["Labels"].items()),
        "Mounts": ",".join(text.split(":")[0] for text in record["HostConfig"]["Binds"]),
        "Names": target.name,
        "Networks": record["HostConfig"]["NetworkMode"],
        "Ports": "",
        "RunningFor": f"{created} ago",
        "State": state["Status"],
        "Status": _status(state),
    }


def _status(state: dict[str, Any]) -> str:
    from orlop.cli import ago

    if state["Status"] == "running":
        return f"Up {ago.since(state['StartedAt'])}"
    if state["Status"] == "exited":
        return f"Exited ({state['ExitCode']}) {ago.since(state['FinishedAt'])} ago"
    return str(state["Status"]).capitalize()


def _table(rows: list[dict[str, Any]]) -> list[str]:
    table = [[title for title, _ in _COLUMNS], *[[row[key] for _, key in _COLUMNS] for row in rows]]
    widths = [max(len(line[place]) for line in table) for place in range(len(_COLUMNS))]
    return ["   ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]
