"""Who the program is and what it may do: users, groups, capabilities, keys."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orlop.engine import users
from tests.integration.conftest import unique_name
from tests.security import hostile

if TYPE_CHECKING:
    from tests.integration.conftest import BundleMaker, Runtime

STATUS = ["cat", "/proc/self/status"]
#: ids that nobody else has, for containers with a user namespace.
FIRST_ID = 300_000


def status(text: str) -> dict[str, str]:
    """/proc/PID/status by field."""
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def test_cve_2022_29162_and_27650_nothing_is_inheritable_unless_asked_for(
    runtime: Runtime, bundle: BundleMaker
) -> None:
    made = bundle(*STATUS)
    own = status(hostile.output(runtime, made))
    assert int(own["CapEff"], 16) != 0
    assert int(own["CapInh"], 16) == int(own["CapAmb"], 16) == 0


def test_cve_2022_29162_and_27650_a_capability_of_exec_is_not_inheritable(
    runtime: Runtime, bundle: BundleMaker
) -> None:
    name = hostile.start(runtime, bundle("sleep", "100"))
    for user in ("0", "1000:1000"):
        own = status(runtime("exec", "--cap", "CAP_NET_RAW", "--user", user, name, *STATUS).output)
        assert int(own["CapInh"], 16) == int(own["CapAmb"], 16) == 0
        assert int(own["CapBnd"], 16) >> 13 & 1


def test_cve_2022_29162_another_user_gains_nothing_through_a_file_with_inheritable_capabilities(
    runtime: Runtime, bundle: BundleMaker
) -> None:
    made = bundle("/gainful/cat", "/proc/self/status", user={"uid": 1000, "gid": 1000})
    made.process["noNewPrivileges"] = False
    program = made.rootfs / "gainful/cat"
    program.parent.mkdir()
    program.write_bytes(Path("/bin/busybox").read_bytes())
    program.chmod(0o755)
    # struct vfs_cap_data, version 2: inheritable = all that the container has, and effective.
    everything = (0xFF).to_bytes(4, "little")
    os.setxattr(program, "security.capability", b"\x01\x00\x00\x02" + bytes(4) + everything + bytes(8))
    assert int(status(hostile.output(runtime, made))["CapEff"], 16) == 0


@pytest.mark.parametrize(
    "user",
    ["1000", "0x3e8", " 1000", "1000:", "1000:x", "-1", "4294967295", "1000:4294967295", "user", "", "1 000", "१"],
)
def test_cve_2026_30892_a_user_is_a_number_and_never_misread_as_root(
    runtime: Runtime, bundle: BundleMaker, user: str
) -> None:
    made = bundle("sleep", "100")
    name = hostile.start(runtime, made)
    result = runtime.call("exec", f"--user={user}", name, "id", "-u")
    assert (result.status, result.output) == ((0, "1000\n") if user == "1000" else (255, "")), result


def test_cve_2016_3697_a_user_whose_name_is_a_number_is_not_looked_up(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "id -u; id -g; echo $HOME")
    (made.rootfs / "etc/passwd").write_text("1000:x:0:0:trap:/trap:/bin/sh\nroot:x:0:0::/root:/bin/sh\n")
    made.process["user"] = {"uid": 1000, "gid": 1000}
    assert hostile.output(runtime, made).split() == ["1000", "1000", "/"]
    made.process["args"] = ["sleep", "100"]
    name = hostile.start(runtime, made)
    said = runtime("exec", "--user", "1000:1000", name, "sh", "-c", "id -u; id -g; echo $HOME").output
    assert said.split() == ["1000", "1000", "/"]


def test_cve_2022_36109_no_group_of_the_caller_is_kept(runtime: Runtime, bundle: BundleMaker) -> None:
    def join_groups() -> None:
        os.setgroups([0, 4, 6, 27])

    made = bundle(*STATUS, user={"uid": 1000, "gid": 1000, "additionalGids": [50]})
    result = hostile.attempt(runtime, made, preexec_fn=join_groups)
    assert status(result.output)["Groups"].split() == ["50"], result
    name = hostile.start(runtime, bundle("sleep", "100"))
    own = status(runtime("exec", "--user", "1000:1000", name, *STATUS, preexec_fn=join_groups).output)
    assert own["Groups"] == ""


def test_cve_2022_36109_orlop_s_own_containers_cannot_leave_their_group() -> None:
    """A file that denies a group what it allows others must deny it still, whatever set-group-id program is run."""
    for wanted in ("", "1000", "1000:50", "0:0"):
        user = users.resolve(wanted, "user:x:1000:1000::/:\n", lambda: "other:x:60:user\n")
        assert user.config()["gid"] in user.config()["additionalGids"]


def test_a_fake_proc_does_not_make_groups_kept(runtime: Runtime, bundle: BundleMaker) -> None:
    """Whether setgroups(2) is denied is not for the image's own /proc/self/setgroups to say."""
    made = bundle("id", "-G")
    made.config["mounts"] = [each for each in made.config["mounts"] if each["destination"] != "/proc"]
    made.linux["maskedPaths"] = made.linux["readonlyPaths"] = []
    (made.rootfs / "proc/self").mkdir()
    os.mkfifo(made.rootfs / "proc/self/setgroups")
    result = hostile.attempt(runtime, made, preexec_fn=lambda: os.setgroups([0, 4, 27]), timeout=20)
    assert result.output.split() == ["0"]


