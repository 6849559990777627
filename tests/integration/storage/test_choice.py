"""Which driver a root gets, keeps, and changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orlop.errors import Conflict, InvalidArgument, Unsupported
from orlop.storage import mounts
from orlop.storage.snapshots import choice
from orlop.storage.store import Storage

from .conftest import ROOTLESS

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: overlays are mounted for real")


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(choice.VARIABLE, raising=False)


def driver(root: Path, asked: str = "") -> str:
    return Storage(str(root), rootless=ROOTLESS, driver=asked).snapshots.driver


def test_a_new_root_gets_overlay_and_nothing_of_the_trial_is_left(tmp_path: Path) -> None:
    assert driver(tmp_path) == "overlay"
    assert sorted(os.listdir(tmp_path / "snapshots")) == ["driver", "overlay"]
    assert os.listdir(tmp_path / "snapshots/overlay") == [".empty"]


def test_where_overlay_does_not_work_a_root_gets_what_does(tmp_path: Path) -> None:
    for name in ("lower", "upper", "work"):
        (tmp_path / name).mkdir()
    options = [f"lowerdir+={tmp_path}/lower", f"upperdir={tmp_path}/upper", f"workdir={tmp_path}/work"]
    if ROOTLESS:
        options.append("userxattr")
    with mounts.attached([mounts.Mount("overlay", "overlay", options)]) as root:
        place = Path(f"/proc/self/fd/{root}/root")
        with pytest.raises(Unsupported, match="storage driver overlay cannot be used: .*overlay does not work"):
            driver(place, "overlay")
        assert driver(place) == "vfs"


def test_a_driver_that_cannot_work_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="storage driver btrfs cannot be used: .* is not on a btrfs"):
        driver(tmp_path, "btrfs")
    assert driver(tmp_path) == "overlay"


def test_what_is_asked_for_counts_before_the_variable_and_that_before_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(choice.VARIABLE, "vfs")
    assert driver(tmp_path / "first") == "vfs"
    assert driver(tmp_path / "second", "overlay") == "overlay"


def test_an_unknown_driver_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match='unknown storage driver "zfs": expected overlay, btrfs or vfs'):
        driver(tmp_path, "zfs")


def test_a_root_keeps_its_driver(tmp_path: Path) -> None:
    assert driver(tmp_path, "vfs") == "vfs"
    assert driver(tmp_path) == "vfs"


def test_a_root_with_snapshots_says_whose_they_are_if_another_driver_is_asked_for(tmp_path: Path) -> None:
    snapshots = Storage(str(tmp_path), rootless=ROOTLESS).snapshots
    snapshots.prepare("key")
    with pytest.raises(Conflict, match="has snapshots of driver overlay, which driver vfs cannot use: unset ORLOP_STO"):
        driver(tmp_path, "vfs")
    assert driver(tmp_path) == "overlay"
    snapshots.remove("key")
    assert driver(tmp_path, "vfs") == "vfs"
    assert driver(tmp_path) == "vfs"


def test_a_driver_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots/driver").write_text("zfs\n")
    with pytest.raises(Unsupported, match="has snapshots of driver zfs, which this version of orlop does not know"):
        driver(tmp_path)
    with pytest.raises(Conflict, match="has snapshots of driver zfs"):
        driver(tmp_path, "vfs")


def test_processes_that_use_a_new_root_at_once_agree(tmp_path: Path) -> None:
    pids = []
    for number in range(6):
        pid = os.fork()
        if pid == 0:
            found = ""
            try:
                found = driver(tmp_path, ["", "vfs"][number % 2])
            finally:
                os._exit(["overlay", "vfs"].index(found))
        pids.append(pid)
    # Nobody has a snapshot yet, so who asks for vfs gets it at any time.
    for number, pid in enumerate(pids):
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code in ((0, 1) if number % 2 == 0 else (1,))
    assert driver(tmp_path) == "vfs"
    assert (tmp_path / "snapshots/driver").read_text() == "vfs\n"


def test_nobody_else_may_look_into_storage(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path / "root"), rootless=ROOTLESS)
    storage.prepare()
    storage.snapshots.prepare("key")
    for directory in ("", "/images", "/leases", "/snapshots", "/snapshots/overlay", "/snapshots/overlay/key"):
        assert os.stat(f"{tmp_path}/root{directory}").st_mode & 0o077 == 0
