"""What the rest of the linux section may be."""

from __future__ import annotations

from typing import Any

import pytest

from orlop.errors import InvalidConfig, Unsupported
from orlop.runtime.spec import machine, validate
from tests.unit.spec.changes import changed, namespaces

MODES = (
    "MPOL_DEFAULT, MPOL_PREFERRED, MPOL_BIND, MPOL_INTERLEAVE, MPOL_LOCAL, MPOL_PREFERRED_MANY, "
    "MPOL_WEIGHTED_INTERLEAVE"
)
NAME_RULE = "is no name for a network interface: 1 to 15 bytes without space, '/' and ':', not '.' or '..'"


def device(**fields: Any) -> list[dict[str, Any]]:
    return [{"type": "c", "path": "/dev/fuse", "major": 10, "minor": 229, **fields}]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("devices", device(type="a"), "linux.devices[0].type 'a' is none of c, b, u, p"),
        ("devices", device(path="dev/fuse"), "linux.devices[0].path 'dev/fuse' must be an absolute path"),
        ("devices", device(path=""), "linux.devices[0].path '' must be an absolute path"),
        ("devices", device(major=None), "linux.devices[0].major is required for a device of type c"),
        ("devices", device(type="b", minor=None), "linux.devices[0].minor is required for a device of type b"),
        ("devices", device(major=4096), "linux.devices[0].major must be from 0 to 4095, not 4096"),
        ("devices", device(minor=-1), "linux.devices[0].minor must be from 0 to 1048575, not -1"),
        ("maskedPaths", ["/ok", "proc"], "linux.maskedPaths[1] 'proc' must be an absolute path"),
        ("readonlyPaths", [""], "linux.readonlyPaths[0] '' must be an absolute path"),
        ("cgroupsPath", "/a/../b", "linux.cgroupsPath '/a/../b' must not lead upwards with '..'"),
        ("personality", {"domain": "BSD"}, "linux.personality.domain 'BSD' is none of LINUX, LINUX32"),
        (
            "personality",
            {"domain": "LINUX", "flags": ["X"]},
            "linux.personality.flags must be empty: the specification has no flags yet",
        ),
        ("memoryPolicy", {"mode": "MPOL_X"}, f"linux.memoryPolicy.mode 'MPOL_X' is none of {MODES}"),
        (
            "memoryPolicy",
            {"mode": "MPOL_BIND", "nodes": "0", "flags": ["F"]},
            "linux.memoryPolicy.flags: 'F' is none of MPOL_F_NUMA_BALANCING, MPOL_F_RELATIVE_NODES, MPOL_F_STATIC_NODES",
        ),
        (
            "memoryPolicy",
            {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"]},
            "linux.memoryPolicy.flags must not have both MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES",
        ),
        ("memoryPolicy", {"mode": "MPOL_BIND"}, "linux.memoryPolicy.nodes is required for MPOL_BIND"),
        ("memoryPolicy", {"mode": "MPOL_LOCAL", "nodes": "0"}, "linux.memoryPolicy.nodes must be empty for MPOL_LOCAL"),
        (
            "memoryPolicy",
            {"mode": "MPOL_BIND", "nodes": "all"},
            "linux.memoryPolicy.nodes 'all' is no list of numbers like 0-3,7",
        ),
        (
            "intelRdt",
            {"closID": "a/b"},
            "linux.intelRdt.closID 'a/b' must be the name of one group, or / for the default one",
        ),
        (
            "intelRdt",
            {"closID": ".."},
            "linux.intelRdt.closID '..' must be the name of one group, or / for the default one",
        ),
        (
            "intelRdt",
            {"memBwSchema": "L3:0=1"},
            "linux.intelRdt.memBwSchema must start with 'MB:' and have no newline",
        ),
        (
            "intelRdt",
            {"memBwSchema": "MB:0=1\nL3:0=1"},
            "linux.intelRdt.memBwSchema must start with 'MB:' and have no newline",
        ),
        ("intelRdt", {"schemata": ["a\nb"]}, "linux.intelRdt.schemata[0] must not contain a newline"),
        ("netDevices", {"": {}}, f"linux.netDevices: '' {NAME_RULE}"),
        ("netDevices", {"..": {}}, f"linux.netDevices: '..' {NAME_RULE}"),
        ("netDevices", {"a/b": {}}, f"linux.netDevices: 'a/b' {NAME_RULE}"),
        ("netDevices", {"eth0": {"name": "a" * 16}}, f"linux.netDevices.eth0.name '{'a' * 16}' {NAME_RULE}"),
        ("netDevices", {"eth0": {"name": "a b"}}, f"linux.netDevices.eth0.name 'a b' {NAME_RULE}"),
        ("netDevices", {"eth0": {"name": "a:b"}}, f"linux.netDevices.eth0.name 'a:b' {NAME_RULE}"),
        (
            "netDevices",
            {"eth0": {"name": "x"}, "eth1": {"name": "x"}},
            "linux.netDevices: eth0 and eth1 would both be named x",
        ),
    ],
)
def test_a_broken_rule_is_named(name: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        validate(changed({f"linux.{name}": value}))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("devices", [{"allow": True, "type": "u"}], "{}.devices[0].type 'u' is none of a, b, c"),
        ("devices", [{"allow": True, "access": "rx"}], "{}.devices[0].access 'rx' must be made of r, w and m"),
        (
            "hugepageLimits",
            [{"pageSize": "2MiB", "limit": 1}],
            "{}.hugepageLimits[0].pageSize '2MiB' is no size like 2MB",
        ),
        (
            "hugepageLimits",
            [{"pageSize": "0MB", "limit": 1}],
            "{}.hugepageLimits[0].pageSize '0MB' is no size like 2MB",
        ),
        ("hugepageLimits", [{"pageSize": "MB", "limit": 1}], "{}.hugepageLimits[0].pageSize 'MB' is no size like 2MB"),
        ("rdma", {"mlx": {}}, "{}.rdma.mlx needs hcaHandles or hcaObjects"),
        ("memory", {"swappiness": 101}, "{}.memory.swappiness must be from 0 to 100"),
        ("unified", {"../x": "1"}, "{}.unified: '../x' is no name of a cgroup's file"),
    ],
)
def test_a_broken_rule_of_resources_is_named(name: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        validate(changed({f"linux.resources.{name}": value}))
    assert str(caught.value) == message.format("linux.resources")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("devices", [*device(uid=0, gid=0, fileMode=0o666), *device(type="u"), {"type": "p", "path": "/dev/pipe"}]),
        ("cgroupsPath", "relative/..x"),
        ("cgroupsPath", "/absolute"),
        ("personality", {"domain": "LINUX32", "flags": []}),
        ("memoryPolicy", {"mode": "MPOL_INTERLEAVE", "nodes": "0-1,3", "flags": ["MPOL_F_STATIC_NODES"]}),
        ("memoryPolicy", {"mode": "MPOL_PREFERRED"}),
        ("memoryPolicy", {"mode": "MPOL_DEFAULT", "nodes": ""}),
        (
            "intelRdt",
            {"closID": "guaranteed", "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20", "schemata": ["L2:0=f"]},
        ),
        ("netDevices", {"eth0": {}, "eth1": {"name": "a" * 15}, "eth2": {"name": ""}}),
        (
            "resources",
            {
                "devices": [{"allow": True, "type": "a", "major": -1, "access": "rwm"}],
                "hugepageLimits": [{"pageSize": "1GB", "limit": 0}],
                "rdma": {"mlx": {"hcaObjects": 1}},
                "unified": {"memory.high": "max"},
                "network": {"classID": 1, "priorities": [{"name": "eth0", "priority": 1}]},
                "memory": {"limit": -1, "swappiness": 100},
            },
        ),
    ],
)
def test_what_the_specification_allows_is_accepted(name: str, value: Any) -> None:
    assert validate(changed({f"linux.{name}": value})) == []


