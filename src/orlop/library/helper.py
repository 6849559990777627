"""The process that does an errand (see `errand`), and what it can do.

Each action is a function of the engine's location, the arguments, descriptors, and somebody to tell of progress; what it
returns is JSON.
"""

from __future__ import annotations

import _socket
import _thread
import os
import sys

from orlop import json_text
from orlop.engine import error_message
from orlop.engine.location import Location
from orlop.images.progress import Progress
from orlop.library import errand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from orlop.engine.container import Container
    from orlop.images.store import Image, ImageStore

    Action = Callable[[Location, dict[str, Any], list[int], errand.Tell], Any]

_LARGEST_DESCRIPTORS = 16


def main() -> None:
    """Serve the one request that comes on the socket, and end."""
    client = _socket.socket(fileno=errand.DESCRIPTOR)
    os.set_inheritable(errand.DESCRIPTOR, False)
    data, descriptors = _receive(client)
    if not data:
        os._exit(1)  # whoever wanted something has ended

    lock = _thread.allocate_lock()  # progress comes from several threads

    def answer(**body: object) -> None:
        with lock:
            _send(client, json_text.dumps(body).encode() + b"\n")

    def tell(*told: object) -> None:
        answer(tell=told)

    try:
        request = json_text.loads(data)
        location = Location(request["root"], request["run_root"], rootless=request["rootless"])
        os.chdir(request["directory"])
        location.prepare()
        action = request["action"]
        if action in _INSIDE:
            from orlop.engine import own_namespace

            own_namespace.enter()
        answer(result=ACTIONS[action](location, request["arguments"], descriptors, tell))
    except BrokenPipeError:
        os._exit(1)
    except Exception as error:  # noqa: BLE001 - whatever it was, the caller must hear of it
        answer(error=error_message.describe(error))
    os._exit(0)


def _receive(client: _socket.socket) -> tuple[bytes, list[int]]:
    room = _socket.CMSG_SPACE(4 * _LARGEST_DESCRIPTORS)
    data, ancillary, _, _ = client.recvmsg(1 << 16, room, _socket.MSG_CMSG_CLOEXEC)
    packed = ancillary[0][2] if ancillary else b""
    descriptors = [int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4)]
    while data and not data.endswith(b"\n"):
        more = client.recv(1 << 16)
        if not more:
            return b"", []
        data += more
    return data, descriptors


def _send(client: _socket.socket, data: bytes) -> None:
    while data:
        data = data[client.send(data, _socket.MSG_NOSIGNAL) :]


class _Told(Progress):
    """Progress that goes to the caller."""

    __slots__ = ("_tell",)

    def __init__(self, tell: errand.Tell) -> None:
        self._tell = tell

    def update(self, identifier: str, action: str, current: int | None = None, total: int | None = None) -> None:
        self._tell(identifier, action, current, total)

    def say(self, text: str) -> None:
        self._tell("", text, None, None)


def _images(location: Location) -> ImageStore:
    from orlop.engine import image_store

    return image_store.open_store(location)


def _container(location: Location, arguments: dict[str, Any]) -> Container:
    from orlop.engine import container

    return container.Container(location, arguments["container"])


def _pull(location: Location, arguments: dict[str, Any], _descriptors: list[int], tell: errand.Tell) -> str:
    from orlop.engine import image_transfer

    (name,) = image_transfer.pull(location, arguments["name"], _Told(tell), wanted=arguments["platform"])
    return _images(location).find(name).id


def _push(location: Location, arguments: dict[str, Any], _descriptors: list[int], tell: errand.Tell) -> None:
    from orlop.engine import image_transfer

    image_transfer.push(location, arguments["name"], _Told(tell))


def _load(location: Location, arguments: dict[str, Any], descriptors: list[int], tell: errand.Tell) -> list[str]:
    from orlop.engine import image_transfer

    source = arguments["source"]
    found = image_transfer.load(
        location, descriptors[0] if descriptors else source, source, _Told(tell), wanted=arguments["platform"]
    )
    return [image.id for image, _ in found]


