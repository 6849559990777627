"""Taking images away: their names, and then what nothing else needs of them.

Docker's rules: a name is only a name while the image has others; with the last one the image goes, unless a container
uses it. ``force`` takes it from stopped containers too, whose files stay. From running ones it takes only the name.
"""

from __future__ import annotations

from orlop.engine import image_events, image_use, sweep
from orlop.errors import Conflict, NotFound
from orlop.images import reachable, reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orlop.engine.location import Location
    from orlop.images.store import Image, ImageStore


class Removed:
    """What a removal did: ``untagged`` names, ``deleted`` digests, and ``freed`` bytes and ``inodes`` on disk."""

    __slots__ = ("deleted", "freed", "inodes", "untagged")

    def __init__(self, untagged: Sequence[str], deleted: Sequence[str] = (), freed: int = 0, inodes: int = 0) -> None:
        self.untagged = list(untagged)
        self.deleted = list(deleted)
        self.freed = freed
        self.inodes = inodes


def remove(
    location: Location,
    images: ImageStore,
    wanted: str,
    *,
    force: bool = False,
    prune: bool = True,
    finished: bool = True,
) -> Removed:
    """Remove one image or one of its names.

    Without ``prune`` only names and the image itself go; its blobs and snapshots stay until something is pruned. Unless it
    is to be ``finished``, they are only out of sight, and the caller sees to it that `orlop.storage.collect.finish`
    is called.

    Raises:
        NotFound: there is no such image.
        Conflict: a container uses it, or it has several tags and was named by its ID.
    """
    while True:
        image = images.find(wanted)
        try:
            return _remove(location, images, image, wanted, force=force, prune=prune, finished=finished)
        except _NamesChanged:
            continue


class _NamesChanged(Exception):
    """Somebody tagged or untagged the image since we looked."""


def _remove(
    location: Location, images: ImageStore, image: Image, wanted: str, *, force: bool, prune: bool, finished: bool
) -> Removed:
    name = _name_meant(image, wanted)
    going = _names_going(image, name) if name else image.names
    if set(image.names) - set(going):
        return _untag(location, images, image, going, prune=prune)
    if not name and not force and _has_several_names(image):
        raise Conflict(
            f"cannot remove image {wanted}: it is referenced by several names ({_spoken(image)}); "
            "remove it by its names or use --force"
        )
    is_running = _check_use(location, image, wanted, force=force, named=bool(name))
    if is_running:
        return _untag(location, images, image, going, prune=prune)
    try:
        images.forget(image)
    except Conflict:
        raise _NamesChanged from None
    image_events.removed(location, image.id, image.names, deleted=True)
    if not prune:
        return Removed(image.names, [image.id])
    swept = sweep.after(location, images, image, finished=finished)
    return Removed(image.names, [image.id, *swept.snapshots], swept.bytes, swept.inodes)


def _untag(location: Location, images: ImageStore, image: Image, names: Sequence[str], *, prune: bool) -> Removed:
    """Take names away from an image that stays, and what only these names needed."""
    before = images.manifests()
    gone = []
    for name in names:
        try:
            images.untag(name, keep=True)
        except NotFound:
            continue  # somebody else was quicker
        gone.append(name)
    image_events.removed(location, image.id, gone, deleted=False)
    replaced = before - images.manifests()
    if not (prune and replaced):
        return Removed(gone)
    swept = sweep.blobs(location, images, reachable.blobs_of(images.storage.blobs, replaced))
    return Removed(gone, freed=swept.bytes)


def _has_several_names(image: Image) -> bool:
    """Whether the image has more than one tag, or comes from other repositories than that of its tag."""
    repositories = {name.rpartition("@")[0] for name in image.digests}
    if not image.tags:
        return len(repositories) > 1
    return len(image.tags) > 1 or not repositories <= {image.tags[0].rpartition(":")[0]}


def _spoken(image: Image) -> str:
    return ", ".join(reference.parse(name).familiar for name in image.names)


def _names_going(image: Image, name: str) -> list[str]:
    """What goes with a name: with a repository's last tag also the digests by which the image came from there."""
    repository = reference.parse(name).name
    if "@" in name or any(each.startswith(f"{repository}:") for each in image.tags if each != name):
        return [name]
    return [name, *(each for each in image.digests if each.startswith(f"{repository}@"))]


def _name_meant(image: Image, wanted: str) -> str:
    """The whole name that a user gave; empty if it was an ID."""
    if image.id.startswith(f"sha256:{wanted.removeprefix('sha256:')}") and not any(
        reference.parse(each).familiar_name == wanted for each in image.names
    ):
        return ""
    meant = reference.parse(wanted).with_default_tag()
    return f"{meant.name}@{meant.digest}" if meant.digest else str(meant)


def _check_use(location: Location, image: Image, wanted: str, *, force: bool, named: bool) -> bool:
    """Whether a running container uses the image, so that only its name may go.

    Raises:
        Conflict: nothing of it may go.
    """
    containers = image_use.containers_of(location, image.id)
    # The running ones first: they say more.
    for container_id, name, running in sorted(containers, key=lambda each: not each[2]):
        user = f"{'running' if running else 'stopped'} container {name or container_id[:12]}"
        if running and not named:
            raise Conflict(f"cannot remove image {wanted}: the {user} uses it; stop and remove that first")
        if not force:
            what = f"the name {wanted}, the image's last" if named else f"image {wanted}"
            raise Conflict(f"cannot remove {what}: the {user} uses it; remove that first or use --force")
        if running:
            return True
    return False


def prune(location: Location, images: ImageStore, chosen: Sequence[Image], *, downloads: bool = False) -> Removed:
    """Remove images that no container uses, out of those given, and everything that nothing needs any more.

    With ``downloads`` interrupted downloads are among that, however new.

    Raises:
        OrlopError: what images or containers need is not known, because a record is damaged.
        OSError: something cannot be removed.
    """
    untagged: list[str] = []
    deleted: list[str] = []
    for image in chosen:
        if image_use.containers_of(location, image.id):
            continue
        try:
            images.forget(image)
        except (NotFound, Conflict):
            continue  # somebody else was quicker, or wants it now
        image_events.removed(location, image.id, image.names, deleted=True)
        untagged += image.names
        deleted.append(image.id)
    swept = sweep.everything(location, images, downloads=downloads)
    return Removed(untagged, deleted + list(swept.snapshots), swept.bytes)
