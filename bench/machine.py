"""What the results were measured on, how to have them again, and the page that they are written to."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def _version(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        return ""
    result = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return (result.stdout.strip().splitlines() or [""])[0]


def facts() -> str:
    """The day, the kernel, the processors, and the versions of everybody who takes part."""
    python = _version("/usr/bin/python3")
    peers = [_version(name) for name in ("runc", "crun", "dockerd", "podman")]
    known = [
        f"{datetime.now(UTC):%Y-%m-%d}",
        f"Linux {platform.release()}",
        f"{os.cpu_count()} cores",
        python,
        *filter(None, peers),
    ]
    return ", ".join(known)


def command(module: str) -> str:
    """The command line that this run was started with."""
    return shlex.join(["python", "-m", module, *sys.argv[1:]])


def write(path: Path, results: str, kind: str) -> None:
    """Put results into a page, between the two marks of their kind."""
    begin, end = f"<!-- {kind}: written by `make bench` -->", f"<!-- end of {kind} -->"
    text = path.read_text()
    if text.count(begin) != 1 or text.count(end) != 1:
        sys.exit(f"{path} needs the lines {begin} and {end}, once each")
    head, _, rest = text.partition(begin)
    tail = rest.partition(end)[2]
    path.write_text(f"{head}{begin}\n\n{results}\n\n{end}{tail}")
