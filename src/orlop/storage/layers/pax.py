"""Extended headers of tar archives: records that say what does not fit into a header (POSIX.1-2017 pax, "pax Header Block").

Names are bytes. ``hdrcharset`` says how those in the archive are meant: UTF-8 or "as they are"; both are taken as they are,
which is how Linux file systems have them.
"""

from __future__ import annotations

import binascii

from orlop.errors import InvalidArchive
from orlop.storage.layers import acl

_CHARSETS = (b"ISO-IR 10646 2000 UTF-8", b"BINARY", b"")
#: In these no NUL can be, since no system call could be given the rest.
_TEXTS = (b"path", b"linkpath", b"GNU.sparse.name")
_ATTRIBUTE = b"SCHILY.xattr."
#: Access control lists in words, and the attributes that the kernel has for them.
_LISTS = {
    b"SCHILY.acl.access": b"system.posix_acl_access",
    b"SCHILY.acl.default": b"system.posix_acl_default",
}


def parse(data: bytes, records: dict[bytes, bytes]) -> None:
    """Add the records in an extended header's data to ``records``; an empty value takes one away, but an attribute's.

    Extended attributes can be empty, and programs that write them so mean just that.

    GNU's first form of sparse files repeats two keys for each piece (``GNU.sparse.offset`` and ``.numbytes``); they are
    returned as the second form has them, as ``GNU.sparse.map``.

    Raises:
        InvalidArchive: it is malformed.
    """
    at = 0
    end = len(data)
    pieces: list[bytes] = []
    while at < end:
        space = data.find(b" ", at, at + 20)
        digits = data[at:space] if space > 0 else b""
        if not digits.isdigit():
            if not data[at:].strip(b"\0"):
                break  # padding that somebody counted
            raise InvalidArchive(f"an extended header has a record without a length at byte {at}")
        after = at + int(digits)
        equals = data.find(b"=", space, after)
        if after > end or after <= space or equals <= space + 1 or data[after - 1] != 0x0A:
            raise InvalidArchive(f"an extended header has a malformed record at byte {at}")
        key = data[space + 1 : equals]
        value = data[equals + 1 : after - 1]
        at = after
        if key in _TEXTS and b"\0" in value:
            raise InvalidArchive("an extended header has a name with a NUL in it")
        if key == b"hdrcharset" and value not in _CHARSETS:
            raise InvalidArchive(f"an extended header has the unknown character set {value[:40]!r}")
        if key == b"GNU.sparse.offset" or key == b"GNU.sparse.numbytes":  # noqa: PLR1714 - this way round it is quick
            wanted = b"GNU.sparse.numbytes" if len(pieces) % 2 else b"GNU.sparse.offset"
            if key != wanted or b"," in value:
                raise InvalidArchive("an extended header has a malformed map of a sparse file")
            pieces.append(value)
        elif value or key.startswith(_ATTRIBUTE):
            records[key] = value
        else:
            records.pop(key, None)
    if pieces:
        records[b"GNU.sparse.map"] = b",".join(pieces)


def extended_attributes(records: dict[bytes, bytes]) -> list[tuple[str, bytes]]:
    """The extended attributes among the records: those that most programs write, or else libarchive's own.

    Access control lists in words become the attributes that they are; a list of names, whose numbers are not told, has no
    value.

    Raises:
        InvalidArchive: libarchive's form is malformed.
    """
    found: dict[bytes, bytes] = {}
    for key, value in records.items():
        if key.startswith(b"LIBARCHIVE.xattr."):
            name, content = _libarchive(key[17:], value)
            found.setdefault(name, content)
        elif key.startswith(_ATTRIBUTE):
            found[key[len(_ATTRIBUTE) :]] = value
        elif key in _LISTS:
            found.setdefault(_LISTS[key], _access_list(value))
    return [(name.decode("utf-8", "surrogateescape"), value) for name, value in found.items()]


def _access_list(text: bytes) -> bytes:
    try:
        return acl.from_text(text)
    except ValueError:
        return b""


def _libarchive(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """libarchive writes names with percent signs and values in base64 without padding (archive_write_set_format_pax.c)."""
    parts = name.split(b"%")
    try:
        decoded = parts[0] + b"".join(bytes((int(part[:2], 16),)) + part[2:] for part in parts[1:])
        return decoded, binascii.a2b_base64(value + b"=" * (-len(value) % 4))
    except ValueError:
        raise InvalidArchive(f"an extended header has a malformed attribute {name[:80]!r}") from None
