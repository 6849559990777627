"""What a RUN step sees beside its files (``--mount``): made in a mount namespace of the step's own process, gone with it.

Nothing of it is in the step's layer: what is written to a bind mount is thrown away, secrets lie in memory, and the
places in the image that something is mounted on go if they were made for it (`Places`).
"""

from __future__ import annotations

import fcntl
import os
import stat

from orlop.build import copying, selection
from orlop.build.dockerfile import run_mounts
from orlop.errors import InvalidArgument, NotFound
from orlop.linux import mount, namespace
from orlop.linux import path as paths
from orlop.storage import digest
from orlop.storage import mounts as storage_mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from orlop.build.context import Context
    from orlop.build.steps import Mounted
    from orlop.storage.store import Storage

_PRIVATE = 0o700
_AGENT = "/run/buildkit/ssh_agent.{}"


class Secrets:
    """What the user gives a build to know: contents of ``--secret`` by id, sockets of ``--ssh`` agents by id."""

    __slots__ = ("agents", "secrets")

    def __init__(self, secrets: Mapping[str, bytes] | None = None, agents: Mapping[str, str] | None = None) -> None:
        self.secrets = secrets or {}
        self.agents = agents or {}


class Mounting:
    """The mounts of one step, as the OCI specification has them, and what they add to its environment.

    The process that makes one gets a mount namespace of its own.
    """

    __slots__ = ("_below", "_context", "_held", "_keys", "_root", "_secrets", "_storage", "environment", "made")

    def __init__(
        self,
        storage: Storage,
        directory: str,
        context: Mapping[str, Context],
        secrets: Secrets,
        keys: Iterator[str],
    ) -> None:
        self._storage = storage
        self._below = directory
        self._context = context
        self._secrets = secrets
        self._keys = keys
        self._held: list[int] = []
        self.made: list[dict[str, Any]] = []
        self.environment: list[str] = []
        namespace.unshare(namespace.CLONE_NEWNS)
        root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            mount.set_attributes(root, 0, propagation=mount.MS_PRIVATE, recursive=True)
        finally:
            os.close(root)
        os.mkdir(directory, _PRIVATE)
        # In memory, with everything in it: secrets, and the places for what is mounted.
        memory = mount.new("tmpfs", "orlop", data=["mode=0700"])
        self._mount(memory, directory)

    def add(self, mounted: Mounted, chain: str, workdir: str) -> None:
        """Make a mount; ``chain`` is the snapshot that it is of, if it is of a stage or an image.

        Raises:
            NotFound: its source, or a secret or an agent that is required, is not there.
            OSError: the kernel refuses.
        """
        wanted = mounted.mount
        target = os.path.normpath(os.path.join("/", workdir, wanted.target)) if wanted.target else ""
        if wanted.type == run_mounts.TMPFS:
            options = ["nosuid", "nodev", "mode=1777"]
            if wanted.size is not None:
                options.append(f"size={wanted.size}")
            self.made.append({"destination": target, "type": "tmpfs", "source": "tmpfs", "options": options})
        elif wanted.type == run_mounts.SECRET:
            self._secret(wanted, target)
        elif wanted.type == run_mounts.SSH:
            self._agent(wanted, target)
        elif wanted.type == run_mounts.CACHE:
            self._cache(mounted, chain, target)
        else:
            self._bind(mounted, chain, target)

    def script(self, text: str, target: str) -> None:
        """Have a program that is a text."""
        path = self._file(text.encode("utf-8", "surrogateescape"), 0o755, 0, 0)
        self._add(path, target, readonly=True)

    def close(self) -> None:
        """Let go of caches that nobody else may have meanwhile. The rest goes with the process."""
        for descriptor in self._held:
            os.close(descriptor)
        self._held.clear()

    def _secret(self, wanted: run_mounts.RunMount, target: str) -> None:
        content = self._secrets.secrets.get(wanted.id)
        if content is None:
            if wanted.required:
                raise NotFound(
                    f"secret {wanted.id} is required and was not given: add --secret id={wanted.id},src=FILE"
                )
            return
        if wanted.env:
            self.environment.append(f"{wanted.env}={content.decode('utf-8', 'surrogateescape')}")
        if target:
            mode = 0o400 if wanted.mode is None else wanted.mode
            self._add(self._file(content, mode, wanted.uid or 0, wanted.gid or 0), target, readonly=True)

    def _agent(self, wanted: run_mounts.RunMount, target: str) -> None:
        name = wanted.id or "default"
        socket = self._secrets.agents.get(name)
        if socket is None:
            if wanted.required:
                raise NotFound(f"the ssh agent {name} is required and was not given: add --ssh {name}")
            return
        target = target or _AGENT.format(sum(each.startswith("SSH_AUTH_SOCK=") for each in self.environment))
        self._add(socket, target, readonly=True)
        self.environment.append(f"SSH_AUTH_SOCK={target}")

    def _cache(self, mounted: Mounted, chain: str, target: str) -> None:
        wanted = mounted.mount
        name = digest.of(os.fsencode(wanted.id or target)).partition(":")[2]
        top = f"{self._storage.directory}/build/mounts"
        os.makedirs(top, _PRIVATE, exist_ok=True)
        directory = self._claim(f"{top}/{name}", wanted.sharing)
        data = f"{directory}/data"
        if not os.path.isdir(data):
            aside = f"{directory}/{os.urandom(8).hex()}"
            os.mkdir(aside)
            if mounted.origin is not None:
                self._fill(mounted, chain, aside)
            os.chmod(aside, 0o755 if wanted.mode is None else wanted.mode)
            os.chown(aside, wanted.uid or 0, wanted.gid or 0)
            try:
                os.rename(aside, data)
            except OSError:
                if not os.path.isdir(data):
                    raise
                from orlop.storage import trees

                trees.remove(aside)  # somebody else was quicker
        os.utime(directory)
        self._add(
            self._below_root(data, "/" if mounted.origin is not None else wanted.source),
            target,
            readonly=wanted.readonly,
        )

    def _claim(self, path: str, sharing: str) -> str:
        """The directory of a cache, locked as its sharing says for as long as the step runs."""
        number = 0
        while True:
            directory = f"{path}.{number}" if number else path
            os.makedirs(directory, _PRIVATE, exist_ok=True)
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            how = fcntl.LOCK_SH if sharing == run_mounts.SHARED else fcntl.LOCK_EX
            try:
                fcntl.flock(descriptor, how | (fcntl.LOCK_NB if sharing == run_mounts.PRIVATE else 0))
            except BlockingIOError:
                os.close(descriptor)
                number += 1
                continue
            if not os.path.isdir(directory):
                os.close(descriptor)  # pruned while we waited
                continue
            self._held.append(descriptor)
            return directory

    def _fill(self, mounted: Mounted, chain: str, directory: str) -> None:
        """Have a new cache begin with files of a stage, an image or a context."""
        target = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with self._tree(mounted, chain) as root:
                _copy(root, mounted.mount.source or "/", target)
        finally:
            os.close(target)

    def _bind(self, mounted: Mounted, chain: str, target: str) -> None:
        wanted = mounted.mount
        if mounted.origin is not None and mounted.origin.is_context:
            # A copy, so that the context's files stay as they are, and those that are left out of it stay out of sight.
            key = next(self._keys)
            self._storage.snapshots.prepare(key)
            path = self._storage.snapshots.unpack_target(key).path
            place = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                with self._tree(mounted, "") as root:
                    name = _copy(root, wanted.source or "/", place)
            finally:
                os.close(place)
            self._add(f"{path}/{name}" if name else path, target, readonly=wanted.readonly)
            return
        snapshots = self._storage.snapshots
        is_whole = bool(chain) and wanted.readonly
        shown = snapshots.mounts(chain) if is_whole else snapshots.prepare(next(self._keys), chain)
        place_path = self._place()
        self._mount(storage_mounts.attach(shown), place_path)
        self._add(self._below_root(place_path, wanted.source), target, readonly=wanted.readonly)

    def _tree(self, mounted: Mounted, chain: str) -> _Tree:
        origin = mounted.origin
        if origin is not None and origin.is_context:
            return _Tree(self._context[origin.context].root)
        return _Tree(None, self._storage.snapshots.mounts(chain) if chain else None)

    def _below_root(self, directory: str, source: str) -> str:
        """A path of what ``source`` means below a directory, whatever links are there."""
        if not source.strip("/"):
            return directory
        root = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            place = paths.open_in_root(root, source)
        except OSError as error:
            raise NotFound(f"{source} of --mount cannot be found: {os.strerror(error.errno or 0).lower()}") from None
        finally:
            os.close(root)
        self._held.append(place)
        return f"/proc/self/fd/{place}"

    def _file(self, content: bytes, mode: int, uid: int, gid: int) -> str:
        path = f"{self._below}/{len(os.listdir(self._below))}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            while content:
                content = content[os.write(descriptor, content) :]
            os.fchown(descriptor, uid, gid)
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)
        return path

    def _place(self) -> str:
        path = f"{self._below}/{len(os.listdir(self._below))}"
        os.mkdir(path, _PRIVATE)
        return path

    def _mount(self, tree: int, path: str) -> None:
        target = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            mount.attach(tree, target)
        finally:
            os.close(target)
            os.close(tree)

    def _add(self, source: str, target: str, *, readonly: bool) -> None:
        options = ["bind", "rprivate", "ro" if readonly else "rw"]
        self.made.append({"destination": target, "type": "bind", "source": source, "options": options})