@pytest.mark.usefixtures("open_checkout")
def test_cve_2014_8989_an_ordinary_user_cannot_give_up_groups_that_deny(
    runtime: Runtime, bundle: BundleMaker, open_directory: Path
) -> None:
    made = bundle("sh", "-c", "cat /proc/self/setgroups; cat /proc/self/gid_map")
    made.linux["namespaces"] = [{"type": kind} for kind in ("pid", "mount", "user", "ipc", "uts")]
    made.linux["uidMappings"] = [{"containerID": 0, "hostID": FIRST_ID, "size": 1}]
    made.linux["gidMappings"] = [{"containerID": 0, "hostID": FIRST_ID, "size": 1}]
    made.linux["resources"] = {}
    del made.linux["cgroupsPath"]
    made.config["mounts"] = [each for each in made.config["mounts"] if each["destination"] == "/proc"]
    del made.config["hostname"]
    made.path = made.path.rename(open_directory / "bundle")
    made.rootfs = made.path / "rootfs"
    for path in (made.path, *made.rootfs.rglob("*")):
        os.chown(path, FIRST_ID, FIRST_ID, follow_symlinks=False)
    os.chown(made.rootfs, FIRST_ID, FIRST_ID)

    def become_ordinary() -> None:
        os.setgroups([])
        os.setresgid(FIRST_ID, FIRST_ID, FIRST_ID)
        os.setresuid(FIRST_ID, FIRST_ID, FIRST_ID)

    made.write()
    root = made.path / "root"
    root.mkdir()
    os.chown(root, FIRST_ID, FIRST_ID)
    runtime.root = root
    result = runtime.call("run", "--bundle", str(made.path), unique_name(), preexec_fn=become_ordinary)
    assert result.status == 0, result
    assert result.output.split()[0] == "deny"


KEYS = r"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def keyctl(*arguments):
    return libc.syscall(250 if os.uname().machine == "x86_64" else 219, *arguments)
def add(name):
    return libc.syscall(248 if os.uname().machine == "x86_64" else 217, b"user", name, b"secret", 6, -3)
def session():
    storage = ctypes.create_string_buffer(256)
    keyctl(6, -3, storage, 256)  # KEYCTL_DESCRIBE of KEY_SPEC_SESSION_KEYRING
    return storage.value.decode()
"""


def test_every_container_has_a_keyring_of_its_own(runtime: Runtime, bundle: BundleMaker) -> None:
    said = []
    for _ in range(2):
        made = bundle()
        made.process["args"] = [
            hostile.with_python(made),
            hostile.script(made, KEYS + "print(session(), add(b'k') > 0)"),
        ]
        description, _, added = hostile.output(runtime, made).strip().rpartition(" ")
        if not description:
            pytest.skip("this kernel has no keyrings")
        assert added == "True"
        said.append(description)
    assert said[0] != said[1]


def test_a_keyring_cannot_be_joined_by_a_neighbour_who_knows_the_id(runtime: Runtime, bundle: BundleMaker) -> None:
    """Two containers of the same user; the second knows the first one's id, by which keyrings used to be named."""
    owner = bundle()
    keep = KEYS + "import time\nadd(b'key-of-owner')\nopen('/ready', 'w').close()\ntime.sleep(100)"
    owner.process["args"] = [hostile.with_python(owner), hostile.script(owner, keep)]
    name = hostile.start(runtime, owner)
    hostile.eventually((owner.rootfs / "ready").exists)
    thief = bundle()
    steal = KEYS + f"keyctl(1, b'_ses.{name}')\nprint(keyctl(10, -3, b'user', b'key-of-owner', 0))"
    thief.process["args"] = [hostile.with_python(thief), hostile.script(thief, steal)]
    assert hostile.output(runtime, thief).strip() == "-1"
    # Whoever is executed in the container itself finds it.
    find = KEYS + "print(keyctl(10, -3, b'user', b'key-of-owner', 0))"
    path = hostile.script(owner, find, "find.py")
    said = runtime("exec", name, owner.process["args"][0], path).output.strip()
    assert re.fullmatch("[1-9][0-9]*", said)
