"""What attacks are made of: a Python inside the container, racing processes, and waiting for what they say."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.integration.conftest import unique_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.conftest import Bundle, Result, Runtime

_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
_libc = ctypes.CDLL(None, use_errno=True)

#: What Docker gives, and what makes a container hard to keep in.
POWERS = ("CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_SYS_CHROOT", "CAP_MKNOD")


def attempt(runtime: Runtime, bundle: Bundle, *options: str, **call: Any) -> Result:
    """Write the bundle and run it to its end, whatever that is."""
    bundle.write()
    return runtime.call("run", "--bundle", str(bundle.path), *options, unique_name(), **call)


def output(runtime: Runtime, bundle: Bundle, *options: str, **call: Any) -> str:
    """Write the bundle, run it to a good end and return what it printed."""
    result = attempt(runtime, bundle, *options, **call)
    assert result.status == 0, result
    return result.output


def start(runtime: Runtime, bundle: Bundle) -> str:
    """Write the bundle and leave it running."""
    bundle.write()
    return runtime.start(bundle)


def grant(bundle: Bundle, *capabilities: str) -> None:
    """Give the container's process further capabilities."""
    sets = bundle.process["capabilities"]
    for kind in ("bounding", "effective", "permitted"):
        sets[kind] = [*sets[kind], *capabilities]


def mount(bundle: Bundle, destination: str, source: str = "tmpfs", kind: str = "tmpfs", *options: str) -> None:
    """Add a mount to the configuration."""
    entry = {"destination": destination, "type": kind, "source": str(source), "options": list(options)}
    bundle.config["mounts"].append(entry)


def bind(bundle: Bundle, source: Path | str, destination: str, *options: str) -> None:
    """Add a bind mount to the configuration."""
    mount(bundle, destination, str(source), "none", "rbind", *options)


def with_python(bundle: Bundle) -> str:
    """Let the container see a Python of the machine, read-only; returns its path there."""
    program = os.path.realpath(sys.executable)
    for name in ("lib", "lib64"):
        if Path("/", name).is_symlink():
            (bundle.rootfs / name).symlink_to(os.readlink(f"/{name}"))
        elif Path("/", name).is_dir():
            bind(bundle, f"/{name}", f"/{name}", "ro")
    bind(bundle, "/usr", "/usr", "ro")
    if not program.startswith("/usr/"):
        bind(bundle, sys.base_prefix, sys.base_prefix, "ro")
    return program


def script(bundle: Bundle, text: str, name: str = "attack.py") -> str:
    """Put a program for `with_python` into the root; returns its path there."""
    (bundle.rootfs / name).write_text(text)
    return f"/{name}"


def eventually(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """Wait until ``condition`` answers something true, and return that."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.005)


def text_of(path: Path, seconds: float = 20) -> str:
    """The text of a file that a container makes by renaming, once it is there."""
    eventually(path.exists, seconds)
    return path.read_text()


def exchange(one: Path, other: Path) -> None:
    """renameat2(RENAME_EXCHANGE): swap two directory entries at once."""
    if _libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE):
        raise OSError(ctypes.get_errno(), "renameat2", str(one))


@contextlib.contextmanager
def racing(*pairs: tuple[Path, Path]) -> Iterator[None]:
    """Another process swaps each pair of entries as fast as it can while the block runs."""
    pid = os.fork()
    if pid == 0:
        try:
            while True:
                for one, other in pairs:
                    exchange(one, other)
        finally:
            os._exit(1)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), "the racing process failed: nothing was raced"
