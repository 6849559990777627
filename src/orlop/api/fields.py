"""Reading a client's JSON: each field has the type that the API's description says, or the client is told which has not."""

from __future__ import annotations

from orlop.api import json_reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from orlop.errors import InvalidArgument

_LARGEST = (1 << 63) - 1


class Fields:
    """An object of a client's; null, and what is not there, is the type's own nothing.

    Every method raises `InvalidArgument` if a field is of another type.
    """

    __slots__ = ("_path", "_values")

    def __init__(self, values: Mapping[str, Any], path: str = "") -> None:
        self._values = values
        self._path = path

    def has(self, name: str) -> bool:
        """Whether a field is there and not null."""
        return self._values.get(name) is not None

    def text(self, name: str) -> str:
        """A text."""
        value = self._values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._wrong(name, value, "string")
        return value

    def flag(self, name: str) -> bool:
        """A truth value."""
        value = self._values.get(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise self._wrong(name, value, "bool")
        return value

    def number(self, name: str) -> int:
        """A whole number of 64 bits."""
        value = self._values.get(name)
        if value is None:
            return 0
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _LARGEST:
            raise self._wrong(name, value, "int64")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        value = self._values.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self._wrong(name, value, "[]string")
        return value

    def words(self, name: str) -> list[str] | None:
        """A command: a list of texts, or one text; None if it is not there."""
        value = self._values.get(name)
        if value is None:
            return None
        return [value] if isinstance(value, str) else self.texts(name)

    def pairs(self, name: str) -> dict[str, str]:
        """An object of texts."""
        value = self._values.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
            raise self._wrong(name, value, "map[string]string")
        return value

    def names(self, name: str) -> list[str]:
        """The names of an object whose values mean nothing: ``{"80/tcp": {}}``."""
        value = self._values.get(name)
        if value is None:
            return []
        if not isinstance(value, dict):
            raise self._wrong(name, value, "map")
        return list(value)

    def inner(self, name: str) -> Fields:
        """An object within this one, empty if it is not there."""
        value = self._values.get(name)
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise self._wrong(name, value, "object")
        return Fields(value, f"{self._path}{name}.")

    def objects(self, name: str) -> list[dict[str, Any]]:
        """A list of objects."""
        value = self._values.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self._wrong(name, value, "[]object")
        return value

    def inners(self, name: str) -> list[Fields]:
        """The objects of a list."""
        return [Fields(each, f"{self._path}{name}.") for each in self.objects(name)]

    def plain(self) -> dict[str, Any]:
        """All of it as it came."""
        return dict(self._values)

    def _wrong(self, name: str, value: object, wanted: str) -> InvalidArgument:
        return json_reading.wrong(value, f"struct field {self._path}{name} of type {wanted}")
