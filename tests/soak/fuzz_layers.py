"""Layers that atheris makes, guided by what of the code they reach: ``python fuzz_layers.py DIRECTORY CORPUS [OPTION...]``.

What comes in is an archive whose headers get the right checksums, since nothing would ever get past them otherwise.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped]  # it is optional, and has no types

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[2] / "src")]

# ruff: noqa: E402 - what is instrumented has to be imported under atheris's eyes
with atheris.instrument_imports(include=["orlop.storage.layers"]):
    from tests.layer_properties import Place, does_no_harm

from tests.layers import END, directory, gnu_long, header, member, pax, raw_header

SEEDS = [
    directory(b"d/") + member(b"d/f", b"data") + header(b"l", b"2", link=b"d") + header(b"h", b"1", link=b"d/f") + END,
    pax({b"path": b"long", b"SCHILY.xattr.user.a": b"b", b"mtime": b"1.5"}) + member(b"f") + END,
    pax({b"GNU.sparse.map": b"0,4", b"GNU.sparse.size": b"10"}) + member(b"f", b"data") + END,
    gnu_long(b"n" * 150) + member(b"f") + header(b"d/.wh.x") + header(b"d/.wh..wh..opq") + END,
]


def with_checksums(data: bytes) -> bytes:
    """Make every block that has a kind where headers have it, and is not only text, a header."""
    blocks = [data[at : at + 512] for at in range(0, len(data), 512)]
    return b"".join(
        raw_header(block) if len(block) == 512 and block[257:262] == b"ustar" else block for block in blocks
    )


def main() -> None:
    """Run the fuzzer."""
    place = Place(Path(sys.argv.pop(1)))
    corpus = Path(sys.argv[1])
    for number, seed in enumerate(SEEDS):
        (corpus / f"seed-{number}").write_bytes(seed)
    atheris.Setup(sys.argv, lambda data: does_no_harm(place, with_checksums(data)))
    atheris.Fuzz()


main()
