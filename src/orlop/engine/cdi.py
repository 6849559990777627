"""Devices that files describe: the Container Device Interface 1.0, which GPUs' and other vendors' tools write.

``--device vendor.com/class=name``, and ``--gpus``, name a device in a file of ``/etc/cdi``, of ``/var/run/cdi``, which counts
before that one, or of the engine's own ``<root>/cdi``, which counts before both; each is JSON or YAML. What the file says
of it, and of all its devices, is put into the configuration of a container each time that it starts: nodes, mounts,
variables, hooks. The files are read by root and belong to root: what they say is trusted.

https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md
"""

from __future__ import annotations

import os
import stat

from orlop import json_text, third_party
from orlop.errors import InvalidArgument, OrlopError, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

_DIRECTORIES = ("/etc/cdi", "/var/run/cdi")
_ALL = "all"
_CLASS = "org.mobyproject.buildkit.device.class"
_GPU = "gpu"
_HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def apply(config: dict[str, Any], requests: Sequence[Mapping[str, Any]], root: str, *, rootless: bool) -> None:
    """Put the devices that Docker's ``DeviceRequests`` ask for into a configuration; ``root`` is the engine's.

    Raises:
        InvalidArgument: no file describes a device, or a file is damaged.
        Unsupported: a request is not one that CDI's files can fulfil.
    """
    registry = _Registry([*_DIRECTORIES, f"{root}/cdi"])
    names: list[str] = []
    for request in requests:
        names += [each for each in _names(registry, request) if each not in names]
    unknown = [name for name in names if registry.find(name) is None]
    if unknown:
        raise InvalidArgument(
            f"CDI device injection failed: unresolvable CDI devices {', '.join(unknown)}{registry.reasons}"
        )
    specs: list[dict[str, Any]] = []
    for name in names:
        found = registry.find(name)
        if found is None:
            continue  # it was looked up just now
        spec, device = found
        if spec not in specs:
            specs.append(spec)
            _edit(config, spec.get("containerEdits") or {}, rootless=rootless)
        _edit(config, device.get("containerEdits") or {}, rootless=rootless)


def meant(name: str, root: str) -> list[str]:
    """The full names of the devices that a name means in a build: one by its full name, the first of a kind, all of it, or all of a class.

    A class is what devices say of themselves, as BuildKit's annotation. None of them may be there.
    """
    registry = _Registry([*_DIRECTORIES, f"{root}/cdi"])
    kind, equals, wanted = name.partition("=")
    if equals and wanted not in ("*", _ALL):
        return [name] if registry.find(name) is not None else []
    there = [f"{kind}={each}" for each in registry.devices_of(kind)]
    if "/" in kind:
        return there if equals else there[:1]
    return registry.of_class(kind)


def mount_places(names: Sequence[str], root: str) -> list[str]:
    """Where devices mount something.

    Raises:
        InvalidArgument, Unsupported: as `apply`.
    """
    config: dict[str, Any] = {"process": {"env": [], "user": {}}, "mounts": [], "linux": {"resources": {}}}
    if names:
        apply(config, [{"Driver": "cdi", "DeviceIDs": list(names)}], root, rootless=False)
    return [str(each["destination"]) for each in config["mounts"]]


def check(requests: Sequence[Mapping[str, Any]], root: str) -> None:
    """Refuse requests that cannot be fulfilled now, before anything is made.

    Raises:
        InvalidArgument, Unsupported: as `apply`.
    """
    nothing: dict[str, Any] = {"process": {"env": [], "user": {}}, "mounts": [], "linux": {"resources": {}}}
    apply(nothing, requests, root, rootless=False)


