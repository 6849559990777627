"""AppArmor profiles and SELinux labels: what the next exec of this process is confined to.

They are written to the process's own attr file, which is opened through a procfs that nobody else has touched
(CVE-2019-16884, CVE-2025-52881) while the host's view is still there, and written last.
"""

from __future__ import annotations

import os

from orlop.linux import mount, path
from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Label:
    """A confinement that is prepared now and takes effect at the next exec."""

    __slots__ = ("_descriptor", "_text", "_what")

    def __init__(self, what: str, names: tuple[str, ...], text: str) -> None:
        self._what = what
        self._text = text
        with step("open", f"/proc/self/{names[0]}"):
            procfs = mount.new("proc", "proc")
            try:
                self._descriptor = _open_first(procfs, names)
            finally:
                os.close(procfs)

    @property
    def descriptor(self) -> int:
        """The open attr file, to be spared when others are closed."""
        return self._descriptor

    def apply(self) -> None:
        """Write it."""
        with step(f"set {self._what}", self._text):
            os.write(self._descriptor, self._text.encode())
            os.close(self._descriptor)


def _open_first(procfs: int, names: tuple[str, ...]) -> int:
    for name in names[:-1]:
        try:
            return path.open_beneath(procfs, f"{os.getpid()}/{name}", os.O_WRONLY)
        except FileNotFoundError:
            continue
    return path.open_beneath(procfs, f"{os.getpid()}/{names[-1]}", os.O_WRONLY)


def prepare(process: dict[str, Any]) -> list[Label]:
    """What the process is to be confined to; `spec.machine.check` has made sure that the kernel can."""
    labels = []
    if process.get("apparmorProfile"):
        profile = process["apparmorProfile"]
        labels.append(Label("AppArmor profile", ("attr/apparmor/exec", "attr/exec"), f"exec {profile}"))
    if process.get("selinuxLabel"):
        labels.append(Label("SELinux label", ("attr/exec",), process["selinuxLabel"]))
    return labels
