"""``.dockerignore``."""

from __future__ import annotations

import time

import pytest

from orlop.build import ignore
from orlop.errors import InvalidArgument


@pytest.mark.parametrize(
    ("patterns", "out", "kept"),
    [
        ("a", "a a/b a/b/c", "b b/a ab"),
        ("/a/", "a a/b", "b/a"),
        ("./a/../b", "b b/c", "a"),
        ("*/temp*", "x/temp x/temporary.txt x/temp/y", "temp x/y/temp"),
        ("*/*/temp*", "x/y/temp", "x/temp x/y/z/temp"),
        ("temp?", "tempa tempb/c", "temp tempab x/tempa"),
        ("**/*.go", "a.go x/a.go x/y/a.go", "a.goo x/go"),
        ("**", "a a/b .a", ""),
        ("a/**", "a/b a/b/c", "a b ab"),
        ("a/**/z", "a/z a/b/z a/b/c/z", "z a/zz b/a/z"),
        ("**/a/**", "a/x b/a/x b/c/a/d/x", "a b/a x"),
        ("*", "a a/b .x", ""),
        ("*.md\n!README.md", "a.md", "README.md x/a.md"),
        ("*.md\n!README*.md\nREADME-secret.md", "a.md README-secret.md", "README.md README-x.md"),
        ("*.md\nREADME-secret.md\n!README*.md", "a.md", "README.md README-secret.md"),
        ("a\n!a/b", "a a/c", "a/b a/b/c"),
        ("a\n!a/b\na/b/c", "a/c a/b/c", "a/b a/b/d"),
        ("# a\n a \n\n#b", "a", "#b b"),
        ("\ufeffa", "a", "b"),
        ("[a-c]x", "ax bx", "dx [a-c]x"),
        ("[^a]x", "bx", "ax"),
        ("a\\*", "a*", "ab a"),
        ("a.b", "a.b", "axb"),
        ("**/x**/y", "x/y a/xb/y xb/c/y", "y a/y"),
        ("a*b*c", "abc axbxc abbbc", "ab ac a/bc"),
        ("! a", "", "a"),
        ("\u00e4*", "\u00e4bc", "abc"),
        ("a\r\nb\r\n", "a b", "c"),
    ],
)
def test_a_pattern_leaves_out(patterns: str, out: str, kept: str) -> None:
    ignored = ignore.Ignored(ignore.read(patterns.encode()))
    assert [path for path in out.split() if not ignored.leaves_out(path)] == []
    assert [path for path in kept.split(" ") if path and ignored.leaves_out(path)] == []


def test_no_pattern_leaves_nothing_out() -> None:
    assert not ignore.Ignored([]).leaves_out("a")


@pytest.mark.parametrize("pattern", ["[a", "a\\", "[]", "[b-a]"])
def test_a_pattern_that_cannot_be_is_told(pattern: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid pattern"):
        ignore.Ignored([pattern])


def test_what_an_exception_may_take_in_again_is_looked_at() -> None:
    ignored = ignore.Ignored(["a", "!a/b/*.c", "!x*"])
    assert ignored.may_be_in_below("a")
    assert ignored.may_be_in_below("a/b")
    assert ignored.may_be_in_below("xy/z")
    assert not ignored.may_be_in_below("b")


@pytest.mark.parametrize("pattern", ["*a" * 60 + "b", "**/a*" * 30 + "b", "a**" * 30 + "b", "*?" * 60 + "b"])
def test_no_pattern_takes_long(pattern: str) -> None:
    start = time.process_time()
    ignored = ignore.Ignored([pattern])
    for path in ("a" * 250, "/".join(["a" * 100] * 20), "a/" * 1000 + "a"):
        ignored.leaves_out(path[:4000])
    assert time.process_time() - start < 5
