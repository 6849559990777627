from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orlop.engine import bundle, defaults, id_maps, users
from orlop.engine.settings import Settings
from orlop.errors import InvalidArgument

if TYPE_CHECKING:
    from pathlib import Path

ID = "0123456789abcdef" * 4
FULL = (1 << 41) - 1


@pytest.fixture(autouse=True)
def full_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has every capability, so that the configuration is the same everywhere."""
    monkeypatch.setattr("orlop.engine.capabilities.available", lambda: FULL)


def configure(tmp_path: Path, *, rootless: bool = False, **fields: Any) -> dict[str, Any]:
    settings = Settings(rootfs=str(tmp_path), command=["true"])
    for name, value in fields.items():
        setattr(settings, name, value)
    settings.hostname = bundle.hostname_for(settings, ID)
    made = bundle.configuration(
        settings, ID, "/state", str(tmp_path), users.find(str(tmp_path), settings.user), rootless=rootless
    )
    return made.config


def mount_at(config: dict[str, Any], destination: str) -> dict[str, Any]:
    return next(each for each in config["mounts"] if each["destination"] == destination)


def test_without_options_a_container_is_docker_s_default(tmp_path: Path) -> None:
    config = configure(tmp_path)
    assert [each["destination"] for each in config["mounts"]] == [
        "/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue", "/dev/shm",
        "/etc/resolv.conf", "/etc/hostname", "/etc/hosts",
    ]  # fmt: skip
    assert len(config["process"]["capabilities"]["bounding"]) == 14
    assert "inheritable" not in config["process"]["capabilities"]  # CVE-2022-29162
    assert config["linux"]["maskedPaths"] == list(defaults.MASKED_PATHS)
    assert config["linux"]["cgroupsPath"] == f"/orlop/{ID}"
    assert {each["type"] for each in config["linux"]["namespaces"]} == {
        "mount", "uts", "ipc", "pid", "cgroup", "network",
    }  # fmt: skip
    assert config["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
    assert config["hostname"] == ID[:12]


def test_the_environment_is_docker_s_with_the_user_s_over_it(tmp_path: Path) -> None:
    config = configure(tmp_path, terminal=True, env=["PATH=/x", "A=1=2", "TERM"])
    assert config["process"]["env"] == ["PATH=/x", f"HOSTNAME={ID[:12]}", "A=1=2", "HOME=/"]


def test_limits_become_resources(tmp_path: Path) -> None:
    resources = configure(tmp_path, memory=64 << 20, nano_cpus=1_500_000_000, pids_limit=10)["linux"]["resources"]
    assert resources["memory"]["limit"] == 64 << 20
    assert resources["cpu"] == {"quota": 150_000, "period": 100_000}
    assert resources["pids"] == {"limit": 10}


def test_devices_are_denied_but_for_the_harmless(tmp_path: Path) -> None:
    rules = configure(tmp_path)["linux"]["resources"]["devices"]
    assert rules[0] == {"allow": False, "access": "rwm"}
    assert not any(rule["allow"] and "type" not in rule for rule in rules)


def test_the_host_s_network_is_no_namespace_and_its_name_is_the_host_s(tmp_path: Path) -> None:
    import os

    config = configure(tmp_path, network="host")
    assert {"type": "network"} not in config["linux"]["namespaces"]
    assert config["hostname"] == os.uname().nodename


def test_privileged_takes_the_fences_down(tmp_path: Path) -> None:
    config = configure(tmp_path, privileged=True)
    assert len(config["process"]["capabilities"]["bounding"]) == 41
    assert config["linux"]["maskedPaths"] == config["linux"]["readonlyPaths"] == []
    assert "seccomp" not in config["linux"]
    assert "ro" not in mount_at(config, "/sys")["options"]
    assert config["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]


def test_another_user_than_root_holds_no_capability(tmp_path: Path) -> None:
    capabilities = configure(tmp_path, user="5")["process"]["capabilities"]
    assert capabilities["effective"] == capabilities["permitted"] == []
    assert len(capabilities["bounding"]) == 14


def test_seccomp_can_be_switched_off_or_read_from_a_file(tmp_path: Path) -> None:
    assert "seccomp" not in configure(tmp_path, security_opt=["seccomp=unconfined"])["linux"]
    profile = tmp_path / "profile.json"
    profile.write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    config = configure(tmp_path, security_opt=[f"seccomp={profile}"])
    assert config["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ALLOW"


def test_an_ordinary_user_gets_a_user_namespace_and_no_cgroup(tmp_path: Path) -> None:
    config = configure(tmp_path, rootless=True, network="host")
    assert {"type": "user"} in config["linux"]["namespaces"]
    assert config["linux"]["uidMappings"][0]["containerID"] == 0
    assert "cgroupsPath" not in config["linux"]
    assert mount_at(config, "/sys")["type"] == "bind"  # sysfs needs a network namespace of one's own


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"command": []}, "no command"),
        ({"workdir": "relative"}, "absolute path"),
        ({"memory": 1 << 20}, "6MB"),
        ({"hostname": "x" * 65}, "hostname"),
        ({"env": ["=x"]}, "environment variable"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(tmp_path: Path, fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidArgument, match=reason):
        configure(tmp_path, **fields)


def test_id_ranges_follow_root_without_gaps() -> None:
    assert id_maps.mapping(1000, [(100000, 10), (200000, 5)]) == [
        {"containerID": 0, "hostID": 1000, "size": 1},
        {"containerID": 1, "hostID": 100000, "size": 10},
        {"containerID": 11, "hostID": 200000, "size": 5},
    ]


def test_ranges_are_given_by_name_or_number() -> None:
    text = "# comment\nme:100:5\n1000:200:6\nother:300:7\nme:bad:1\nme:1:0\n"
    assert id_maps.parse(text, "me", 1000) == [(100, 5), (200, 6)]
