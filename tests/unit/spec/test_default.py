"""The configuration that `orlop-runtime spec` writes."""

from __future__ import annotations

import os
from typing import Any

import pytest

from orlop.runtime.spec import default, validate
from tests.oci_schema import complaints

FORMS = [{}, {"unified": True}, {"mapped": (1000, 100)}, {"mapped": (1000, 100), "unified": True}]


@pytest.mark.parametrize("form", FORMS)
def test_it_follows_the_schema(form: dict[str, Any]) -> None:
    assert complaints(default.config(**form), "config-schema.json") == []


def test_the_schema_would_complain() -> None:
    spec = default.config()
    spec["linux"]["namespaces"][0]["type"] = "tea"
    assert complaints(spec, "config-schema.json") != []


@pytest.mark.parametrize("form", FORMS)
def test_it_breaks_no_rule_and_needs_no_warning(form: dict[str, Any]) -> None:
    assert validate(default.config(**form), rootless="mapped" in form) == []


def kinds(spec: dict[str, Any]) -> list[str]:
    return [namespace["type"] for namespace in spec["linux"]["namespaces"]]


def test_namespaces() -> None:
    assert kinds(default.config()) == ["pid", "network", "ipc", "uts", "mount"]
    assert kinds(default.config(unified=True)) == ["pid", "network", "ipc", "uts", "mount", "cgroup"]
    assert kinds(default.config(mapped=(1, 2))) == ["pid", "ipc", "uts", "mount", "user"]


def test_nothing_is_inheritable_or_ambient() -> None:
    assert set(default.config()["process"]["capabilities"]) == {"bounding", "effective", "permitted"}


def test_without_privileges_the_caller_is_root_and_the_host_s_sys_is_bound() -> None:
    spec = default.config(mapped=(1000, 100))
    assert spec["linux"]["uidMappings"] == [{"containerID": 0, "hostID": 1000, "size": 1}]
    assert spec["linux"]["gidMappings"] == [{"containerID": 0, "hostID": 100, "size": 1}]
    assert "resources" not in spec["linux"]
    mounts = {mount["destination"]: mount for mount in spec["mounts"]}
    assert mounts["/sys"]["source"] == "/sys"
    assert "rbind" in mounts["/sys"]["options"]
    assert not [option for option in mounts["/dev/pts"]["options"] if option.startswith("gid=")]


def test_two_configurations_share_nothing() -> None:
    first = default.config()
    first["process"]["capabilities"]["bounding"].append("CAP_SYS_ADMIN")
    first["mounts"][1]["options"].clear()
    first["linux"]["maskedPaths"].clear()
    assert default.config() != first
    assert default.config()["process"]["capabilities"]["effective"] == list(default.CAPABILITIES)


def test_for_this_machine_it_maps_whoever_calls() -> None:
    spec = default.for_this_machine(rootless=True)
    assert spec["linux"]["uidMappings"][0]["hostID"] == os.geteuid()
    unified = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    assert default.for_this_machine() == default.config(unified=unified)
