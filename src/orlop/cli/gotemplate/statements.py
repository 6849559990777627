"""What a template does: print, decide, repeat."""

from __future__ import annotations

from orlop.cli.gotemplate.docker_fields import NOTHING
from orlop.cli.gotemplate.expressions import Fields
from orlop.cli.gotemplate.mistake import Mistake
from orlop.cli.gotemplate.values import NO_VALUE, kind, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, Protocol

    from orlop.cli.gotemplate.expressions import Expression, Run

    class Statement(Protocol):
        """Does something in a run of the template."""

        def run(self, run: Run, dot: Any) -> None:
            """Do it; ``dot`` is the value at hand."""


class Break(Exception):
    """``{{break}}`` on its way to its range."""


class Continue(Exception):
    """``{{continue}}`` on its way to its range."""


class Block:
    """Statements one after the other; variables that they declare end with them."""

    __slots__ = ("statements",)

    def __init__(self, statements: Sequence[Statement]) -> None:
        self.statements = statements

    def run(self, run: Run, dot: Any) -> None:
        """Do all of them."""
        known = len(run.variables)
        try:
            for each in self.statements:
                each.run(run, dot)
        finally:
            del run.variables[known:]


class Text:
    """What is printed as it is."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def run(self, run: Run, _dot: Any) -> None:
        """Print it."""
        run.parts.append(self._text)


class Print:
    """``{{pipeline}}``."""

    __slots__ = ("_expression", "_nothing")

    def __init__(self, expression: Expression) -> None:
        self._expression = expression
        field = expression.last if isinstance(expression, Fields) else ""
        self._nothing = NOTHING.get(field, NO_VALUE)

    def run(self, run: Run, dot: Any) -> None:
        """Print the value."""
        value = self._expression.value(run, dot)
        run.parts.append(self._nothing if value is None else plain(value))


class Declare:
    """``{{$x := pipeline}}``. Its value is the pipeline's, so that ``if`` and ``with`` can have one."""

    __slots__ = ("_expression", "_name", "position")

    def __init__(self, position: int, name: str, expression: Expression) -> None:
        self.position = position
        self._name = name
        self._expression = expression

    def value(self, run: Run, dot: Any) -> Any:
        """Make the variable."""
        value = self._expression.value(run, dot)
        run.variables.append([self._name, value])
        return value

    def run(self, run: Run, dot: Any) -> None:
        """Make the variable and print nothing."""
        self.value(run, dot)


class Assign(Declare):
    """``{{$x = pipeline}}``."""

    __slots__ = ()

    def value(self, run: Run, dot: Any) -> Any:
        """Give the variable another value."""
        value = self._expression.value(run, dot)
        run.variable(self._name)[1] = value
        return value


class If:
    """``if`` and, when it changes what dot is, ``with``."""

    __slots__ = ("_body", "_condition", "_otherwise", "_with")

    def __init__(self, condition: Expression, body: Block, otherwise: Block, *, changes_dot: bool) -> None:
        self._condition = condition
        self._body = body
        self._otherwise = otherwise
        self._with = changes_dot

    def run(self, run: Run, dot: Any) -> None:
        """Do the one or the other. What is nil, false, 0 or empty is not true."""
        known = len(run.variables)
        value = self._condition.value(run, dot)
        if value:
            self._body.run(run, value if self._with else dot)
        else:
            self._otherwise.run(run, dot)
        del run.variables[known:]


class Range:
    """``range`` over a list, a map in the order of its keys, or the numbers below a number."""

    __slots__ = ("_assigns", "_body", "_names", "_of", "_otherwise")

    def __init__(self, names: Sequence[str], of: Expression, body: Block, otherwise: Block, *, assigns: bool) -> None:
        self._names = names
        self._of = of
        self._body = body
        self._otherwise = otherwise
        self._assigns = assigns

    def run(self, run: Run, dot: Any) -> None:
        """Do the body for each element, or what is said for none.

        Raises:
            Mistake: the value has no elements.
        """
        pairs = self._pairs(self._of.value(run, dot))
        known = len(run.variables)
        empty = True
        for key, element in pairs:
            empty = False
            values = (key, element) if len(self._names) == 2 else (element,)
            for name, value in zip(self._names, values, strict=False):
                if self._assigns:
                    run.variable(name)[1] = value
                else:
                    run.variables.append([name, value])
            try:
                self._body.run(run, element)
            except Continue:
                continue
            except Break:
                break
            finally:
                del run.variables[known:]
        if empty:
            self._otherwise.run(run, dot)

    def _pairs(self, value: Any) -> Iterable[tuple[Any, Any]]:
        if isinstance(value, dict):
            return ((key, value[key]) for key in sorted(value))
        if value is None or isinstance(value, (list, tuple)):
            return enumerate(value or ())
        if isinstance(value, int) and not isinstance(value, bool) and len(self._names) < 2:
            return enumerate(range(value))
        raise Mistake(self._of.position, f"range cannot go over a value of type {kind(value)}")


class Leave:
    """``{{break}}`` and ``{{continue}}``."""

    __slots__ = ("_kind",)

    def __init__(self, keyword: str) -> None:
        self._kind = Break if keyword == "break" else Continue

    def run(self, _run: Run, _dot: Any) -> None:
        """Leave the body of the range."""
        raise self._kind
