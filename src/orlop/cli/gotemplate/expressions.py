"""What has a value in a template: literals, fields, variables, and calls.

A pipeline is nothing of its own: ``a | f b`` is the call ``f b a``.
"""

from __future__ import annotations

from orlop.cli.gotemplate.docker_fields import OPEN, OPTIONAL
from orlop.cli.gotemplate.mistake import Mistake, Unfit
from orlop.cli.gotemplate.values import Method, kind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Protocol

    from orlop.cli.gotemplate.functions import Function

    class Expression(Protocol):
        """Has a value; ``position`` is where it stands in the template."""

        position: int

        def value(self, run: Run, dot: Any) -> Any:
            """What it is when ``dot`` is the value at hand."""


class Run:
    """One application of a template: its variables, its functions, and what it has printed."""

    __slots__ = ("functions", "parts", "variables")

    def __init__(self, value: Any, functions: Mapping[str, Function]) -> None:
        self.functions = functions
        self.parts: list[str] = []
        self.variables: list[list[Any]] = [["$", value]]

    def variable(self, name: str) -> list[Any]:
        """The innermost variable of the name, which the parser has seen: the name and the value."""
        return next(each for each in reversed(self.variables) if each[0] == name)


class Literal:
    """A constant."""

    __slots__ = ("constant", "position")

    def __init__(self, position: int, constant: Any) -> None:
        self.position = position
        self.constant = constant

    def value(self, _run: Run, _dot: Any) -> Any:
        """The constant."""
        return self.constant


class Dot:
    """``.``, the value at hand."""

    __slots__ = ("position",)

    def __init__(self, position: int) -> None:
        self.position = position

    def value(self, _run: Run, dot: Any) -> Any:
        """The value at hand."""
        return dot


class Variable:
    """``$`` and ``$name``."""

    __slots__ = ("name", "position")

    def __init__(self, position: int, name: str) -> None:
        self.position = position
        self.name = name

    def value(self, run: Run, _dot: Any) -> Any:
        """What was assigned to it last."""
        return run.variable(self.name)[1]


class Fields:
    """``.A.B`` of something, and ``.Label "a"``, where the last is a method that takes arguments."""

    __slots__ = ("_arguments", "_names", "_of", "position")

    def __init__(
        self, position: int, of: Expression, names: Sequence[str], arguments: Sequence[Expression] = ()
    ) -> None:
        self.position = position
        self._of = of
        self._names = names
        self._arguments = arguments

    @property
    def last(self) -> str:
        """The name of the field itself."""
        return self._names[-1]

    def value(self, run: Run, dot: Any) -> Any:
        """The field's value.

        Raises:
            Mistake: there is no such field.
        """
        value = self._of.value(run, dot)
        before = ""
        for name in self._names:
            try:
                value = value[name]
            except (KeyError, TypeError):
                if not isinstance(value, dict) or not (before in OPEN or name in OPTIONAL):
                    raise self._missing(value, name) from None
                value = None
            before = name
        if isinstance(value, Method) or self._arguments:
            return self._call(value, [each.value(run, dot) for each in self._arguments])
        return value

    def _missing(self, value: Any, name: str) -> Mistake:
        if not isinstance(value, dict):
            return Mistake(self.position, f".{name} cannot be a field of a value of type {kind(value)}")
        import difflib  # only a mistake pays for it

        lowered = {str(each).lower(): str(each) for each in value}
        near = [lowered[each] for each in difflib.get_close_matches(name.lower(), lowered, 3)]
        hint = f"did you mean .{' or .'.join(near)}" if near else f"there are {', '.join(map(str, value)) or 'none'}"
        return Mistake(self.position, f"there is no field .{name}; {hint}")

    def _call(self, method: Any, arguments: list[Any]) -> Any:
        name = f".{self.last}"
        if not isinstance(method, Method):
            raise Mistake(self.position, f"{name} takes no arguments")
        try:
            return method.function(*arguments)
        except (TypeError, Unfit):
            raise Mistake(self.position, f"{name} does not take these arguments") from None


class Call:
    """A function and its arguments."""

    __slots__ = ("_arguments", "_name", "position")

    def __init__(self, position: int, name: str, arguments: Sequence[Expression]) -> None:
        self.position = position
        self._name = name
        self._arguments = arguments

    def value(self, run: Run, dot: Any) -> Any:
        """What the function returns.

        Raises:
            Mistake: it cannot be applied to these values.
        """
        function = run.functions[self._name][0]
        try:
            return function(*[each.value(run, dot) for each in self._arguments])
        except Unfit as error:
            raise Mistake(self.position, f"{self._name}: {error}") from None


class AndOr:
    """``and`` and ``or``, which look at their arguments until one decides, and return that."""

    __slots__ = ("_arguments", "_until", "position")

    def __init__(self, position: int, name: str, arguments: Sequence[Expression]) -> None:
        self.position = position
        self._until = name == "or"
        self._arguments = arguments

    def value(self, run: Run, dot: Any) -> Any:
        """The first argument that is true, or that is not; else the last."""
        value = None
        for each in self._arguments:
            value = each.value(run, dot)
            if bool(value) is self._until:
                break
        return value
