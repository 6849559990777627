"""What is promised of snapshots that are used before they are on the disk, of every driver."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orlop.errors import Conflict, NotFound
from orlop.storage import mounts
from orlop.storage.snapshots import record

from .test_snapshots import FIRST, SECOND, THIRD, at, make, names_on_disk, tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from orlop.storage.snapshots.directory import SnapshotDirectory


@pytest.fixture
def reboot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], None]:
    """Has the kernel's boot id be another one."""

    def now() -> None:
        (tmp_path / "boot_id").write_text(f"{uuid.uuid4()}\n")
        monkeypatch.setattr(record, "_BOOT_ID", str(tmp_path / "boot_id"))

    return now


def unpack(snapshots: SnapshotDirectory, name: str, parent: str = "", text: str = "whole") -> None:
    """A provisional snapshot."""
    with mounts.attached(snapshots.prepare("unpacking", parent)) as root:
        (at(root) / name[7:9]).write_text(text)
    snapshots.commit(name, "unpacking", provisional=True)


def test_a_provisional_snapshot_counts_until_the_machine_goes_down(
    snapshots: SnapshotDirectory, reboot: Callable[[], None]
) -> None:
    unpack(snapshots, FIRST)
    unpack(snapshots, SECOND, FIRST)
    assert snapshots.has(SECOND)
    assert tree(snapshots.mounts(SECOND)) == {"11": "whole", "22": "whole"}
    with pytest.raises(Conflict):
        unpack(snapshots, SECOND, FIRST)
    snapshots.remove("unpacking")
    reboot()
    for call in (snapshots.mounts, snapshots.usage, lambda name: snapshots.prepare("key", name)):
        with pytest.raises(NotFound):
            call(SECOND)
    assert not snapshots.has(SECOND)
    assert {info.name for info in snapshots.walk()} == {FIRST, SECOND}
    assert snapshots.children(FIRST) == [SECOND]
    assert snapshots.discard([FIRST, SECOND]) == [SECOND, FIRST]


def test_a_confirmed_snapshot_counts_for_good(snapshots: SnapshotDirectory, reboot: Callable[[], None]) -> None:
    unpack(snapshots, FIRST)
    unpack(snapshots, SECOND, FIRST)
    make(snapshots, THIRD, FIRST)
    found = snapshots.provisional([SECOND, FIRST, THIRD, "sha256:" + "4" * 64])
    assert set(found) == {FIRST, SECOND}, "the third was never in doubt, and there is no fourth"
    snapshots.confirm(found)
    assert snapshots.provisional([FIRST, SECOND]) == {}
    reboot()
    assert tree(snapshots.mounts(SECOND)) == {"11": "whole", "22": "whole"}


def test_a_snapshot_that_was_made_anew_meanwhile_is_not_confirmed(
    snapshots: SnapshotDirectory, reboot: Callable[[], None]
) -> None:
    unpack(snapshots, FIRST)
    found = snapshots.provisional([FIRST])
    snapshots.remove(FIRST)
    unpack(snapshots, FIRST, text="not on the disk")
    snapshots.confirm(found)
    reboot()
    assert not snapshots.has(FIRST)


@pytest.mark.parametrize("damage", [None, b"", b"{"])
def test_a_lost_snapshot_is_replaced_under_what_is_made_upon_it(
    snapshots: SnapshotDirectory, reboot: Callable[[], None], damage: bytes | None
) -> None:
    unpack(snapshots, FIRST, text="lost")
    snapshots.prepare("container", FIRST)
    if damage is None:
        reboot()
    else:
        Path(snapshots.directory, FIRST, "record.json").write_bytes(damage)
    assert not snapshots.has(FIRST)
    unpack(snapshots, FIRST, text="whole")
    assert tree(snapshots.mounts(FIRST)) == {"11": "whole"}
    if snapshots.independent_layers:
        assert tree(snapshots.mounts("container")) == {"11": "whole"}
    assert names_on_disk(snapshots) == {FIRST, "container"}


def test_what_a_confirmed_snapshot_is_made_upon_is_never_replaced(
    snapshots: SnapshotDirectory, reboot: Callable[[], None]
) -> None:
    unpack(snapshots, FIRST)
    unpack(snapshots, SECOND, FIRST)
    snapshots.confirm(snapshots.provisional([SECOND]))  # as if the other's record had been lost alone
    reboot()
    assert not snapshots.has(FIRST)
    with pytest.raises(Conflict):
        unpack(snapshots, FIRST, text="another")
    snapshots.remove("unpacking")
    assert tree(snapshots.mounts(FIRST)) == {"11": "whole"}
