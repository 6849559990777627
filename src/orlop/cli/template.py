r"""The part of Go's templates that people give to ``--format``.

``json`` alone; ``{{.Name}}``, ``{{.State.Status}}``, ``{{json .State}}``; text around them, with ``\t`` and
``\n``.
"""

from __future__ import annotations

from orlop import json_text
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def render(format_: str, value: dict[str, Any]) -> str:
    """One object in the format.

    Raises:
        InvalidArgument: the template uses what is not understood, or names a field that is not there.
    """
    if format_ == "json":
        return json_text.dumps(value)
    result = []
    rest = format_.replace("\\t", "\t").replace("\\n", "\n")
    while rest:
        text, opening, rest = rest.partition("{{")
        result.append(text)
        if not opening:
            break
        action, closing, rest = rest.partition("}}")
        if not closing:
            raise InvalidArgument(f'invalid --format "{format_}": "{{{{" without "}}}}"')
        result.append(_evaluate(action.strip(), value, format_))
    return "".join(result)


def _evaluate(action: str, value: dict[str, Any], format_: str) -> str:
    words = action.split()
    as_json = len(words) == 2 and words[0] == "json"
    path = words[-1] if words else ""
    if not path.startswith(".") or len(words) != 1 + as_json:
        raise InvalidArgument(f'invalid --format "{format_}": "{action}" is not understood; use .Field or json .Field')
    found: Any = value
    for name in path.split(".")[1:]:
        if not name:
            continue  # "." alone is the object itself
        if not isinstance(found, dict) or name not in found:
            raise InvalidArgument(f'invalid --format "{format_}": there is no field {path}')
        found = found[name]
    if as_json:
        return json_text.dumps(found)
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, (dict, list)):
        return json_text.dumps(found)
    return "<no value>" if found is None else str(found)
