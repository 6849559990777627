"""Mounts that come to a running container which is hostile: they stay in it, and nothing of the host's is touched.

Where a race is played, it is played from outside by exchanging names in the container's root directory, which is quicker
than any program in it could be.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import busybox_root
from tests.integration.engine.conftest import Engine
from tests.integration.engine.image_maker import make
from tests.security.test_copying import Exchanging

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 12


class Victim:
    """An engine with a running container on ``root``, and a directory ``outside`` of the host's with a secret in it."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "rootfs"
        self.root.mkdir(mode=0o755)
        busybox_root(self.root)
        self.outside = directory / "outside"
        self.outside.mkdir()
        (self.outside / "secret").write_text("the host's")
        self.shared = directory / "shared"
        self.shared.mkdir()
        (self.shared / "file").write_text("shared")
        self.engine = Engine(directory, self.root)
        self.id = self.engine.ok("run", "-d", "--name", "box", "--rootfs", str(self.root), "sleep", "1000").strip()

    def inside(self, script: str) -> str:
        return self.engine.ok("exec", "box", "sh", "-c", script)

    def check(self, before: str) -> None:
        """That the host's mounts and files are as they were."""
        assert Path("/proc/self/mountinfo").read_text() == before
        assert os.listdir(self.outside) == ["secret"]


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    if os.geteuid() != 0:
        pytest.skip("needs root: containers are made for real")
    made = Victim(tmp_path)
    yield made
    made.engine.close()


def test_a_link_at_the_target_leads_to_the_containers_own_files(victim: Victim) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    # The same paths exist outside; only inside may something appear.
    victim.inside(
        f"mkdir -p /mnt; ln -s {victim.outside} /mnt/absolute; ln -s ../../../../../..{victim.outside} /mnt/up"
    )
    for link in ("absolute", "up"):
        victim.engine.ok("update", "--volume-add", f"{victim.shared}:/mnt/{link}", "box")
        assert victim.inside(f"cat {victim.outside}/file") == "shared"
        victim.engine.ok("update", "--mount-rm", f"/mnt/{link}", "box")
    victim.check(before)


def test_a_race_for_the_target_wins_nothing(victim: Victim) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    (victim.root / "mnt/place").mkdir(parents=True)
    (victim.root / "mnt/link").symlink_to(victim.outside)
    with Exchanging(victim.root / "mnt/place", victim.root / "mnt/link"):
        for _ in range(ROUNDS):
            victim.engine("update", "--volume-add", f"{victim.shared}:/mnt/place/below", "box")
            victim.engine("update", "--mount-rm", "/mnt/place/below", "box")
    victim.check(before)


def test_unmounting_does_not_uncover_what_is_masked(victim: Victim) -> None:
    victim.engine.ok("update", "--volume-add", f"{victim.shared}:/srv/a/data", "box")
    hidden = victim.inside("wc -c < /proc/timer_list; wc -l < /etc/hosts")
    for masked in ("/proc/timer_list", "/proc/sys", "/etc/hosts"):
        victim.inside(f"mv /srv/a /srv/b; mkdir /srv/a; ln -s {masked} /srv/a/data")
        refused = victim.engine("update", "--mount-rm", "/srv/a/data", "box")
        assert "the container has moved what was mounted at /srv/a/data" in refused.err
        assert victim.inside("wc -c < /proc/timer_list; wc -l < /etc/hosts") == hidden
        assert victim.engine("exec", "box", "sh", "-c", "echo 1 > /proc/sys/kernel/sysrq").code != 0
        victim.inside("rm -r /srv/a; mv /srv/b /srv/a")
    victim.engine.ok("update", "--mount-rm", "/srv/a/data", "box")


def test_a_fake_proc_and_library_of_the_container_are_not_used(victim: Victim) -> None:
    # CVE-2019-14271: what enters a container must load nothing from it.
    victim.inside("mkdir -p /usr/lib /fake; echo 'raise SystemExit(7)' > /fake/encodings.py")
    victim.engine.ok("update", "--mount-add", "type=tmpfs,target=/proc/sys/kernel/../../../fake", "box")
    assert victim.inside("ls /fake") == ""
    victim.engine.ok("update", "--mount-rm", "/fake", "box")
    assert victim.inside("ls /fake") == "encodings.py\n"


def test_a_device_does_not_replace_a_file_of_the_host(victim: Victim) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    victim.inside(f"ln -s {victim.outside} /dev/below; touch /dev/there")
    victim.engine.ok("update", "--device-add", "/dev/fuse:/dev/below/node", "box")
    refused = victim.engine("update", "--device-add", "/dev/fuse:/dev/there", "box")
    assert "something else is there" in refused.err
    victim.inside("ln -sf /dev/there /dev/below2; rm -f /dev/there")
    victim.engine.ok("update", "--device-rm", "/dev/below/node", "box")
    victim.check(before)


def test_a_process_that_is_added_to_is_not_the_next_one_of_its_number(victim: Victim) -> None:
    victim.engine.ok("kill", "box")
    victim.engine.ok("wait", "box")
    victim.engine.ok("update", "--volume-add", f"{victim.shared}:/mnt/a", "box")
    victim.engine.ok("start", "box")
    assert victim.inside("cat /mnt/a/file") == "shared"


def test_a_fork_does_not_read_what_its_source_has_made_endless(victim: Victim) -> None:
    make(victim.engine, "plain:latest")
    victim.engine.ok("run", "-d", "--name", "huge", "plain", "sleep", "1000")
    victim.engine.ok("exec", "huge", "busybox", "truncate", "-s", "100G", "/etc/hosts")
    refused = victim.engine("fork", "huge", "other")
    assert "cannot be forked: its hosts has more than" in refused.err
    assert sorted(victim.engine.names()) == ["box", "huge"]
    assert len(victim.engine.snapshots()) == 1


def test_links_in_the_files_that_are_saved_lead_nowhere(victim: Victim) -> None:
    make(victim.engine, "plain:latest")
    victim.engine.ok("run", "-d", "--name", "links", "plain", "sleep", "1000")
    victim.engine.ok("exec", "links", "sh", "-c", f"ln -s {victim.outside} /data/out; ln -s /etc/shadow /data/shadow")
    victim.engine.ok("snapshot", "links", "then")
    layer = victim.engine.inspect("links")["Snapshots"][0]["Layer"]
    data = victim.engine.root / "snapshots/overlay" / layer / "fs/data"
    assert (os.readlink(data / "out"), os.readlink(data / "shadow")) == (str(victim.outside), "/etc/shadow")
    victim.engine.ok("restore", "-t", "0", "links", "then")
    assert os.listdir(victim.outside) == ["secret"]
