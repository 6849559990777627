"""Numbers of bytes as Docker prints them."""

from __future__ import annotations

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def human_size(count: float, digits: int = 4) -> str:
    """Powers of 1000 and ``digits`` significant digits: ``124MB``, ``1.2kB``, ``0B``.

    Docker takes 4 digits in progress bars and in ``system df``, and 3 in the lists of images and containers.
    """
    return _scaled(count, 1000, _DECIMAL, digits)


def binary_size(count: float, digits: int = 4) -> str:
    """Powers of 1024, for memory: ``63.5MiB``."""
    return _scaled(count, 1024, _BINARY, digits)


def _scaled(count: float, base: int, units: tuple[str, ...], digits: int) -> str:
    last = len(units) - 1
    place = 0
    number = float(count)
    while abs(number) >= base and place < last:
        number /= base
        place += 1
    text = f"{number:.{digits}g}"
    if abs(float(text)) >= base and place < last:  # 999.95 kB is 1 MB once it is rounded, not 1e+03 kB
        place += 1
        text = f"{number / base:.{digits}g}"
    if "e" in text:
        text = f"{float(text):.0f}"
    return text + units[place]
