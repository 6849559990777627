r"""The templates that people give to ``--format``: Go's, as far as Docker's users know them.

``{{.State.Status}}``, ``{{json .Config}}``, ``{{range .Mounts}}{{.Source}} {{end}}``, ``{{index .Config.Labels "a.b"}}``,
``{{if .Ports}}…{{else}}…{{end}}``, ``{{$x := .ID}}``, ``{{.Names | upper | printf "%-20s"}}``: actions, functions and what is
printed are those of text/template and of Docker's client. Named templates (``define``) and the functions ``call`` and
``js`` are refused. A field that is not there is a mistake, as it is for Docker; `orlop.cli.gotemplate.docker_fields` says
which ones may be absent.
"""

from __future__ import annotations

from orlop.cli.gotemplate.expressions import Run
from orlop.cli.gotemplate.functions import FUNCTIONS, HEADER_FUNCTIONS
from orlop.cli.gotemplate.mistake import Mistake
from orlop.cli.gotemplate.parser import parse
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from orlop.cli.gotemplate.functions import Function


class Template:
    r"""A template that was read once and can be applied to many values.

    It begins at ``start`` of the format, which messages show. With ``escapes``, ``\t`` and ``\n`` in the text are a tab
    and a new line, as in lists; Docker's ``inspect`` and ``version`` print them as they are.

    Raises:
        InvalidArgument: it cannot be read; says where.
    """

    __slots__ = ("_block", "_format")

    def __init__(self, format_: str, *, start: int = 0, escapes: bool = False) -> None:
        self._format = format_
        try:
            self._block = parse("{{json .}}" if format_ == "json" else format_, start, escapes=escapes)
        except Mistake as mistake:
            raise self._invalid(mistake) from None
        except RecursionError:
            raise InvalidArgument(f'invalid --format "{format_[:80]}…": it is nested too deeply') from None

    def render(self, value: Any) -> str:
        """The text for one value.

        Raises:
            InvalidArgument: it names a field that is not there, or applies a function to what it is not for.
        """
        return self._run(value, FUNCTIONS)

    def header(self, headers: Mapping[str, Any]) -> str:
        """The line above a table of these templates, in which each field is its header.

        Raises:
            InvalidArgument: it applies a function to a header that it is not for.
        """
        return self._run(headers, HEADER_FUNCTIONS)

    def _run(self, value: Any, functions: Mapping[str, Function]) -> str:
        run = Run(value, functions)
        try:
            self._block.run(run, value)
        except Mistake as mistake:
            raise self._invalid(mistake) from None
        return "".join(run.parts)

    def _invalid(self, mistake: Mistake) -> InvalidArgument:
        return InvalidArgument(f'invalid --format "{self._format}": column {mistake.position + 1}: {mistake}')


def render(format_: str, value: Any) -> str:
    """One object in a format: ``json``, or a template.

    Raises:
        InvalidArgument: the template cannot be read or applied.
    """
    return Template(format_).render(value)
