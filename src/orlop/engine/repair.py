"""Putting right what a crash left, from nothing but what is on disk and what the kernel knows.

Anything may have been killed at any instruction. What then is left over:

- a container that is recorded as running and has no monitor: what still runs of it is ended, since nobody
  holds its streams any more, and it is recorded as exited, or started again if its restart policy says so. That is
  also how such containers come back after a reboot: with the first command, be it ``orlop ps`` in a unit of systemd;
- a container with ``--rm`` that has no monitor: removed, once the command that was starting it is gone too;
- a directory that was being prepared or removed; a name or a snapshot without a container; the runtime's state,
  cgroups and locks of containers that are gone, or whose start was broken off;
- a step of a build that was killed;
- what somebody was writing for a container, before it was given its name;
- leases of processes that are gone, and what they were making or taking away among blobs and snapshots;
- images that somebody was having written to the disk.
"""

from __future__ import annotations

import _signal
import errno
import os

from orlop import clock
from orlop.engine import (
    container,
    control_socket,
    events,
    exec_record,
    monitor_lock,
    names,
    own_cgroup,
    removal,
    volumes,
    whereabouts,
)
from orlop.errors import Conflict, NotFound, OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.location import Location

_HEXADECIMAL = frozenset("0123456789abcdef")
_KILLED = 128 + _signal.SIGKILL


def everything(location: Location) -> dict[str, dict[str, Any]]:
    """Repair an engine. Safe at any time, from any number of processes.

    Returns what was read on the way, so that lists need not read it twice: the states of containers that have ended.
    """
    ended: dict[str, dict[str, Any]] = {}
    whereabouts.check(location)
    try:
        entries = os.listdir(location.containers)
    except FileNotFoundError:
        _sweep_steps(location)
        _sweep_store(location)  # there may be images
        return ended
    rebasing = frozenset(_entries(f"{location.root}/rebasing"))
    for entry in entries:
        if entry.startswith(container.PART):
            container.discard_unwritten(location.containers, entry)
        elif entry[0] == ".":
            _finish_removal(location, entry)
        else:
            target = container.Container(location, entry)
            try:
                if entry in rebasing:
                    _finish_rebasing(target)
                state = _look_after(target)
                if state is not None:
                    ended[entry] = state
                if volumes.is_marked(target.directory):
                    _unmark(target)
            except FileNotFoundError:
                continue  # removed just now
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                continue  # to tell what is there takes no space; the next command looks again
    for entry in _entries(location.running):
        _forget_unwritten_end(container.Container(location, entry.removesuffix(".json")))
    if names.sweep(location.names, location.containers, frozenset(entries)) > len(container.every_id(location)):
        from orlop.engine import rename

        rename.finish(location)  # or one was just being made
    _sweep_locks(location)
    exec_record.sweep_all(location)
    _sweep_runtime(location)
    _sweep_steps(location)
    if os.path.isdir(f"{location.run_root}/networks") or os.path.isdir(f"{location.run_root}/user-networks"):
        from orlop.engine import networking

        networking.sweep(location)
    _sweep_snapshots(location)
    _sweep_store(location)
    _sweep_volumes(location)
    if not location.rootless:
        own_cgroup.sweep()
    return ended


def look_after(target: container.Container) -> None:
    """Repair one container, if it needs it."""
    if os.path.lexists(f"{target.location.root}/rebasing/{target.id}"):
        _finish_rebasing(target)
    _look_after(target)


def _look_after(target: container.Container) -> dict[str, Any] | None:
    """Repair one container; its state if it has ended and needs nothing."""
    state = container.read(f"{target.directory}/{container.STATE_FILE}")
    if state is not None and state["Status"] not in container.LIVES:
        return state  # one with --rm is never recorded as ended: it vanishes
    if target.has_monitor() or (state is None and not _is_leftover(target)):
        return None
    if state is not None and not os.path.exists(target.unwritten_end) and _comes_back(target, state):
        _revive(target)
        return None
    monitor = monitor_lock.take(target.location, target.id)
    if monitor is None:
        return None  # it got a monitor, or another process repairs it
    try:
        _settle(target)
    finally:
        monitor_lock.drop(target.location, target.id, monitor)
    return None


def _finish_rebasing(target: container.Container) -> None:
    from orlop.engine import rebasing

    rebasing.finish(target)


def _unmark(target: container.Container) -> None:
    """Have the volumes of a container stay whose removal together with them was broken off before it began."""
    lock = container.lock(target.directory, wait=False)
    if lock is not None:
        volumes.unmark(target.directory)
        os.close(lock)


def _comes_back(target: container.Container, state: dict[str, Any]) -> bool:
    """Whether a container is to be started again that had a monitor and has none any more."""
    try:
        policy = target.record["HostConfig"].get("RestartPolicy") or {}
    except NotFound:
        return False  # removed just now
    most = int(policy.get("MaximumRetryCount") or 0)
    if policy.get("Name") == "on-failure":
        return most == 0 or int(state.get("RestartCount", 0)) < most
    return policy.get("Name") in ("always", "unless-stopped")


