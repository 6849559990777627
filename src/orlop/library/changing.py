"""Changing a container that is there: its limits, and what it has beside its own files."""

from __future__ import annotations

from orlop.errors import InvalidArgument
from orlop.library import errand, quantities, translation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from orlop.engine.container import Container
    from orlop.library.mounts import Bind, Tmpfs, VolumeMount


def change(target: Container, options: Mapping[str, Any]) -> None:
    """Do what `orlop.library.options.UpdateOptions` says.

    Raises:
        InvalidArgument: a value cannot be right, or limits and other things are to be changed together.
        TypeError: there is no such option.
        OrlopError: as `orlop.engine.update.update` and `orlop.engine.alteration.alter`.
    """
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in LIMITS and name not in ALTERATIONS:
            raise TypeError(
                f"there is no option {name!r} of an update{translation.perhaps(name, (*LIMITS, *ALTERATIONS))}"
            )
    altered = {name: value for name, value in given.items() if name in ALTERATIONS}
    if altered and len(altered) < len(given):
        raise InvalidArgument(f"{next(iter(altered))} cannot be changed together with limits: update twice")
    if altered:
        wanted = {ALTERATIONS[name][0]: ALTERATIONS[name][1](name, value) for name, value in altered.items()}
        errand.call(target.location, "alter", {"container": target.id, "wanted": wanted}, light=True)
    elif given:
        from orlop.engine import update

        update.update(target, {LIMITS[name][0]: LIMITS[name][1](name, value) for name, value in given.items()})


def _same(_name: str, value: object) -> object:
    return value


def _paths(name: str, value: Sequence[str]) -> list[str]:
    if isinstance(value, str):
        raise InvalidArgument(f"{name} must be a list of texts, not {value!r}")
    return list(value)


def _mounts(_name: str, value: Sequence[Bind | VolumeMount | Tmpfs]) -> list[dict[str, Any]]:
    return [each.wanted() for each in value]


def _devices(name: str, value: Sequence[str]) -> list[dict[str, str]]:
    from orlop.engine import devices

    try:
        return [devices.parse(each) for each in _paths(name, value)]
    except ValueError as error:
        raise InvalidArgument(f"{name}={value!r} {error}") from None


#: For each option, the field of Docker's ``HostConfig``, and how its value is read.
LIMITS: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    "blkio_weight": ("BlkioWeight", _same),
    "cpu_period": ("CpuPeriod", _same),
    "cpu_quota": ("CpuQuota", _same),
    "cpu_rt_period": ("CpuRealtimePeriod", _same),
    "cpu_rt_runtime": ("CpuRealtimeRuntime", _same),
    "cpu_shares": ("CpuShares", _same),
    "cpus": ("NanoCpus", quantities.processors),
    "cpuset_cpus": ("CpusetCpus", _same),
    "cpuset_mems": ("CpusetMems", _same),
    "memory": ("Memory", quantities.size),
    "memory_reservation": ("MemoryReservation", quantities.size),
    "memory_swap": ("MemorySwap", quantities.limit),
    "pids_limit": ("PidsLimit", _same),
    "restart": ("RestartPolicy", translation.restart_policy),
}

#: For each option, the attribute of `orlop.engine.alteration.Alteration`, and how its value is read.
ALTERATIONS: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    "add_devices": ("devices", _devices),
    "add_env": ("env", translation.environment),
    "add_mounts": ("mounts", _mounts),
    "remove_devices": ("device_paths", _paths),
    "remove_env": ("env_names", _paths),
    "remove_mounts": ("unmounts", _paths),
}
