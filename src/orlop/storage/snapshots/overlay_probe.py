"""Finding out whether overlay works on a file system: by trying, in a directory that is removed again."""

from __future__ import annotations

import os
import stat

from orlop.storage import mounts, trees
from orlop.storage.mounts import Mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def unsupported(directory: str, options: Sequence[str]) -> str:
    """Why overlay does not work in ``directory``; empty if it does."""
    place = f"{directory}/{trees.GONE}{os.urandom(12).hex()}"
    try:
        for each in ("", "/lower", "/lower/in", "/upper", "/work"):
            os.mkdir(place + each, 0o700)
        where = [f"{mounts.LOWER}={place}/lower", f"upperdir={place}/upper", f"workdir={place}/work"]
        with mounts.attached([Mount("overlay", "overlay", [*where, *options])]) as root:
            os.rmdir("in", dir_fd=root)  # leaves a whiteout
            os.mkdir("in", 0o700, dir_fd=root)  # opaque now, which is an extended attribute
            os.mkdir("new", 0o700, dir_fd=root)
            os.rename("new", "other", src_dir_fd=root, dst_dir_fd=root)
            os.rmdir("in", dir_fd=root)
        if not stat.S_ISCHR(os.lstat(f"{place}/upper/in").st_mode):
            return f"{directory} is on a file system that cannot hold overlay's whiteouts"
    except OSError as error:
        return f"{directory} is on a file system on which overlay does not work: {error.strerror}"
    finally:
        trees.remove(place)
    return ""
