"""Doing one step: its files are prepared, changed, compared with what they were, and committed.

This happens in a process of its own for each step (`orlop.build.scheduler`), so that several can be at work, and that
whatever a step does to itself is gone with it.
"""

from __future__ import annotations

import os
import select

from orlop.build import cache, copying, keys, large_copy, mounting, remote, selection, steps, tree_digest
from orlop.build.cache import Layer
from orlop.build.ignore import Ignored
from orlop.build.worker import Devices, Job
from orlop.errors import Conflict, OrlopError
from orlop.images import config, media_types, unpack
from orlop.images.manifest import Descriptor
from orlop.images.progress import Quiet
from orlop.storage import mounts as storage_mounts
from orlop.storage.layers import diff
from orlop.storage.layers.compress import NONE
from orlop.storage.named_lock import NamedLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import ExitStack

    from orlop.build.cache import Record
    from orlop.build.cache_sources import Imported, Recalled
    from orlop.build.context import Context
    from orlop.build.graph import Node
    from orlop.build.large_copy import LargeCopy
    from orlop.build.mounting import Secrets
    from orlop.build.selection import Chosen, Root
    from orlop.build.worker import Worker
    from orlop.storage.leases import Lease
    from orlop.storage.mounts import Mount
    from orlop.storage.store import Storage

#: The archive without an entry: two blocks of zeros.
_EMPTY_ARCHIVE = 1024


