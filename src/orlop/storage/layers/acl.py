"""Access control lists as tar archives have them in words, and as the kernel has them in an extended attribute.

``SCHILY.acl.access`` and ``SCHILY.acl.default`` come from star, and GNU tar and libarchive write them too:
``user::rwx,user:1000:r--,group::r-x,mask::r-x,other::r-x``. A name may stand for the number, which star and libarchive add
at the end then (``user:joe:r--:1000``); what the name means elsewhere is nothing that we could know.
"""

from __future__ import annotations

#: Of posix_acl_xattr_header (include/uapi/linux/posix_acl_xattr.h).
_VERSION = (2).to_bytes(4, "little")
_NOBODY = 0xFFFFFFFF
#: The tags of an entry without and with somebody's number; the kernel wants the entries in this order.
_TAGS = {b"user": (0x01, 0x02), b"group": (0x04, 0x08), b"mask": (0x10, 0), b"other": (0x20, 0)}
_TAGS |= {word[:1]: tags for word, tags in tuple(_TAGS.items())}
_PERMISSIONS = {ord("r"): 4, ord("w"): 2, ord("x"): 1, ord("-"): 0}


def from_text(text: bytes) -> bytes:
    """The value of ``system.posix_acl_access`` or ``system.posix_acl_default``.

    Raises:
        ValueError: it is malformed, or names somebody without a number.
    """
    entries = []
    for line in text.replace(b"\n", b",").split(b","):
        words = line.partition(b"#")[0].strip().split(b":")
        if words == [b""]:
            continue
        if words[0] in {b"default", b"d"}:
            words = words[1:]
        if not 2 <= len(words) <= 4 or words[0] not in _TAGS:
            raise ValueError("a malformed entry")
        plain, with_number = _TAGS[words[0]]
        who = words[1] if len(words) > 2 else b""
        if len(words) == 4:
            who = words[3]
        permissions = words[2] if len(words) > 2 else words[1]
        if not who:
            entries.append((plain, _NOBODY, _bits(permissions)))
        elif with_number and who.isdigit() and int(who) < _NOBODY:
            entries.append((with_number, int(who), _bits(permissions)))
        else:
            raise ValueError("an entry for somebody without a number")
    entries.sort()
    return _VERSION + b"".join(
        tag.to_bytes(2, "little") + bits.to_bytes(2, "little") + number.to_bytes(4, "little")
        for tag, number, bits in entries
    )


def _bits(permissions: bytes) -> int:
    bits = 0
    for letter in permissions:
        if letter not in _PERMISSIONS:
            raise ValueError("malformed permissions")
        bits |= _PERMISSIONS[letter]
    return bits
