"""Terminals between a container and whoever looks at it."""

from __future__ import annotations

import os

from orlop.errors import StepFailed
from orlop.linux import mount, path, terminal
from orlop.runtime import delivery
from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def allocate(root: int, size: dict[str, Any] | None) -> tuple[int, int]:
    """A pseudoterminal of the container's own devpts: (master, slave).

    Raises:
        StepFailed: there is no devpts at ``/dev/pts``.
    """
    try:
        devpts = path.open_in_root(root, "dev/pts", os.O_PATH | os.O_DIRECTORY)
    except OSError as error:
        raise StepFailed(
            "open terminal", "/dev/pts", f"{error.strerror}; a terminal needs a devpts mount there", error.errno or 0
        ) from None
    try:
        with step("open terminal", "/dev/pts/ptmx"):
            master, slave = terminal.open_master(devpts)
            if size:
                terminal.set_size(slave, int(size.get("height", 0)), int(size.get("width", 0)))
    finally:
        os.close(devpts)
    return master, slave


def size_like(streams: tuple[int, int, int]) -> dict[str, int] | None:
    """The ``consoleSize`` of the caller's own terminal, if one of its streams is one."""
    for stream in streams:
        if os.isatty(stream):
            height, width = terminal.get_size(stream)
            return {"height": height, "width": width}
    return None


def bind_console(root: int, slave: int) -> None:
    """Mount the terminal on the container's ``/dev/console``, which is made as a plain file that nothing else can be."""
    with step("mount", "/dev/console"):
        directory = path.open_real_directory(root, "dev")
        try:
            try:
                flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC
                os.close(os.open("console", flags, 0o666, dir_fd=directory))
            except FileExistsError:
                pass  # whatever it is, it is opened without following it
            target = os.open("console", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        finally:
            os.close(directory)
        try:
            tree = mount.clone(slave)
            try:
                mount.attach(tree, target)
            finally:
                os.close(tree)
        finally:
            os.close(target)


def use(slave: int) -> None:
    """Make the terminal this session's, and its standard streams."""
    terminal.make_controlling(slave)
    for descriptor in (0, 1, 2):
        os.dup2(slave, descriptor)


def hand_over(socket_path: str, master: int) -> None:
    """Send a terminal's master to whoever listens on ``--console-socket``."""
    delivery.deliver("terminal", master, socket_path, "/dev/ptmx")
