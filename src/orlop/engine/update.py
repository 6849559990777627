"""Changing a container's limits and restart policy, at once if it runs, and for every start from then on.

The kernel is asked first: what it refuses is nowhere written down. Then the bundle and the record are replaced, each by
one rename.
"""

from __future__ import annotations

import os

from orlop.engine import container, control, events, repair
from orlop.errors import Conflict, InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Where in ``linux.resources`` of the runtime specification the numbers of Docker's ``HostConfig`` go.
_PLACES = {
    "BlkioWeight": ("blockIO", "weight"),
    "CpuPeriod": ("cpu", "period"),
    "CpuQuota": ("cpu", "quota"),
    "CpuRealtimePeriod": ("cpu", "realtimePeriod"),
    "CpuRealtimeRuntime": ("cpu", "realtimeRuntime"),
    "CpuShares": ("cpu", "shares"),
    "CpusetCpus": ("cpu", "cpus"),
    "CpusetMems": ("cpu", "mems"),
    "Memory": ("memory", "limit"),
    "MemoryReservation": ("memory", "reservation"),
    "MemorySwap": ("memory", "swap"),
    "PidsLimit": ("pids", "limit"),
}
_CPU_PERIOD = 100_000  # microseconds
_LEAST_MEMORY = 6 << 20
_CPUS = "NanoCpus"
_POLICY = "RestartPolicy"
#: By which the same rules check a change as check a new container.
_SETTINGS = {
    "CpuPeriod": "cpu_period",
    "CpuQuota": "cpu_quota",
    "CpuRealtimePeriod": "cpu_realtime_period",
    "CpuRealtimeRuntime": "cpu_realtime_runtime",
    "CpuShares": "cpu_shares",
    "CpusetCpus": "cpuset_cpus",
    "CpusetMems": "cpuset_mems",
    "Memory": "memory",
    "MemoryReservation": "memory_reservation",
    "MemorySwap": "memory_swap",
    "NanoCpus": "nano_cpus",
}


def update(target: container.Container, changes: dict[str, Any]) -> None:
    """Change what ``changes`` names: fields of Docker's ``HostConfig`` as `_PLACES` has them, NanoCpus and RestartPolicy.

    Raises:
        InvalidArgument: a value cannot be right, alone or with what is set already.
        Conflict: the container is being removed.
        NotFound: it was removed.
        Unsupported: the kernel has no controller for it.
        OSError: the kernel refused a value.
    """
    repair.look_after(target)
    lock = container.lock(target.directory)  # waits for a start that is under way, which reads the bundle
    if lock is None:
        raise NotFound(f"no such container: {target.id[:12]}")
    try:
        fresh = container.Container(target.location, target.id)
        record = dict(fresh.record)
        host = record["HostConfig"]
        _check(fresh, changes)
        resources = _resources(changes)
        if resources:
            _change_now(fresh, resources)
            _change_bundle(fresh, resources)
        record["HostConfig"] = {**host, **changes}
        container.write(f"{fresh.directory}/{container.RECORD_FILE}", record)
        if _POLICY in changes:
            control.set_policy(fresh, changes[_POLICY])
    finally:
        os.close(lock)
    events.emit(target.location, events.CONTAINER, "update", target.id, events.attributes(record))


def _check(target: container.Container, changes: dict[str, Any]) -> None:
    """Whether what is asked for can be, together with what is there."""
    from orlop.engine import resources
    from orlop.engine.settings import Settings

    host = target.record["HostConfig"]
    now = {**host, **changes}
    memory = changes.get("Memory", 0)
    if 0 < memory < _LEAST_MEMORY:
        raise InvalidArgument("minimum memory limit allowed is 6MB")
    if memory > 0 and not changes.get("MemorySwap") and 0 < _swap_limit(target) < memory:
        raise InvalidArgument(
            "the memory limit is more than the limit of memory and swap that is set: set --memory-swap as well"
        )
    if changes.get(_CPUS):
        resources.check_processors(changes[_CPUS])
    wanted = Settings()
    for name, field in _SETTINGS.items():
        if now.get(name):
            setattr(wanted, field, now[name])
    wanted.block_io = {"BlkioWeight": now.get("BlkioWeight") or 0}
    resources.apply({}, wanted)
    if changes.get(_POLICY, {}).get("Name", "no") not in ("no", "") and host.get("AutoRemove"):
        raise InvalidArgument("the restart policy of a container that is removed when it ends cannot be changed")


def _swap_limit(target: container.Container) -> int:
    """What memory and swap are limited to, be it because only memory was."""
    config = container.read(f"{target.directory}/config.json") or {}
    known = ((config.get("linux") or {}).get("resources") or {}).get("memory") or {}
    return int(known.get("swap") or 0)


def _resources(changes: dict[str, Any]) -> dict[str, Any]:
    """The changes in the words of the runtime specification."""
    resources: dict[str, Any] = {}
    for name, (section, key) in _PLACES.items():
        if changes.get(name):
            resources.setdefault(section, {})[key] = changes[name]
    if changes.get(_CPUS):
        quota = changes[_CPUS] * _CPU_PERIOD // 1_000_000_000
        resources.setdefault("cpu", {}).update(quota=quota, period=_CPU_PERIOD)
    return resources


def _change_now(target: container.Container, resources: dict[str, Any]) -> None:
    """Have a running container's control group changed."""
    from orlop.runtime import update as runtime
    from orlop.runtime.container import Container as RuntimeContainer
    from orlop.runtime.spec import validation

    try:
        inner = RuntimeContainer.load(target.location.runtime, target.id)
        if inner.alive():
            runtime.update(inner, resources)
            return
    except OSError as error:
        raise InvalidArgument(
            f"cannot update container {target.name}: the kernel refuses {error.filename or 'it'}: {error.strerror or error}"
        ) from None
    except NotFound:
        pass  # it does not run: only what will be asked for can be looked at
    except Conflict:
        raise Conflict(f"container {target.name} has just ended: try again") from None
    validation.validate_resources(runtime.given(resources))


def _change_bundle(target: container.Container, resources: dict[str, Any]) -> None:
    from orlop.engine import late

    for name in ("config.json", late.TEMPLATE_FILE):
        path = f"{target.directory}/{name}"
        config = container.read(path)
        if config is not None:
            _merge(config, resources)
            container.write(path, config)


def _merge(config: dict[str, Any], resources: dict[str, Any]) -> None:
    known = config.setdefault("linux", {}).setdefault("resources", {})
    for section, values in resources.items():
        known[section] = {**(known.get(section) or {}), **values}
    if resources.get("memory", {}).get("limit") == -1:
        known["memory"]["swap"] = -1
