"""What the words of a command line can be: containers, images, volumes, networks, and what options may be given."""

from __future__ import annotations

import os

from orlop.cli.complete import Answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from orlop.engine.location import Location
    from orlop.options import Option

    Words = list[tuple[str, str]]

_RUNNING = ("running", "paused", "restarting")
#: What the arguments of a command are, one after the other; ``*`` before the last: as many of these as one likes.
_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "attach": ("running",),
    "commit": ("container", "image"),
    "completion": ("shell",),
    "container_exists": ("container",),
    "container_inspect": ("*container",),
    "cp": ("place", "place"),
    "create": ("image", "*file"),
    "diff": ("container",),
    "exec": ("running", "*file"),
    "explain": ("container",),
    "export": ("container",),
    "fork": ("container",),
    "history": ("image",),
    "image_exists": ("image",),
    "image_inspect": ("*image",),
    "import_image": ("file", "image"),
    "inspect": ("*anything",),
    "kill": ("*running",),
    "logs": ("container",),
    "network_connect": ("network", "container"),
    "network_disconnect": ("network", "container"),
    "network_exists": ("network",),
    "network_inspect": ("*network",),
    "network_rm": ("*network",),
    "pause": ("*running",),
    "port": ("container",),
    "pull": ("image",),
    "push": ("image",),
    "rename": ("container",),
    "restart": ("*container",),
    "restore": ("container", "snapshot"),
    "rm": ("*container",),
    "rmi": ("*image",),
    "run": ("image", "*file"),
    "save": ("*image",),
    "snapshot_create": ("container",),
    "snapshot_ls": ("container",),
    "snapshot_rm": ("container", "*snapshot"),
    "start": ("*stopped",),
    "stats": ("*running",),
    "stop": ("*running",),
    "tag": ("image", "image"),
    "top": ("running",),
    "unpause": ("*paused",),
    "update": ("*container",),
    "volume_exists": ("volume",),
    "volume_inspect": ("*volume",),
    "volume_rm": ("*volume",),
    "wait": ("*running",),
}

#: What options can be given that have a fixed choice.
_CHOICES = {
    "cgroupns": ("host", "private"),
    "format": ("table", "json"),
    "ipc": ("host", "none", "private", "shareable", "container:"),
    "log-driver": ("json-file", "local", "journald", "none", "syslog"),
    "pid": ("host", "private", "container:"),
    "pull": ("always", "missing", "never"),
    "restart": ("no", "always", "on-failure", "unless-stopped"),
    "security-opt": (
        "apparmor=unconfined", "label=disable", "no-new-privileges", "seccomp=", "systempaths=unconfined",
    ),
    "sig-proxy": ("true", "false"),
    "type": ("container", "image", "network", "volume"),
    "userns": ("host",),
    "uts": ("host", "private", "container:"),
}  # fmt: skip
_SIGNALS = ("HUP", "INT", "KILL", "QUIT", "STOP", "CONT", "TERM", "USR1", "USR2", "WINCH")
_FILES = frozenset(
    ("cidfile", "device", "device-add", "env-file", "input", "label-file", "output", "root", "rootfs", "run-root")
)
_MOUNT_FIELDS = (
    "type=bind", "type=volume", "type=tmpfs", "type=image", "source=", "target=", "readonly", "bind-propagation=",
    "bind-recursive=", "volume-nocopy", "volume-subpath=", "tmpfs-size=", "tmpfs-mode=", "idmap",
)  # fmt: skip


def of_option(location: Location, command: str, option: Option, last: str) -> Answer:
    """What the value of an option can be."""
    key = option.key
    if key in ("cap-add", "cap-drop"):
        from orlop.linux.capability import NAMES

        return Answer([("ALL", ""), *((name.removeprefix("CAP_"), "") for name in NAMES)])
    if key in ("signal", "stop-signal"):
        return Answer([(f"SIG{name}" if last.startswith("SIG") else name, "") for name in _SIGNALS])
    if key == "volumes-from":
        return Answer(containers(location))
    if key in ("volume", "volume-add") and ":" not in last:
        found = [(f"{name}:", "volume") for name, _ in volumes(location)]
        return Answer(found, "files" if last.startswith(("/", ".")) or not found else "nospace")
    if key in ("mount", "mount-add"):
        done, comma, _ = last.rpartition(",")
        return Answer([(f"{done}{comma}{field}", "") for field in _MOUNT_FIELDS], "nospace")
    if key in ("mount-rm", "snapshot"):
        return Answer()
    if last.startswith("container:") or (key in ("network", "ipc", "pid", "uts") and last.startswith("container")):
        return Answer([(f"container:{name}", about) for name, about in containers(location)])
    if command == "explain" and key == "format":
        return Answer([("text", ""), ("json", "")])
    if key == "network":
        return Answer([*networks(location), ("container:", "")], "nospace" if last.startswith("c") else "")
    if key in _CHOICES:
        words = _CHOICES[key]
        unfinished = any(word.endswith((":", "=")) and word.startswith(last) for word in words)
        return Answer([(word, "") for word in words], "nospace" if unfinished else "")
    if key in _FILES or option.value in ("dir", "file"):
        return Answer(kind="files")
    return Answer()


