"""What needs a namespace, and what a namespace needs."""

from __future__ import annotations

from typing import Any

import pytest

from orlop.errors import InvalidConfig
from orlop.runtime.spec import sysctl, validate
from tests.unit.spec.changes import changed, namespaces

TYPES = "cgroup, ipc, mount, network, pid, time, user, uts"
ALL = ("pid", "network", "ipc", "uts", "mount", "cgroup", "time")


def ids(*triples: tuple[int, int, int]) -> list[dict[str, int]]:
    return [{"containerID": inside, "hostID": outside, "size": size} for inside, outside, size in triples]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"linux.namespaces": namespaces("net", "uts", "mount")},
            f"linux.namespaces[0].type 'net' is none of {TYPES}",
        ),
        ({"linux.namespaces": namespaces("pid", "uts", "mount", pid="/x")}, "linux.namespaces lists pid twice"),
        (
            {"linux.namespaces": namespaces("uts", "mount", pid="proc/1/ns/pid")},
            "linux.namespaces[2].path 'proc/1/ns/pid' must be absolute",
        ),
        ({"linux.namespaces": namespaces("mount")}, "hostname needs a uts namespace in linux.namespaces"),
        (
            {"hostname": "", "domainname": "d", "linux.namespaces": namespaces("mount")},
            "domainname needs a uts namespace in linux.namespaces",
        ),
        ({"hostname": "h" * 65}, "hostname must not be longer than 64 bytes"),
        ({"domainname": "ö" * 33}, "domainname must not be longer than 64 bytes"),
        (
            {"linux.namespaces": namespaces("uts")},
            "linux.maskedPaths needs a mount namespace in linux.namespaces",
        ),
        (
            {"linux.namespaces": namespaces("uts"), "linux.maskedPaths": []},
            "linux.readonlyPaths needs a mount namespace in linux.namespaces",
        ),
        (
            {"linux.namespaces": namespaces("uts", "mount", "user")},
            "linux.uidMappings is required for a new user namespace",
        ),
        (
            {"linux.namespaces": namespaces("uts", "mount", "user"), "linux.uidMappings": ids((0, 0, 1))},
            "linux.gidMappings is required for a new user namespace",
        ),
        (
            {"linux.timeOffsets": {"monotonic": {"secs": 1}}},
            "linux.timeOffsets needs a time namespace in linux.namespaces",
        ),
        (
            {
                "linux.timeOffsets": {"monotonic": {"secs": 1}},
                "linux.namespaces": namespaces("uts", "mount", time="/n"),
            },
            "linux.timeOffsets cannot change the existing time namespace '/n'",
        ),
        (
            {"linux.timeOffsets": {"realtime": {}}, "linux.namespaces": namespaces(*ALL)},
            "linux.timeOffsets.realtime is no clock with an offset: monotonic or boottime",
        ),
        (
            {"linux.timeOffsets": {"boottime": {"nanosecs": 10**9}}, "linux.namespaces": namespaces(*ALL)},
            "linux.timeOffsets.boottime.nanosecs must be less than a second",
        ),
    ],
)
def test_a_broken_rule_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        validate(changed(changes))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("mappings", "message"),
    [
        (ids((0, 0, 0)), "linux.uidMappings[0].size must be greater than zero"),
        (ids((0, 0, 1), (1 << 31, 9, 1 << 31)), "linux.uidMappings[1].containerID plus size goes beyond the last id"),
        (ids((0, 0xFFFFFFFF, 1)), "linux.uidMappings[0].hostID plus size goes beyond the last id"),
        (ids((0, 0, 10), (9, 100, 1)), "linux.uidMappings[1] and linux.uidMappings[0] overlap in containerID"),
        (ids((0, 5, 10), (20, 0, 6)), "linux.uidMappings[1] and linux.uidMappings[0] overlap in hostID"),
        (ids(*((n, n, 1) for n in range(341))), "linux.uidMappings must not have more than 340 entries"),
        (ids((1, 1, 9)), "process.user.uid 0 is not mapped by linux.uidMappings"),
    ],
)
def test_mappings_that_the_kernel_would_refuse(mappings: list[dict[str, int]], message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        validate(changed({"linux.uidMappings": mappings}, rootless=True))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ({"uid": 1}, "process.user.uid 1 is not mapped by linux.uidMappings"),
        ({"gid": 7}, "process.user.gid 7 is not mapped by linux.gidMappings"),
        ({"additionalGids": [0, 5]}, "process.user.additionalGids: 5 is not mapped by linux.gidMappings"),
    ],
)
def test_a_user_that_is_not_mapped(user: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        validate(changed({"process.user": user}, rootless=True))
    assert str(caught.value) == message


def test_mappings_without_a_user_namespace_are_said_to_have_no_effect() -> None:
    assert validate(changed({"linux.gidMappings": ids((0, 0, 1))})) == [
        "linux.gidMappings has no effect without a user namespace in linux.namespaces"
    ]


def test_mappings_of_a_namespace_that_is_joined_are_not_written() -> None:
    changes = {"linux.namespaces": namespaces("uts", "mount", user="/n"), "linux.uidMappings": ids((0, 0, 1))}
    assert validate(changed(changes)) == [
        "linux.uidMappings is not written: the user namespace '/n' has mappings of its own"
    ]


def test_without_privileges_there_must_be_a_user_namespace() -> None:
    assert validate(changed({}, rootless=True), rootless=True) == []
    with pytest.raises(InvalidConfig) as caught:
        validate(changed({}), rootless=True)
    assert str(caught.value) == "a container without root privileges needs a user namespace in linux.namespaces"


@pytest.mark.parametrize(
    "changes",
    [
        {"linux.namespaces": namespaces(*ALL), "linux.timeOffsets": {"boottime": {"secs": -1, "nanosecs": 999999999}}},
        {"hostname": "h" * 64, "domainname": "d"},
        {"linux.namespaces": namespaces("mount", uts="/n")},
        {"linux.namespaces": [{"type": "mount", "path": ""}, {"type": "uts"}]},
    ],
)
def test_what_the_specification_allows_is_accepted(changes: dict[str, Any]) -> None:
    assert validate(changed(changes)) == []


def sysctls(name: str, *kinds: str) -> dict[str, Any]:
    return changed({"linux.sysctl": {name: "1"}, "linux.namespaces": namespaces("uts", "mount", *kinds)})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("net.ipv4.ip_forward", "network"),
        ("net/ipv4/conf/eth0.1/forwarding", "network"),
        ("kernel.shmmax", "ipc"),
        ("kernel/msgmax", "ipc"),
        ("kernel.sem", "ipc"),
        ("fs.mqueue.msg_max", "ipc"),
    ],
)
def test_a_kernel_parameter_needs_its_namespace(name: str, kind: str) -> None:
    assert validate(sysctls(name, kind)) == []
    with pytest.raises(InvalidConfig) as caught:
        validate(sysctls(name))
    article = "an" if kind == "ipc" else "a"
    assert str(caught.value) == f"linux.sysctl.{name} needs {article} {kind} namespace in linux.namespaces"


