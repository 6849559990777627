from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orlop.cli import detach_keys
from orlop.engine.detach_keys import Away, DetachKeys, read
from orlop.errors import InvalidArgument

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("a", b"a"),
        ("ctrl-@,ctrl-[,ctrl-_", b"\x00\x1b\x1f"),
        ("CTRL-a,x", b"\x01x"),
        ("", b""),
    ],
)
def test_keys_are_read_as_docker_reads_them(text: str, keys: bytes) -> None:
    assert read(text) == keys


@pytest.mark.parametrize("text", ["ctrl-1", "ab", "ctrl-", "a,,b", "\u00e4"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid detach keys"):
        read(text)


def test_what_only_begins_like_the_keys_goes_through_late() -> None:
    keys = DetachKeys(b"aab")
    assert keys.take(b"xa") == b"x"
    assert keys.take(b"a") == b""
    assert keys.take(b"a") == b"a"
    with pytest.raises(Away) as away:
        keys.take(b"bnever")
    assert away.value.before == b""


def test_what_was_typed_before_the_keys_is_not_lost() -> None:
    with pytest.raises(Away) as away:
        DetachKeys(b"\x10\x11").take(b"ls\n\x10\x10\x11")
    assert away.value.before == b"ls\n\x10"


def test_without_keys_everything_goes_through() -> None:
    assert DetachKeys(b"").take(b"\x10\x11") == b"\x10\x11"


def test_docker_s_configuration_names_the_keys_of_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(Away):
        detach_keys.choose(None).take(b"\x10\x11")
    (tmp_path / "config.json").write_text('{"detachKeys": "ctrl-e,e"}')
    assert detach_keys.choose(None).take(b"\x10\x11") == b"\x10\x11"
    with pytest.raises(Away):
        detach_keys.choose(None).take(b"\x05e")
    with pytest.raises(Away):
        detach_keys.choose("ctrl-x").take(b"\x18")
