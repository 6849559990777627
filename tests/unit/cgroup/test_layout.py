"""Which hierarchies the text of /proc/self/mountinfo shows."""

from __future__ import annotations

import pytest

from orlop.errors import InvalidConfig
from orlop.linux import cgroup
from orlop.linux.cgroup import layout

SYSTEMD_HYBRID = """\
24 1 0:22 / /sys rw,nosuid - sysfs sysfs rw
25 24 0:23 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755
26 25 0:24 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate
27 25 0:25 / /sys/fs/cgroup/systemd rw,nosuid shared:11 - cgroup cgroup rw,xattr,name=systemd
28 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:15 - cgroup cgroup rw,cpu,cpuacct
29 25 0:30 / /sys/fs/cgroup/memory rw,nosuid shared:16 - cgroup cgroup rw,memory,clone_children
30 25 0:31 / /sys/fs/cgroup/elogind rw,nosuid shared:17 - cgroup cgroup rw,name=elogind
"""
PURE_V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"


def test_systemds_hybrid_layout_has_controllers_in_v1_and_a_unified_hierarchy() -> None:
    found = layout.parse(SYSTEMD_HYBRID)

    assert found.kind == "hybrid"
    assert [h.controllers for h in found.v1] == [("name=systemd",), ("cpu", "cpuacct"), ("memory",)]
    assert found.unified is not None
    assert found.unified.mountpoint == "/sys/fs/cgroup/unified"


def test_controllers_that_share_a_hierarchy_are_found_by_either_name() -> None:
    found = layout.parse(SYSTEMD_HYBRID)

    assert found.v1_hierarchy("cpuacct") is found.v1_hierarchy("cpu")
    assert found.v1_hierarchy("cpuset") is None


def test_named_hierarchies_but_systemds_are_not_ours_to_join() -> None:
    assert layout.parse(SYSTEMD_HYBRID).v1_hierarchy("name=elogind") is None


def test_one_unified_hierarchy_alone_is_v2() -> None:
    found = layout.parse(PURE_V2)

    assert found.kind == "v2"
    assert found.group("/a/b").directory("") == "/sys/fs/cgroup/a/b"


def test_v1_hierarchies_alone_are_v1() -> None:
    lines = [line for line in SYSTEMD_HYBRID.splitlines() if "cgroup2" not in line]

    assert layout.parse("\n".join(lines)).kind == "v1"


def test_no_hierarchy_at_all_is_none() -> None:
    assert layout.parse("24 1 0:22 / /sys rw,nosuid - sysfs sysfs rw\n").kind == "none"


def test_a_container_sees_its_own_part_of_a_hierarchy_as_the_root() -> None:
    found = layout.parse("29 25 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n")

    assert found.v1[0].root == "/docker/abc"


def test_of_several_mounts_of_one_hierarchy_the_usual_place_counts() -> None:
    elsewhere = "31 25 0:26 / /var/lib/x/sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"

    for text in (elsewhere + PURE_V2, PURE_V2 + elsewhere):
        unified = layout.parse(text).unified
        assert unified is not None
        assert unified.mountpoint == "/sys/fs/cgroup"


def test_a_mount_point_with_a_space_is_unescaped() -> None:
    found = layout.parse(r"31 25 0:26 / /mnt/control\040groups\134x rw - cgroup2 cgroup2 rw")

    assert found.unified is not None
    assert found.unified.mountpoint == "/mnt/control groups\\x"


def test_a_group_is_the_same_after_being_written_down_as_json() -> None:
    from orlop import json_text

    group = layout.parse(SYSTEMD_HYBRID).group("/orlop/abc")
    group.refused = ("memory",)

    again = cgroup.from_record(json_text.loads(json_text.dumps(group.record())))

    assert again.path == "/orlop/abc"
    assert [repr(h) for h in again.hierarchies] == [repr(h) for h in group.hierarchies]
    assert again.refused == ("memory",)


def test_a_child_group_cannot_lead_out_of_its_parent() -> None:
    group = layout.parse(PURE_V2).group("/orlop/abc")

    assert group.child("inner/most").path == "/orlop/abc/inner/most"
    for name in ("..", "../other", "a/../../b", ""):
        with pytest.raises(InvalidConfig):
            group.child(name)


def test_the_own_cgroup_is_relative_to_what_is_mounted() -> None:
    from orlop.linux.cgroup.delegation import own_path

    whole = layout.Hierarchy(2, (), "/sys/fs/cgroup", "/")
    part = layout.Hierarchy(2, (), "/sys/fs/cgroup", "/user.slice")

    assert own_path(whole, "4:memory:/x\n0::/user.slice/a.scope") == "/user.slice/a.scope"
    assert own_path(part, "0::/user.slice/a.scope") == "/a.scope"
    assert own_path(part, "0::/system.slice") is None