def of_argument(location: Location, command: str, before: Sequence[str], last: str) -> Answer:
    """What an argument of a command can be, after those before it."""
    if command == "port":
        return Answer(_ports(location, before))
    kinds = _ARGUMENTS.get(command)
    if kinds is None:
        return Answer(kind="files") if command == "load" else Answer()
    place = min(len(before), len(kinds) - 1)
    kind = kinds[place]
    if len(before) >= len(kinds) and not kind.startswith("*"):
        return Answer()
    kind = kind.removeprefix("*")
    if kind == "file":
        return Answer(kind="files")
    if kind == "place":
        if ":" in last or last.startswith(("/", ".")):
            return Answer(kind="files")
        return Answer([(f"{name}:", about) for name, about in containers(location)], "nospace")
    if kind == "snapshot":
        return Answer([word for word in _snapshots(location, before[0]) if word[0] not in before[1:]])
    found = _KINDS[kind](location)
    if kind not in ("image", "shell"):
        found += _ids(location, kind, last)
    return Answer([word for word in found if word[0] not in before])


def containers(location: Location, among: Sequence[str] = ()) -> Words:
    """The names of containers whose status is among these, or of all."""
    from orlop.engine import names

    try:
        known = [name for name in os.listdir(location.names) if name[0] != "."]
    except FileNotFoundError:
        return []  # there never was one
    found = []
    for name in sorted(known):
        holder = names.holder_of(location.names, name)
        about = _about(location, holder, among) if holder else None
        if about is not None:
            found.append((name, about))
    return found


def images(location: Location) -> Words:
    """The names of images."""
    from orlop.engine import image_store
    from orlop.images import reference

    found = set()
    for image in image_store.open_store(location).images():
        for name in image.names:
            parsed = reference.parse(name)
            found.add(parsed.familiar)
    return [(name, "image") for name in sorted(found)]


def volumes(location: Location) -> Words:
    """The names of volumes."""
    from orlop.engine import volume_store

    return [(name, "volume") for name in volume_store.names(location)]


def networks(location: Location) -> Words:
    """The names of networks."""
    from orlop.network import store

    return [(network.name, network.driver) for network in store.every(location.networks)]


def _about(location: Location, container_id: str, among: Sequence[str]) -> str | None:
    from orlop.engine import container, pausing
    from orlop.errors import NotFound

    target = container.Container(location, container_id)
    try:
        state = pausing.state(target) if among else target.state()
        image = target.record["Config"]["Image"]
    except NotFound:
        return None  # removed just now
    status = str(state["Status"])
    return f"{status}, {image}" if not among or status in among else None


def _ids(location: Location, kind: str, last: str) -> Words:
    """Ids of containers, once somebody has begun to write one."""
    from orlop.engine import container

    if not last or kind in ("network", "volume"):
        return []
    fitting = [each for each in container.every_id(location) if each.startswith(last)]
    among = _STATUSES.get(kind, ())
    described = [(each[: max(12, len(last))], _about(location, each, among)) for each in fitting]
    return [(word, about) for word, about in described if about is not None]


def _snapshots(location: Location, name: str) -> Words:
    from orlop.engine import container, container_snapshots

    return [(each.name, each.created) for each in container_snapshots.every(container.find(location, name))]


def _ports(location: Location, before: Sequence[str]) -> Words:
    """What may follow ``orlop port`` and these words: containers, their ports, or what is done with them."""
    from orlop.cli.port import ADD, REMOVE
    from orlop.engine import container, ports

    if not before:
        return [*containers(location), (ADD, "publish more ports"), (REMOVE, "publish ports no more")]
    action = before[0] if before[0] in (ADD, REMOVE) else ""
    if action and len(before) == 1:
        return containers(location)
    if action == ADD or (not action and len(before) > 1):
        return []
    published = ports.published(container.find(location, before[1] if action else before[0]))
    if not action:
        return [(port, ", ".join(addresses)) for port, addresses in published.items()]
    found = {
        f"{address.rpartition(':')[2]}:{port}": address
        for port, addresses in published.items()
        for address in reversed(addresses)
    }
    return [(spec, address) for spec, address in found.items() if spec not in before]


def _anything(location: Location) -> Words:
    return [*containers(location), *images(location), *volumes(location), *networks(location)]


_STATUSES = {"running": _RUNNING, "paused": ("paused",), "stopped": ("created", "exited", "dead")}
_KINDS: dict[str, Callable[[Location], Words]] = {
    "anything": _anything,
    "container": containers,
    "image": images,
    "network": networks,
    "paused": lambda location: containers(location, _STATUSES["paused"]),
    "running": lambda location: containers(location, _STATUSES["running"]),
    "shell": lambda _: [("bash", ""), ("zsh", ""), ("fish", "")],
    "stopped": lambda location: containers(location, _STATUSES["stopped"]),
    "volume": volumes,
}
