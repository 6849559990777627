"""The options that `create` and `run` share, and the request that they add up to."""

from __future__ import annotations

import os

from orlop.options import Option, natural

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.options import Parsed
    from orlop.runtime.command.invocation import Invocation
    from orlop.runtime.request import Request

OPTIONS = (
    Option("-b, --bundle", "The bundle's directory", value="dir", default="."),
    Option("-f, --config", "The configuration's file, below the bundle", value="file", default="config.json"),
    Option("--console-socket", "Send the terminal's master to this Unix socket", value="path"),
    Option("--pid-file", "Write the process id to this file", value="file"),
    Option("--pidfd-socket", "Send a pidfd of the process to this Unix socket", value="path"),
    Option("--no-pivot", "Move the root mount instead of pivot_root, for a root file system on a ramdisk"),
    Option("--no-new-keyring", "Let the container keep the caller's session keyring"),
    Option("--preserve-fds", "Pass this many more descriptors from 3 up", value="n", read=natural, default=0),
    Option("--no-subreaper", "Accepted for runc's and crun's sake: orphans are never adopted", hidden=True),
)


def request(said: Parsed, invocation: Invocation) -> Request:
    """What the command line asks to be created."""
    from orlop.runtime.request import Request

    activated = _activated_sockets()
    return Request(
        root=invocation.root,
        id=said.arguments[0],
        bundle=os.path.abspath(said["bundle"]),
        config=said["config"],
        console_socket=said["console-socket"] or "",
        pid_file=os.path.abspath(said["pid-file"]) if said["pid-file"] else "",
        pidfd_socket=said["pidfd-socket"] or "",
        notify_socket=os.environ.get("NOTIFY_SOCKET", ""),
        no_pivot=said["no-pivot"] or invocation.no_pivot,
        no_new_keyring=said["no-new-keyring"],
        preserve_fds=activated + said["preserve-fds"],
        listen_fds=activated,
        rootless=invocation.rootless(),
        systemd_cgroup=invocation.systemd_cgroup(),
        restartable=True,
    )


def _activated_sockets() -> int:
    """How many descriptors from 3 up were passed to this very process by socket activation (sd_listen_fds(3))."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return 0
    try:
        return natural(os.environ.get("LISTEN_FDS", ""))
    except ValueError:
        return 0
