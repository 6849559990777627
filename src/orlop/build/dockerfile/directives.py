"""Parser directives: the comments ``# name=value`` that stand before everything else in a Dockerfile.

``syntax`` names the language's version; this is the only one here, so that it is read and not obeyed. ``escape`` is the
character that escapes and continues lines. ``check`` configures the checks (`orlop.build.dockerfile.lint`).
"""

from __future__ import annotations

import re

from orlop.build.dockerfile.problem import Span
from orlop.build.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.build.dockerfile.problem import Source

_DIRECTIVE = re.compile(r"#[ \t]*([A-Za-z][A-Za-z0-9]*)[ \t]*=[ \t]*(\S.*)")
_KNOWN = ("syntax", "escape", "check")
_ESCAPES = ("\\", "`")


class Directives(Value):
    """What the directives of a file say, and by which line they end (``lines`` of the file are directives)."""

    syntax: str = ""
    escape: str = "\\"
    check: str = ""
    lines: int = 0
    #: The line of each that is there.
    where: dict[str, int] = {}


def read(source: Source) -> Directives:
    """The directives at the top of a file. The first line that is none ends them.

    Raises:
        InvalidDockerfile: one is there twice, or the escape character is neither a backslash nor a backtick.
    """
    found: dict[str, str] = {}
    where: dict[str, int] = {}
    for number, line in enumerate(source.lines, 1):
        match = _DIRECTIVE.fullmatch(line.strip())
        name = match[1].lower() if match else ""
        if match is None or name not in _KNOWN:
            break
        if name in found:
            raise source.problem(Span(number, number), f"only one {name} parser directive can be used")
        found[name] = match[2].strip()
        where[name] = number
    escape = found.get("escape", "\\")
    if escape not in _ESCAPES:
        line_number = where["escape"]
        raise source.problem(Span(line_number, line_number), f"invalid escape '{escape}': expected \\ or `")
    return Directives(found.get("syntax", ""), escape, found.get("check", ""), len(where), where)
