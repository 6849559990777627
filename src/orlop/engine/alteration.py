"""What of a container can be changed while it runs, beside its limits: mounts, devices, and the environment of later execs.

The kernel is asked first; then the changed configuration is written aside, and the container's record, which says so,
replaces the old one: from then on the change holds, and whoever comes next finishes it (`finish`). Everything holds for
later starts as well. A container that does not run gets it with its next start.
"""

from __future__ import annotations

import os

from orlop import json_text
from orlop.engine import (
    binds,
    bundle,
    container,
    devices,
    events,
    host_mounts,
    image_store,
    late,
    mounting,
    repair,
    volume_store,
)
from orlop.engine.host_config import OWN_RUNTIME
from orlop.engine.mount_kinds import IMAGE, VOLUME
from orlop.engine.settings import Settings
from orlop.engine.users import User
from orlop.errors import Conflict, NotFound, OrlopError, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from orlop.engine.live_changes import Changes
    from orlop.engine.mount_plan import Plan
    from orlop.storage.mounts import Mount

_ASIDE = ".altered"
_FILES = ("config.json", late.TEMPLATE_FILE)


class Alteration:
    """What is to be added and removed.

    Attributes:
        binds: texts as ``-v`` has them, with a source.
        mounts: Docker's ``Mount`` objects, without images.
        unmounts: targets.
        devices: Docker's ``DeviceMapping`` objects.
        device_paths: paths in the container of devices that go.
        env: ``NAME=value`` texts.
        env_names: variables that go.
    """

    __slots__ = ("binds", "device_paths", "devices", "env", "env_names", "mounts", "unmounts")

    def __init__(self) -> None:
        self.binds: list[str] = []
        self.mounts: list[dict[str, Any]] = []
        self.unmounts: list[str] = []
        self.devices: list[dict[str, str]] = []
        self.device_paths: list[str] = []
        self.env: list[str] = []
        self.env_names: list[str] = []


def alter(target: container.Container, wanted: Alteration) -> None:
    """Change a container; what is removed goes first, so that something else can be in its place.

    Files that a program has open on a mount that goes stay open to it. A volume stays, also one that no user named.

    Raises:
        InvalidArgument: something cannot be mounted like that, or is no device.
        Conflict: something is mounted there already, or the container is restarting.
        NotFound: nothing is mounted there, there is no such device, or the container was removed.
        Unsupported: another runtime runs it, or something can only be there from the start.
        OrlopError: the kernel refuses; nothing was changed then.
    """
    repair.look_after(target)
    lock = container.lock(target.directory)  # a start waits for it
    if lock is None:
        raise NotFound(f"no such container: {target.id[:12]}")
    try:
        finish(target)
        fresh = container.Container(target.location, target.id)
        status = fresh.state()["Status"]
        if status == "restarting":
            raise Conflict(f"container {fresh.name} is restarting: wait until it is running")
        _Altered(fresh, wanted).carry_out(runs=status == "running")
    finally:
        os.close(lock)
    events.of_container(container.Container(target.location, target.id), "update")


def finish(target: container.Container) -> None:
    """Put a changed configuration in place that somebody was killed over. The caller holds the container's lock."""
    record = dict(container.Container(target.location, target.id).record)
    if record.pop("Altered", False):
        _settle(target, record)
        return
    for name in _FILES:  # nothing says that these count
        try:
            os.unlink(f"{target.directory}/{name}{_ASIDE}")
        except FileNotFoundError:
            continue


def finish_abandoned(target: container.Container) -> None:
    """`finish` for who has not the container's lock; nothing happens if somebody has it, who is then at it or waits for us."""
    lock = container.lock(target.directory, wait=False)
    if lock is not None:
        try:
            finish(target)
        finally:
            os.close(lock)


