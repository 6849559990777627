"""CVE-2021-30465, CVE-2024-45310: what a mount lands on, or what is made for it, is exchanged for a link meanwhile.

A volume is shared with somebody who swaps a directory in it for a link to a directory of the host. Wherever
the mount lands, it is in the container: counted there afterwards, and the host's directory stays empty.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from tests.security import hostile

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tests.integration.conftest import Bundle, BundleMaker, Runtime

ROUNDS = 25


class Volume:
    """A volume with a directory and a link to the host that change places."""

    def __init__(self, made: Bundle, tmp_path: Path) -> None:
        self.victim = tmp_path / "host-directory"
        (self.victim / "target").mkdir(parents=True)
        self.path = tmp_path / "volume"
        (self.path / "swapped/target").mkdir(parents=True)
        (self.path / "link").symlink_to(self.victim)
        hostile.bind(made, self.path, "/volume")

    def racing(self) -> AbstractContextManager[None]:
        return hostile.racing((self.path / "swapped", self.path / "link"))

    def assert_host_untouched(self) -> None:
        assert [path.name for path in self.victim.iterdir()] == ["target"]
        assert not list((self.victim / "target").iterdir())
        assert not [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(self.victim) in line]


def test_cve_2021_30465_a_mount_lands_in_the_container(runtime: Runtime, bundle: BundleMaker, tmp_path: Path) -> None:
    made = bundle("grep", "-c", "raced-tmpfs", "/proc/self/mountinfo")
    volume = Volume(made, tmp_path)
    hostile.mount(made, "/volume/swapped/target", "raced-tmpfs")
    through_link = 0
    with volume.racing():
        for _ in range(ROUNDS):
            assert hostile.output(runtime, made).strip() == "1"
    through_link += (made.rootfs / str(volume.victim).lstrip("/")).exists()
    assert through_link, "the link was never met, so nothing was raced"
    volume.assert_host_untouched()


def test_cve_2024_45310_nothing_is_made_on_the_host(runtime: Runtime, bundle: BundleMaker, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("bound")
    made = bundle("true")
    volume = Volume(made, tmp_path)
    hostile.mount(made, "/volume/swapped/target/new/directory")
    hostile.bind(made, file, "/volume/swapped/target/new-file")
    made.process["cwd"] = "/volume/swapped/target/working/directory"
    made.linux["devices"] = [
        {"path": "/volume/swapped/target/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666}
    ]
    met = False
    with volume.racing():
        for _ in range(ROUNDS):
            # Some rounds fail, where the link leads to another place each time; no round may make a thing outside.
            hostile.attempt(runtime, made)
            met = met or (made.rootfs / str(volume.victim).lstrip("/")).exists()
    assert met, "the link was never met, so nothing was raced"
    volume.assert_host_untouched()


def test_cve_2024_45310_a_dangling_link_is_completed_in_the_container(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path
) -> None:
    made = bundle("true")
    volume = Volume(made, tmp_path)
    (made.rootfs / "etc/resolv.conf").symlink_to(volume.victim / "created-by-link")
    (made.rootfs / "data").symlink_to("../../../../../.." + str(volume.victim / "made-by-link"))
    hostile.bind(made, "/etc/hostname", "/etc/resolv.conf")
    hostile.mount(made, "/data/below")
    hostile.output(runtime, made)
    volume.assert_host_untouched()
    assert (made.rootfs / str(volume.victim / "created-by-link").lstrip("/")).exists()


def test_cve_2021_30465_a_masked_path_is_not_masked_outside(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path
) -> None:
    """maskedPaths and readonlyPaths in the raced volume; the mask of a kernel's file must hold all the same."""
    made = bundle("sh", "-c", "cat /proc/version | wc -c; grep -c ' /proc/version ' /proc/self/mountinfo")
    volume = Volume(made, tmp_path)
    made.linux["maskedPaths"] = ["/volume/swapped/target", "/proc/version"]
    made.linux["readonlyPaths"] = ["/volume/swapped"]
    with volume.racing():
        for _ in range(ROUNDS):
            # In a round in which the link is there, it leads to nothing that exists below the container's root.
            assert hostile.output(runtime, made).split() == ["0", "1"]
    volume.assert_host_untouched()
    (volume.victim / "target/still-writable").touch()


def test_cve_2021_30465_masks_of_proc_hold_while_its_mount_point_is_moved(
    runtime: Runtime, bundle: BundleMaker
) -> None:
    """Somebody who shares the root file system swaps /proc itself for a link to a fake that they made."""
    shell = "until cat /proc/self/mountinfo 2>/dev/null || cat /other/self/mountinfo 2>/dev/null; do :; done"
    made = bundle("sh", "-c", shell)
    made.linux["maskedPaths"] = ["/proc/version"]
    made.linux["readonlyPaths"] = ["/proc/sys"]
    (made.rootfs / "fake/sys").mkdir(parents=True)
    (made.rootfs / "fake/version").touch()
    (made.rootfs / "other").symlink_to("fake")
    good = 0
    with hostile.racing((made.rootfs / "proc", made.rootfs / "other")):
        for _ in range(ROUNDS):
            result = hostile.attempt(runtime, made)
            if result.status:
                assert "symbolic link" in result.errors, result
                continue
            good += 1
            fields = [line.split() for line in result.output.splitlines()]
            procfs = [field[0] for field in fields if field[3] == "/" and "proc" in field[6:]]
            masks = [field[1] for field in fields if field[4].endswith("/version")]
            readonly = [field[1] for field in fields if field[3] == "/sys" and "ro" in field[5].split(",")]
            assert len(procfs) == 1, result
            assert masks == readonly == procfs, result
    assert good, "no round got as far as the masks"


def test_cve_2021_30465_what_was_made_is_only_directories_and_empty_files(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path
) -> None:
    made = bundle("true")
    hostile.bind(made, "/etc/hostname", "/made/for/file")
    hostile.mount(made, "/made/for/directory")
    hostile.output(runtime, made)
    about = os.lstat(made.rootfs / "made/for/file")
    assert stat.S_ISREG(about.st_mode)
    assert about.st_size == 0
    assert not about.st_mode & 0o7022
