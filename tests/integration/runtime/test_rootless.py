"""An ordinary user's containers: bundles of ``spec --rootless``, mappings by newuidmap, no cgroups of one's own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orlop.linux import cgroup
from tests.integration.conftest import BUSYBOX, REPOSITORY, Bundle, Runtime, busybox_root, unique_name
from tests.integration.runtime.containers import add_mount, fields, groups_of, namespace, until

if TYPE_CHECKING:
    from collections.abc import Iterator

UID = 7791
SUBORDINATE = 3_100_000
#: Gives the user a name and subordinate ids, in a mount namespace where nobody else sees them.
ENTER = """
for file in passwd group subuid subgid; do mount --bind "$0/$file" /etc/$file || exit 99; done
exec setpriv --reuid=%d --regid=%d --clear-groups --inh-caps=-all -- "$@"
"""


class User(Runtime):
    """The runtime as an ordinary user calls it, without ``--root``."""

    def __init__(self, home: Path) -> None:
        super().__init__(str(REPOSITORY / "bin/orlop-runtime"), home / "run/orlop-runtime")
        self.home = home

    def command(self, *arguments: str) -> list[str]:
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER % (UID, UID), str(self.home)]
        own = ["env", "-i", f"XDG_RUNTIME_DIR={self.home}/run", f"HOME={self.home}", "PATH=/usr/bin:/bin:/usr/sbin"]
        return [*enter, *own, self.program, *arguments]

    def bundle(self, *args: str, **process: Any) -> Bundle:
        """A new bundle of ``spec --rootless`` that the user owns."""
        path = self.home / unique_name()
        busybox_root(path / "rootfs")
        self._own(path)
        self("spec", "--rootless", "--bundle", str(path))
        config = json.loads((path / "config.json").read_text())
        config["process"].update(args=list(args), terminal=False, **process)
        config["root"]["readonly"] = False
        return Bundle(path, config)

    def _own(self, path: Path) -> None:
        for directory, names, files in os.walk(path):
            for name in (".", *names, *files):
                os.chown(f"{directory}/{name}", UID, UID, follow_symlinks=False)

    def run(self, bundle: Bundle) -> str:
        """Run a bundle to a good end and return its output."""
        bundle.write()
        return self("run", "--bundle", str(bundle.path), unique_name()).output

    def refuse(self, bundle: Bundle) -> str:
        """Run a bundle that must fail and leave nothing; returns what was said."""
        bundle.write()
        result = self.call("run", "--bundle", str(bundle.path), unique_name())
        assert result.status == 1, result
        assert self("list", "-q").output == ""
        return result.errors


@pytest.fixture
def user() -> Iterator[User]:
    if os.geteuid() != 0:
        pytest.skip("needs root to become an ordinary user")
    if not os.access(BUSYBOX, os.X_OK) or not shutil.which("newuidmap"):
        pytest.skip("needs busybox and newuidmap (Debian's busybox-static and uidmap)")
    home = Path(tempfile.mkdtemp(prefix="orlop-user-"))
    try:
        home.chmod(0o755)
        own = f"orlop-user:x:{UID}:{UID}::{home}:/bin/sh\n"
        (home / "passwd").write_text(Path("/etc/passwd").read_text() + own)
        (home / "group").write_text(Path("/etc/group").read_text() + f"orlop-user:x:{UID}:\n")
        for name in ("subuid", "subgid"):
            (home / name).write_text(f"orlop-user:{SUBORDINATE}:65536\n")
        (home / "run").mkdir(mode=0o700)
        for path in (home, home / "run"):
            os.chown(path, UID, UID)
        made = User(home)
        version = made.call("--version")
        if version.status != 0:
            pytest.skip(f"an ordinary user cannot run {made.program}: {version.errors}")
        yield made
        made.delete_all()
    finally:
        shutil.rmtree(home)


def map_range(bundle: Bundle, first: int = SUBORDINATE, size: int = 65535) -> Bundle:
    """Map the user to root and a range of subordinate ids after it."""
    for name in ("uidMappings", "gidMappings"):
        bundle.linux[name] = [
            {"containerID": 0, "hostID": UID, "size": 1},
            {"containerID": 1, "hostID": first, "size": size},
        ]
    return bundle


# one's own id


def test_a_bundle_of_spec_rootless_runs(user: User) -> None:
    said = user.run(user.bundle("sh", "-c", "id -u; id -g; hostname; cat /proc/self/uid_map; ls /sys/fs | head -1"))
    assert said.split()[:6] == ["0", "0", "orlop", "0", str(UID), "1"]


def test_files_belong_to_the_user_outside(user: User) -> None:
    made = user.bundle("touch", "/root/file")
    user.run(made)
    assert (made.rootfs / "root/file").stat().st_uid == UID


def test_devices_terminals_and_masks_are_there(user: User) -> None:
    script = (
        "echo x > /dev/null; head -c 3 /dev/zero | wc -c; ls /dev/pts; wc -c < /proc/kcore; ls /proc | grep -c '^[0-9]'"
    )
    words = user.run(user.bundle("sh", "-c", script + "; true")).split()
    assert words[:2] == ["3", "ptmx"]


def test_the_user_cannot_gain_what_it_has_not(user: User) -> None:
    made = user.bundle("sh", "-c", "mknod /node c 1 3; chown 5:5 /etc/passwd; cat /proc/1/root/etc/shadow; true")
    made.write()
    result = user.call("run", "--bundle", str(made.path), unique_name())
    assert "mknod: /node: Operation not permitted" in result.errors
    assert "chown" in result.errors
    assert not (made.rootfs / "node").exists()


def test_setgroups_is_denied_where_groups_could_be_dropped(user: User) -> None:
    assert user.run(user.bundle("cat", "/proc/self/setgroups")) == "deny\n"


def test_a_new_network_namespace_has_its_loopback(user: User) -> None:
    made = user.bundle("cat", "/sys/class/net/lo/flags", "/proc/net/dev")
    namespace(made, "network")
    made.config["mounts"] = [
        each for each in made.config["mounts"] if each["destination"] not in ("/sys", "/sys/fs/cgroup")
    ]
    add_mount(made, "/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro")
    said = user.run(made)
    assert int(said.split()[0], 16) & 1
    assert said.count(":") == 1


def test_binds_overlays_and_copies_work(user: User) -> None:
    made = user.bundle("sh", "-c", "cat /data/file /copied/file; touch /data/new")
    (made.path / "volume").mkdir()
    (made.path / "volume/file").write_text("bound\n")
    os.chown(made.path / "volume", UID, UID)
    (made.rootfs / "copied").mkdir()
    (made.rootfs / "copied/file").write_text("copied\n")
    os.chown(made.rootfs / "copied/file", UID, UID)
    add_mount(made, "/data", "bind", "volume", "rbind", "nosuid")
    add_mount(made, "/copied", "tmpfs", "tmpfs", "tmpcopyup")
    assert user.run(made).split() == ["bound", "copied"]
    assert (made.path / "volume/new").stat().st_uid == UID


def test_a_readonly_bind_is_readonly(user: User) -> None:
    made = user.bundle("touch", "/data/x")
    (made.path / "volume").mkdir(mode=0o777)
    add_mount(made, "/data", "bind", "volume", "rbind", "ro")
    made.write()
    assert "Read-only" in user.call("run", "--bundle", str(made.path), unique_name()).errors


def test_seccomp_and_no_new_privileges_work(user: User) -> None:
    made = user.bundle("cat", "/proc/self/status", noNewPrivileges=True)
    rule = {"names": ["reboot"], "action": "SCMP_ACT_ERRNO"}
    made.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}
    status = fields(user.run(made))
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")


# subordinate ids


def test_subordinate_ids_are_mapped_by_newuidmap(user: User) -> None:
    made = map_range(
        user.bundle("sh", "-c", "cat /proc/self/uid_map; chown 5:6 /etc/passwd; stat -c %u:%g /etc/passwd")
    )
    made.process["capabilities"]["effective"] = made.process["capabilities"]["permitted"] = ["CAP_CHOWN"]
    made.process["capabilities"]["bounding"] = ["CAP_CHOWN"]
    said = user.run(made).split()
    assert said[:6] == ["0", str(UID), "1", "1", str(SUBORDINATE), "65535"]
    assert said[6] == "5:6"
    about = (made.rootfs / "etc/passwd").stat()
    assert (about.st_uid, about.st_gid) == (SUBORDINATE + 4, SUBORDINATE + 5)


def test_the_program_may_be_another_user_with_groups(user: User) -> None:
    made = map_range(user.bundle("cat", "/proc/self/status", user={"uid": 1000, "gid": 1000, "additionalGids": [5]}))
    status = fields(user.run(made))
    assert status["Uid"].split()[0] == "1000"
    assert status["Groups"].split() == ["5"]


def test_ids_that_were_not_given_to_the_user_are_refused(user: User) -> None:
    errors = user.refuse(map_range(user.bundle("true"), first=1, size=100))
    assert "map ids with new" in errors
    assert "not allowed" in errors


# life


def test_the_whole_life_of_a_container(user: User) -> None:
    made = user.bundle("sleep", "1000")
    made.write()
    name = unique_name()
    user("create", "--bundle", str(made.path), "--pid-file", str(made.path / "pid"), name)
    assert (user.home / "run/orlop-runtime" / name).is_dir()
    assert user.state(name)["status"] == "created"
    assert user.state(name)["owner"] == "orlop-user"
    user("start", name)
    pid = user.state(name)["pid"]
    assert (made.path / "pid").read_text() == str(pid)
    assert user("exec", name, "sh", "-c", "id -u; cat /proc/1/cmdline").output == "0\nsleep\x001000\x00"
    assert user.call("exec", name, "sh", "-c", "exit 7").status == 7
    assert user("list", "-q").output == f"{name}\n"
    assert user("ps", "--format", "json", name).json() == [pid]
    user("kill", name, "KILL")
    until(lambda: user.state(name)["status"] == "stopped")
    user("delete", name)
    assert user("list", "-q").output == ""


def test_a_container_with_subordinate_ids_is_executed_in_and_deleted(user: User) -> None:
    made = map_range(user.bundle("sleep", "1000", user={"uid": 1000, "gid": 1000}))
    made.write()
    name = user.start(made)
    assert user("exec", name, "id", "-u").output == "1000\n"
    assert user("exec", "--user", "0", name, "id", "-u").output == "0\n"
    user("delete", "--force", name)


def test_the_state_is_the_users_alone(user: User) -> None:
    made = user.bundle("sleep", "1000")
    made.write()
    name = user.start(made)
    about = (user.home / "run/orlop-runtime" / name / "state.json").stat()
    assert (about.st_uid, about.st_mode & 0o077) == (UID, 0)


def test_hooks_run_as_the_user(user: User) -> None:
    made = user.bundle("true")
    script = f"id -u > {made.path}/told"
    made.config["hooks"] = {
        "createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin"]}]
    }
    user.run(made)
    assert (made.path / "told").read_text() == f"{UID}\n"


def test_hooks_run_for_a_user_who_may_not_look_where_the_runtime_is(user: User, tmp_path: Path) -> None:
    made = user.bundle("true")
    told = made.path / "told"
    script = {"path": "/bin/sh", "args": ["sh", "-c", f"pwd > {told}"]}
    made.config["hooks"] = {"createRuntime": [script]}
    made.write()
    tmp_path.chmod(0o700)
    user("run", "--bundle", str(made.path), unique_name(), cwd=tmp_path)
    assert told.read_text() == f"{made.path}\n"


# cgroups


def test_cgroups_that_are_not_the_users_are_left_alone(user: User) -> None:
    made = user.bundle("cat", "/proc/self/cgroup")
    made.linux["cgroupsPath"] = f"/{unique_name()}"
    here = Path("/proc/self/cgroup").read_text()
    assert user.run(made) == here
    assert groups_of(made.linux["cgroupsPath"].strip("/")) == []


def test_a_limit_that_cannot_be_set_is_refused(user: User) -> None:
    made = user.bundle("true")
    made.linux["resources"] = {"memory": {"limit": 64 << 20}}
    errors = user.refuse(made)
    assert "memory" in errors
    assert "cgroup" in errors


# what is refused


def test_a_container_without_a_user_namespace_is_refused(user: User) -> None:
    made = user.bundle("true")
    made.linux["namespaces"] = [each for each in made.linux["namespaces"] if each["type"] != "user"]
    for name in ("uidMappings", "gidMappings"):
        del made.linux[name]
    assert "needs a user namespace" in user.refuse(made)


def test_an_idmap_is_refused(user: User) -> None:
    made = user.bundle("true")
    (made.path / "volume").mkdir()
    add_mount(made, "/data", "bind", "volume", "bind", "idmap")
    assert "only root can map the ids of a bind mount" in user.refuse(made)


def test_a_state_root_that_is_not_the_users_is_named(user: User) -> None:
    made = user.bundle("true")
    made.write()
    result = user.call("--root", "/root/orlop", "run", "--bundle", str(made.path), unique_name())
    assert result.status == 1
    assert "/root/orlop" in result.errors
    assert "permission denied; name a directory of yours with --root" in result.errors


def test_a_bundle_that_others_may_not_read_is_named(user: User) -> None:
    made = user.bundle("true")
    made.write()
    os.chown(made.path / "config.json", 0, 0)
    (made.path / "config.json").chmod(0o600)
    result = user.call("run", "--bundle", str(made.path), unique_name())
    assert "config.json" in result.errors
    assert "permission denied" in result.errors.lower()


def test_nothing_stays_in_the_machines_mount_table(user: User) -> None:
    user.run(user.bundle("true"))
    shown = subprocess.run(["findmnt", "-rn", "-o", "TARGET"], capture_output=True, text=True, check=True).stdout
    assert str(user.home) not in shown


# delegated cgroups

DELEGATED = """
umount -R -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 98
mkdir -p /sys/fs/cgroup/$GROUP/own
chown %d /sys/fs/cgroup/$GROUP /sys/fs/cgroup/$GROUP/cgroup.* /sys/fs/cgroup/$GROUP/own /sys/fs/cgroup/$GROUP/own/cgroup.*
echo $$ > /sys/fs/cgroup/$GROUP/own/cgroup.procs || exit 97
"""


class DelegatedUser(User):
    """The same where only cgroup version 2 is mounted and a part of it is the user's."""

    group = ""

    def command(self, *arguments: str) -> list[str]:
        enter = super().command(*arguments)
        at = enter.index("-c") + 1
        enter[at] = f"GROUP={self.group}" + DELEGATED % UID + enter[at]
        return enter