def _settle(target: container.Container, record: dict[str, Any]) -> None:
    for name in _FILES:
        try:
            os.rename(f"{target.directory}/{name}{_ASIDE}", f"{target.directory}/{name}")
        except FileNotFoundError:
            continue  # done before, or there is no such file
    container.write(f"{target.directory}/{container.RECORD_FILE}", record)


class _Altered:
    """A container's record and configuration on their way from one state to the next."""

    def __init__(self, target: container.Container, wanted: Alteration) -> None:
        self._target = target
        self._wanted = wanted
        self._record = dict(target.record)
        self._host = self._record["HostConfig"] = dict(self._record["HostConfig"])
        self._config = self._read("config.json")
        self._template = container.read(f"{target.directory}/{late.TEMPLATE_FILE}")
        self._rules_before = list(_rules(self._config))

    def _read(self, name: str) -> dict[str, Any]:
        found = container.read(f"{self._target.directory}/{name}")
        if found is None:
            raise NotFound(f"no such container: {self._target.id[:12]}")
        return found

    def carry_out(self, *, runs: bool) -> None:
        from orlop.engine.live_changes import Changes

        location, wanted = self._target.location, self._wanted
        changes = Changes()
        for target in wanted.unmounts:
            self._remove_mount(target, changes)
        for path in wanted.device_paths:
            self._remove_device(path, changes)
        plan = self._plan()
        user = self._config["process"]["user"]
        aside = f"{self._target.directory}/altering-{os.urandom(4).hex()}"
        os.mkdir(aside, 0o700)
        try:
            owner = User(user["uid"], user["gid"], [], "")
            with mounting.prepared(location, plan, owner, aside, self._image_mounts(), self._record["Rootfs"]):
                self._add_mounts(plan)
                self._add_devices(changes)
                self._change_environment()
                if runs:
                    self._change_now(changes, plan)
                else:
                    self._write()
        finally:
            os.rmdir(aside)

    def _remove_mount(self, said: str, changes: Changes) -> None:
        target = binds.target_of(said, f'invalid mount point "{said}"')
        point = next((each for each in self._record.get("Mounts") or () if each["Destination"] == target), None)
        tmpfs = dict(self._host.get("Tmpfs") or {})
        if point is None and target not in tmpfs:
            raise NotFound(f"container {self._record['Name']} has no mount at {target}")
        if point is not None and point["Type"] == IMAGE:
            raise Unsupported(f"the image mounted at {target} is there for as long as the container is")
        changes.gone.append((target, _identity(point)))
        if target in tmpfs:
            del tmpfs[target]
            self._host["Tmpfs"] = tmpfs
        self._record["Mounts"] = [each for each in self._record.get("Mounts") or () if each["Destination"] != target]
        self._host["Binds"] = [text for text in self._host.get("Binds") or () if binds.parse(text)["Target"] != target]
        if "Mounts" in self._host:
            self._host["Mounts"] = [
                each for each in self._host["Mounts"] if binds.target_of(each["Target"], "") != target
            ]
        self._record["Config"] = dict(self._record["Config"])
        images = dict(self._record["Config"].get("Volumes") or {})
        if images.pop(target, None) is not None:
            self._record["Config"]["Volumes"] = images
        self._in_each(_drop_mount, target)

    def _remove_device(self, path: str, changes: Changes) -> None:
        known = list(self._host.get("Devices") or ())
        mapping = next((each for each in known if (each.get("PathInContainer") or each["PathOnHost"]) == path), None)
        if mapping is None:
            raise NotFound(f"container {self._record['Name']} has no device {path}")
        known.remove(mapping)
        self._host["Devices"] = known
        nodes = self._device_nodes(mapping, is_there=False)
        for node, rule in nodes:
            if self._target.location.rootless:
                changes.gone.append((node["path"], None))
                self._in_each(_drop_mount, node["path"])
            else:
                changes.gone_nodes.append((node["path"], os.makedev(node["major"], node["minor"])))
                self._in_each(_drop_node, node["path"])
                if rule is not None:
                    self._in_each(_drop_rule, rule)

    def _device_nodes(
        self, mapping: dict[str, str], *, is_there: bool
    ) -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
        """The nodes of a device, each with the rule that lets it be used; of one that goes as they were recorded."""
        target = mapping.get("PathInContainer") or mapping["PathOnHost"]
        access = mapping.get("CgroupPermissions") or "rwm"
        if is_there:
            found = list(devices.nodes(mapping))
        elif self._target.location.rootless:
            listed = [each["destination"] for each in self._config["mounts"]]
            return [({"path": path}, None) for path in listed if path == target or path.startswith(f"{target}/")]
        else:
            listed_nodes = self._config["linux"].get("devices") or []
            found = [each for each in listed_nodes if each["path"] == target or each["path"].startswith(f"{target}/")]
        return [(node, None if self._host["Privileged"] else devices.rule_for(node, access)) for node in found]

    def _plan(self) -> Plan:
        settings = Settings()
        settings.binds = self._wanted.binds
        settings.mounts = self._wanted.mounts
        for each in self._wanted.mounts:
            if each.get("Type") == IMAGE:
                raise Unsupported("an image can be mounted only in a container that is being made")
        plan = mounting.plan(self._target.location, settings)
        there = [str(each["destination"]) for each in self._config["mounts"]]
        for entry in plan.mounts:
            target = entry["destination"]
            if target in there:
                raise Conflict(f"something is mounted at {target} already: remove it first, with --mount-rm")
            below = next((each for each in there if each.startswith(f"{target}/")), "")
            if below:
                raise Conflict(f"a mount at {target} would hide the one at {below}")
        return plan

    def _image_mounts(self) -> list[Mount]:
        """What shows the image alone, whose files volumes that are new begin with."""
        top = self._record.get("Top")
        return image_store.open_storage(self._target.location).snapshots.mounts(top) if top else []

    def _add_mounts(self, plan: Plan) -> None:
        if not plan.mounts:
            return
        if plan.is_late and self._template is None:
            self._template = json_text.loads(json_text.dumps(self._config))
            self._record["Late"] = True
        for each in plan.mounts:
            self._in_each(_add_mount, each)
        self._record["Mounts"] = [*(self._record.get("Mounts") or ()), *plan.points]
        self._host["Binds"] = [*(self._host.get("Binds") or ()), *self._wanted.binds]
        if self._wanted.mounts:
            self._host["Mounts"] = [*(self._host.get("Mounts") or ()), *self._wanted.mounts]

    def _add_devices(self, changes: Changes) -> None:
        known = list(self._host.get("Devices") or ())
        for mapping in self._wanted.devices:
            for node, rule in self._device_nodes(mapping, is_there=True):
                if any(each["path"] == node["path"] for each in self._config["linux"].get("devices") or ()):
                    raise Conflict(f"container {self._record['Name']} has a device {node['path']} already")
                source = node.pop("source")
                if self._target.location.rootless:
                    entry = {
                        "destination": node["path"],
                        "type": "bind",
                        "source": source,
                        "options": ["bind", "rprivate", "rw"],
                    }
                    changes.mounts.append(entry)
                    self._in_each(_add_mount, entry)
                    continue
                changes.nodes.append(node)
                self._in_each(_add_node, node)
                if rule is not None:
                    self._in_each(_add_rule, rule)
            known.append(mapping)
        if self._wanted.devices:
            self._host["Devices"] = known

    def _change_environment(self) -> None:
        texts = [*self._wanted.env_names, *self._wanted.env]
        if not texts:
            return

        def change(before: list[str]) -> list[str]:
            variables = dict(text.split("=", 1) for text in before if "=" in text)
            bundle.merge(variables, texts)
            return [f"{name}={value}" for name, value in variables.items()]

        self._record["Config"] = {**self._record["Config"], "Env": change(self._record["Config"]["Env"])}
        for config in (self._config, self._template):
            if config is not None:
                config["process"]["env"] = change(config["process"]["env"])

    def _change_now(self, changes: Changes, plan: Plan) -> None:
        """Change the running container, and write it down."""
        location = self._target.location
        try:
            changes.mounts += [self._found(each, plan) for each in plan.mounts]
            if not changes:
                self._write()
                return
            if (self._host.get("Runtime") or OWN_RUNTIME) != OWN_RUNTIME:
                raise Unsupported(f"container {self._record['Name']} is run by {self._host['Runtime']}: stop it first")
            from orlop.engine import container_tree, live_changes

            process = container_tree.process_of(self._target)
            if process < 0:
                raise Conflict(f"container {self._record['Name']} has just ended: try again")
            try:
                self._set_rules(_rules(self._config))
                try:
                    with live_changes.made(process, changes, self._config["linux"], rootless=location.rootless) as done:
                        self._write()
                        done.keep()
                except BaseException:
                    self._set_rules(self._rules_before)
                    raise
            finally:
                os.close(process)
        except OSError as error:
            raise OrlopError(f"cannot change container {self._record['Name']}: {error.strerror or error}") from None

    def _found(self, entry: dict[str, Any], plan: Plan) -> dict[str, Any]:
        """An entry, once a volume's own file system is there."""
        point = next((each for each in plan.points if each["Destination"] == entry["destination"]), None)
        if point is None or point["Type"] != VOLUME:
            return entry
        volume = volume_store.find(self._target.location, point["Name"])
        if volume["Options"]:
            host_mounts.mount_volume(self._target.location, self._target.id, volume)
        return entry

    def _set_rules(self, rules: list[dict[str, Any]]) -> None:
        if self._target.location.rootless or not (self._wanted.devices or self._wanted.device_paths):
            return
        from orlop.linux.cgroup import devices as device_rules
        from orlop.runtime.container import Container as RuntimeContainer

        group = RuntimeContainer.load(self._target.location.runtime, self._target.id).cgroup()
        device_rules.apply(group, rules, new=False, rootless=False)

    def _in_each(self, change: Callable[[dict[str, Any], Any], None], what: object) -> None:
        change(self._config, what)
        if self._template is not None:
            change(self._template, what)

    def _write(self) -> None:
        directory = self._target.directory
        container.write(f"{directory}/config.json{_ASIDE}", self._config)
        if self._template is not None:
            container.write(f"{directory}/{late.TEMPLATE_FILE}{_ASIDE}", self._template)
        container.write(f"{directory}/{container.RECORD_FILE}", {**self._record, "Altered": True})
        _settle(self._target, self._record)


