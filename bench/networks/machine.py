"""A machine of its own for the engines' bridges and rules: a network namespace, and a neighbour that it is wired to."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.processes import LIBC

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CLONE_NEWNET = 0x40000000  # unshare(2); os.unshare is new in Python 3.12
#: The machine's address, and its neighbour's.
ADDRESS = "192.0.2.1"
_NEIGHBOUR = "192.0.2.2"


@contextmanager
def entered(directory: Path) -> Iterator[Path]:
    """Leave the host's network for good; everything that is started from then on is on the other machine."""
    if LIBC.unshare(_CLONE_NEWNET) != 0:
        raise OSError("unshare of the network namespace failed")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    yield directory


@contextmanager
def neighbour() -> Iterator[int]:
    """A second machine at the end of a wire; the pid of a process on it."""
    holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 100000"], stdout=subprocess.PIPE)
    assert holder.stdout
    holder.stdout.readline()
    there = ["nsenter", f"--net=/proc/{holder.pid}/ns/net"]
    try:
        for words in (
            ["ip", "link", "add", "wire", "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid)],
            ["ip", "addr", "add", f"{ADDRESS}/24", "dev", "wire"],
            ["ip", "link", "set", "wire", "up"],
            [*there, "ip", "addr", "add", f"{_NEIGHBOUR}/24", "dev", "eth0"],
            [*there, "ip", "link", "set", "eth0", "up"],
        ):
            subprocess.run(words, check=True)
        yield holder.pid
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
