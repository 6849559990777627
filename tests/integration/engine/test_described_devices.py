"""Devices that CDI's files describe: ``--device vendor.com/class=name`` and ``--gpus``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.engine.conftest import Engine

_YAML = """\
---
cdiVersion: "0.6.0"
kind: vendor.example/gpu
containerEdits:
  env:
  - ALL_GPUS=yes
  mounts:
  - hostPath: {place}/library
    containerPath: /lib/vendor.so
    options: [ro, nosuid, nodev, bind]
  hooks:
  - hookName: createContainer
    path: /bin/sh
    args: ["sh", "-c", "cat > {place}/hook"]
devices:
- name: 0
  containerEdits:
    deviceNodes:
    - path: /dev/gpu0
      hostPath: /dev/null   # any device will do
      permissions: rw
    env: [GPU0=yes]
- name: "1"
  containerEdits:
    env:
    - 'GPU1=yes'
"""


@pytest.fixture(scope="module")
def described(shared: Engine) -> Iterator[Path]:
    """The directory of an engine's own CDI files, with one in YAML."""
    directory = shared.root / "cdi"
    directory.mkdir()
    place = shared.root.parent
    (place / "library").write_text("library\n")
    (directory / "gpu.yaml").write_text(_YAML.format(place=place))
    yield directory
    for each in directory.iterdir():
        each.unlink()
    directory.rmdir()


def device(name: str, **edits: Any) -> str:
    """A file that describes one device."""
    document = {
        "cdiVersion": "0.5.0",
        "kind": "other.example/card",
        "devices": [{"name": name, "containerEdits": edits}],
    }
    return json.dumps(document)


def test_a_device_brings_its_nodes_mounts_variables_and_hooks(shared: Engine, described: Path) -> None:
    script = "env | grep GPU | sort; ls -l /dev/gpu0 | cut -c 1; cat /dev/gpu0 /lib/vendor.so"
    result = shared.run("--device", "vendor.example/gpu=0", "sh", "-c", script)
    assert (result.out, result.err) == ("ALL_GPUS=yes\nGPU0=yes\nc\nlibrary\n", "")
    assert json.loads((described.parent.parent / "hook").read_text())["status"] == "creating"


def test_gpus_are_counted_named_and_all(shared: Engine, described: Path) -> None:
    assert described.is_dir()
    for words, expected in (
        ("all", ["GPU0", "GPU1"]),
        ("1", ["GPU0"]),
        ("device=1", ["GPU1"]),
        ('"device=0,1"', ["GPU0", "GPU1"]),
    ):
        result = shared.run("--gpus", words, "sh", "-c", "env | grep ^GPU | cut -d = -f 1 | sort")
        assert result.out.split() == expected, words
    too_many = shared.run("--gpus", "3", "true")
    assert (too_many.code, "only 2" in too_many.err) == (125, True)


def test_a_file_is_read_at_each_start(shared: Engine, described: Path) -> None:
    (described / "card.json").write_text(device("a", env=["CARD=1"]))
    made = shared.ok(
        "create", "--device", "other.example/card=a", "--rootfs", "ROOTFS", "sh", "-c", "echo $CARD"
    ).strip()
    assert shared.ok("start", "-a", made) == "1\n"
    (described / "card.json").write_text(device("a", env=["CARD=2"]))
    assert shared.ok("start", "-a", made) == "2\n"
    requests = shared.inspect(made)["HostConfig"]["DeviceRequests"]
    assert requests == [
        {"Driver": "cdi", "Count": 0, "DeviceIDs": ["other.example/card=a"], "Capabilities": None, "Options": None}
    ]
    shared.ok("rm", made)


def test_a_device_that_no_file_describes_is_refused(shared: Engine, described: Path) -> None:
    (described / "broken.json").write_text("{")
    result = shared.run("--device", "vendor.example/gpu=7", "true")
    assert result.code == 125
    assert "unresolvable CDI devices vendor.example/gpu=7" in result.err
    assert "broken.json" in result.err
    (described / "broken.json").unlink()
    (described / "card.json").write_text(device("a", hooks=[{"hookName": "bogus", "path": "/bin/true"}]))
    assert "bogus" in shared.run("--device", "other.example/card=a", "true").err
    (described / "twice.json").write_text(device("a"))
    assert "described twice" in shared.run("--device", "other.example/card=a", "true").err
    assert shared.names() == []


def test_without_files_there_are_no_gpus(engine: Engine) -> None:
    if any(Path(each).is_dir() and list(Path(each).iterdir()) for each in ("/etc/cdi", "/var/run/cdi")):
        pytest.skip("this machine has devices that CDI describes")
    result = engine.run("--gpus", "all", "true")
    assert (result.code, "could not select device driver" in result.err) == (125, True)
