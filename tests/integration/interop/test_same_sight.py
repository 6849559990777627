"""What a container sees of the world is the same whether runc started it or orlop's runtime."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.integration.interop.pair import Pair

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.interop.pair import Config


def _plain(config: Config) -> None:
    pass


def _read_only(config: Config) -> None:
    config["root"]["readonly"] = True
    config["process"]["cwd"] = "/tmp"
    config["process"]["oomScoreAdj"] = 300
    config["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.msgmax": "4321"}


def _ordinary_user(config: Config) -> None:
    config["process"]["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [50, 2000], "umask": 0o27}
    config["process"]["noNewPrivileges"] = False
    config["process"]["capabilities"]["ambient"] = ["CAP_NET_BIND_SERVICE"]
    config["process"]["capabilities"]["inheritable"] = ["CAP_NET_BIND_SERVICE"]


def _seccomp(config: Config) -> None:
    calls = [{"names": ["mkdir", "ptrace"], "action": "SCMP_ACT_ERRNO"}]
    config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": calls}


def _user_namespace(config: Config) -> None:
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    config["linux"]["namespaces"].append({"type": "user"})
    config["linux"]["uidMappings"] = config["linux"]["gidMappings"] = mapping


def _cgroup_namespace(config: Config) -> None:
    config["linux"]["namespaces"].append({"type": "cgroup"})


def _limits_and_devices(config: Config) -> None:
    devices = [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666, "uid": 1, "gid": 2},
               {"path": "/dev/sub/zero", "type": "c", "major": 1, "minor": 5}]  # fmt: skip
    config["linux"]["devices"] = devices
    config["linux"]["resources"]["memory"] = {"limit": 64 << 20}
    config["linux"]["resources"]["cpu"] = {"cpus": "0"}


def _mounts(config: Config) -> None:
    config["mounts"] += [
        {"destination": "/tmp", "type": "tmpfs", "source": "scratch", "options": ["size=1m", "mode=700", "nodev"]},
        {"destination": "/new/made/on/demand", "source": "/usr", "options": ["rbind", "ro"]},
        {"destination": "/etc/os", "source": "/etc/os-release", "options": ["bind", "ro", "nosuid"]},
        {"destination": "/shared", "source": "/usr/share", "options": ["bind", "rshared"]},
    ]
    config["linux"]["rootfsPropagation"] = "private"


def _no_own_namespaces(config: Config) -> None:
    config["linux"]["namespaces"] = [{"type": "mount"}, {"type": "pid"}]
    del config["hostname"]


VARIANTS = [
    _plain,
    _read_only,
    _ordinary_user,
    _seccomp,
    _user_namespace,
    _cgroup_namespace,
    _limits_and_devices,
    _mounts,
    _no_own_namespaces,
]
SECTIONS = [
    "capabilities", "seccomp", "signals", "identity", "session", "limits", "mounts", "devices", "namespaces",
    "uid_map", "environment", "directory", "host_name", "cgroups", "oom_score", "descriptors", "arguments", "sysctl",
    "writable", "masked", "interfaces", "timer_slack", "scheduling", "personality",
]  # fmt: skip


@pytest.fixture(scope="module", params=VARIANTS, ids=lambda change: change.__name__.strip("_"))
def sights(
    request: pytest.FixtureRequest, runtime: Path, root_filesystem: Path, public_directory: Path
) -> tuple[dict[str, str], dict[str, str]]:
    """What runc's container saw and what ours saw."""
    if shutil.which("runc") is None:
        pytest.skip("needs runc, which is not installed")
    pair = Pair(public_directory / request.param.__name__, runtime, root_filesystem, request.param)
    seen = pair.runc.sections(), pair.ours.sections()
    pair.close()
    return seen


@pytest.mark.parametrize("section", SECTIONS)
def test_the_container_sees_the_same(sights: tuple[dict[str, str], dict[str, str]], section: str) -> None:
    theirs, ours = sights
    names = ("/runc/", "/ours/")
    assert ours[section].replace(names[1], names[0]) == theirs[section]