def test_network_devices_need_somewhere_to_go() -> None:
    with pytest.raises(InvalidConfig) as caught:
        validate(changed({"linux.netDevices": {"eth0": {}}, "linux.namespaces": namespaces("uts", "mount")}))
    assert str(caught.value) == "linux.netDevices needs a network namespace in linux.namespaces"


def test_cache_allocation_is_refused_by_name() -> None:
    with pytest.raises(Unsupported, match=r"^linux\.intelRdt cannot be used: .*resctrl"):
        machine.check(changed({"linux.intelRdt": {}}))


@pytest.mark.skipif(machine.has_apparmor(), reason="AppArmor is enabled here")
def test_an_apparmor_profile_without_apparmor_is_unsupported() -> None:
    machine.check(changed({"process.apparmorProfile": "unconfined"}))
    machine.check(changed({"process.apparmorProfile": ""}))
    with pytest.raises(Unsupported, match="^process.apparmorProfile 'web': this kernel has no AppArmor enabled$"):
        machine.check(changed({"process.apparmorProfile": "web"}))


@pytest.mark.skipif(machine.has_selinux(), reason="SELinux is enabled here")
@pytest.mark.parametrize("path", ["process.selinuxLabel", "linux.mountLabel"])
def test_a_label_without_selinux_is_unsupported(path: str) -> None:
    with pytest.raises(Unsupported, match=f"^{path} 'u:r:t': this kernel has no SELinux enabled$"):
        machine.check(changed({path: "u:r:t"}))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("sysctl", {"net.core.somaxconn": "9"}, "linux.sysctl.net.core.somaxconn: {}"),
        ("netDevices", {"lo": {}}, "linux.netDevices: {}"),
    ],
)
def test_the_runtime_s_own_network_is_not_changed_through_a_path(name: str, value: Any, message: str) -> None:
    spec = changed(
        {f"linux.{name}": value, "linux.namespaces": namespaces("uts", "mount", network="/proc/self/ns/net")}
    )
    assert validate(spec) == []
    with pytest.raises(InvalidConfig) as caught:
        machine.check(spec)
    assert str(caught.value) == message.format("/proc/self/ns/net is the runtime's own network namespace")


def test_a_network_namespace_that_is_not_there_is_named() -> None:
    spec = changed({"linux.sysctl": {"net.a": "1"}, "linux.namespaces": namespaces(network="/nowhere")})
    with pytest.raises(InvalidConfig, match="^linux.namespaces: cannot reach /nowhere: No such file or directory$"):
        machine.check(spec)
