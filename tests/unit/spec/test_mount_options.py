"""A mount's options, in the terms of the new mount API."""

from __future__ import annotations

import pytest

from orlop.linux import mount
from orlop.runtime.spec.mount_options import parse

RDONLY, NOSUID, NODEV, NOEXEC, NOATIME, STRICTATIME, NODIRATIME = 1, 2, 4, 8, 0x10, 0x20, 0x80
ATIME = 0x70
NOSYMFOLLOW = 0x200000


@pytest.mark.parametrize(
    ("options", "on", "off"),
    [
        ([], 0, 0),
        (["defaults"], 0, 0),
        (["ro"], RDONLY, 0),
        (["nosuid", "nodev", "noexec"], NOSUID | NODEV | NOEXEC, 0),
        (["nodiratime", "nosymfollow"], NODIRATIME | NOSYMFOLLOW, 0),
        (["rw", "suid", "dev", "exec", "diratime", "symfollow"], 0, 0xF | NODIRATIME | NOSYMFOLLOW),
        (["ro", "rw"], 0, RDONLY),
        (["rw", "ro"], RDONLY, 0),
        (["relatime"], 0, ATIME),
        (["noatime"], NOATIME, ATIME),
        (["noatime", "strictatime"], STRICTATIME, ATIME),
        (["noatime", "atime"], 0, ATIME),
        (["noatime", "nostrictatime"], NOATIME, ATIME),
        (["norelatime"], 0, ATIME),
    ],
)
def test_attributes_of_one_mount(options: list[str], on: int, off: int) -> None:
    result = parse(options)
    assert (result.set_attributes, result.clear_attributes) == (on, off)
    assert (result.recursive_set, result.recursive_clear) == (0, 0)
    assert result.data == []


@pytest.mark.parametrize(
    ("options", "on", "off"),
    [
        (["rro", "rnosuid", "rnodev", "rnoexec"], RDONLY | NOSUID | NODEV | NOEXEC, 0),
        (["rrw", "rsuid", "rdev", "rexec"], 0, RDONLY | NOSUID | NODEV | NOEXEC),
        (["rnodiratime", "rnosymfollow"], NODIRATIME | NOSYMFOLLOW, 0),
        (["rdiratime", "rsymfollow"], 0, NODIRATIME | NOSYMFOLLOW),
        (["rnoatime"], NOATIME, ATIME),
        (["rstrictatime"], STRICTATIME, ATIME),
        (["rrelatime"], 0, ATIME),
        (["ratime"], 0, ATIME),
        (["rnorelatime"], 0, ATIME),
        (["rnostrictatime"], 0, ATIME),
    ],
)
def test_attributes_of_a_whole_tree(options: list[str], on: int, off: int) -> None:
    result = parse(options)
    assert (result.recursive_set, result.recursive_clear) == (on, off)
    assert (result.set_attributes, result.clear_attributes) == (0, 0)
    assert result.data == []


def test_superblock_flags_are_what_is_left_switched_on() -> None:
    result = parse(["ro", "sync", "dirsync", "lazytime", "mand", "async", "nolazytime", "nomand"])
    assert result.superblock == ["ro", "dirsync"]


def test_a_remount_also_says_what_is_switched_off() -> None:
    result = parse(["remount", "rw", "async", "nolazytime", "nomand"])
    assert result.remount
    assert result.superblock == ["rw", "async", "nolazytime", "nomand"]


def test_a_bind_mount_leaves_the_other_superblock_alone() -> None:
    result = parse(["rbind", "ro", "sync"])
    assert result.superblock == []
    assert result.set_attributes == RDONLY


@pytest.mark.parametrize(
    ("options", "kind", "bind", "recursive"),
    [
        (["bind"], "none", True, False),
        (["rbind"], "none", True, True),
        (["bind", "rbind"], "", True, True),
        ([], "bind", True, False),
        ([], "tmpfs", False, False),
    ],
)
def test_bind_and_rbind(options: list[str], kind: str, bind: bool, recursive: bool) -> None:
    result = parse(options, kind)
    assert (result.bind, result.recursive) == (bind, recursive)


@pytest.mark.parametrize(
    ("option", "flags"),
    [
        ("private", mount.MS_PRIVATE),
        ("rprivate", mount.MS_PRIVATE | mount.MS_REC),
        ("shared", mount.MS_SHARED),
        ("rshared", mount.MS_SHARED | mount.MS_REC),
        ("slave", mount.MS_SLAVE),
        ("rslave", mount.MS_SLAVE | mount.MS_REC),
        ("unbindable", mount.MS_UNBINDABLE),
        ("runbindable", mount.MS_UNBINDABLE | mount.MS_REC),
    ],
)
def test_propagation(option: str, flags: int) -> None:
    assert parse([option]).propagation == [flags]


def test_propagation_keeps_its_order() -> None:
    assert parse(["rslave", "shared"]).propagation == [
        mount.MS_SLAVE | mount.MS_REC,
        mount.MS_SHARED,
    ]


def test_idmap_and_ridmap() -> None:
    assert parse([]).idmap is None
    assert parse(["rbind", "idmap"]).idmap == "idmap"
    assert parse(["rbind", "ridmap"]).idmap == "ridmap"


def test_tmpcopyup_is_not_handed_to_the_file_system() -> None:
    result = parse(["tmpcopyup", "size=1m"], "tmpfs")
    assert result.tmpcopyup
    assert result.data == ["size=1m"]


def test_what_nobody_knows_goes_to_the_file_system_in_order() -> None:
    assert parse(["mode=755", "r", "", "newinstance", "rsize=1"]).data == ["mode=755", "r", "newinstance", "rsize=1"]


def test_options_without_meaning_to_the_mount_api_are_named() -> None:
    result = parse(["silent", "iversion", "loud", "noiversion"])
    assert result.ignored == ["silent", "iversion", "loud", "noiversion"]
    assert result.data == []


def test_its_text_shows_only_what_was_asked() -> None:
    assert repr(parse(["bind", "size=1"])) == "MountOptions(bind=True, data=['size=1'])"
