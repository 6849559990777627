"""What a Dockerfile offers to whoever builds it: its targets, and what one of them takes (``--call targets`` and ``outline``).

A comment that stands right before a stage or an argument, and begins with its name, describes it.
"""

from __future__ import annotations

from orlop.build import steps
from orlop.build.dockerfile import instructions
from orlop.build.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from orlop.build.dockerfile.instructions import Arg
    from orlop.build.dockerfile.parser import Dockerfile, Stage
    from orlop.build.dockerfile.statements import Statement
    from orlop.build.graph import Graph


class Target(Value):
    """A stage that can be built; ``is_default`` if it is what is built where nobody says."""

    name: str
    description: str
    base: str
    platform: str
    is_default: bool


class Argument(Value):
    """A build argument with the value that it has, or an empty one."""

    name: str
    description: str
    value: str


class Outline(Value):
    """What a target takes. ``secrets`` and ``agents`` are ids, with whether they are required; ``caches`` are ids."""

    name: str
    description: str
    arguments: tuple[Argument, ...]
    secrets: tuple[tuple[str, bool], ...]
    agents: tuple[tuple[str, bool], ...]
    caches: tuple[str, ...]


def targets(dockerfile: Dockerfile) -> list[Target]:
    """The stages, in their order; one without a name is there only if it is the last."""
    last = dockerfile.stages[-1]
    return [
        Target(each.name, _described(each.base.statement, each.name), each.base.image, each.base.platform, each is last)
        for each in dockerfile.stages
        if each.name or each is last
    ]


def outline(dockerfile: Dockerfile, graph: Graph) -> Outline:
    """What the target of a graph takes."""
    stage = graph.target.stage
    mounts = [mounted.mount for node in graph.nodes if isinstance(node.step, steps.Run) for mounted in node.step.mounts]

    def used(kind: str) -> tuple[tuple[str, bool], ...]:
        found: dict[str, bool] = {}
        for each in mounts:
            if each.type == kind:
                name = each.id or "default"
                found[name] = found.get(name, False) or each.required
        return tuple(sorted(found.items()))

    caches = {each.id or each.target for each in mounts if each.type == "cache"}
    return Outline(
        stage.name,
        _described(stage.base.statement, stage.name),
        tuple(_arguments(dockerfile, graph)),
        used("secret"),
        used("ssh"),
        tuple(sorted(caches)),
    )


def _arguments(dockerfile: Dockerfile, graph: Graph) -> Iterator[Argument]:
    """The arguments of the file, and of the stages that are needed, each once."""
    needed = {built.stage.number: built for built in graph.stages}
    said: dict[str, Argument] = {}
    declared: list[tuple[Arg, dict[str, str | None]]] = [(each, graph.arguments) for each in dockerfile.arguments]
    for stage in dockerfile.stages:
        if stage.number in needed:
            values = needed[stage.number].state.scope.arguments
            declared += [(each, values) for each in _of(stage)]
    for argument, values in declared:
        for pair in argument.pairs:
            description = _described(argument.statement, pair.name)
            before = said.get(pair.name)
            if before is None or (description and not before.description):
                value = values.get(pair.name) or (before.value if before is not None else "")
                said[pair.name] = Argument(pair.name, description, value)
    yield from said.values()


def _of(stage: Stage) -> Iterable[Arg]:
    return [each for each in stage.instructions if isinstance(each, instructions.Arg)]


def _described(statement: Statement, name: str) -> str:
    if not name or not statement.comments:
        return ""
    comment = statement.comments[-1]
    return comment.removeprefix(f"{name} ").strip() if comment.startswith(f"{name} ") else ""


def targets_as_json(found: Iterable[Target]) -> dict[str, Any]:
    """Targets as BuildKit writes them down for programs."""
    made = []
    for each in found:
        fields = {"name": each.name, "default": each.is_default, "description": each.description, "base": each.base,
                  "platform": each.platform}  # fmt: skip
        made.append({key: value for key, value in fields.items() if value})
    return {"targets": made}


def outline_as_json(found: Outline) -> dict[str, Any]:
    """An outline as BuildKit writes it down for programs."""
    fields: dict[str, Any] = {
        "name": found.name,
        "description": found.description,
        "args": [
            {
                key: value
                for key, value in (("name", each.name), ("description", each.description), ("value", each.value))
                if value
            }
            for each in found.arguments
        ],
        "secrets": [{"name": name, **({"required": True} if required else {})} for name, required in found.secrets],
        "ssh": [{"name": name, **({"required": True} if required else {})} for name, required in found.agents],
        "cache": [{"ID": name} for name in found.caches],
    }
    return {key: value for key, value in fields.items() if value}


def targets_as_table(found: Iterable[Target]) -> str:
    """Targets for people."""
    rows = [("TARGET", "DESCRIPTION")]
    for each in found:
        name = f"{each.name} (default)".lstrip() if each.is_default else each.name
        rows.append((name, each.description))
    return _table(rows)


def outline_as_table(found: Outline) -> str:
    """An outline for people."""
    parts = []
    about = [("TARGET:", found.name)] if found.name else []
    about += [("DESCRIPTION:", found.description)] if found.description else []
    if about:
        parts.append(_table(about))
    if found.arguments:
        rows = [("BUILD ARG", "VALUE", "DESCRIPTION")]
        rows += [(each.name, each.value, each.description) for each in found.arguments]
        parts.append(_table(rows))
    for title, used in (("SECRET", found.secrets), ("SSH", found.agents)):
        if used:
            parts.append(_table([(title, "REQUIRED"), *((name, "true" if needed else "") for name, needed in used)]))
    if found.caches:
        parts.append(_table([("CACHE",), *((name,) for name in found.caches)]))
    return "\n".join(parts)


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[place]) for row in rows) + 3 for place in range(len(rows[0]))]
    lines = ["".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "".join(f"{line}\n" for line in lines)
