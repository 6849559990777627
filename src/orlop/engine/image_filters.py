"""The filters that lists of images and the pruning of images have, as Docker's."""

from __future__ import annotations

from orlop import clock, filters
from orlop.errors import NotFound
from orlop.images import reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orlop.filters import Filter
    from orlop.images.store import Image, ImageStore


def known(store: ImageStore) -> Mapping[str, Filter]:
    """The filters by their keys."""
    return {
        "before": lambda text: _beside(store, text, older=True),
        "dangling": filters.flag(lambda image: not image.tags),
        "label": filters.label(_labels),
        "label!": filters.without_label(_labels),
        "reference": _named,
        "since": lambda text: _beside(store, text, older=False),
        "until": filters.until(lambda image: image.created or clock.NEVER),
    }


def _labels(image: Image) -> Mapping[str, str]:
    try:
        return image.config.config.labels
    except NotFound:
        return {}  # removed meanwhile


def _beside(store: ImageStore, text: str, *, older: bool) -> Callable[[Image], bool]:
    """Images that were made before or after another one."""
    other = store.find(text).created
    return lambda image: image.created < other if older else image.created > other


def _named(pattern: str) -> Callable[[Image], bool]:
    """Images with a name that fits."""
    fits = name_matcher([pattern])
    return lambda image: any(fits(name) for name in image.names)


def name_matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Tells whether a name fits one of the patterns, as Docker shows it, with its tag or without.

    Raises:
        ValueError: a pattern is malformed.
    """
    expressions = [compiled(pattern) for pattern in patterns]

    def fits(name: str) -> bool:
        parsed = reference.parse(name)
        return any(expression(parsed.familiar) or expression(parsed.familiar_name) for expression in expressions)

    return fits


def compiled(pattern: str) -> Callable[[str], object]:
    """Tells whether a text fits a pattern in which ``*`` and ``?`` stand for anything but a slash (Go's path.Match).

    Raises:
        ValueError: the pattern is malformed.
    """
    import re

    expression = []
    rest = pattern
    while rest:
        character, rest = rest[0], rest[1:]
        if character == "*":
            expression.append("[^/]*")
        elif character == "?":
            expression.append("[^/]")
        elif character == "[":
            inside, closing, rest = rest.partition("]")
            if not closing or not inside.strip("^"):
                raise ValueError("'[' without ']'")
            negated = inside.startswith("^")
            characters = re.escape(inside[negated:]).replace("\\-", "-")
            expression.append(f"[{'^' if negated else ''}{characters}]")
        else:
            if character == "\\" and rest:
                character, rest = rest[0], rest[1:]
            expression.append(re.escape(character))
    try:
        return re.compile("".join(expression), re.DOTALL).fullmatch
    except re.error:
        raise ValueError("a range of characters is the wrong way round") from None
