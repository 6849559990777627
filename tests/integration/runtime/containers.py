"""Running one container to its end and reading what it said of itself."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.integration.conftest import unique_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Bundle, Result, Runtime

#: Where the ids of containers in a user namespace of their own lie on the host.
FIRST_ID = 231072
IDS = 65536


def attempt(runtime: Runtime, bundle: Bundle, *options: str, **call: Any) -> Result:
    """Write the bundle and run it to its end, whatever that is."""
    bundle.write()
    return runtime.call("run", "--bundle", str(bundle.path), *options, unique_name(), **call)


def run(runtime: Runtime, bundle: Bundle, *options: str, **call: Any) -> str:
    """Write the bundle, run it to a good end and return what it printed."""
    result = attempt(runtime, bundle, *options, **call)
    assert result.status == 0, result
    return result.output


def refused(runtime: Runtime, bundle: Bundle, *words: str) -> str:
    """Run a bundle that must fail, saying ``words`` on one line, and leave nothing; returns the line."""
    result = attempt(runtime, bundle)
    assert result.status == 1, result
    assert result.output == ""
    [line] = result.errors.replace('\\"', '"').splitlines()
    for word in words:
        assert word in line, line
    assert runtime("list", "--quiet").output == ""
    return line


def add_mount(bundle: Bundle, destination: str, kind: str, source: str, *options: str, **more: Any) -> None:
    """One more entry of ``mounts``."""
    entry = {"destination": destination, "type": kind, "source": source, "options": list(options), **more}
    bundle.config["mounts"].append(entry)


def namespace(bundle: Bundle, kind: str, path: str = "") -> None:
    """List a namespace, new or (with ``path``) joined, instead of what was there of its kind."""
    without(bundle, kind)
    bundle.linux["namespaces"].append({"type": kind, "path": path} if path else {"type": kind})


def without(bundle: Bundle, *kinds: str) -> None:
    """Take namespaces off the list."""
    bundle.linux["namespaces"] = [each for each in bundle.linux["namespaces"] if each["type"] not in kinds]


def map_ids(bundle: Bundle, first: int = FIRST_ID, size: int = IDS) -> None:
    """Put the container into a user namespace of its own, and its root file system into the hands of its root."""
    namespace(bundle, "user")
    for name in ("uidMappings", "gidMappings"):
        bundle.linux[name] = [{"containerID": 0, "hostID": first, "size": size}]
    for parent in reversed(bundle.rootfs.parents[:3]):
        parent.chmod(parent.stat().st_mode | 0o055)  # pytest makes its directories for root alone
    for directory, names, files in os.walk(bundle.rootfs):
        for name in (".", *names, *files):
            os.chown(f"{directory}/{name}", first, first, follow_symlinks=False)


def fields(text: str) -> dict[str, str]:
    """The lines of a ``status`` file of /proc."""
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def options_of(mountinfo: str, where: str) -> tuple[set[str], set[str], str]:
    """Of the last mount at ``where``: its own options, its file system's, and the optional fields."""
    found = None
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        parts = before.split(" ")
        if after and parts[4] == where:
            found = set(parts[5].split(",")), set(after.split(" ")[2].split(",")), " ".join(parts[6:])
    assert found is not None, f"nothing is mounted at {where}:\n{mountinfo}"
    return found


def until(true: Callable[[], Any], seconds: float = 10) -> None:
    """Wait for something that has no event to wait for."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.005)


def groups_of(name: str) -> list[Path]:
    """The directories of cgroups of this name in any hierarchy."""
    found = [path for path in Path("/sys/fs/cgroup").glob(f"*/{name}") if path.is_dir()]
    alone = Path("/sys/fs/cgroup", name)  # where version 2 is the only one
    return [*found, alone] if alone.is_dir() else found
