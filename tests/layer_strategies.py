"""Layers at random, for tests that ask what holds whatever an archive has in it."""

from __future__ import annotations

import gzip
from typing import Any

from hypothesis import strategies as st

from orlop.third_party import load
from tests.layers import (
    BLOCK,
    CHARACTER,
    DIRECTORY,
    END,
    FIFO,
    FILE,
    HARD_LINK,
    SYMBOLIC_LINK,
    gnu_long,
    header,
    member,
    pax,
    raw_header,
)

_KINDS = [FILE, FILE, FILE, DIRECTORY, DIRECTORY, SYMBOLIC_LINK, HARD_LINK, CHARACTER, BLOCK, FIFO]
_DECENT = [b"a", b"b", b"c"]
_WHITEOUTS = [b".wh.a", b".wh.b", b".wh..wh..opq"]
_INDECENT = [b"..", b".", b"", b".wh.", b".wh...", b".wh..wh.plnk", b"\xff", b"n" * 256, b"a\0b", b"/"]

_number = st.integers(0, 7)


def _path(last: list[bytes], *, indecent: bool) -> st.SearchStrategy[bytes]:
    before = _DECENT + (_INDECENT if indecent else [])
    return st.tuples(st.lists(st.sampled_from(before), max_size=3), st.sampled_from(last)).map(
        lambda parts: b"/".join([*parts[0], parts[1]])
    )


@st.composite
def _entry(draw: st.DrawFn, *, indecent: bool) -> bytes:
    kind = draw(st.sampled_from(_KINDS))
    name = draw(_path(_DECENT + _WHITEOUTS + (_INDECENT if indecent else []), indecent=indecent))
    link = draw(
        _path(_DECENT + ([*_INDECENT, b"../outside", b"../outside/secret"] if indecent else []), indecent=indecent)
    )
    fields: dict[str, Any] = {
        "mode": draw(st.sampled_from([0o644, 0o755, 0, 0o4755, 0o2775])),
        "uid": draw(_number),
        "gid": draw(_number),
        "mtime": draw(_number),
    }
    data = draw(st.sampled_from([b"", b"data", b"x" * 1000])) if kind == FILE else b""
    if kind in {HARD_LINK, SYMBOLIC_LINK}:
        fields["link"] = link.replace(b"\0", b"")[:100]
    if kind in {CHARACTER, BLOCK}:
        fields["major"], fields["minor"] = draw(_number), draw(_number)
    before = b""
    how = draw(st.integers(0, 9))
    if how == 0:
        before = gnu_long(name)
    elif how == 1 or b"\0" in name or len(name) > 100:
        before = pax({b"path": name})
    elif how == 2 and kind in {FILE, DIRECTORY}:
        before = pax({b"SCHILY.xattr.user.n": b"%d" % draw(_number)})
    return before + member(name.replace(b"\0", b"")[:100], data, kind, **fields)


def layers(*, indecent: bool = False, most: int = 12) -> st.SearchStrategy[bytes]:
    """Archives of a few entries whose names meet each other; ``indecent`` ones try to leave the layer too."""
    return st.lists(_entry(indecent=indecent), max_size=most).map(lambda entries: b"".join(entries) + END)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Archives, perhaps compressed, in which some bytes are not what they were."""
    archive = draw(layers(indecent=True, most=6))
    changes = draw(st.lists(st.tuples(st.integers(0, len(archive) - 1), st.integers(0, 255)), max_size=6))
    how = draw(st.integers(0, 3))
    if how == 1:
        archive = gzip.compress(archive, mtime=0)
    elif how == 2:
        archive = load("backports.zstd", "testing").compress(archive)
    changed = bytearray(archive)
    for at, value in changes:
        changed[at % len(changed)] = value
    cut = draw(st.integers(0, 2 * len(changed)))
    return bytes(changed[:cut]) if draw(st.booleans()) else bytes(changed)


#: Headers of random bytes whose checksum is right, with some data.
headers = st.lists(st.tuples(st.binary(max_size=512), st.binary(max_size=600)), min_size=1, max_size=4).map(
    lambda pairs: b"".join(raw_header(block) + data + bytes(-len(data) % 512) for block, data in pairs) + END
)

#: Headers in which every field is something that is hard to read.
_fields = st.sampled_from(
    [b"", b"\xff" * 12, b"\x80" + b"\0" * 10 + b"\x09", b"7" * 12, b"-1", b" 1 ", b"99", b"\x80" * 12]
)


@st.composite
def _odd_header(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(b"01234567xgLKSDVMXZ\0"))
    rest = draw(st.sampled_from([b"", b"\1" * 167, b"1" * 167, b"\x80" * 160]))
    return raw_header(
        header(
            draw(st.sampled_from([b"a", b"a/", b"a/b", b"", b".."])),
            bytes([kind]),
            size=draw(_fields)[:12],
            uid=draw(_fields)[:8],
            mtime=draw(_fields)[:12],
            link=draw(st.sampled_from([b"", b"a", b".."])),
            magic=draw(st.sampled_from([b"ustar\x0000", b"ustar  \0", bytes(8), b"x" * 8])),
            rest=rest,
        )
    ) + draw(st.sampled_from([b"", bytes(512), b"1\n0\n1\n".ljust(512, b"x"), b"9 path=a\n".ljust(512, b"\0")]))


odd_headers = st.lists(_odd_header(), min_size=1, max_size=4).map(lambda blocks: b"".join(blocks) + END)
