"""The walk that compares a configuration with the table of types in `orlop.runtime.spec.shapes`.

Fields that the table does not have are left alone, as "Extensibility" in the specification's ``config.md`` asks.
"""

from __future__ import annotations

from orlop.errors import InvalidConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def check(value: Any, shape: Any, path: str) -> None:
    """Compare ``value``, which is at ``path`` of the configuration, with a shape.

    A field that is ``null`` counts as absent, as it does for every engine written in Go, and is removed, so
    that nobody after this has to think of it.

    Raises:
        InvalidConfig: a type is wrong, a number is out of its range, or a required field is missing.
    """
    kind = type(shape)
    if shape is str:
        if type(value) is not str:
            raise _wrong(shape, path)
        if "\0" in value:
            raise InvalidConfig(f"{path} must not contain a NUL character")
    elif shape is bool:
        if type(value) is not bool:
            raise _wrong(shape, path)
    elif kind is range:
        if type(value) is not int:
            raise _wrong(shape, path)
        if value not in shape:
            raise InvalidConfig(f"{path} must be from {shape.start} to {shape.stop - 1}, not {value}")
    elif kind is list:
        _check_array(value, shape, path)
    elif type(value) is not dict:
        raise _wrong(shape, path)
    elif kind is tuple:
        _check_object(value, shape[0], shape[1], path)
    else:
        _check_map(value, shape[""], path)


def _check_map(value: dict[str, Any], shape: Any, path: str) -> None:
    for key, item in value.items():
        if key.isprintable():
            check(item, shape, f"{path}.{key}")
        elif path == "annotations":  # the only map whose keys are anybody's
            check(item, shape, f"{path}.{key!r}")
        else:
            raise InvalidConfig(f"{path} must not have a key with control characters: {key!r}")


def _check_array(value: Any, shape: Any, path: str) -> None:
    if type(value) is not list:
        raise _wrong(shape, path)
    element = shape[0]
    if element is str:  # by far the most
        for item in value:
            if type(item) is not str:
                raise _wrong(shape, path)
            if "\0" in item:
                raise InvalidConfig(f"{path} must not contain a NUL character")
        return
    is_object = type(element) is tuple
    for index, item in enumerate(value):
        if is_object:
            if type(item) is not dict:
                raise _wrong(shape, path)
            _check_object(item, element[0], element[1], f"{path}[{index}]")
        elif type(item) is not int:
            raise _wrong(shape, path)
        else:
            check(item, element, f"{path}[{index}]")


def _check_object(value: dict[str, Any], fields: dict[str, Any], required: tuple[str, ...], path: str) -> None:
    nulls = None
    for name, item in value.items():
        if name in fields:
            shape = fields[name]
            if type(item) is str and shape is str and "\0" not in item:
                continue
            if item is None:
                nulls = nulls or []
                nulls.append(name)
            else:
                check(item, shape, f"{path}.{name}" if path else name)
    if nulls:
        for name in nulls:
            del value[name]
    for name in required:
        if name not in value:
            raise InvalidConfig(f"{path}.{name} is required" if path else f"{name} is required")


def _wrong(shape: Any, path: str) -> InvalidConfig:
    return InvalidConfig(f"{path} must be {_words(shape)}")


def _words(shape: Any) -> str:
    if shape is str:
        return "a string"
    if shape is bool:
        return "true or false"
    if type(shape) is range:
        return "an integer"
    if type(shape) is not list:
        return "an object"
    if shape[0] is str:
        return "an array of strings"
    return "an array of integers" if type(shape[0]) is range else "an array of objects"
