"""What a command that starts a container may import: a list, because each import is paid at each start.

Add a module that such a command imports to ``HOT``. If the test then fails, import what it names inside the
function that needs it, or do without. ``ALLOWED`` holds the modules of the standard library whose cost was
looked at; most are built into the interpreter, frozen, or small C modules.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"

#: Modules that `orlop run`, `orlop-runtime run`, `create` and `exec` load.
HOT = [
    "orlop",
    "orlop.errors",
    "orlop.json_text",
    "orlop.options",
    "orlop.cli",
    "orlop.cli.attachment",
    "orlop.cli.exec",
    "orlop.cli.run",
    "orlop.cli.warm",
    "orlop.engine.image_root",
    "orlop.engine.image_settings",
    "orlop.engine.launcher",
    "orlop.engine.mounting",
    "orlop.engine.networking",
    "orlop.engine.port_keeper",
    "orlop.engine.publishing",
    "orlop.engine.rehearsal",
    "orlop.engine.resources",
    "orlop.engine.name_keeper",
    "orlop.engine.name_resolution",
    "orlop.engine.network_files",
    "orlop.engine.start",
    "orlop.engine.volumes",
    "orlop.images.config",
    "orlop.images.manifest",
    "orlop.images.platform",
    "orlop.images.reference",
    "orlop.linux.bridge",
    "orlop.linux.call",
    "orlop.linux.call_list",
    "orlop.linux.capability",
    "orlop.linux.cgroup",
    "orlop.linux.cgroup.controller.block_io",
    "orlop.linux.cgroup.controller.cpu",
    "orlop.linux.cgroup.controller.cpuset",
    "orlop.linux.cgroup.controller.hugetlb",
    "orlop.linux.cgroup.controller.memory",
    "orlop.linux.cgroup.controller.pids",
    "orlop.linux.cgroup.device_filter",
    "orlop.linux.cgroup.devices_v1",
    "orlop.linux.cgroup.group",
    "orlop.linux.cgroup.killing",
    "orlop.linux.cgroup.limits",
    "orlop.linux.cgroup.removal",
    "orlop.linux.cgroup.subtree",
    "orlop.linux.clone",
    "orlop.linux.mount",
    "orlop.linux.namespace",
    "orlop.linux.neighbour",
    "orlop.linux.netlink",
    "orlop.linux.network_address",
    "orlop.linux.network_device",
    "orlop.linux.nftables.listing",
    "orlop.linux.nftables.transaction",
    "orlop.linux.path",
    "orlop.linux.route",
    "orlop.linux.veth",
    "orlop.network.firewall.firewall",
    "orlop.network.firewall.policy",
    "orlop.network.firewall.respect",
    "orlop.network.names.hosts_file",
    "orlop.network.names.resolv_conf",
    "orlop.network.names.sockets",
    "orlop.network.ports.claims",
    "orlop.network.ports.publishing",
    "orlop.network.connecting",
    "orlop.network.drivers.bridge",
    "orlop.runtime.container",
    "orlop.runtime.spec",
    "orlop.runtime.spec.linux",
    "orlop.runtime.spec.mounts",
    "orlop.runtime.command.create",
    "orlop.runtime.command.delete",
    "orlop.runtime.command.exec",
    "orlop.runtime.command.kill",
    "orlop.runtime.command.run",
    "orlop.runtime.command.start",
    "orlop.runtime.command.state",
    "orlop.runtime.create",
    "orlop.runtime.creation",
    "orlop.runtime.delete",
    "orlop.runtime.exec",
    "orlop.runtime.joiner",
    "orlop.runtime.init",
    "orlop.runtime.kill",
    "orlop.runtime.listed_init",
    "orlop.runtime.run",
    "orlop.runtime.start",
    "orlop.storage.blobs",
    "orlop.storage.leases",
    "orlop.storage.mounts",
    "orlop.storage.snapshots.choice",
    "orlop.storage.snapshots.overlay",
    "orlop.storage.store",
    "orlop.storage.trees",
]

#: What they may load besides orlop's own modules and what a bare `python -I -S` has loaded already.
ALLOWED = {
    "__future__",
    "_bisect",
    "_blake2",
    "_collections_abc",
    "_ctypes",
    "_json",
    "_socket",
    "_stat",
    "_struct",
    "errno",
    "fcntl",
    "gc",
    "genericpath",
    "grp",
    "math",
    "os",
    "os.path",
    "posixpath",
    "pwd",
    "resource",
    "select",
    "stat",
    "termios",
}

PROBE = """
import sys
bare = set(sys.modules)
sys.path.insert(0, sys.argv[1])
__import__(sys.argv[2])
print(*sorted(set(sys.modules) - bare))
"""


def loaded_by_importing(module: str) -> set[str]:
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", PROBE, str(SOURCE), module],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


@pytest.mark.parametrize("module", HOT)
def test_a_hot_path_module_imports_only_what_is_cheap(module: str) -> None:
    loaded = {name for name in loaded_by_importing(module) if name.partition(".")[0] != "orlop"}
    assert loaded <= ALLOWED, f"{module} also loads {', '.join(sorted(loaded - ALLOWED))}"


def test_importing_orlop_itself_loads_nothing_else() -> None:
    assert loaded_by_importing("orlop") == {"orlop", "__future__"}


def test_the_check_sees_an_import_that_is_not_cheap() -> None:
    assert not loaded_by_importing("json") <= ALLOWED


def test_an_ordinary_command_line_loads_no_rare_options() -> None:
    loaded = loaded_by_importing("orlop.cli.run")
    rare = {"cli.further_options", "cli.health_options", "engine.further", "engine.host_config", "engine.mounting"}
    assert not loaded & {f"orlop.{name}" for name in rare}


def test_a_launcher_has_nothing_of_builds() -> None:
    assert not [name for name in loaded_by_importing("orlop.cli.warm") if name.startswith("orlop.build")]