def _revive(target: container.Container) -> None:
    """Start a container again. Until that is done it stays recorded as restarting, for whoever comes next."""
    lock = container.lock(target.directory, wait=False)
    if lock is None:
        return  # somebody else is at it, or removes it
    try:
        monitor = monitor_lock.take(target.location, target.id)
        if monitor is None:
            return
        try:
            _settle(target, comes_back=True)
        finally:
            monitor_lock.drop(target.location, target.id, monitor)
        from orlop.engine import alteration, lost_snapshots, start

        alteration.finish(target)
        target = container.Container(target.location, target.id)
        try:
            lost_snapshots.look_after(target)
            count = int(target.state().get("RestartCount", 0))
            session = start.start(target, None, stays=True, restart_count=count)
            session.wait_started()
            session.leave()
        except OrlopError:
            return  # why is in its record
    finally:
        os.close(lock)


def _auto_remove(target: container.Container) -> bool:
    try:
        return bool(target.record["HostConfig"]["AutoRemove"])
    except NotFound:
        return False  # removed just now


def _is_leftover(target: container.Container) -> bool:
    """Whether a container that was never started belongs to a ``run --rm`` that is no more."""
    if not _auto_remove(target):
        return False
    lock = container.lock(target.directory, wait=False)
    if lock is None:
        return False
    os.close(lock)
    return True


def _settle(target: container.Container, *, comes_back: bool = False) -> None:
    """Bring a container without a monitor to its end. The caller is its monitor for the moment."""
    control_socket.remove(target.location, target.id)
    if not os.path.isdir(target.directory):
        return
    state = target.state()
    if state["Status"] in container.LIVES and _record_unwritten_end(target):
        state = target.state()
    was_alive = _end(target)
    if _auto_remove(target):
        removal.vanish(target.location, target.id, target.name, events.attributes(target.record))
        removal.destroy(target.location, target.id)
        return
    if state["Status"] == "running":
        state.update(
            Status="exited",
            Running=False,
            Pid=0,
            ExitCode=_KILLED if was_alive else container.UNKNOWN_EXIT,
            Error="the container's monitor was killed" + ("" if was_alive else "; how the program ended is not known"),
            FinishedAt=clock.now(),
        )
        if comes_back:
            state.update(Status="restarting", Running=True, Restarting=True)
            state["RestartCount"] = int(state.get("RestartCount", 0)) + 1
        target.write_state(state)
        events.of_container(target, "die", {"exitCode": str(state["ExitCode"])})
    elif not comes_back and state["Status"] == "restarting":
        target.write_state({**state, "Status": "exited", "Running": False, "Restarting": False})
    removal.release_runtime(target.location, target.id)


def _record_unwritten_end(target: container.Container) -> bool:
    """Write down the end for which the monitor found no space; False if there is none."""
    end = container.read(target.unwritten_end)
    if end is None:
        return False
    target.write_state(end)
    os.unlink(target.unwritten_end)
    return True


def _forget_unwritten_end(target: container.Container) -> None:
    """Remove what is of no use: of a container that is gone, or that was never written down as running."""
    if target.state()["Status"] not in container.LIVES:
        try:
            os.unlink(target.unwritten_end)
        except FileNotFoundError:
            return  # somebody else was quicker


def _end(target: container.Container) -> bool:
    """Kill what runs; whether the container's first process was still there."""
    from orlop.runtime import kill
    from orlop.runtime.container import Container as RuntimeContainer

    try:
        inner = RuntimeContainer.load(target.location.runtime, target.id)
        was_alive = inner.alive()
        if was_alive:
            kill.kill(inner, _signal.SIGKILL)
    except (NotFound, Conflict):
        return False
    return was_alive


def _finish_removal(location: Location, entry: str) -> None:
    """Remove what a preparation or a removal left, if whoever was at it is gone."""
    directory = f"{location.containers}/{entry}"
    container_id = entry.rpartition("-")[2]
    if entry.startswith(container.GONE) and monitor_lock.is_held(location, container_id):
        return
    lock = container.lock_abandoned(location.containers, directory)
    if lock is None:
        return
    try:
        if entry.startswith(container.GONE):
            removal.release_runtime(location, container_id)
        if os.path.isdir(f"{location.containers}/{container_id}"):
            removal.remove_tree(directory)  # copied twice, while it was published or removed: nothing else is its own
        else:
            removal.clear(location, directory, container_id)
    finally:
        os.close(lock)