def test_the_domain_name_can_be_set_as_a_kernel_parameter() -> None:
    assert validate(sysctls("kernel.domainname")) == []


@pytest.mark.parametrize(
    "name", ["vm.swappiness", "kernel.core_pattern", "kernel.sysrq", "fs.file-max", "kernel.shmmax.x", "net", "user"]
)
def test_a_kernel_parameter_of_the_whole_machine_is_refused(name: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        validate(sysctls(name, "network", "ipc"))
    assert str(caught.value) == f"linux.sysctl.{name} belongs to the whole machine and cannot be set in a container"


def test_the_host_name_has_a_field_of_its_own() -> None:
    with pytest.raises(InvalidConfig) as caught:
        validate(sysctls("kernel.hostname"))
    assert str(caught.value) == "linux.sysctl.kernel.hostname is set by the field hostname instead"


@pytest.mark.parametrize(
    "name", ["", ".", "net/../kernel/core_pattern", "net/ipv4/.", "net..x", "/net/x", "net/", "net.ipv4.//.x", "../x"]
)
def test_a_kernel_parameter_cannot_lead_elsewhere(name: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        validate(sysctls(name, "network", "ipc"))
    assert str(caught.value) == f"linux.sysctl.{name} is no name of a kernel parameter"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"),
        ("net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding"),
    ],
)
def test_the_first_separator_of_a_kernel_parameter_decides(name: str, path: str) -> None:
    assert sysctl.path_of(name) == path
