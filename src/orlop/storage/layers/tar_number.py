"""Numbers in the headers of tar archives, and their checksum (POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar, 9.1)."""

from __future__ import annotations

from zlib import adler32

_LARGEST = (1 << 63) - 1
_SECOND = 1_000_000_000
_BLANK = b"\0 "


def number(field: bytes) -> int:
    """A number of a header: octal digits, or, if the first bit is set, a binary number in two's complement.

    Raises:
        ValueError: it is neither.
    """
    text = field.strip(_BLANK)
    if text.isdigit():
        return int(text, 8)
    if not text:
        return 0
    if field[0] & 0x80:
        value = int.from_bytes(field, "big")
        bits = len(field) * 8
        # The first bit says that it is binary, the second one is the sign.
        value = value - (1 << bits) if field[0] & 0x40 else value - (1 << bits - 1)
        if not -_LARGEST <= value <= _LARGEST:
            raise ValueError("number too large")
        return value
    text = text.partition(b"\0")[0].rstrip()
    if not text.isdigit():
        raise ValueError("not a number")
    return int(text, 8)


def decimal(text: bytes) -> int:
    """A decimal number of an extended header, which may be negative.

    Raises:
        ValueError: it is none, or too large.
    """
    digits = text[1:] if text.startswith(b"-") else text
    if not digits.isdigit() or len(digits) > 19:
        raise ValueError("not a number")
    value = int(text)
    if abs(value) > _LARGEST:
        raise ValueError("number too large")
    return value


def nanoseconds(text: bytes) -> int:
    """A time of an extended header, seconds with a fraction, exactly; digits past nanoseconds are dropped towards the past.

    Raises:
        ValueError: it is none.
    """
    whole, _, fraction = text.partition(b".")
    negative = whole.startswith(b"-")
    seconds = decimal(whole) if whole not in {b"", b"-"} else 0
    if fraction and not fraction.isdigit():
        raise ValueError("not a time")
    digits = fraction[:9].ljust(9, b"0")
    part = int(digits)
    if negative:
        return seconds * _SECOND - part - (1 if fraction[9:].strip(b"0") else 0)
    return seconds * _SECOND + part


def checksum_matches(header: bytes) -> bool:
    """Whether the 512 bytes of a header have the sum that they say.

    The field itself counts as spaces. Some old programs added the bytes up as signed ones.
    """
    field = header[148:156]
    try:
        stored = number(field)
    except ValueError:
        return False
    if header.isascii():
        # The low half of Adler-32 is one more than the sum modulo 65,521, which 512 bytes below 128 cannot reach; it
        # takes a tenth of the time that sum() does.
        return (adler32(header) & 0xFFFF) - (adler32(field) & 0xFFFF) + 256 == stored
    total = sum(header) - sum(field) + 256
    if total == stored:
        return True
    above = sum(1 for byte in header if byte > 127) - sum(1 for byte in field if byte > 127)
    return total - 256 * above == stored
