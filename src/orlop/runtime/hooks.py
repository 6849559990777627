"""Hooks: programs that the configuration has run at points of a container's life.

runtime-spec, config.md, "POSIX-platform Hooks": the state on standard input, the environment exactly the
hook's own, a timeout after which the hook is killed and has failed. No other descriptor of ours reaches a hook:
all above standard error are made close-on-exec first, also those that our caller left open. The working directory is
what runc and crun make it: the bundle for hooks that see the host, the root file system for createContainer.
"""

from __future__ import annotations

import _signal
import os
import select
import time

from orlop import json_text
from orlop.errors import HookFailed
from orlop.linux import pidfd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST_OUTPUT = 4096
#: Milliseconds that poll(2) can wait.
_LONGEST = (1 << 31) - 1


def import_ahead() -> None:
    """Import what running hooks needs, while ``sys.path`` still means the host's files."""
    from orlop.linux import descriptors  # noqa: F401


def run(hooks: list[dict[str, Any]], state: dict[str, Any], name: str, directory: str = "") -> None:
    """Run ``hooks`` one after the other with ``state`` on their standard input, in ``directory`` or where we are.

    Raises:
        HookFailed: one failed; those after it are not run.
    """
    with _Within(directory):
        for index, hook in enumerate(hooks):
            _run_one(hook, json_text.dumps(state).encode(), f"{name} hook #{index} {hook['path']}")


def run_all(hooks: list[dict[str, Any]], state: dict[str, Any], name: str, directory: str) -> list[str]:
    """Run every hook though earlier ones fail, as the specification asks for poststop.

    Returns:
        a sentence for each that failed.
    """
    failures = []
    with _Within(directory):
        for index, hook in enumerate(hooks):
            try:
                _run_one(hook, json_text.dumps(state).encode(), f"{name} hook #{index} {hook['path']}")
            except HookFailed as error:
                failures.append(str(error))
    return failures


class _Within:
    """Be in a directory for a while: posix_spawn(3) has no word for where its program begins.

    Where it is gone, as a bundle may be that was removed before its container, the root directory does.
    """

    __slots__ = ("_before", "_directory")

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._before = -1

    def __enter__(self) -> None:
        if not self._directory:
            return
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        try:
            self._before = os.open(".", flags)
        except PermissionError:  # a user's runtime that was started in a directory of somebody else's
            self._before = os.open("/", flags)
        try:
            os.chdir(self._directory)
        except OSError:
            os.chdir("/")

    def __exit__(self, *_: object) -> None:
        if self._before >= 0:
            os.fchdir(self._before)
            os.close(self._before)


def _run_one(hook: dict[str, Any], state: bytes, name: str) -> None:
    from orlop.linux import descriptors  # hooks are rare

    descriptors.close_on_exec(3)
    arguments = hook.get("args") or [hook["path"]]
    environment = dict(entry.partition("=")[::2] for entry in hook.get("env") or ())
    timeout = hook.get("timeout")
    # The state goes through a memory file: a hook that does not read it can neither block us nor break a pipe.
    stdin = os.memfd_create("orlop-hook-state", os.MFD_CLOEXEC)
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        os.write(stdin, state)
        os.lseek(stdin, 0, os.SEEK_SET)
        actions = [
            (os.POSIX_SPAWN_DUP2, stdin, 0),
            (os.POSIX_SPAWN_DUP2, writer, 1),
            (os.POSIX_SPAWN_DUP2, writer, 2),
        ]
        try:
            pid = os.posix_spawn(
                hook["path"],
                arguments,
                environment,
                file_actions=actions,
                setsigmask=(),
                setsigdef=_signal.valid_signals(),
                setpgroup=0,
            )
        except OSError as error:
            os.close(reader)
            raise HookFailed(f"{name}: {(error.strerror or str(error)).lower()}") from None
    finally:
        os.close(stdin)
        os.close(writer)
    try:
        output, ended = _wait(pid, reader, timeout)
    finally:
        os.close(reader)
    if not ended:
        os.killpg(pid, _signal.SIGKILL)
        os.waitpid(pid, 0)
        raise HookFailed(f"{name}: killed after its timeout of {timeout} s")
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code:
        how = f"exit status {code}" if code > 0 else f"killed by signal {-code}"
        said = output.decode(errors="replace").strip()
        raise HookFailed(f"{name}: {how}: {said}" if said else f"{name}: {how}")


def _wait(pid: int, reader: int, timeout: float | None) -> tuple[bytes, bool]:
    """Collect output until the hook ends; (its first bytes, whether it ended in time).

    What it left running in the background may keep the pipe open; only the hook's own end counts.
    """
    deadline = time.monotonic() + timeout if timeout else None
    process = pidfd.open_process(pid)
    output = b""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    poll.register(reader, select.POLLIN)
    try:
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
            ready = dict(poll.poll(left if left is None else min(left, _LONGEST)))
            if not ready:
                if left is not None and left > _LONGEST:
                    continue
                return output, False
            if reader in ready:
                data = os.read(reader, _MOST_OUTPUT)
                if not data:
                    poll.unregister(reader)
                output = (output + data)[:_MOST_OUTPUT]
            elif process in ready:
                return output, True
    finally:
        os.close(process)
