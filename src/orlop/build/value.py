"""Values: objects that are what their fields are, cannot be changed, and are written down as a list of fields.

As `dataclasses`, whose import and whose making of each class take longer than reading a whole Dockerfile does::

    class Point(Value):
        x: int
        y: int = 0

    Point(1), Point(1, y=2), Point(1) == Point(x=1), Point(1).replace(y=5)
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, dataclass_transform
else:

    def dataclass_transform(**_said):
        """Do nothing."""
        return lambda made: made


@dataclass_transform(frozen_default=True, kw_only_default=False)
class Value:
    """The base of all values. Fields are annotated names; those with a default follow those without.

    A class below another has that one's fields first. Those of a class that is made with ``kw_only`` are given by name only.
    """

    _fields: tuple[str, ...] = ()
    _positional: tuple[str, ...] = ()
    _defaults: dict[str, Any] = {}

    def __init_subclass__(cls, *, kw_only: bool = False) -> None:
        own = cls.__dict__.get("__annotations__", {})  # noqa: RUF063 - `inspect` takes longer to import than all of this
        cls._fields = (*cls._fields, *own)
        if not kw_only:
            cls._positional = (*cls._positional, *own)
        cls._defaults = {**cls._defaults, **{name: cls.__dict__[name] for name in own if name in cls.__dict__}}

    def __init__(self, *values: object, **named: object) -> None:
        made = dict(self._defaults)
        made.update(zip(self._positional, values, strict=False))
        made.update(named)
        if len(made) != len(self._fields) or len(values) > len(self._positional):
            lacking = [name for name in self._fields if name not in made]
            unknown = [name for name in made if name not in self._fields]
            raise TypeError(f"{type(self).__name__} lacks {lacking} or does not have {unknown}")
        self.__dict__.update(made)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be changed")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *(self.__dict__[name] for name in self._fields)))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={self.__dict__[name]!r}" for name in self._fields)
        return f"{type(self).__name__}({shown})"

    def replace(self, **changed: object) -> Self:
        """The same value with other fields."""
        return type(self)(**{**self.__dict__, **changed})
