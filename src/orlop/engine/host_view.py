"""The built-in image ``host``: a copy-on-write view of the machine's own root file system.

Each top-level directory of the machine is the lower layer of an overlay of its own, whose upper layer lies in
the container's directory. (One overlay over ``/`` would do for root; in an ordinary user's namespace the
kernel refuses a lower layer with mounts below it that the namespace may not take away. So there is one way
for both.) The overlays are mounts of the OCI bundle: they are made in the container's mount namespace and end
with it, and no other process ever sees them.

Not shown are the kernel's file systems, /run and /tmp, and orlop's own state.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from orlop.engine.location import Location

#: Directories that the container has of its own, empty: what, and with which permissions.
_FRESH = {"dev": 0o755, "proc": 0o555, "run": 0o755, "sys": 0o555, "tmp": 0o1777}


class Plan:
    """What makes up the view: ``overlaid`` directories; ``plain`` ones that are taken apart, links and files."""

    __slots__ = ("overlaid", "plain")

    def __init__(self) -> None:
        self.overlaid: list[str] = []
        self.plain: list[str] = []


def plan(mount_points: Iterable[str], hidden: Iterable[str], root: str = "/") -> Plan:
    """Which directories can be overlaid whole, and which must be taken apart because of what is mounted below them.

    ``mount_points`` are the paths at which something is mounted, ``hidden`` those that must not show.
    """
    points = [each for each in mount_points if each != "/"]
    secret = set(hidden)
    made = Plan()
    pending = [f"/{name}" for name in sorted(os.listdir(root), reverse=True) if name not in _FRESH]
    while pending:
        path = pending.pop()
        real = f"{root.rstrip('/')}{path}"
        if path in secret:
            continue
        try:
            mode = os.lstat(real).st_mode
            if not stat.S_ISDIR(mode):
                made.plain.append(path)
            elif any(each.startswith(path + "/") for each in points):
                entries = sorted(os.listdir(real), reverse=True)
                made.plain.append(path)
                pending.extend(f"{path}/{each}" for each in entries)
            elif os.access(real, os.R_OK | os.X_OK):
                made.overlaid.append(path)
        except OSError:
            continue  # gone meanwhile, or not for this user to see
    return made


def prepare(aside: str, published: str, location: Location) -> list[dict[str, Any]]:
    """Make the view's directories in ``aside``, and return the OCI mounts for when that is ``published``."""
    hidden = _hidden(location)
    made = plan(_mount_points() if location.rootless else (), hidden)
    rootfs = f"{aside}/rootfs"
    for directory in (rootfs, f"{aside}/upper", f"{aside}/work"):
        os.mkdir(directory, 0o755)
    os.chmod(rootfs, 0o755)
    for name, mode in _FRESH.items():
        os.mkdir(f"{rootfs}/{name}")
        os.chmod(f"{rootfs}/{name}", mode)
    if "/root" not in made.overlaid + made.plain:
        os.mkdir(f"{rootfs}/root", 0o700)  # root's home is not for this user to see, but the container's root needs one
    for path in made.plain:
        _copy(path, rootfs)
    mounts = []
    for number, path in enumerate(made.overlaid):
        _copy(path, rootfs)
        for kind in ("upper", "work"):
            os.mkdir(f"{aside}/{kind}/{number}")
        _like(path, f"{aside}/upper/{number}")
        _hide(path, f"{aside}/upper/{number}", hidden)
        options = [
            f"lowerdir={escaped(path)}",
            f"upperdir={escaped(published)}/upper/{number}",
            f"workdir={escaped(published)}/work/{number}",
        ]
        if location.rootless:
            options.append("userxattr")
        mounts.append({"destination": path, "type": "overlay", "source": "overlay", "options": options})
    return mounts


def hide(directory: str, config: dict[str, Any], location: Location) -> None:
    """Have a view that was made elsewhere not show orlop's state where that is now."""
    ours = f"upperdir={escaped(directory)}/upper/"
    for each in config["mounts"]:
        for option in each.get("options") or ():
            if option.startswith(ours):
                _hide(each["destination"], f"{directory}/upper/{option.removeprefix(ours)}", _hidden(location))


def _hidden(location: Location) -> list[str]:
    return [os.path.realpath(location.root), os.path.realpath(location.run_root)]


def _hide(path: str, upper: str, hidden: Iterable[str]) -> None:
    for secret in hidden:
        if secret.startswith(path + "/"):
            directory = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                _white_out(path, secret[len(path) + 1 :].split("/"), directory)
            finally:
                os.close(directory)


def _white_out(path: str, names: list[str], upper: int) -> None:
    """Have the overlay of ``path``, whose upper layer ``upper`` is, show nothing at what ``names`` lead to below it.

    A container may have written there already: what is a link or a file on the way shows nothing of the host's.
    """
    name, *rest = names
    try:
        if not rest:
            # A character device 0/0 is overlay's mark for "deleted"; anybody may make one since Linux 5.8.
            os.mknod(name, stat.S_IFCHR | 0o600, os.makedev(0, 0), dir_fd=upper)
            return
        os.mkdir(name, dir_fd=upper)
        is_new = True
    except FileExistsError:
        is_new = False
    if not rest:
        return
    try:
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=upper)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        return
    try:
        if is_new:
            _like(f"{path}/{name}", f"/proc/self/fd/{below}")
        _white_out(f"{path}/{name}", rest, below)
    finally:
        os.close(below)


def _copy(path: str, rootfs: str) -> None:
    """Make an entry like the host's at ``path``: an empty directory, the same link, or a small file's copy."""
    target = rootfs + path
    mode = os.lstat(path).st_mode
    if stat.S_ISLNK(mode):
        os.symlink(os.readlink(path), target)
    elif stat.S_ISDIR(mode):
        os.mkdir(target)
        _like(path, target)
    elif stat.S_ISREG(mode):
        import shutil

        try:
            shutil.copyfile(path, target)
        except PermissionError:
            return  # a file that this user may not read is not theirs to show
        _like(path, target)


def _like(path: str, target: str) -> None:
    status = os.stat(path)
    if os.geteuid() == 0:
        os.chown(target, status.st_uid, status.st_gid)
    os.chmod(target, stat.S_IMODE(status.st_mode))


def escaped(path: str) -> str:
    """Overlay's options take a colon or comma in a path after a backslash."""
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def _mount_points() -> list[str]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return [_unescaped(line.split(" ", 5)[4]) for line in file]


def _unescaped(text: str) -> str:
    """Undo the kernel's octal escapes of blanks and backslashes (proc(5))."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text