def _names(registry: _Registry, request: Mapping[str, Any]) -> list[str]:
    """The full names of the devices that one request asks for."""
    driver = request.get("Driver") or ""
    if driver == "cdi":
        return list(request.get("DeviceIDs") or ())
    wanted = [each for group in request.get("Capabilities") or () for each in group]
    if _GPU not in wanted or driver not in ("", "nvidia", "amd"):
        raise Unsupported(f'could not select device driver "{driver}" with capabilities: [[{" ".join(wanted)}]]')
    kind = registry.kind_of_class(_GPU, {"nvidia": "nvidia.com", "amd": "amd.com"}.get(driver, ""))
    if not kind:
        raise Unsupported(
            f'could not select device driver "{driver}" with capabilities: [[{" ".join(wanted)}]]: '
            f"no file in /etc/cdi or /var/run/cdi describes a gpu{registry.reasons}"
        )
    ids = request.get("DeviceIDs")
    if ids:
        return [f"{kind}={each}" for each in ids]
    there = registry.devices_of(kind)
    if request.get("Count", 0) == -1:
        return [f"{kind}={_ALL}"] if _ALL in there else [f"{kind}={each}" for each in there]
    single = [each for each in there if each != _ALL]
    numbered = [each for each in single if each.isdigit()] or single
    count = int(request.get("Count") or 1)
    if count > len(numbered):
        raise InvalidArgument(f"--gpus {count}: only {len(numbered)} devices are described by CDI's files")
    return [f"{kind}={each}" for each in numbered[:count]]


