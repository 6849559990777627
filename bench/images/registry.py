"""A registry on loopback: Debian's docker-registry, with a directory of its own."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench import processes
from bench.engines import Absent, program

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[str]:
    """Serve an empty registry; yields its host and port. Everything in it is gone afterwards.

    Raises:
        Absent: it is not installed or does not start.
    """
    path = program("docker-registry")
    home = Path(tempfile.mkdtemp(prefix="registry-", dir=directory))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    (home / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{address}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: {home}/data}}}}\n"
    )
    with (home / "log").open("wb") as log:
        server = subprocess.Popen([path, "serve", str(home / "config.yml")], stdout=log, stderr=log)
    try:
        _wait(address, server, home / "log")
        yield address
    finally:
        processes.end([server.pid])
        shutil.rmtree(home)


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    host, _, port = address.partition(":")
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return
        if server.poll() is not None or time.monotonic() > deadline:
            raise Absent(f"docker-registry does not start: {log.read_text()[-500:]}")
        time.sleep(0.02)


def fill(layout: Path, address: str) -> str:
    """Put the sample into a registry; returns its name there.

    Raises:
        Absent: skopeo is not installed.
    """
    name = f"{address}/bench/sample:1"
    command = [
        program("skopeo"),
        "copy",
        "--quiet",
        "--dest-tls-verify=false",
        f"oci:{layout}:bench",
        f"docker://{name}",
    ]
    subprocess.run(command, check=True)
    return name


def archive(layout: Path, directory: Path, name: str) -> str:
    """The sample as Docker's archive, which everybody can load.

    Raises:
        Absent: skopeo is not installed.
    """
    path = str(directory / "sample.tar")
    subprocess.run(
        [program("skopeo"), "copy", "--quiet", f"oci:{layout}:bench", f"docker-archive:{path}:{name}"], check=True
    )
    return path
