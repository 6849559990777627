"""``orlop update``."""

from __future__ import annotations

import sys

from orlop.cli.each import for_each
from orlop.engine import restart_policy
from orlop.options import Option, Parser, integer, limit, natural, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.alteration import Alteration
    from orlop.engine.container import Container
    from orlop.engine.location import Location
    from orlop.options import Parsed


def _cpus(text: str) -> int:
    """Billionths of a processor from a number such as ``1.5``."""
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    if not (digits.isascii() and digits.isdigit()) or len(fraction) > 9 or len(whole) > 6:
        raise ValueError("must be a number of CPUs such as 1.5")
    return int(whole or "0") * 1_000_000_000 + int(fraction.ljust(9, "0"))


def _mount(text: str) -> dict[str, Any]:
    from orlop.cli import mount_option

    return mount_option.read(text)


def _device(text: str) -> dict[str, str]:
    from orlop.engine import devices

    return devices.parse(text)


PARSER = Parser(
    "orlop update",
    "CONTAINER [CONTAINER...]",
    "Update configuration of one or more containers",
    (
        Option(
            "--blkio-weight",
            "Block IO (relative weight), between 10 and 1000, or 0 to disable",
            value="uint16",
            read=natural,
        ),
        Option("--cpu-period", "Limit CPU CFS (Completely Fair Scheduler) period", value="int", read=natural),
        Option("--cpu-quota", "Limit CPU CFS (Completely Fair Scheduler) quota", value="int", read=integer),
        Option("--cpu-rt-period", "Limit the CPU real-time period in microseconds", value="int", read=natural),
        Option("--cpu-rt-runtime", "Limit the CPU real-time runtime in microseconds", value="int", read=integer),
        Option("-c, --cpu-shares", "CPU shares (relative weight)", value="int", read=natural),
        Option("--cpus", "Number of CPUs", value="decimal", read=_cpus),
        Option("--cpuset-cpus", "CPUs in which to allow execution (0-3, 0,1)", value="string"),
        Option("--cpuset-mems", "MEMs in which to allow execution (0-3, 0,1)", value="string"),
        Option("-m, --memory", "Memory limit", value="bytes", read=limit),
        Option("--memory-reservation", "Memory soft limit", value="bytes", read=size),
        Option(
            "--memory-swap",
            "Swap limit equal to memory plus swap: -1 to enable unlimited swap",
            value="bytes",
            read=limit,
        ),
        Option("--pids-limit", "Tune container pids limit (set -1 for unlimited)", value="int", read=integer),
        Option(
            "--restart",
            "Restart policy to apply when a container exits",
            value="string",
            read=restart_policy.read,
        ),
        Option(
            "--mount-add",
            "Mount something, as --mount of run; at once if it runs",
            value="mount",
            read=_mount,
            many=True,
        ),
        Option("--volume-add", "Mount something, as -v of run; at once if it runs", value="list", many=True),
        Option("--mount-rm", "Unmount what is at this path, be it bind, volume or tmpfs", value="target", many=True),
        Option("--device-add", "Add a host device, as --device of run", value="list", read=_device, many=True),
        Option("--device-rm", "Remove a device that was added, by its path in the container", value="path", many=True),
        Option("--env-add", "Set an environment variable for later execs and starts", value="list", many=True),
        Option("--env-rm", "Unset an environment variable for later execs and starts", value="list", many=True),
        # The kernel gave it up in Linux 5.4; Docker takes and ignores it too.
        Option("--kernel-memory", "No effect", value="bytes", read=limit, hidden=True),
    ),
    at_least=1,
)

#: The field of ``HostConfig`` that each option changes.
_FIELDS = {
    "blkio-weight": "BlkioWeight",
    "cpu-period": "CpuPeriod",
    "cpu-quota": "CpuQuota",
    "cpu-rt-period": "CpuRealtimePeriod",
    "cpu-rt-runtime": "CpuRealtimeRuntime",
    "cpu-shares": "CpuShares",
    "cpus": "NanoCpus",
    "cpuset-cpus": "CpusetCpus",
    "cpuset-mems": "CpusetMems",
    "memory": "Memory",
    "memory-reservation": "MemoryReservation",
    "memory-swap": "MemorySwap",
    "pids-limit": "PidsLimit",
    "restart": "RestartPolicy",
}


_ALTERATIONS = ("mount-add", "volume-add", "mount-rm", "device-add", "device-rm", "env-add", "env-rm")


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    changes: dict[str, Any] = {field: said[option] for option, field in _FIELDS.items() if said.given(option)}
    altered = [option for option in _ALTERATIONS if said.given(option)]
    if altered and changes:
        raise PARSER.mistake(f"--{altered[0]} cannot be said together with limits: use two commands")
    if altered:
        return _alter(location, said)
    if not changes and not said.given("kernel-memory"):
        sys.stderr.write("you must provide one or more flags when using this command\n")
        return 1
    from orlop.engine import update

    def action(target: Container) -> None:
        update.update(target, changes)

    return for_each(location, said.arguments, action)


def _alter(location: Location, said: Parsed) -> int:
    from orlop.engine import alteration

    wanted = _alteration(said)
    return for_each(location, said.arguments, lambda target: alteration.alter(target, wanted))


def _alteration(said: Parsed) -> Alteration:
    from orlop.cli.settings_options import absolute, environment
    from orlop.engine.alteration import Alteration

    wanted = Alteration()
    wanted.mounts = said["mount-add"]
    wanted.binds = [absolute(text) for text in said["volume-add"]]
    wanted.unmounts = said["mount-rm"]
    wanted.devices = said["device-add"]
    wanted.device_paths = said["device-rm"]
    wanted.env = [text for text in environment([], said["env-add"]) if "=" in text]
    wanted.env_names = said["env-rm"]
    return wanted