class _Tree:
    """``with _Tree(…) as root:`` has a tree to copy from."""

    __slots__ = ("_mounted", "_root")

    def __init__(self, root: selection.Root | None, shown: list[storage_mounts.Mount] | None = None) -> None:
        self._root = root
        self._mounted = storage_mounts.attached(shown) if shown is not None else None

    def __enter__(self) -> selection.Root:
        if self._root is not None:
            return self._root
        if self._mounted is None:
            raise InvalidArgument("a cache cannot begin with files of a stage that has none")
        from orlop.build.ignore import Ignored

        return selection.Root(self._mounted.__enter__(), Ignored(), "the image", is_context=False)

    def __exit__(self, *exception: object) -> None:
        if self._mounted is not None:
            self._mounted.__exit__(*exception)


def _copy(root: selection.Root, source: str, target: int) -> str:
    """Copy what a source means into an open directory; returns the name of a file, and nothing for a directory."""
    chosen = selection.choose(root, [source])
    try:
        style = copying.Style(None, None, keep_owners=not root.is_context)
        copying.Copier(target, style).copy(chosen, [], "/")
        return "" if not chosen or chosen[0].is_directory else chosen[0].name
    finally:
        for each in chosen:
            each.close()


class Places:
    """The places in an image that something is mounted on: those that were not there before go afterwards."""

    __slots__ = ("_missing", "_times")

    def __init__(self, root: int, targets: list[str]) -> None:
        self._missing: list[str] = []
        self._times: dict[str, tuple[int, int]] = {}
        for target in targets:
            parts = paths.split(target)
            for end in range(1, len(parts) + 1):
                some = "/" + "/".join(parts[:end])
                if some in self._missing or _status(root, some) is not None:
                    continue
                self._missing.append(some)
                above = some.rpartition("/")[0] or "/"
                about = _status(root, above)
                if about is not None and above not in self._missing:
                    self._times.setdefault(above, (about.st_atime_ns, about.st_mtime_ns))

    def clear(self, root: int) -> None:
        """Take away what is there now, if nobody has put anything into it."""
        for some in sorted(self._missing, reverse=True):
            above, _, name = some.rpartition("/")
            try:
                holder = paths.open_in_root(root, above or "/", os.O_PATH | os.O_DIRECTORY)
            except OSError:
                continue  # somebody has removed or replaced what it was in
            try:
                about = os.lstat(name, dir_fd=holder)
                if stat.S_ISDIR(about.st_mode):
                    os.rmdir(name, dir_fd=holder)
                elif stat.S_ISREG(about.st_mode) and not about.st_size:
                    os.unlink(name, dir_fd=holder)
            except OSError:
                continue  # it is not there, or in use
            finally:
                os.close(holder)
        for above, times in self._times.items():
            try:
                holder = paths.open_in_root(root, above, os.O_RDONLY | os.O_DIRECTORY)
            except OSError:
                continue  # removed by the program
            try:
                os.utime(holder, ns=times)
            finally:
                os.close(holder)


def _status(root: int, path: str) -> os.stat_result | None:
    try:
        place = paths.open_in_root(root, path)
    except OSError:
        return None
    try:
        return os.fstat(place)
    finally:
        os.close(place)