@pytest.fixture
def delegated(user: User) -> Iterator[DelegatedUser]:
    made = DelegatedUser(user.home)
    made.group = unique_name()
    yield made
    made.delete_all()
    for top in groups_of(made.group):
        (top / "own").rmdir()
        top.rmdir()


def test_a_delegated_cgroup_is_used(delegated: DelegatedUser) -> None:
    made = delegated.bundle("sleep", "1000")
    made.linux["cgroupsPath"] = "box"
    made.write()
    name = delegated.start(made)
    pid = delegated.state(name)["pid"]
    assert f"0::/{delegated.group}/box\n" in Path(f"/proc/{pid}/cgroup").read_text()
    delegated("pause", name)
    assert delegated.state(name)["status"] == "paused"
    delegated("resume", name)
    assert "0::/\n" in delegated("exec", name, "cat", "/proc/self/cgroup").output  # its own, as the namespace shows it
    delegated("delete", "--force", name)
    assert groups_of(f"{delegated.group}/box") == []


@pytest.mark.skipif(not cgroup.detect().v1, reason="version 2 has every controller on this machine")
def test_a_limit_is_refused_by_name_where_its_controller_is_not_delegated(delegated: DelegatedUser) -> None:
    made = delegated.bundle("true")
    made.linux["resources"] = {"memory": {"limit": 64 << 20}}
    assert "memory" in delegated.refuse(made)