class _Registry:
    """Everything that the files describe."""

    def __init__(self, directories: Sequence[str]) -> None:
        self._problems: list[str] = []
        self._devices: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        for directory in directories:
            self._read(directory)

    @property
    def reasons(self) -> str:
        """Why files were left out, to put at the end of a message."""
        return f" ({'; '.join(self._problems)})" if self._problems else ""

    def find(self, name: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The specification and the device in it of a full name."""
        return self._devices.get(name)

    def devices_of(self, kind: str) -> list[str]:
        """The names of a kind's devices."""
        return [name.partition("=")[2] for name in self._devices if name.partition("=")[0] == kind]

    def of_class(self, word: str) -> list[str]:
        """The full names of the devices that say that they are of a class."""
        return [
            name for name, (_, device) in self._devices.items() if (device.get("annotations") or {}).get(_CLASS) == word
        ]

    def kind_of_class(self, word: str, vendor: str) -> str:
        """The first kind of a class; of a vendor, if one is said, else NVIDIA's before others, as Docker has it."""
        kinds = sorted({name.partition("=")[0] for name in self._devices}, key=lambda kind: kind != "nvidia.com/gpu")
        return next((kind for kind in kinds if kind.endswith(f"/{word}") and vendor in ("", kind.split("/")[0])), "")

    def _read(self, directory: str) -> None:
        here: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        ambiguous = set()
        for path, spec in self._specs(directory):
            for device in spec.get("devices") or ():
                name = f"{spec['kind']}={device['name']}"
                if name in here:
                    ambiguous.add(name)
                    self._problems.append(f"{name} is described twice in {directory}, also by {path}")
                here[name] = (spec, device)
        self._devices.update(here)
        for name in ambiguous:
            del self._devices[name]

    def _specs(self, directory: str) -> Iterator[tuple[str, dict[str, Any]]]:
        try:
            names = sorted(os.listdir(directory))
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in names:
            path = f"{directory}/{name}"
            if not name.endswith((".json", ".yaml", ".yml")):
                continue
            try:
                with open(path, encoding="utf-8") as file:
                    text = file.read()
                yield path, _parsed(text, is_json=name.endswith(".json"))
            except (OSError, ValueError) as error:
                self._problems.append(f"{path}: {error}")


def _parsed(text: str, *, is_json: bool) -> dict[str, Any]:
    if is_json:
        spec = json_text.loads(text)
    else:
        yaml: Any = third_party.load("yaml", "reading the description of devices in YAML")
        try:
            spec = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except yaml.YAMLError as error:
            raise ValueError(" ".join(str(error).split())) from None
    kind = str(spec.get("kind") or "") if isinstance(spec, dict) else ""
    vendor, slash, word = kind.partition("/")
    if not (vendor and slash and word):
        raise ValueError(f'its kind "{kind}" is no vendor.com/class')
    devices = spec.get("devices")
    if not isinstance(devices, list) or not all(
        isinstance(each, dict) and each.get("name") not in (None, "") for each in devices
    ):
        raise ValueError("its devices are no list of objects with names")
    for device in devices:
        device["name"] = str(device["name"])  # in YAML 0 is a number
    return dict(spec)


def _edit(config: dict[str, Any], edits: Mapping[str, Any], *, rootless: bool) -> None:
    """Carry ``containerEdits`` out."""
    try:
        _add_variables(config["process"]["env"], edits.get("env") or ())
        for node in edits.get("deviceNodes") or ():
            _add_node(config, node, rootless=rootless)
        for mount in edits.get("mounts") or ():
            config["mounts"].append(
                {
                    "destination": mount["containerPath"],
                    "type": mount.get("type") or "bind",
                    "source": mount["hostPath"],
                    "options": list(mount.get("options") or ("rbind", "rprivate", "ro")),
                }
            )
        for hook in edits.get("hooks") or ():
            _add_hook(config, hook)
        groups = [int(each) for each in edits.get("additionalGids") or () if int(each)]
        user = config["process"]["user"]
        user["additionalGids"] = [*user.get("additionalGids", ()), *groups]
        if edits.get("intelRdt"):
            config["linux"]["intelRdt"] = dict(edits["intelRdt"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidArgument(f"CDI device injection failed: containerEdits are damaged: {error!r}") from None
    except OSError as error:
        raise OrlopError(f"CDI device injection failed: {error.filename}: {error.strerror}") from None


def _add_variables(environment: list[str], texts: Sequence[str]) -> None:
    for text in texts:
        name = text.partition("=")[0]
        environment[:] = [each for each in environment if each.partition("=")[0] != name]
        environment.append(text)


def _add_node(config: dict[str, Any], node: Mapping[str, Any], *, rootless: bool) -> None:
    path = node["path"]
    source = node.get("hostPath") or path
    if rootless:
        options = ["bind", "rprivate", "rw"]
        config["mounts"].append({"destination": path, "type": "bind", "source": source, "options": options})
        return
    kind, major, minor = node.get("type"), node.get("major"), node.get("minor")
    mode, uid, gid = node.get("fileMode"), node.get("uid"), node.get("gid")
    if not kind or (major is None and kind != "p"):
        about = os.stat(source)
        kind = "b" if stat.S_ISBLK(about.st_mode) else "c"
        if not (stat.S_ISBLK(about.st_mode) or stat.S_ISCHR(about.st_mode)):
            raise InvalidArgument(f"CDI device injection failed: {source} is no device")
        major, minor = os.major(about.st_rdev), os.minor(about.st_rdev)
        mode = stat.S_IMODE(about.st_mode) if mode is None else mode
        uid = about.st_uid if uid is None else uid
        gid = about.st_gid if gid is None else gid
    made: dict[str, Any] = {"path": path, "type": kind, "major": int(major or 0), "minor": int(minor or 0)}
    for name, value in (("fileMode", mode), ("uid", uid), ("gid", gid)):
        if value is not None:
            made[name] = int(value)
    listed = config["linux"].setdefault("devices", [])
    listed[:] = [each for each in listed if each["path"] != path]
    listed.append(made)
    if kind != "p":
        rule = {"allow": True, "type": kind, "major": made["major"], "minor": made["minor"]}
        rules = config["linux"]["resources"].setdefault("devices", [])
        rules.append({**rule, "access": node.get("permissions") or "rwm"})


def _add_hook(config: dict[str, Any], hook: Mapping[str, Any]) -> None:
    name = hook["hookName"]
    if name not in _HOOKS:
        raise ValueError(f"there is no hook {name}")
    made = {key: hook[key] for key in ("path", "args", "env", "timeout") if hook.get(key) is not None}
    config.setdefault("hooks", {}).setdefault(name, []).append(made)
