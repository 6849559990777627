"""Keeping compiled filters, and whom to believe about them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from orlop.linux import seccomp
from orlop.linux.seccomp import compiler
from orlop.linux.seccomp.cache import Cache

if TYPE_CHECKING:
    from pathlib import Path

PROFILE: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "flags": ["SECCOMP_FILTER_FLAG_LOG"],
    "syscalls": [{"names": ["read", "frobnicate"], "action": "SCMP_ACT_ALLOW"}],
}
ALLOWING = {"defaultAction": "SCMP_ACT_ALLOW"}


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The configurations that were really compiled."""
    seen: list[Any] = []
    really = compiler.compile_config

    def compile_config(config: Any, machine: str | None = None) -> seccomp.Program:
        seen.append(config)
        return really(config, machine)

    monkeypatch.setattr(compiler, "compile_config", compile_config)
    return seen


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "filters"
    path.mkdir(mode=0o700)
    return path


def only_file(directory: Path) -> Path:
    (file,) = directory.iterdir()
    return file


def test_a_profile_is_compiled_once(compiled: list[Any]) -> None:
    cache = Cache()
    assert cache.compile(PROFILE) is cache.compile(dict(PROFILE))
    assert len(compiled) == 1


def test_another_profile_gets_another_program() -> None:
    cache = Cache()
    assert cache.compile(PROFILE).instructions != cache.compile(ALLOWING).instructions


def test_a_kept_program_serves_another_process_whole(directory: Path, compiled: list[Any]) -> None:
    first = Cache(str(directory)).compile(PROFILE)
    second = Cache(str(directory)).compile(PROFILE)
    assert len(compiled) == 1
    assert (second.instructions, second.flags) == (first.instructions, first.flags)
    assert second.unmatched == ("frobnicate",)


def test_without_a_directory_the_cache_still_compiles(tmp_path: Path) -> None:
    assert len(Cache(str(tmp_path / "absent")).compile(PROFILE)) > 0


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_directory_that_others_can_write_to_is_not_used(directory: Path, mode: int, compiled: list[Any]) -> None:
    Cache(str(directory)).compile(PROFILE)
    directory.chmod(mode)
    Cache(str(directory)).compile(PROFILE)
    assert len(compiled) == 2


def test_a_link_to_a_directory_is_not_used(directory: Path, tmp_path: Path, compiled: list[Any]) -> None:
    Cache(str(directory)).compile(PROFILE)
    (tmp_path / "link").symlink_to(directory)
    Cache(str(tmp_path / "link")).compile(PROFILE)
    assert len(compiled) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")
def test_what_belongs_to_another_user_is_not_used(directory: Path, compiled: list[Any]) -> None:
    Cache(str(directory)).compile(PROFILE)
    os.chown(only_file(directory), 65534, -1)
    Cache(str(directory)).compile(PROFILE)
    os.chown(directory, 65534, -1)
    Cache(str(directory)).compile(PROFILE)
    assert len(compiled) == 3


def test_a_file_that_others_can_write_to_is_not_used(directory: Path, compiled: list[Any]) -> None:
    Cache(str(directory)).compile(PROFILE)
    only_file(directory).chmod(0o666)
    Cache(str(directory)).compile(PROFILE)
    assert len(compiled) == 2


def test_a_link_in_place_of_a_file_is_not_followed(directory: Path, tmp_path: Path, compiled: list[Any]) -> None:
    Cache(str(directory)).compile(PROFILE)
    file = only_file(directory)
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    Cache(str(directory)).compile(PROFILE)
    assert len(compiled) == 2


@pytest.mark.parametrize("length", [0, 10, 60, -8])
def test_a_file_that_a_crash_cut_short_is_made_anew(directory: Path, length: int, compiled: list[Any]) -> None:
    whole = Cache(str(directory)).compile(PROFILE)
    file = only_file(directory)
    content = file.read_bytes()
    file.write_bytes(content[:length])
    assert Cache(str(directory)).compile(PROFILE).instructions == whole.instructions
    assert len(compiled) == 2
    assert only_file(directory).read_bytes() == content


def test_a_file_of_another_profile_under_the_wrong_name_is_not_used(directory: Path) -> None:
    Cache(str(directory)).compile(PROFILE)
    file = only_file(directory)
    file.rename(directory / "other")
    Cache(str(directory)).compile(ALLOWING)
    allowing = next(path for path in directory.iterdir() if path.name != "other")
    allowing.rename(file)
    assert Cache(str(directory)).compile(PROFILE).instructions == seccomp.compile(PROFILE).instructions


def test_memory_keeps_a_bounded_number_of_programs() -> None:
    cache = Cache()
    for errno in range(100):
        cache.compile({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": errno})
    assert len(cache._programs) <= 64
