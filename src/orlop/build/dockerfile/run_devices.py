"""``RUN --device``: devices that a step needs, by their names in the Container Device Interface."""

from __future__ import annotations

from orlop.build.dockerfile.problem import suggestion
from orlop.build.value import Value
from orlop.errors import InvalidArgument
from orlop.options import boolean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_KEYS = ("name", "required")


class Device(Value):
    """One request: ``vendor.com/kind=name``, ``vendor.com/kind`` for its first device, ``vendor.com/kind=*`` for all of them, or a class.

    Unless it is ``required`` the step does without what there is not.
    """

    name: str
    required: bool = False


def parse(text: str, expand: Callable[[str], str] | None = None) -> Device:
    """Read ``vendor.com/kind=name[,required]``; ``expand`` replaces variables.

    Raises:
        InvalidArgument: it is malformed.
    """
    import csv

    name, required = "", False
    for field in next(csv.reader([text]), []):
        key, equals, value = field.strip().partition("=")
        if key.lower() == "required":
            try:
                required = boolean(expand(value) if expand is not None else value) if equals else True
            except ValueError:
                raise InvalidArgument(
                    f"invalid --device '{text}': required is '{value}': expected true or false"
                ) from None
            continue
        if key.lower() == "name" and equals:
            found = value
        elif "/" in key or not equals:
            found = field.strip()
        else:
            near = suggestion(key, _KEYS)
            raise InvalidArgument(f"invalid --device '{text}': unknown key '{key}'{near}: expected name, required")
        if name:
            raise InvalidArgument(f"invalid --device '{text}': it names two devices: use --device twice")
        name = expand(found) if expand is not None else found
    if not name:
        raise InvalidArgument(f"invalid --device '{text}': expected a name such as vendor.com/kind=name")
    return Device(name, required)
