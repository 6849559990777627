"""The places that every container mounts something on, for images that lack them, and the file that programs look for.

They are a layer below all of an image's own, the same one for all containers. So a container that starts makes
nothing in its own layer, which is quicker, and shows no empty files that nobody wrote when it is made into an image.
Where an image has something in the way, as a link at ``/etc``, the runtime makes the places as it does without this.
"""

from __future__ import annotations

import errno
import os

from orlop.storage.mounts import LOWER, Mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.engine.location import Location

_DIRECTORIES = ("dev", "etc", "proc", "sys")
#: By ``/.dockerenv`` programs find out that they are in a container.
_FILES = (".dockerenv", "etc/hostname", "etc/hosts", "etc/resolv.conf")

#: Layers that overlay stacks at most (OVL_MAX_STACK, fs/overlayfs/params.c).
_MOST_LAYERS = 500


def below(location: Location, mounts: list[Mount], aside: str) -> list[Mount]:
    """The same mounts with that layer below; those that are no overlay, or have no room for it, as they are.

    ``aside`` is the directory of a container that is being made: if there is no such layer yet, it is made there first.
    """
    what = mounts[0]
    if what.type != "overlay" or sum(option.startswith(LOWER) for option in what.options) >= _MOST_LAYERS:
        return mounts
    path = location.mount_points
    if not os.path.isdir(path):
        _make(f"{aside}/mount-points", path)
    return [Mount(what.type, what.source, [*what.options, f"{LOWER}={path}"])]


def _make(aside: str, path: str) -> None:
    os.mkdir(aside)
    for name in _DIRECTORIES:
        os.mkdir(f"{aside}/{name}")
    for name in _FILES:
        os.close(os.open(f"{aside}/{name}", os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC))
    for name in ("", *_DIRECTORIES):
        os.chmod(f"{aside}/{name}", 0o755)
    for name in _FILES:
        os.chmod(f"{aside}/{name}", 0o644)
    try:
        os.rename(aside, path)
    except OSError as error:
        from orlop.storage import trees

        trees.remove(aside)
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # somebody else was quicker
            raise