class StepFailed(OrlopError):
    """A step's program ended with another status than 0; ``status`` is it."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(f'process "{text}" did not complete successfully: exit code: {status}')
        self.status = status


class Lost(OrlopError):
    """A result that a cache elsewhere has cannot be had from there after all."""


class Workshop:
    """What all steps of a build are done with.

    ``clamp`` is SOURCE_DATE_EPOCH or None, ``directory`` is the build's own, for what must not outlive it.
    """

    __slots__ = ("cache", "clamp", "contexts", "directory", "imported", "lease", "more", "secrets", "storage", "worker")

    def __init__(
        self,
        storage: Storage,
        lease: Lease,
        worker: Worker,
        contexts: Mapping[str, Context],
        secrets: Secrets,
        directory: str,
        *,
        clamp: int | None = None,
        more: Sequence[str] = (),
        imported: Sequence[Imported] = (),
    ) -> None:
        self.imported = imported
        self.storage = storage
        self.lease = lease
        self.worker = worker
        self.contexts = contexts
        self.secrets = secrets
        self.directory = directory
        self.clamp = clamp
        #: What of the user's wishes a result depends on, such as added hosts.
        self.more = more
        self.cache = cache.Cache(storage.directory)

    def recall(self, key: str) -> Recalled | None:
        """What a cache elsewhere knows of a key, one that has the layer too if there is one."""
        found = None
        for source in self.imported:
            known = source.find(key)
            if known is not None:
                from orlop.build.cache_sources import Recalled

                found = Recalled(known, source)
                if found.can_be_had:
                    break
        return found

    def quick_key(self, node: Node, below: str, chains: Mapping[steps.Origin, str], *, anew: bool = False) -> str:
        """The key by which a step is known without reading files of stages; empty if it has none.

        ``anew`` if the files of contexts are to be looked at again.

        Raises:
            NotFound: a file of the context is not there.
            OrlopError: one cannot be read.
        """
        step = node.step
        contents: dict[steps.Origin, str] = {}
        if isinstance(step, steps.Copy):
            if step.adds and any(remote.is_remote(source) for source in step.sources):
                return ""
            contents[step.origin] = chains.get(step.origin, "")
            if step.origin.is_context and step.sources:
                context = self.contexts[step.origin.context]
                contents[step.origin] = context.digest(step.sources, step.exclude, parents=step.parents, anew=anew)
        elif isinstance(step, steps.Run):
            for mounted in step.mounts:
                if mounted.origin is not None and mounted.mount.type != "cache":
                    known = chains.get(mounted.origin, "")
                    if mounted.origin.is_context:
                        known = self.contexts[mounted.origin.context].digest([mounted.mount.source or "/"], anew=True)
                    contents[mounted.origin] = contents.get(mounted.origin, "") + known
        return keys.of(step, below, contents, clamp=self.clamp, more=self.more)


class Work:
    """One step being done."""

    __slots__ = (
        "_below",
        "_chains",
        "_identifier",
        "_keys",
        "_leash",
        "_node",
        "_output",
        "_places",
        "_recalled",
        "_shop",
    )

    def __init__(
        self,
        shop: Workshop,
        node: Node,
        below: str,
        chains: Mapping[steps.Origin, str],
        temporary: Iterator[str],
        output: int,
        leash: int,
        recalled: Recalled | None = None,
    ) -> None:
        self._shop = shop
        #: What is to be had from elsewhere, the files that the step reads not being here.
        self._recalled = recalled
        self._node = node
        self._below = below
        self._chains = chains
        #: Keys of snapshots that are of no use afterwards (`Lease.temporary_key`).
        self._keys = temporary
        self._output = output
        self._leash = leash
        self._identifier = f"{shop.directory}/{node.number}"
        #: Where in the archive of the step's layer what is told of a path begins.
        self._places: list[tuple[bytes, int]] = []

    def do(self, quick_key: str, *, use_cache: bool) -> tuple[Record, bool]:
        """Do the step, or find by the content of its files that it was done; what it came to, and whether it was.

        Raises:
            StepFailed: its program failed.
            Lost: its result was to be had from elsewhere, and cannot be.
            OrlopError, OSError: it cannot be done.
        """
        from contextlib import ExitStack

        with ExitStack() as stack:
            if quick_key and use_cache:
                # Whoever is at the same step has it done sooner than we should.
                lock = NamedLock(unpack.locks(self._shop.storage), f"build-{quick_key}").acquire(self._check_leash)
                stack.callback(lock.release)
            return self._do(quick_key, use_cache=use_cache)

    def _check_leash(self) -> None:
        if select.select([self._leash], [], [], 0)[0]:
            raise OrlopError("canceled")

    def _do(self, quick_key: str, *, use_cache: bool) -> tuple[Record, bool]:
        step = self._node.step
        found = [quick_key] if quick_key else []
        known = self._known(quick_key) if found and use_cache else None
        if known is not None:  # a layer that fits upon anything, or another process has done the step meanwhile
            self._put_in_place(known)
            return known, True
        if self._recalled is not None:
            try:
                return self._fetched(self._recalled, quick_key), True
            except (OrlopError, OSError) as error:
                raise Lost(str(error)) from None
        large: LargeCopy | None = None
        if isinstance(step, steps.Copy):
            from contextlib import ExitStack

            with ExitStack() as stack:
                chosen, content = self._choose(step, stack, with_content=not step.origin.is_context or not quick_key)
                if content:
                    key = keys.of(
                        step, self._below, {step.origin: content}, clamp=self._shop.clamp, more=self._shop.more
                    )
                    found.append(key)
                    known = self._known(key, elsewhere=True) if use_cache else None
                    if known is not None:
                        self._shop.cache.add(found[:-1], known)
                        self._put_in_place(known)
                        return known, True
                large = large_copy.of(self._shop, step, chosen, self._below, self._keys)
                again = self._copied_again(step, large) if use_cache and large is not None else None
                record = again or self._copied(step, chosen)
                self._put_in_place(record)
                if again is not None:
                    large = None
        elif isinstance(step, steps.Run):
            record = self._run(step)
        else:
            record = self._change(self._make_directory)
        if self._is_still(step, quick_key):
            self._shop.cache.add(found, record)
            if large is not None:
                large.keep(record, self._places)
        return record, False

    def _known(self, key: str, *, elsewhere: bool = False) -> Record | None:
        """The record of a key, from here or from elsewhere; what comes from elsewhere is in place then."""
        shop = self._shop
        record = shop.cache.find(key, shop.storage, shop.lease)
        if record is None and elsewhere:
            recalled = shop.recall(key)
            if recalled is not None and recalled.can_be_had:
                try:
                    return self._fetched(recalled, key)
                except (OrlopError, OSError):
                    return None  # the step can be done here
        return record

    def _fetched(self, recalled: Recalled, key: str) -> Record:
        """The record of what a cache elsewhere knows, its layer being put in place."""
        shop, known = self._shop, recalled.known
        record = cache.Record(known.layer, self._below, self._node.step.text, known.created)
        if known.layer is not None:
            recalled.source.fetch(known.layer, shop.storage.blobs, shop.lease, shop.directory)
            record = record.replace(chain="")
            self._put_in_place(record)
            if known.chain:
                record = record.replace(chain=chain_of(self._below, known.layer))
        # By no other key, whatever the cache says: those may be of builds whose users do not trust it.
        shop.cache.add([key], record)
        return record

    def _is_still(self, step: steps.Step, quick_key: str) -> bool:
        """Whether the context is what it was when its files were looked at, so that the result may be found again."""
        if not quick_key or not (isinstance(step, steps.Copy) and step.origin.is_context and step.sources):
            return True
        return self._shop.quick_key(self._node, self._below, self._chains, anew=True) == quick_key

    def _choose(self, step: steps.Copy, stack: ExitStack, *, with_content: bool) -> tuple[list[Chosen], str]:
        """The files that a COPY means, open, and the digest of them."""
        chosen: list[Chosen] = []
        local = [source for source in step.sources if not (step.adds and remote.is_remote(source))]
        if local:
            root = self._root(step.origin, stack)
            chosen += selection.choose(root, local, step.exclude, parents=step.parents)
        for number, source in enumerate(each for each in step.sources if each not in local):
            chosen += self._fetch(step, source, f"{self._identifier}-{number}", stack)
        for each in chosen:
            stack.callback(each.close)
        if not with_content:
            return chosen, ""
        made = tree_digest.TreeDigest(tree_digest.KnownFiles(), owners=not step.origin.is_context)
        for each in chosen:
            each.count_in(made)
        return chosen, made.result()

    def _root(self, origin: steps.Origin, stack: ExitStack) -> Root:
        if origin.is_context:
            return self._shop.contexts[origin.context].root
        chain = self._chains.get(origin, "")
        name = f"image {origin.image}" if origin.image else "the stage"
        if not chain:
            os.mkdir(f"{self._identifier}-empty")
            descriptor = os.open(f"{self._identifier}-empty", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, descriptor)
        else:
            shown = self._shop.storage.snapshots.mounts(chain)
            descriptor = stack.enter_context(storage_mounts.attached(shown))
        return selection.Root(descriptor, Ignored(), name, is_context=False)

    def _fetch(self, step: steps.Copy, source: str, path: str, stack: ExitStack) -> list[Chosen]:
        if remote.is_git(source):
            git = remote.GitSource(source)
            remote.clone(git, path, keep_git_dir=step.keep_git_dir)
            wanted = git.subdirectory or "/"
        else:
            if step.checksum:
                remote.check_checksum(step.checksum)
            wanted = remote.file_name(source) if step.target.endswith("/") else "file"
            os.mkdir(path, 0o700)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, descriptor)
        if not remote.is_git(source):
            remote.download(source, descriptor, wanted, step.checksum)
        root = selection.Root(descriptor, Ignored(), source, is_context=True)
        return selection.choose(root, [wanted], step.exclude)

    def _copied(self, step: steps.Copy, chosen: Sequence[Chosen]) -> Record:
        if not step.link:
            return self._change(lambda root, shown: self._copy(step, chosen, root, shown))
        # A layer of its own, whatever is below: so it is made upon nothing, and put upon something else later.
        shop = self._shop
        shown = shop.storage.snapshots.mounts(self._below) if self._below else []
        key = next(self._keys)
        with storage_mounts.attached(self._prepare(key, "")) as root:
            self._copy(step, chosen, root, shown)
        layer = self._layer(key)
        shop.storage.snapshots.remove(key)
        return cache.made(layer, "", step.text)

    def _copied_again(self, step: steps.Copy, large: LargeCopy) -> Record | None:
        def copy(chosen: Sequence[Chosen], root: int, shown: Sequence[Mount], anew: bool) -> None:
            self._copy(step, chosen, root, shown, anew=anew)

        key = next(self._keys)
        layer = large.again(key, f"{self._identifier}-patch", copy)
        return self._committed(key, layer) if layer is not None else None

    def _put_in_place(self, record: Record) -> None:
        """Put a layer that fits upon anything upon the files that this step is to change."""
        if record.layer is None or record.chain:
            return
        layer = record.layer
        descriptor = Descriptor(media_types.layer_type(media_types.OCI_MANIFEST, NONE), layer.digest, layer.size)
        placed = unpack.Layer(descriptor, layer.diff_id, chain_of(self._below, layer), self._below)
        self._shop.lease.hold_snapshot(placed.chain_id)
        # Keys of a lease are counted by whoever took it, which is not this process.
        with self._shop.storage.leases.take() as lease:
            unpack.unpack(self._shop.storage, [placed], lease, None, Quiet())

    def _copy(
        self, step: steps.Copy, chosen: Sequence[Chosen], root: int, shown: Sequence[Mount], *, anew: bool = False
    ) -> None:
        owner = self._shop.worker.identity(shown, step.owner) if step.owner else None
        style = copying.Style(owner, copying.permissions(step.mode), keep_owners=not step.origin.is_context)
        packed = [each for each in chosen if self._is_packed(step, each)]
        copier = copying.Copier(root, style, anew=anew)
        copier.copy([each for each in chosen if each not in packed], step.documents, step.target)
        for each in packed:
            self._unpack(step, each, root, owner)

    def _is_packed(self, step: steps.Copy, chosen: Chosen) -> bool:
        if not step.adds or chosen.is_directory or step.unpack is False:
            return False
        if step.unpack is None and any(remote.is_remote(source) for source in step.sources):
            return False
        from orlop.build import archives

        descriptor = chosen.as_entry().open()
        try:
            return archives.is_archive(descriptor)
        finally:
            os.close(descriptor)

    def _unpack(self, step: steps.Copy, chosen: Chosen, root: int, owner: tuple[int, int] | None) -> None:
        from orlop.build import archives

        snapshots = self._shop.storage.snapshots
        key = next(self._keys)
        shown = self._prepare(key, "")
        descriptor = chosen.as_entry().open()
        try:
            archives.unpack(descriptor, snapshots.unpack_target(key), f"{self._identifier}-plain", chosen.name)
        finally:
            os.close(descriptor)
        with storage_mounts.attached(shown) as tree_root:
            tree = selection.Root(tree_root, Ignored(), chosen.name, is_context=False)
            (everything,) = selection.choose(tree, ["/"], step.exclude)
            try:
                style = copying.Style(owner, copying.permissions(step.mode), keep_owners=True)
                copying.Copier(root, style).copy([everything], [], step.target)
            finally:
                everything.close()
        snapshots.remove(key)

    def _make_directory(self, root: int, shown: Sequence[Mount]) -> None:
        step = self._node.step
        if not isinstance(step, steps.MakeDirectory):
            raise TypeError(step)
        owner = self._shop.worker.identity(shown, step.user) if step.user else None
        copying.Copier(root, copying.Style(owner, None, keep_owners=False)).make_directory(step.path)

    def _change(self, change: _Change) -> Record:
        """Have something change the files, and commit them."""
        key = next(self._keys)
        shown = self._prepare(key, self._below)
        with storage_mounts.attached(shown) as root:
            change(root, shown)
        return self._commit(key)

    def _run(self, step: steps.Run) -> Record:
        shop = self._shop
        key = next(self._keys)
        shown = self._prepare(key, self._below)
        made: list[dict[str, object]] = []
        environment = [*step.environment, *step.proxies]
        mounted = None
        if step.mounts or step.script:
            mounted = mounting.Mounting(
                shop.storage, f"{self._identifier}-mounts", shop.contexts, shop.secrets, self._keys
            )
            for each in step.mounts:
                mounted.add(each, self._chains.get(each.origin, "") if each.origin is not None else "", step.workdir)
            if step.script:
                mounted.script(step.script, step.arguments[0])
            made, environment = mounted.made, [*environment, *mounted.environment]
        devices = shop.worker.devices(step.devices) if step.devices else Devices()
        mounted_on = [*(str(each["destination"]) for each in made), *devices.places, *_ALWAYS_MOUNTED]
        with storage_mounts.attached(shown) as root:
            places = mounting.Places(root, mounted_on)
        job = Job(
            root=shown,
            arguments=step.arguments,
            environment=environment,
            user=step.user,
            workdir=step.workdir,
            network=step.network,
            insecure=step.insecure,
            mounts=made,
            output=self._output,
            leash=self._leash,
            devices=devices.names,
        )
        try:
            status = shop.worker.run(job)
        finally:
            storage_mounts.settle(shown)
            if mounted is not None:
                mounted.close()
        if status:
            raise StepFailed(" ".join(step.arguments), status)
        with storage_mounts.attached(shown) as root:
            places.clear(root)
        return self._commit(key)

    def _prepare(self, key: str, below: str) -> list[Mount]:
        """A snapshot to be changed, which is of no use if the machine goes down before all of it is on the disk."""
        return storage_mounts.volatile(self._shop.storage.snapshots.prepare(key, below))

    def _commit(self, key: str) -> Record:
        layer = self._layer(key)
        if layer is None:
            self._shop.storage.snapshots.remove(key)
            return cache.made(None, self._below, self._node.step.text)
        return self._committed(key, layer)

    def _committed(self, key: str, layer: Layer) -> Record:
        snapshots = self._shop.storage.snapshots
        chain = chain_of(self._below, layer)
        self._shop.lease.hold_snapshot(chain)
        try:
            snapshots.commit(chain, key, provisional=True)
        except Conflict:
            snapshots.remove(key)  # another build, or another step, has come to the same
        return cache.made(layer, chain, self._node.step.text)

    def _layer(self, key: str) -> Layer | None:
        shop = self._shop
        base = shop.storage.snapshots.diff_base(key)
        self._places.clear()
        made = diff.create(base, shop.storage.blobs, NONE, clamp=shop.clamp, lease=shop.lease, places=self._places)
        if made.uncompressed_size == _EMPTY_ARCHIVE:
            return None
        return Layer(made.diff_id, made.digest, made.size)


def chain_of(below: str, layer: Layer) -> str:
    """The chain ID of a layer upon a snapshot."""
    return config.chain_ids([below, layer.diff_id])[-1] if below else layer.diff_id


#: What every container has something mounted on.
_ALWAYS_MOUNTED = ("/dev", "/proc", "/sys", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf")

if TYPE_CHECKING:
    from collections.abc import Callable

    _Change = Callable[[int, Sequence[Mount]], None]
