"""Which devices a step gets of those that it wants."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from orlop.build.dockerfile import run_devices
from orlop.engine.building import entitlements
from orlop.errors import InvalidArgument

if TYPE_CHECKING:
    from pathlib import Path

    from orlop.build.worker import Devices

FOO, BAR = "vendor1.com/device=foo", "vendor1.com/device=bar"


@pytest.fixture
def root(tmp_path: Path) -> str:
    """An engine's directory with a description of two devices."""
    class1 = {"org.mobyproject.buildkit.device.class": "class1"}
    mount = {"hostPath": "/etc", "containerPath": "/there"}
    devices = [
        {"name": "foo", "containerEdits": {"mounts": [mount]}},
        {"name": "bar", "annotations": class1, "containerEdits": {"env": ["A=b"]}},
    ]
    (tmp_path / "cdi").mkdir()
    described = {"cdiVersion": "0.6.0", "kind": "vendor1.com/device", "devices": devices}
    (tmp_path / "cdi/vendor1.json").write_text(json.dumps(described))
    return str(tmp_path)


def given(wanted: str, allowed: list[str], root: str) -> Devices:
    return entitlements.devices([run_devices.parse(wanted)], entitlements.read(allowed), root)


@pytest.mark.parametrize(
    ("wanted", "allowed", "expected"),
    [
        (FOO, "device", (FOO,)),
        (FOO, f"device={FOO}", (FOO,)),
        ("vendor1.com/device=*,required", "device=vendor1.com/device", (FOO, BAR)),
        ("vendor1.com/device", "device", (FOO,)),
        ("class1,required=true", "device=class1", (BAR,)),
        ("vendor1.com/device=none", "device", ()),
        ("name=vendor1.com/none,required=false", "network.host", ()),
    ],
)
def test_devices_are_meant_by_name_kind_and_class(
    root: str, wanted: str, allowed: str, expected: tuple[str, ...]
) -> None:
    found = given(wanted, [allowed], root)
    assert found.names == expected
    assert found.places == (("/there",) if FOO in expected else ())


@pytest.mark.parametrize(
    ("wanted", "allowed", "message"),
    [
        (FOO, [], f"is not allowed: add --allow device={FOO}"),
        (FOO, [f"device={BAR},network.host"], "is not allowed"),
        ("vendor1.com/device=*", [f"device={FOO}"], "is not allowed"),
        ("vendor1.com/none,required", ["device"], "is not there: no file of CDI describes it"),
        ("requird=true", [], r"unknown key 'requird' \(did you mean required\?\)"),
        ("a/b=c,required=perhaps", [], "expected true or false"),
        ("a/b=c,d/e=f", [], "it names two devices"),
        ("required", [], "expected a name such as vendor.com/kind=name"),
    ],
)
def test_a_device_that_cannot_be_had_is_said(root: str, wanted: str, allowed: list[str], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        given(wanted, allowed, root)
