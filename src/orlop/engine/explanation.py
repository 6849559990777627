"""What isolates a container, in words: what each means protects from, what was weakened and by which option.

What was asked for is in the container's record and configuration. Where it runs, the kernel is asked as well, and a
difference between the two is a warning: a program can give rights up, and a privileged one can change its own isolation.
"""

from __future__ import annotations

import os

from orlop.engine import capabilities, container, kernel_state, modes, repair
from orlop.engine.explanation_words import NAMESPACES, POWERS, SOURCES
from orlop.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.kernel_state import KernelState

#: The options that say whose namespace it is: the field of ``HostConfig``.
_MODES = {
    "network": ("--network", "NetworkMode"),
    "pid": ("--pid", "PidMode"),
    "ipc": ("--ipc", "IpcMode"),
    "uts": ("--uts", "UTSMode"),
    "cgroup": ("--cgroupns", "CgroupnsMode"),
    "user": ("--userns", "UsernsMode"),
}
_NO_LIMIT = 1 << 62  # version 1 of control groups writes "none" as a number near 2**63
_OTHERS = ("/dev", "/proc", "/sys")


class Statement:
    """One sentence: about what, what holds, how it was ``weakened``, and a ``warning`` where the kernel says otherwise."""

    __slots__ = ("section", "subject", "text", "warning", "weakened")

    def __init__(self, section: str, subject: str, text: str, *, weakened: str = "", warning: str = "") -> None:
        self.section = section
        self.subject = subject
        self.text = text
        self.weakened = weakened
        self.warning = warning

    def as_json(self) -> dict[str, str]:
        """The statement for programs."""
        return {
            "Section": self.section,
            "Subject": self.subject,
            "Text": self.text,
            "Weakened": self.weakened,
            "Warning": self.warning,
        }


class Explanation:
    """All that is to be said: the container's ``record``, whether it ``runs``, and the ``statements`` in their order."""

    __slots__ = ("record", "runs", "statements")

    def __init__(self, record: dict[str, Any], *, runs: bool) -> None:
        self.record = record
        self.runs = runs
        self.statements: list[Statement] = []


def explain(target: container.Container) -> Explanation:
    """Explain how a container is isolated.

    Raises:
        NotFound: it was removed.
        PermissionError: it runs, and is not ours to look at.
    """
    repair.look_after(target)
    config = container.read(f"{target.directory}/config.json")
    if config is None:
        raise NotFound(f"no such container: {target.id[:12]}")
    kernel = kernel_state.read(target)
    made = _Explainer(target, config, kernel)
    made.found.statements = [
        made.user(),
        *made.namespaces(),
        made.capabilities(),
        made.seccomp(),
        made.new_privileges(),
        *made.security_module(),
        made.root(),
        made.kernel_files(),
        *made.mounts(),
        made.devices(),
        *made.limits(),
    ]
    return made.found


