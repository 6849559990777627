"""The API's filters in the words of the command line's, which the engine's tests are made of."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def words(filters: Mapping[str, Sequence[str]]) -> list[str]:
    """``{"label": ["a=b"]}`` as ``["label=a=b"]``, which `orlop.filters.read` reads."""
    return [f"{key}={value}" for key, values in filters.items() for value in values]
