"""What snapshots are, what one may ask of them, and what every driver promises.

A *snapshot* is a file tree with a name. It is one of three kinds:

``committed``
    Finished: nobody changes it any more. Its name is a digest, the chain ID of the layers that it consists of.
``active``
    Can be written to. Its name, which we call its *key*, is anything but a digest: a container's id, or something
    unique that whoever unpacks a layer made up.
``view``
    Can be read only; it has a key too. It keeps its parent from being removed.

A snapshot may have a *parent*, which is always a committed one: it began as the same tree. So unpacking an image of two
layers and running a container goes like this::

    snapshots.prepare("unpack-1")                        # an empty tree
    layers.apply(blob, snapshots.unpack_target("unpack-1"))
    snapshots.commit("sha256:aaa…", "unpack-1")          # the key is free again

    snapshots.prepare("unpack-2", "sha256:aaa…")         # begins as the first layer's tree
    layers.apply(blob, snapshots.unpack_target("unpack-2"))
    snapshots.commit("sha256:bbb…", "unpack-2")

    mounts = snapshots.prepare(container_id, "sha256:bbb…")
    root = orlop.storage.mounts.attach(mounts)           # the container's root directory, as a detached mount

Where `independent_layers` is true, all layers can be unpacked at the same time, each into an active snapshot without a
parent, and are then committed in order with ``parent=`` the snapshot below. What the layer does not name itself, its root
directory included, then has made-up owners and modes, which the caller corrects before it commits.

Rules that hold for every driver:

- Names are unique: committing under a name that exists, or preparing a key that does, is a Conflict.
- A snapshot appears complete and under its name, or not at all, and disappears likewise, whenever a process is killed.
  What such a process leaves is never seen by these calls, and `Snapshots.cleanup` takes it away.
- Any number of processes and threads may call any of this at the same time. Two that commit the same name: one wins,
  the other gets a Conflict and still has its active snapshot, which it removes.
- A committed snapshot that has children is not removed. Which others are still wanted is the caller's to know
  (`orlop.storage.leases`, `orlop.storage.collect`).
- An active snapshot's tree has all that Linux file systems know: owners, modes with setuid bits, nanosecond times,
  extended attributes, hard links, devices, fifos and sockets, sparse files.
- What is in a tree is hostile; no call follows a link in it, or runs into what is mounted there.
- Nothing is flushed to the disk. What is committed as ``provisional`` is there until the machine goes down, and then
  counts as never committed, unless it was confirmed before (`Snapshots.confirm`) by somebody who had everything written
  (syncfs(2)). A committed snapshot that does not count any more, or whose record is damaged, is *lost*: `walk`, `info`
  and `children` tell of it, and it can be removed; to everything else it is not there, and a commit under its name takes
  its place, whatever is made upon it.
- An ordinary user's snapshots are handled as root of a user namespace with the user's id ranges. Outside of it a call
  raises PermissionError where it needs that, and can be made again inside; after `Snapshots.remove` that is `cleanup`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from orlop.storage.mounts import Mount

ACTIVE = "active"
VIEW = "view"
COMMITTED = "committed"
DAMAGED = "damaged"

#: Forms of an unpack target.
OVERLAY = "overlay"
MERGED = "merged"


class Info:
    """What is known of a snapshot without looking into its tree."""

    __slots__ = ("created", "kind", "name", "parent")

    def __init__(self, name: str, kind: str, parent: str, created: float) -> None:
        self.name = name
        #: ``active``, ``view`` or ``committed``; ``damaged`` if its record cannot be read: it can only be removed.
        self.kind = kind
        #: The parent's name; empty if there is none.
        self.parent = parent
        #: When it was prepared, in seconds since the epoch.
        self.created = created


class Usage:
    """What a snapshot itself takes, without its parents."""

    __slots__ = ("bytes", "inodes")

    def __init__(self, bytes: int, inodes: int) -> None:  # noqa: A002 - the field's name
        #: Bytes on the disk, in whole blocks; files with several names count once.
        self.bytes = bytes
        self.inodes = inodes


class Target:
    """Where and how a layer is unpacked."""

    __slots__ = ("form", "path", "rootless")

    def __init__(self, path: str, form: str, *, rootless: bool) -> None:
        #: An existing directory, the root of what is unpacked. Nothing is mounted there or below.
        self.path = path
        #: ``overlay``: the directory holds this layer alone. A whiteout becomes a character device 0/0, an opaque
        #: directory gets the extended attribute ``trusted.overlay.opaque`` = ``y`` (``user.overlay.opaque`` if
        #: `rootless`), and layers below must not be looked for. ``merged``: the directory holds the whole tree with all
        #: layers below, and whiteouts delete from it.
        self.form = form
        #: Whether this is an ordinary user's, in a user namespace.
        self.rootless = rootless


class DiffBase:
    """What there is to compare to find out how a snapshot differs from its parent.

    ``upper`` is the path of a directory that holds only what differs, in overlay's form (see `Target.form`; marks are
    ``user.overlay.*`` if ``rootless``), or None where the driver has no such thing: then the two trees are to be compared.

    ``mounts`` shows the snapshot's whole tree and ``parent_mounts`` its parent's, both read-only;
    ``parent_mounts`` is empty if there is no parent, which means an empty tree. With ``upper`` they are needed only to
    look up what the upper directory does not tell, such as whether a whiteout hides anything. `mounts.attached` opens
    them without attaching them anywhere. While a container writes to an active snapshot ``mounts`` shows it as it was
    when something was first looked up: pause the container, or take ``upper`` for the truth.
    """

    __slots__ = ("mounts", "parent_mounts", "rootless", "upper")

    def __init__(self, upper: str | None, mounts: list[Mount], parent_mounts: list[Mount], *, rootless: bool) -> None:
        self.upper = upper
        self.mounts = mounts
        self.parent_mounts = parent_mounts
        self.rootless = rootless


class Snapshots:
    """What every driver does. See the module's text for the words and the rules.

    Every method raises InvalidArgument for a name that cannot be one, OrlopError for a snapshot whose record is damaged,
    and OSError where the file system fails; ``name`` means a committed snapshot's name or a key.
    """

    __slots__ = ()

    #: The driver's name, as ORLOP_STORAGE_DRIVER has it.
    driver = ""

    #: Whether layers can be unpacked without their parents and put in order by ``commit(…, parent=…)``.
    independent_layers = False

    def prepare(self, key: str, parent: str = "") -> list[Mount]:
        """Make an active snapshot that begins as ``parent``, or empty; the root directory of an empty one is root's, 0755.

        Returns:
            what `mounts` does.

        Raises:
            Conflict: the key exists.
            NotFound: the parent does not exist.
            Unsupported: the parent consists of more layers than the driver can have.
        """
        raise NotImplementedError

    def view(self, key: str, parent: str) -> list[Mount]:
        """Make a view of a committed snapshot.

        Returns:
            what `mounts` does.

        Raises:
            Conflict: the key exists.
            NotFound: the parent does not exist.
        """
        raise NotImplementedError

    def duplicate(self, key: str, source: str) -> list[Mount]:
        """Make an active snapshot that begins as another one is now, be it active or committed, and on its parent.

        With btrfs that takes a moment; with the other drivers what ``source`` has of its own is copied. It may be
        mounted, and nobody writes to it meanwhile.

        Returns:
            what `mounts` does.

        Raises:
            Conflict: the key exists.
            NotFound: the source does not exist.
            InvalidArgument: the source is a view.
        """
        raise NotImplementedError

    def mounts(self, name: str) -> list[Mount]:
        """What to mount to see a snapshot: writable for an active one, otherwise read-only.

        The list is a value: nothing is mounted by asking, and it is valid as long as the snapshot exists. Only one
        writable mount of an active snapshot may exist at a time, and nobody writes to `unpack_target` meanwhile.

        Raises:
            NotFound: it does not exist.
        """
        raise NotImplementedError

    def commit(
        self,
        name: str,
        key: str,
        parent: str | None = None,
        *,
        provisional: bool = False,
        usage: Usage | None = None,
    ) -> None:
        """Make active snapshot ``key`` the committed snapshot ``name``; it must not be mounted writable any more.

        ``parent`` puts a snapshot that was prepared without a parent on top of another, if `independent_layers`.
        ``provisional`` has it count only until the machine goes down, or until it is confirmed. ``usage`` is what it takes,
        where that was counted already.

        Raises:
            Conflict: the name exists; the active snapshot is as it was (but may have got its ``parent``).
            NotFound: the key or the parent does not exist.
            InvalidArgument: the key is a view, the name is no digest, or ``parent`` is given where it cannot be.
            Unsupported: ``parent`` consists of more layers than the driver can have.
        """
        raise NotImplementedError

    def provisional(self, names: Iterable[str]) -> dict[str, float]:
        """Those of these committed snapshots that are there and not confirmed, to be given to `confirm`."""
        raise NotImplementedError

    def confirm(self, found: Mapping[str, float]) -> None:
        """Have provisional snapshots count for good: all that was written before `provisional` told of them is on the disk.

        One that was removed, or made anew, meanwhile is left out.
        """
        raise NotImplementedError

    def remove(self, name: str) -> None:
        """Remove a snapshot that is not mounted: out of sight at once, then all its files.

        Raises:
            NotFound: it does not exist.
            Conflict: it has children.
        """
        raise NotImplementedError

    def discard(self, names: Iterable[str]) -> list[str]:
        """Take snapshots out of sight, each by one rename; `cleanup` does the slow rest.

        Their order does not matter: children go before their parents. Those that do not exist, and those that have
        children which are not among them, are left out.

        Returns:
            the names that are gone.
        """
        raise NotImplementedError

    def has(self, name: str) -> bool:
        """Whether a snapshot exists, and is not lost."""
        raise NotImplementedError

    def info(self, name: str) -> Info:
        """What is known of a snapshot.

        Raises:
            NotFound: it does not exist.
        """
        raise NotImplementedError

    def usage(self, name: str) -> Usage:
        """What a snapshot takes on the disk without its parents; counted once for a committed one.

        Raises:
            NotFound: it does not exist.
        """
        raise NotImplementedError

    def walk(self) -> Iterator[Info]:
        """All snapshots, damaged ones included, in no order. One that is removed meanwhile may be missing or not."""
        raise NotImplementedError

    def children(self, name: str) -> list[str]:
        """Names and keys of the snapshots whose parent this is, those that are still being prepared included."""
        raise NotImplementedError

    def unpack_target(self, key: str) -> Target:
        """Where a layer is unpacked into an active snapshot, which must not be mounted meanwhile.

        Raises:
            NotFound: there is no such key.
            InvalidArgument: it is a view.
        """
        raise NotImplementedError

    def diff_base(self, name: str, since: str | None = None) -> DiffBase:
        """What to compare to find out how a snapshot differs from its parent, or from the ancestor ``since``.

        An empty ``since`` means an empty tree.

        Raises:
            NotFound: it does not exist.
        """
        raise NotImplementedError

    def cleanup(self) -> None:
        """Remove what `discard` and killed processes left. Safe at any time, from any number of processes."""
        raise NotImplementedError