class _Explainer:
    """One container's record, configuration and kernel's state, and what they say."""

    __slots__ = ("_config", "_host", "_kernel", "_linux", "_process", "_record", "_target", "found")

    def __init__(self, target: container.Container, config: dict[str, Any], kernel: KernelState | None) -> None:
        self._target = target
        self._record = target.record
        self._host = target.record["HostConfig"]
        self._config = config
        self._process = config["process"]
        self._linux = config["linux"]
        self._kernel = kernel
        self.found = Explanation(target.record, runs=kernel is not None)

    def user(self) -> Statement:
        uid = self._process["user"]["uid"]
        if uid == 0:
            return Statement("user", "program", "runs as root, user 0; --user names another")
        return Statement("user", "program", f"runs as user {uid}: without root's rights over its own files")

    def namespaces(self) -> list[Statement]:
        wanted = {each["type"]: each.get("path", "") for each in self._linux["namespaces"]}
        return [self._namespace(kind, wanted) for kind in NAMESPACES if kind != "time" or "time" in wanted]

    def _namespace(self, kind: str, wanted: dict[str, str]) -> Statement:
        own, none = NAMESPACES[kind]
        option, field = _MODES.get(kind, ("", ""))
        mode = str(self._host.get(field) or "") if field else ""
        flag = f"{option} {mode}" if mode else option
        warning = ""
        if self._kernel is not None and (kind in self._kernel.shared) == (kind in wanted):
            is_shared = kind in self._kernel.shared
            warning = f"the kernel says that it is {'shared with' if is_shared else 'not'} this machine's"
        if kind not in wanted:
            if kind == "user":
                return Statement("namespaces", kind, f"this machine's: {none}", warning=warning)
            return Statement("namespaces", kind, f"this machine's: {none}", weakened=flag, warning=warning)
        if mode.startswith("container:"):
            other = mode.removeprefix("container:")[:12]
            return Statement(
                "namespaces", kind, f"container {other}'s: nothing of the kind is between them", weakened=flag
            )
        joined = modes.joined(self._host) if kind == "user" and self._target.location.rootless else {}
        if joined:
            joins, donor = next(iter(joined.items()))
            text = f"container {donor[:12]}'s, which comes with its {joins} namespace: the root of either has power over both"
            option, field = _MODES[joins]
            return Statement("namespaces", kind, text, weakened=f"{option} {self._host[field]}", warning=warning)
        if kind == "network" and mode == "none":
            return Statement(
                "namespaces", kind, "its own, with nothing but a loopback: it reaches no network", warning=warning
            )
        first, _ = self._user_map()
        return Statement("namespaces", kind, f"its own: {own.format(first=first)}", warning=warning)

    def _user_map(self) -> tuple[int, int]:
        if self._kernel is not None:
            return self._kernel.user_map
        for each in self._linux.get("uidMappings") or ():
            if each["containerID"] == 0:
                return each["hostID"], each["size"]
        return 0, 1 << 32

    def capabilities(self) -> Statement:
        wanted = list(self._process["capabilities"]["bounding"])
        more = [name for name in wanted if name not in capabilities.DEFAULT]
        warning = ""
        if self._kernel is not None:
            extra = [name for name in self._kernel.bounding if name not in wanted]
            if extra:
                warning = f"the kernel lets it have {_list(extra)} as well"
        scope = " in its user namespace, which counts for nothing outside" if self._has_own_users() else ""
        if not wanted:
            text = "none: it cannot do anything that takes a right"
        elif len(wanted) > 16:
            text = f"{len(wanted)} of {len(POWERS) + len(capabilities.DEFAULT)}{scope}"
        else:
            text = f"{_list(wanted)}{scope}; not among them: " + _examples(wanted)
        if not more:
            return Statement("rights", "capabilities", text, warning=warning)
        flag = "--privileged" if self._host["Privileged"] else "--cap-add"
        powers = "; ".join(f"{name.removeprefix('CAP_')}: can {POWERS[name]}" for name in _worst(more))
        return Statement("rights", "capabilities", text, weakened=f"{flag} ({powers})", warning=warning)

    def _has_own_users(self) -> bool:
        return any(each["type"] == "user" for each in self._linux["namespaces"])

    def seccomp(self) -> Statement:
        profile = self._linux.get("seccomp")
        warning = ""
        if self._kernel is not None and self._kernel.has_filter != (profile is not None):
            warning = f"the kernel says that there is {'a' if self._kernel.has_filter else 'no'} filter"
        if profile is None:
            flag = "--privileged" if self._host["Privileged"] else "--security-opt seccomp=unconfined"
            text = "none: it can call everything in the kernel, where most holes are found"
            return Statement("rights", "system calls", text, weakened=flag, warning=warning)
        own = [
            each for each in self._host["SecurityOpt"] if each.startswith("seccomp") and not each.endswith("builtin")
        ]
        allowed = len(
            {
                name
                for rule in profile.get("syscalls") or ()
                if rule["action"] == "SCMP_ACT_ALLOW"
                for name in rule["names"]
            }
        )
        refused = profile.get("defaultAction") != "SCMP_ACT_ALLOW"
        text = (
            f"a filter lets {allowed} through and refuses others"
            if refused
            else "a filter refuses some and lets others through"
        )
        if own:
            return Statement("rights", "system calls", f"{text} ({own[-1].replace(':', '=', 1)})", warning=warning)
        return Statement(
            "rights",
            "system calls",
            f"{text}, such as those for kernel modules, clocks and raw memory",
            warning=warning,
        )

    def new_privileges(self) -> Statement:
        wanted = bool(self._process.get("noNewPrivileges"))
        warning = ""
        if self._kernel is not None and wanted and not self._kernel.no_new_privileges:
            warning = "the kernel says that it is not so"
        if wanted:
            return Statement("rights", "setuid programs", "give no rights to who executes them", warning=warning)
        text = "work: a user in it can become its root through one (--security-opt no-new-privileges)"
        return Statement("rights", "setuid programs", text)

    def security_module(self) -> list[Statement]:
        if self._kernel is None or not self._kernel.confinement:
            return []  # the kernel has none, or it is not known before the start
        return [Statement("rights", "security module", f"confines it as {self._kernel.confinement}")]

    def root(self) -> Statement:
        record = self._record
        is_read_only = bool(self._config["root"].get("readonly"))
        warning = ""
        if self._kernel is not None and is_read_only and self._kernel.mounts.get("/"):
            warning = "the kernel says that it can be written to"
        if record["Rootfs"]:
            where, weakened = f"the directory {record['Rootfs']} of this machine", "" if is_read_only else "--rootfs"
        elif record.get("RootMounts"):
            where, weakened = "a layer of its own upon its image, which it cannot change", ""
        else:
            where, weakened = "a view of this machine's own files, which it cannot change", "the image host"
        text = f"{where}; {'read-only' if is_read_only else 'it can fill the disk with what it writes'}"
        return Statement("files", "root", text, weakened=weakened, warning=warning)

    def kernel_files(self) -> Statement:
        masked = self._linux.get("maskedPaths") or []
        readonly = self._linux.get("readonlyPaths") or []
        if not masked and not readonly:
            flag = "--privileged" if self._host["Privileged"] else "--security-opt systempaths=unconfined"
            text = "all of them are open: it can change how the kernel works"
            return Statement("files", "/proc and /sys", text, weakened=flag)
        missing = [path for path in [*masked, *readonly] if os.path.exists(path) and not self._is_mounted(path)]
        warning = f"the kernel says that nothing covers {_list(missing)}" if missing else ""
        text = f"{len(masked)} paths that tell of this machine are hidden, and {len(readonly)} that change it read-only"
        return Statement("files", "/proc and /sys", text, warning=warning)

    def _is_mounted(self, path: str) -> bool:
        return self._kernel is None or path in self._kernel.mounts

    def mounts(self) -> list[Statement]:
        made = [self._mount(point) for point in self._record.get("Mounts") or ()]
        if self._kernel is None:
            return made
        known = {str(each["destination"]) for each in self._config["mounts"]}
        known.update(self._linux.get("maskedPaths") or (), self._linux.get("readonlyPaths") or ())
        extra = [
            path
            for path in self._kernel.mounts
            if path != "/"
            and path not in known
            and not any(path.startswith(f"{other}/") for other in (*_OTHERS, *known))
        ]
        if extra:
            text = f"{len(extra)} that are in no record"
            made.append(Statement("files", "other mounts", text, warning=f"something is mounted at {_list(extra)}"))
        return made

    def _mount(self, point: dict[str, Any]) -> Statement:
        target = str(point["Destination"])
        writable = bool(point["RW"])
        how = "can be written to" if writable else "read-only"
        warning = ""
        if self._kernel is not None and target not in self._kernel.mounts:
            warning = "the kernel says that nothing is mounted there"
        elif self._kernel is not None and not writable and self._kernel.mounts[target]:
            warning = "the kernel says that it can be written to"
        if point["Type"] == "volume":
            return Statement("files", target, f"volume {point['Name'][:24]}, {how}", warning=warning)
        if point["Type"] != "bind":
            return Statement("files", target, f"{point['Type']}, {how}", warning=warning)
        source = str(point["Source"])
        weakened = ""
        if source in SOURCES:
            weakened = f"-v {source} gives it {SOURCES[source]}"
        elif source.startswith(("/dev/", "/proc/", "/sys/")) or (source.endswith(".sock") and writable):
            weakened = f"-v {source} gives it more than files"
        return Statement("files", target, f"{source} of this machine, {how}", weakened=weakened, warning=warning)

    def devices(self) -> Statement:
        rules = (self._linux.get("resources") or {}).get("devices") or []
        listed = [each["path"] for each in self._linux.get("devices") or ()]
        if self._target.location.rootless:
            given = [each["PathInContainer"] for each in self._host.get("Devices") or ()]
            text = "those that every container has; it can make no others that open"
            weakened = f"--device gives it {_list(given)}" if given else ""
            return Statement("devices", "devices", text, weakened=weakened)
        everything = any(rule.get("allow") and not rule.get("type") for rule in rules)
        warning = ""
        shown = self._device_list()
        if shown is not None and not everything and shown.split()[:1] == ["a"]:
            warning = "the kernel lets it use all devices"
        if everything:
            text = f"all {len(listed)} of this machine: it can read and write disks directly"
            return Statement("devices", "devices", text, weakened="--privileged", warning=warning)
        weakened = f"--device gives it {_list(listed)}" if listed else ""
        text = "null, zero, random, terminals and the like only"
        if self._host.get("DeviceCgroupRules"):
            weakened = (
                f"{weakened}{'; ' if weakened else ''}--device-cgroup-rule {_list(self._host['DeviceCgroupRules'])}"
            )
        return Statement("devices", "devices", text, weakened=weakened, warning=warning)

    def _device_list(self) -> str | None:
        return (
            kernel_state.limit(self._kernel.group, "devices", ("devices.list",)) if self._kernel is not None else None
        )

    def limits(self) -> list[Statement]:
        resources = self._linux.get("resources") or {}
        memory = (resources.get("memory") or {}).get("limit") or 0
        pids = (resources.get("pids") or {}).get("limit") or 0
        cpu = resources.get("cpu") or {}
        quota, period = cpu.get("quota") or 0, cpu.get("period") or 100_000
        return [
            self._limit("memory", memory, _bytes(memory), "it can use all of this machine's (--memory)",
                        ("memory", ("memory.max", "memory.limit_in_bytes"))),
            self._limit("processes", pids, f"{pids}", "it can start as many as the kernel takes (--pids-limit)",
                        ("pids", ("pids.max",))),
            self._limit("processors", quota, f"{quota / period:g} of {os.cpu_count()}",
                        "it can use all, shared fairly with others (--cpus)", ("cpu", ("cpu.max", "cpu.cfs_quota_us"))),
        ]  # fmt: skip

    def _limit(self, what: str, wanted: int, text: str, none: str, where: tuple[str, tuple[str, ...]]) -> Statement:
        warning = ""
        if self._kernel is not None:
            real = _number(kernel_state.limit(self._kernel.group, *where))
            if real is not None and (real or wanted > 0) and real != max(wanted, 0):
                warning = f"the kernel's limit is {_bytes(real) if what == 'memory' and real else real or 'none'}"
        if wanted <= 0:
            return Statement("limits", what, f"no limit: {none}", warning=warning)
        return Statement("limits", what, f"at most {text}", warning=warning)


def _number(text: str | None) -> int | None:
    """A limit as the kernel writes it; 0 for none, and None if it is not known."""
    if text is None:
        return None
    word = text.split()[0]
    if word in ("max", "-1"):
        return 0
    number = int(word) if word.isdigit() else 0
    return 0 if number >= _NO_LIMIT else number


def _bytes(count: int) -> str:
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.4g} {unit}"
    return f"{count} bytes"


def _worst(names: list[str]) -> list[str]:
    """The few that matter most, by how near they are to being root outside."""
    order = (
        "CAP_SYS_MODULE",
        "CAP_SYS_RAWIO",
        "CAP_SYS_ADMIN",
        "CAP_SYS_PTRACE",
        "CAP_DAC_READ_SEARCH",
        "CAP_NET_ADMIN",
    )
    first = [name for name in order if name in names]
    return (first + [name for name in names if name not in first and name in POWERS])[:4]


def _examples(wanted: list[str]) -> str:
    order = ("CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_MODULE")
    return _list([name for name in order if name not in wanted][:3])


def _list(names: list[str], most: int = 14) -> str:
    shown = [name.removeprefix("CAP_") for name in names[:most]]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")