def _save(location: Location, arguments: dict[str, Any], descriptors: list[int], _tell: errand.Tell) -> None:
    from orlop.engine import image_transfer
    from orlop.storage.layers import tar_writer

    sink = tar_writer.Descriptor(descriptors[0])
    image_transfer.save(location, arguments["names"], sink, form=arguments["format"])


def _import(location: Location, arguments: dict[str, Any], descriptors: list[int], _tell: errand.Tell) -> str:
    from orlop.build import changes
    from orlop.engine import image_transfer
    from orlop.images import platform
    from orlop.images.archive import file_system

    source = arguments["source"]
    description = file_system.Description(
        execution=changes.applied(arguments["changes"]),
        comment=arguments["message"] or f"Imported from {source}",
        platform=platform.parse(arguments["platform"]) if arguments["platform"] else None,
    )
    return image_transfer.import_archive(location, descriptors[0], source, arguments["name"], description).id


def _remove_image(location: Location, arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> Any:
    from orlop.engine import image_removal

    done = image_removal.remove(location, _images(location), arguments["name"], force=arguments["force"])
    return [done.untagged, done.deleted, done.freed]


def _prune_images(location: Location, arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> Any:
    from orlop.engine import image_removal

    images = _images(location)
    chosen: list[Image] = [image for image in images.images() if arguments["everything"] or not image.tags]
    done = image_removal.prune(location, images, chosen)
    return [done.untagged, done.deleted, done.freed]


def _prune_volumes(location: Location, arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> Any:
    from orlop.engine import prune, volume_store

    done = prune.volumes(location, lambda each: arguments["everything"] or volume_store.is_anonymous(each))
    return [done.names, done.freed]


def _remove_volume(location: Location, arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> None:
    from orlop.engine import volume_store

    volume_store.remove(location, arguments["name"])


def _connect(location: Location, arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> None:
    from orlop.engine import networks

    networks.connect(location, arguments["network"], arguments["container"], arguments["settings"])


def _disconnect(location: Location, arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> None:
    from orlop.engine import networks

    networks.disconnect(location, arguments["network"], arguments["container"], force=arguments["force"])


def _prune_networks(location: Location, _arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> Any:
    from orlop.engine import networks, repair

    repair.everything(location)
    return networks.prune(location, lambda _: True)


def _remove_network(location: Location, arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> None:
    from orlop.engine import networks, repair

    repair.everything(location)
    networks.remove(location, arguments["name"])


def _disk_usage(location: Location, _arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> Any:
    from orlop.engine import disk_usage

    found = disk_usage.of_engine(location, _images(location))
    return [[kind.name, kind.total, kind.active, kind.size, kind.reclaimable] for kind in found.kinds]


def _commit(location: Location, arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> Any:
    from orlop.engine import commit
    from orlop.images.commit import Description

    description = Description(arguments["author"], arguments["message"], arguments["changes"])
    target = _container(location, arguments)
    made = commit.commit(target, arguments["name"], description, pause=arguments["pause"])
    return made.image.id


def _create(location: Location, arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> str:
    from orlop.engine import create
    from orlop.engine.settings import Settings

    made = create.create(location, Settings.from_fields(arguments["settings"]))
    made.leave()
    return made.container.id


def _remove(location: Location, arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> None:
    from orlop.engine import removal

    target = _container(location, arguments)
    removal.remove(target, force=arguments["force"], with_volumes=arguments["with_volumes"])


def _prune(location: Location, _arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> Any:
    from orlop.engine import prune

    done = prune.containers(location, lambda _: True)
    return [done.names, done.freed]


def _repair(location: Location, _arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> None:
    from orlop.engine import repair

    repair.everything(location)


def _diff(location: Location, arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> Any:
    from orlop.engine import differences

    return [[each.path, each.kind] for each in differences.differences(_container(location, arguments))]


def _export(location: Location, arguments: dict[str, Any], descriptors: list[int], _tell: errand.Tell) -> None:
    from orlop.engine import export

    export.export(_container(location, arguments), descriptors[0])


def _put(location: Location, arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> None:
    from orlop.engine import local_copy

    local_copy.to_container(_container(location, arguments), arguments["source"], arguments["target"])


def _get(location: Location, arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> None:
    from orlop.engine import local_copy

    local_copy.from_container(_container(location, arguments), arguments["source"], arguments["target"])


def _put_archive(location: Location, arguments: dict[str, Any], descriptors: list[int], _tell: errand.Tell) -> None:
    from orlop.engine import copying

    copying.copy_in(_container(location, arguments), arguments["target"], descriptors[0])


def _get_archive(location: Location, arguments: dict[str, Any], descriptors: list[int], _tell: errand.Tell) -> None:
    from orlop.engine import local_copy

    target = _container(location, arguments)
    local_copy.stream_from_container(target, arguments["source"], descriptors[0], follows=arguments["follows"])


def _alter(location: Location, arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> None:
    from orlop.engine import alteration

    wanted = alteration.Alteration()
    for name, value in arguments["wanted"].items():
        setattr(wanted, name, value)
    alteration.alter(_container(location, arguments), wanted)


def _save_snapshot(location: Location, arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> Any:
    from orlop.engine import container_snapshots

    saved = container_snapshots.save(_container(location, arguments), arguments["name"])
    return {"name": saved.name, "created": saved.created, "stood_still": saved.stood_still}


def _remove_snapshot(
    location: Location, arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell
) -> None:
    from orlop.engine import container_snapshots

    container_snapshots.remove(_container(location, arguments), arguments["name"])


def _restore(location: Location, arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> None:
    from orlop.engine import container_snapshots

    container_snapshots.restore(_container(location, arguments), arguments["name"], arguments["timeout"])


def _fork(location: Location, arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> str:
    from orlop.engine import fork

    return fork.fork(_container(location, arguments), arguments["name"], arguments["snapshot"]).container.id


def _check(location: Location, arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> Any:
    from orlop.engine import storage_check

    problems = storage_check.verify(location, _images(location), repair=arguments["repair"])
    return [[str(each), each.repaired] for each in problems]


def _search(_location: Location, arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> Any:
    from contextlib import closing

    from orlop.images.registry.client import Registry
    from orlop.images.registry.search import search

    with closing(Registry(arguments["registry"])) as registry:
        found = search(registry, arguments["term"], arguments["limit"])
    return [[each.name, each.description, each.stars, each.is_official] for each in found]


def _login(_location: Location, arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> None:
    from orlop.images.registry import login

    login.login(arguments["registry"], arguments["username"], arguments["password"])


def _logout(_location: Location, arguments: dict[str, Any], _descriptors: list[int], _tell: errand.Tell) -> bool:
    from orlop.images.registry import login

    return login.logout(arguments["registry"])


ACTIONS: dict[str, Action] = {
    "alter": _alter,
    "check": _check,
    "commit": _commit,
    "connect": _connect,
    "create": _create,
    "diff": _diff,
    "disconnect": _disconnect,
    "disk_usage": _disk_usage,
    "export": _export,
    "fork": _fork,
    "get": _get,
    "get_archive": _get_archive,
    "import": _import,
    "load": _load,
    "login": _login,
    "logout": _logout,
    "prune": _prune,
    "prune_images": _prune_images,
    "prune_networks": _prune_networks,
    "prune_volumes": _prune_volumes,
    "pull": _pull,
    "push": _push,
    "put": _put,
    "put_archive": _put_archive,
    "remove": _remove,
    "remove_image": _remove_image,
    "remove_network": _remove_network,
    "remove_snapshot": _remove_snapshot,
    "remove_volume": _remove_volume,
    "repair": _repair,
    "restore": _restore,
    "save": _save,
    "save_snapshot": _save_snapshot,
    "search": _search,
}

#: What handles files of images, so that an ordinary user's has to be done as root of a user namespace of theirs.
_INSIDE = frozenset(
    ("check", "commit", "diff", "disk_usage", "import", "load", "prune_images", "pull", "push", "remove_image", "save")
)
