"""``orlop-runtime exec``."""

from __future__ import annotations

import os

from orlop import json_text
from orlop.errors import InvalidArgument
from orlop.options import Option, Parser, natural

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.options import Parsed
    from orlop.runtime.command.invocation import Invocation

PARSER = Parser(
    "orlop-runtime exec",
    "ID COMMAND [ARG...]",
    "Run another process in a container",
    (
        Option("-p, --process", "Take the whole process from this JSON file", value="file"),
        Option("-t, --tty", "Give it a terminal"),
        Option("-u, --user", "Run it as this user", value="uid[:gid]"),
        Option("-g, --additional-gids", "Further group", value="gid", many=True),
        Option("--cwd", "Working directory", value="dir"),
        Option("-e, --env", "Set an environment variable", value="name=value", many=True),
        Option("-c, --cap", "Add a capability", value="name", many=True),
        Option("-d, --detach", "Return as soon as it runs"),
        Option("--pid-file", "Write its process id to this file", value="file"),
        Option("--pidfd-socket", "Send a pidfd of it to this Unix socket", value="path"),
        Option("--console-socket", "Send the terminal's master to this Unix socket", value="path"),
        Option("--preserve-fds", "Pass this many more descriptors from 3 up", value="n", read=natural, default=0),
        Option("--no-new-privs", "Forbid it to gain privileges"),
        Option("--apparmor", "AppArmor profile", value="profile"),
        Option("--process-label", "SELinux label", value="label"),
        Option("--cgroup", "Run it in this cgroup below the container's", value="[controller:]path", many=True),
        Option("--ignore-paused", "Start it in a paused container too, where it waits"),
        Option("--no-subreaper", "Accepted for runc's sake: orphans are never adopted", hidden=True),
    ),
    at_least=1,
    intermixed=False,
    single_dash=True,
)

#: The largest id that the kernel takes: (uid_t) -1 means "no id" (credentials(7)).
_LARGEST_ID = 0xFFFFFFFE
# Never inheritable, and so never ambient: either would hand the capability on to every program that is
# executed (CVE-2022-29162).
_GRANTED_SETS = ("bounding", "effective", "permitted")


def execute(said: Parsed, invocation: Invocation) -> int:
    """Start the process, and return its exit status (0 when detached)."""
    from orlop.linux import sealed

    sealed.ensure()  # first of all: if it is not, everything until here is done once more
    container = invocation.container(said.arguments[0])
    if said["process"] is not None:
        process = _read(said["process"])
        if said["tty"]:
            process["terminal"] = True
    else:
        process = overridden(container.config().get("process") or {}, said)

    from orlop.runtime import exec as execution
    from orlop.runtime.spec.validation import validate_process

    for warning in validate_process(process):
        invocation.log.warning(warning)
    request = execution.ExecRequest(
        container,
        process,
        pid_file=os.path.abspath(said["pid-file"]) if said["pid-file"] else "",
        console_socket=said["console-socket"] or "",
        pidfd_socket=said["pidfd-socket"] or "",
        preserve_fds=said["preserve-fds"],
        ignore_paused=said["ignore-paused"],
        cgroup=cgroups(said["cgroup"]),
    )
    return execution.execute(request, detach=said["detach"], warn=invocation.log.warning)


def overridden(process: dict[str, Any], said: Parsed) -> dict[str, Any]:
    """The container's own process with what the command line says instead.

    Raises:
        InvalidArgument: no command, or a user or group that is no number.
    """
    if len(said.arguments) < 2:
        raise InvalidArgument("process args cannot be empty")
    new = {**process, "args": said.arguments[1:], "terminal": said["tty"]}
    if said["cwd"] is not None:
        new["cwd"] = said["cwd"]
    if said["env"]:
        new["env"] = [*(process.get("env") or ()), *said["env"]]
    # The umask is the first process's own, with runc and crun alike.
    user = {key: value for key, value in (process.get("user") or {}).items() if key != "umask"}
    new["user"] = _user(user, said["user"], said["additional-gids"])
    if said["cap"]:
        new["capabilities"] = _with_capabilities(process.get("capabilities") or {}, said["cap"])
    if said.given("no-new-privs"):
        new["noNewPrivileges"] = said["no-new-privs"]
    if said["apparmor"] is not None:
        new["apparmorProfile"] = said["apparmor"]
    if said["process-label"] is not None:
        new["selinuxLabel"] = said["process-label"]
    return new


def _user(user: dict[str, Any], name: str | None, gids: list[str]) -> dict[str, Any]:
    """Numbers only: a name would have to be looked up in a file that the container may have written."""
    new = dict(user)
    if name is not None:
        uid, colon, gid = name.partition(":")
        new["uid"] = _id(uid, "user", name)
        if colon:
            new["gid"] = _id(gid, "group", name)
    if gids:
        new["additionalGids"] = [*(user.get("additionalGids") or ()), *(_id(gid, "group", gid) for gid in gids)]
    return new


def _id(text: str, kind: str, whole: str) -> int:
    try:
        number = natural(text)
    except ValueError:
        number = _LARGEST_ID + 1
    if number > _LARGEST_ID:
        raise InvalidArgument(f'invalid {kind} in "{whole}": must be a number, as in uid[:gid]')
    return number


def _with_capabilities(sets: dict[str, list[str]], names: list[str]) -> dict[str, list[str]]:
    new = dict(sets)
    for kind in _GRANTED_SETS:
        held = sets.get(kind) or []
        new[kind] = [*held, *(name for name in names if name not in held)]
    return new


def cgroups(arguments: list[str]) -> dict[str, str]:
    """Sub-cgroups by controller, from ``--cgroup``; the key "" stands for all of them.

    Raises:
        InvalidArgument: one path for all beside others, or more than one colon.
    """
    paths: dict[str, str] = {}
    for argument in arguments:
        controllers, colon, path = argument.rpartition(":")
        if ":" in controllers:
            raise InvalidArgument(f"invalid --cgroup argument: {argument}")
        if not colon and len(arguments) > 1:
            raise InvalidArgument(f"invalid --cgroup argument: {argument} (missing <controller>: prefix)")
        for controller in controllers.split(","):
            paths[controller] = path
    return paths


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb", buffering=0) as file:
            process = json_text.loads(file.read())
    except OSError as error:
        raise InvalidArgument(f"open {path}: {(error.strerror or '').lower()}") from None
    except ValueError as error:
        raise InvalidArgument(f"process in {path} is not JSON: {error}") from None
    if type(process) is not dict:
        raise InvalidArgument(f"process in {path} must be an object")
    return process