def _sweep_locks(location: Location) -> None:
    """Remove lock files of monitors that were killed and whose containers are gone or repaired."""
    try:
        ids = os.listdir(monitor_lock.directory(location))
    except FileNotFoundError:
        return
    for container_id in ids:
        if monitor_lock.is_held(location, container_id):
            continue
        if monitor_lock.root_of(location, container_id) not in (location.root, ""):
            continue  # another engine's, which shares our run directory
        if os.path.isdir(f"{location.containers}/{container_id}"):
            # Whoever starts it, and is about to lock this, holds the container's own lock.
            lock = container.lock(f"{location.containers}/{container_id}", wait=False)
            if lock is None:
                continue
            _release_abandoned(location, container_id)
            os.close(lock)
        else:
            _release_abandoned(location, container_id)


def _release_abandoned(location: Location, container_id: str) -> None:
    """Clear away what belongs to a monitor that is gone, as is its container; or whose start was broken off early on."""
    monitor = monitor_lock.take(location, container_id)
    if monitor is None:
        return
    if container.Container(location, container_id).state()["Status"] not in container.LIVES:
        control_socket.remove(location, container_id)
        removal.release_runtime(location, container_id)
    monitor_lock.drop(location, container_id, monitor)


def _sweep_runtime(location: Location) -> None:
    """Remove the runtime's state of containers that this engine no longer has."""
    try:
        ids = os.listdir(location.runtime)
    except FileNotFoundError:
        return
    for container_id in ids:
        if container_id.startswith(container.STEP):
            continue  # a build's
        if os.path.exists(monitor_lock.path_of(location, container_id)):
            continue
        if os.path.isdir(f"{location.containers}/{container_id}"):
            continue
        bundle = _bundle_of(location, container_id)
        if bundle and not bundle.startswith(location.containers + "/"):
            continue  # another engine's
        try:
            removal.release_runtime(location, container_id)
        except OrlopError:
            continue  # its processes do not end yet; another time


def _sweep_steps(location: Location) -> None:
    """End and clear away what is left of steps of builds that were killed."""
    steps = any(each.startswith(container.STEP) for each in _entries(location.runtime))
    if not steps and not _entries(f"{location.run_root}/building"):
        return
    from orlop.engine.building import worker

    try:
        worker.clear_abandoned(location)
    except OrlopError:
        return  # its processes do not end yet; another time


def _sweep_snapshots(location: Location) -> None:
    """Remove snapshots whose containers are gone.

    A container's directory goes last and comes first, so there are none unless somebody removed it by hand, or the
    machine lost power. Only names are looked at: an engine may have thousands of snapshots of images.
    """
    try:
        drivers = os.listdir(location.snapshots)
    except FileNotFoundError:
        return  # there never was an image
    for driver in drivers:
        directory = f"{location.snapshots}/{driver}"
        for key in os.listdir(directory) if os.path.isdir(directory) else ():
            if len(key) == container.ID_LENGTH and _HEXADECIMAL.issuperset(key) and not _is_known(location, key):
                from orlop.engine import image_root

                image_root.remove(location, key)


def _sweep_store(location: Location) -> None:
    """Finish what was broken off among blobs and snapshots, if anything was; only names are looked at to find out."""
    locks = f"{location.root}/locks"
    if _entries(locks):
        from orlop.storage import named_lock

        named_lock.sweep(locks)
    if _entries(f"{location.root}/unwritten"):
        from orlop.engine import write_out

        write_out.begin(location)
    is_broken_off = bool(_entries(f"{location.root}/images/trash"))
    is_broken_off |= os.path.lexists(f"{location.root}/images/index.json.new")
    for driver in _entries(location.snapshots):
        is_broken_off |= any(key.startswith((".new-", ".gone-")) for key in _entries(f"{location.snapshots}/{driver}"))
    if any(name.startswith("new-") for name in _entries(f"{location.root}/images/ingest")):
        from orlop.storage import ingest
        from orlop.storage.blobs import Blobs

        is_broken_off |= bool(ingest.abandoned(Blobs(f"{location.root}/images"), 0))
    if not is_broken_off and len(_entries(f"{location.root}/leases")) > 1:  # one is the lock on all of them
        from orlop.storage.leases import Leases

        is_broken_off = Leases(f"{location.root}/leases").any_abandoned()
    if is_broken_off:
        from orlop.engine import sweep

        try:
            sweep.broken_off(location)
        except OrlopError:
            return  # something is damaged: who uses it, and 'orlop system check', tell what


def _entries(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _sweep_volumes(location: Location) -> None:
    try:
        names_there = os.listdir(location.volumes)
    except FileNotFoundError:
        return  # there never was a volume
    if any(name[0] == "." for name in names_there):
        from orlop.engine import volume_store

        volume_store.sweep(location)


def _is_known(location: Location, container_id: str) -> bool:
    # In the order in which it is renamed: it may be so between two looks.
    return names.exists(location.containers, container_id) or os.path.isdir(
        f"{location.containers}/{container.GONE}{container_id}"
    )


def _bundle_of(location: Location, container_id: str) -> str:
    state = container.read(f"{location.runtime}/{container_id}/state.json")
    return str(state["bundle"]) if state else ""
