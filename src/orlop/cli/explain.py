"""``orlop explain``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser, one_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.explanation import Explanation
    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop explain",
    "CONTAINER",
    "Say what isolates a container, what each means protects from, and what was weakened by which option",
    (Option("--format", "'text' or 'json'", value="string", read=one_of("text", "json"), default="text"),),
    at_least=1,
    at_most=1,
)
_WIDTH = 96
_TITLES = {
    "user": "Who",
    "namespaces": "What it has of its own (namespaces)",
    "rights": "What it may do",
    "files": "Files",
    "devices": "Devices",
    "limits": "Limits",
}


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.engine import container, explanation

    found = explanation.explain(container.find(location, said.arguments[0]))
    if said["format"] == "json":
        import json

        told = {
            "Id": found.record["Id"],
            "Name": found.record["Name"],
            "Running": found.runs,
            "Statements": [each.as_json() for each in found.statements],
        }
        sys.stdout.write(json.dumps(told, indent=4) + "\n")
    else:
        sys.stdout.write(_page(found))
    return 0


def _page(found: Explanation) -> str:
    from orlop.cli.listing import printable

    record = found.record
    said = "as the kernel has it now" if found.runs else "as it would be started: it does not run"
    lines = [f"{record['Name']} ({record['Id'][:12]}, {printable(record['Config']['Image'])}), {said}"]
    width = max(len(printable(each.subject)) for each in found.statements if each.section != "files")
    section = ""
    for each in found.statements:
        if each.section != section:
            section = each.section
            lines += ["", _TITLES[section]]
        subject = printable(each.subject)
        lines += _wrapped(f"  {subject:<{width}}  ", printable(each.text))
        if each.weakened:
            lines += _wrapped(f"  {'':<{width}}  weakened by ", printable(each.weakened))
        if each.warning:
            lines += _wrapped(f"  {'':<{width}}  WARNING: ", printable(each.warning))
    weak = sum(1 for each in found.statements if each.weakened)
    warnings = sum(1 for each in found.statements if each.warning)
    lines += ["", f"Weakened: {weak}. Warnings: {warnings}."]
    return "\n".join(lines) + "\n"


def _wrapped(first: str, text: str) -> list[str]:
    import textwrap

    indent = " " * (len(first) if len(first) < _WIDTH // 2 else 4)
    return textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
