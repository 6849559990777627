"""A container's root made of mounts, for whoever uses the runtime as a library."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from orlop.errors import InvalidConfig, StepFailed
from orlop.runtime.create import create
from orlop.runtime.request import Request
from tests.integration.conftest import unique_name

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import BundleMaker


def requested(tmp_path: Path, bundle: Path, mount: dict[str, object]) -> Request:
    (tmp_path / "state").mkdir(exist_ok=True)
    return Request(root=str(tmp_path / "state"), id=unique_name(), bundle=str(bundle), root_mounts=[mount])


def test_a_root_of_mounts_needs_a_mount_namespace(tmp_path: Path, bundle: BundleMaker) -> None:
    made = bundle("true")
    made.linux["namespaces"] = [each for each in made.linux["namespaces"] if each["type"] != "mount"]
    made.config["mounts"] = []
    for name in ("maskedPaths", "readonlyPaths"):
        made.linux.pop(name, None)
    made.write()
    with pytest.raises(InvalidConfig, match="needs a mount namespace"):
        create(requested(tmp_path, made.path, {"type": "bind", "source": str(made.rootfs), "options": ["rbind"]}))
    assert os.listdir(tmp_path / "state") == []


def test_a_root_that_cannot_be_mounted_is_told_as_such_and_leaves_nothing(tmp_path: Path, bundle: BundleMaker) -> None:
    made = bundle("true")
    with pytest.raises(StepFailed, match="mount root file system"):
        create(
            requested(tmp_path, made.path, {"type": "overlay", "source": "overlay", "options": ["lowerdir+=/no/such"]})
        )
    assert os.listdir(tmp_path / "state") == []