def _identity(point: dict[str, Any] | None) -> tuple[int, int] | None:
    if point is None or not point["Source"]:
        return None
    try:
        about = os.stat(point["Source"])
    except OSError:
        return None
    return about.st_dev, about.st_ino


def _rules(config: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = config["linux"].setdefault("resources", {}).setdefault("devices", [])
    return found


def _add_mount(config: dict[str, Any], entry: dict[str, Any]) -> None:
    config["mounts"].append(dict(entry))


def _drop_mount(config: dict[str, Any], target: str) -> None:
    config["mounts"] = [each for each in config["mounts"] if each["destination"] != target]


def _add_node(config: dict[str, Any], node: dict[str, Any]) -> None:
    config["linux"].setdefault("devices", []).append(node)


def _drop_node(config: dict[str, Any], path: str) -> None:
    config["linux"]["devices"] = [each for each in config["linux"]["devices"] if each["path"] != path]


def _add_rule(config: dict[str, Any], rule: dict[str, Any]) -> None:
    _rules(config).append(rule)


def _drop_rule(config: dict[str, Any], rule: dict[str, Any]) -> None:
    """Take the last such rule away: another device may have the same number."""
    rules = _rules(config)
    for place in range(len(rules) - 1, -1, -1):
        if rules[place] == rule:
            del rules[place]
            return
