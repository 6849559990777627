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
#: What cannot be together, and what Docker calls it.
_CPUS = "NanoCpus"
_PERIODS = (("CpuPeriod", "CPU period"), ("CpuQuota", "CPU quota"))
_POLICY = "RestartPolicy"


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
    host = target.record["HostConfig"]
    memory, swap = changes.get("Memory", 0), changes.get("MemorySwap", 0)
    if 0 < memory < _LEAST_MEMORY:
        raise InvalidArgument("minimum memory limit allowed is 6MB")
    limit = memory or host.get("Memory", 0)
    if swap > 0 and not limit:
        raise InvalidArgument("a limit of memory and swap needs one of memory: set --memory as well")
    if swap > 0 and swap < limit:
        raise InvalidArgument("the limit of memory and swap together cannot be less than that of memory alone")
    if memory > 0 and not swap and 0 < host.get("MemorySwap", 0) < memory:
        raise InvalidArgument(
            "the memory limit is more than the limit of memory and swap that is set: set --memory-swap as well"
        )
    for name, meaning in _PERIODS:
        if changes.get(name) and (changes.get(_CPUS) or host.get(_CPUS)):
            raise InvalidArgument(f"conflicting options: a {meaning} cannot be set where a number of CPUs is")
        if changes.get(_CPUS) and host.get(name):
            raise InvalidArgument(f"conflicting options: a number of CPUs cannot be set where a {meaning} is")
    count = changes.get(_CPUS, 0)
    if count < 0 or count > os.sysconf("SC_NPROCESSORS_ONLN") * 1_000_000_000:
        raise InvalidArgument(
            f"the number of CPUs must be from 0.01 to {os.sysconf('SC_NPROCESSORS_ONLN')}, as many as there are"
        )
    if changes.get(_POLICY, {}).get("Name", "no") not in ("no", "") and host.get("AutoRemove"):
        raise InvalidArgument("the restart policy of a container that is removed when it ends cannot be changed")


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
