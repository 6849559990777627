"""Taking containers and their directories away."""

from __future__ import annotations

import os

from orlop.engine import container, control_socket, events, exec_record, monitor_lock, names, volumes
from orlop.errors import Conflict, NotFound, OrlopError
from orlop.storage import trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.location import Location


def remove(target: container.Container, *, force: bool = False, with_volumes: bool = False) -> None:
    """Remove a container; with ``force`` a running one is killed first. Its volumes stay unless ``with_volumes``.

    Raises:
        Conflict: it is running and ``force`` is not given.
        NotFound: somebody else removed it.
    """
    from orlop.engine import repair, signalling

    name = target.name  # what --rm takes away while we wait can no longer be asked
    about = events.attributes(target.record)
    repair.look_after(target)
    lock = container.lock(target.directory)  # waits for a start that is under way
    if lock is None:
        raise NotFound(f"no such container: {target.id[:12]}")
    try:
        if target.state()["Status"] in container.LIVES:
            if not force:
                raise Conflict(f"cannot remove container {name}: it is running; stop it first or use --force")
            signalling.kill_all(target)
        monitor_lock.wait(target.location, target.id)
        monitor = monitor_lock.take(target.location, target.id)
        if monitor is None:
            raise Conflict(f"cannot remove container {name}: it has just been started")
        try:
            if with_volumes:
                volumes.mark(target.directory)
            else:
                volumes.unmark(target.directory)
            vanish(target.location, target.id, name, about)
            destroy(target.location, target.id)
        finally:
            monitor_lock.drop(target.location, target.id, monitor)
    finally:
        os.close(lock)


def vanish(location: Location, container_id: str, name: str, about: dict[str, str]) -> None:
    """Make a container invisible and its name free, at once; `destroy` does the rest.

    ``about`` is what the event tells of it (`events.attributes`).
    """
    try:
        os.rename(f"{location.containers}/{container_id}", f"{location.containers}/{container.GONE}{container_id}")
    except FileNotFoundError:
        names.release(location.names, name, container_id)
        return  # already so, and told
    if not names.release(location.names, name, container_id):
        _release_new_name(location, container_id)
    events.emit(location, events.CONTAINER, "destroy", container_id, about)


def _release_new_name(location: Location, container_id: str) -> None:
    """Free the name of a container that was renamed while whoever removes it did not look."""
    try:
        record = container.read(f"{location.containers}/{container.GONE}{container_id}/{container.RECORD_FILE}")
    except OrlopError:
        return  # damaged; the next sweep finds a name without a container
    if record is not None:
        names.release(location.names, record["Name"], container_id)


def destroy(location: Location, container_id: str) -> None:
    """Remove what `vanish` left, the runtime's state included. The caller holds the monitor's lock."""
    control_socket.remove(location, container_id)  # its monitor may have been killed
    release_runtime(location, container_id)
    exec_record.forget(location, container_id)
    clear(location, f"{location.containers}/{container.GONE}{container_id}", container_id)


def clear(location: Location, directory: str, container_id: str) -> None:
    """Remove a container's directory that nobody sees, and before that what is the container's elsewhere."""
    layers: list[str] = []
    try:
        record = container.read(f"{directory}/{container.RECORD_FILE}")
    except OrlopError:
        record = None  # damaged: its volumes stay, as those that nobody removes do
    if record is not None:
        volumes.withdraw(location, directory, record)
        layers = _withdraw_layers(location, container_id, record)
    has_snapshot = os.path.isdir(location.snapshots) if record is None else bool(record.get("RootMounts"))
    if has_snapshot:
        from orlop.engine import image_root

        image_root.remove(location, container_id)
        if layers:
            from orlop.engine import container_snapshots

            container_snapshots.sweep(location, layers)
    remove_tree(directory)


def _withdraw_layers(location: Location, container_id: str, record: dict[str, Any]) -> list[str]:
    """What a container has in the storage beside its snapshot and its image: nearly none has anything."""
    if "Base" not in record and "Snapshots" not in record and "Rebase" not in record:
        return []
    from orlop.engine import container_snapshots

    return container_snapshots.withdraw(location, container_id, record)


def release_runtime(location: Location, container_id: str) -> None:
    """Remove the runtime's state, cgroups included, killing what still runs in them, and what few containers have."""
    _release(location, container_id)
    if os.path.isdir(f"{location.run_root}/networks"):
        from orlop.engine import networking

        networking.release(location, container_id)
    if os.path.exists(f"{location.run_root}/user-networks"):
        from orlop.engine import user_network

        user_network.release(location, container_id)
    if os.path.isdir(f"{location.run_root}/extras/{container_id}"):
        from orlop.engine import host_mounts, runtimes

        runtimes.release(location, container_id)
        host_mounts.release(location, container_id)


def _release(location: Location, container_id: str) -> None:
    if not os.path.isdir(f"{location.runtime}/{container_id}"):
        return
    from orlop.runtime import delete
    from orlop.runtime.container import Container as RuntimeContainer

    try:
        delete.delete(RuntimeContainer.load(location.runtime, container_id), force=True)
    except NotFound:
        return  # somebody else was quicker


def remove_tree(directory: str) -> None:
    """Remove a directory with everything in it, following no link and crossing into no mount.

    Files of ids that only a user namespace of ours may touch are removed from within one.
    """
    try:
        trees.remove(directory)
    except PermissionError:
        if os.geteuid() == 0:
            raise
        from orlop.engine import own_namespace

        own_namespace.run(lambda: trees.remove(directory))
