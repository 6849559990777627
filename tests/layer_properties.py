"""What holds for every layer, as functions that the tests call with a few and `make soak` with many."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

from orlop.errors import OrlopError
from orlop.storage.layers import apply, removal
from orlop.storage.layers.limits import Limits
from orlop.storage.snapshots.interface import MERGED, OVERLAY
from tests.layers import described, unpack_here

if TYPE_CHECKING:
    from pathlib import Path


class Place:
    """A directory with a file of the host in it, in which layers are unpacked again and again."""

    def __init__(self, top: Path) -> None:
        self.top = top
        outside = top / "outside"
        outside.mkdir()
        (outside / "secret").write_text("secret")
        os.utime(outside, (1, 1))
        self._outside = described(outside)

    def new(self, name: str) -> Path:
        """An empty directory."""
        self.remove(name)
        (self.top / name).mkdir()
        return self.top / name

    def remove(self, name: str) -> None:
        """Remove it, however deep it has become."""
        if (self.top / name).exists():
            above = os.open(self.top, os.O_RDONLY)
            removal.remove(above, os.fsencode(name))
            os.close(above)

    def check_outside(self) -> None:
        """Fail if something beside the targets changed."""
        assert described(self.top / "outside") == self._outside
        assert set(os.listdir(self.top)) <= {"outside", "target", "lower", "upper", "work", "merged", "seen"}


def does_no_harm(place: Place, archive: bytes) -> None:
    """An archive is unpacked or refused with a sentence, and nothing changes outside, nor a descriptor stays open."""
    before = set(os.listdir("/proc/self/fd"))
    for form in (OVERLAY, MERGED):
        target = place.new("target")
        try:
            unpack_here(archive, target, form, Limits(entries=2000, always=1 << 20))
        except OrlopError as error:
            message = str(error)
            assert message[:1].islower(), message
            assert message.isprintable(), message
        place.check_outside()
    place.remove("target")
    assert set(os.listdir("/proc/self/fd")) == before


def comes_to_what_overlay_shows(place: Place, below: bytes, above: bytes) -> None:
    """Two layers merged into one tree are what overlayfs makes of the two, unless one of them is refused."""
    lower, upper, work, merged = (place.new(name) for name in ("lower", "upper", "work", "merged"))
    try:
        unpack_here(below, lower)
        said = unpack_here(above, upper)
    except OrlopError:
        return
    directory = os.open(upper, os.O_RDONLY)
    apply._mark_opaque(directory, said["opaque"], "trusted")
    os.close(directory)
    for name in said["implicit"]:
        if (lower / name).is_dir() and not any((lower / part).is_symlink() for part in _prefixes(name)):
            _inherit(lower / name, upper / name)
    unpack_here(below, merged, MERGED)
    unpack_here(above, merged, MERGED)
    if _whiteouts_left(lower):
        return  # overlayfs would take those of the lowest layer for what they are not
    seen = place.new("seen")
    options = f"lowerdir={lower},upperdir={upper},workdir={work},redirect_dir=off,metacopy=off"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "orlop-test", seen], check=True)
    try:
        theirs = _comparable(seen)
    finally:
        subprocess.run(["umount", seen], check=True)
    assert _comparable(merged) == theirs


def _prefixes(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _inherit(below: Path, above: Path) -> None:
    about = below.stat()
    os.chown(above, about.st_uid, about.st_gid)
    above.chmod(about.st_mode & 0o7777)
    for key in os.listxattr(below):
        if key.startswith("user."):
            os.setxattr(above, key, os.getxattr(below, key))
    os.utime(above, ns=(about.st_atime_ns, about.st_mtime_ns))


def _whiteouts_left(tree: Path) -> bool:
    return any(about.get("device") == (0, 0) for about in described(tree).values())


def _comparable(tree: Path) -> dict[str, dict[str, Any]]:
    found = described(tree)
    for about in found.values():
        about["xattrs"] = {key: value for key, value in about["xattrs"].items() if not key.startswith("trusted.")}
        about.pop("links", None)  # overlay shows the number of the layer below
    return found
