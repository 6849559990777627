"""runc and the runtime under test, each with the same bundle, to be compared."""

from __future__ import annotations

import copy
import os
import shutil
import uuid
from typing import TYPE_CHECKING, Any

from tests.integration.interop.home import CGROUPS
from tests.integration.interop.side_by_side import SideBySide, base_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Config = dict[str, Any]


class Pair:
    """runc and ours, each with a bundle of its own and the same identity."""

    def __init__(self, directory: Path, runtime: Path, root_filesystem: Path, change: Callable[[Config], None]) -> None:
        self.identity = f"orlop-side-{uuid.uuid4().hex[:12]}"
        self.cgroup = f"/{self.identity}"
        self.both = []
        for name, program in (("runc", "runc"), ("ours", str(runtime))):
            bundle = directory / name
            shutil.copytree(root_filesystem, bundle / "rootfs", symlinks=True)
            one = SideBySide(program, directory / f"{name}-state", bundle, self.identity)
            config = copy.deepcopy(base_config(bundle / "rootfs", self.cgroup))
            change(config)
            if any(namespace["type"] == "user" for namespace in config["linux"]["namespaces"]):
                directory.chmod(0o755)
                _give(bundle / "rootfs", 100000)
            one.write(config)
            self.both.append(one)
        self.runc, self.ours = self.both

    def close(self) -> None:
        for one in self.both:
            one("delete", "--force", self.identity)
        left = [name for name in os.listdir(CGROUPS) if os.path.exists(f"{CGROUPS}/{name}{self.cgroup}")]
        assert left == []


def _give(root: Path, owner: int) -> None:
    for path, _, files in os.walk(root):
        for name in [path, *(os.path.join(path, file) for file in files)]:
            os.lchown(name, owner, owner)
