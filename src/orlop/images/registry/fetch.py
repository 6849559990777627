"""Bringing a blob from a registry into the blob store, whatever happens on the way."""

from __future__ import annotations

from orlop.errors import DigestMismatch, NotFound, RegistryError
from orlop.images import media_types
from orlop.images import progress as words
from orlop.images.registry.origin import origin_of
from orlop.images.registry.persistence import delay
from orlop.images.registry.refusals import NoConnection, NotTls, Unreachable
from orlop.images.registry.stream import open_stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orlop.images.manifest import Descriptor
    from orlop.images.progress import Progress
    from orlop.images.registry.client import Registry
    from orlop.images.registry.endpoint import Endpoint
    from orlop.images.registry.stream import Stream
    from orlop.storage.blobs import Blobs
    from orlop.storage.ingest import Ingest

    Source = Callable[[int], Stream]

#: A connection that brought this much was worth its while, so that the attempts are counted anew after it. Smaller
#: would let a server that gives a byte for each connection keep us busy for ever.
_WORTH_WHILE = 1 << 20
#: How often progress is told, in bytes.
_STEP = 1 << 20


def fetch_blob(
    registry: Registry,
    repository: str,
    descriptor: Descriptor,
    blobs: Blobs,
    progress: Progress | None = None,
    name: str = "",
) -> bool:
    """Have a blob in the store: whether it had to be fetched. Several fetchers of one blob fetch it once.

    It comes from the descriptor itself if that carries it, else from the registry's mirrors, the registry, and the
    URLs of the descriptor; these first if the layer is one that registries may not have. Connections that break are
    taken up again where they ended. ``name`` is what the progress is told of, by default the digest's first 12 digits.

    Raises:
        DigestMismatch: nobody had what the descriptor describes, but something else.
        NotFound, Unauthorized, RegistryError: nobody gave it.
        InsufficientSpace: the disk is full.
        OSError: the store cannot be written to.
    """
    told = progress if progress is not None else words.Quiet()
    name = name or descriptor.digest.partition(":")[2][:12]
    ingest = blobs.ingest(descriptor.digest, descriptor.size, waiting=lambda: told.update(name, words.WAITING))
    if ingest is None:
        told.update(name, words.EXISTS, descriptor.size, descriptor.size)
        return False
    with ingest:
        if descriptor.data is not None:
            ingest.restart()
            ingest.write(descriptor.data)
            ingest.commit()
        else:
            _fetch(registry, repository, descriptor, ingest, told, name)
    told.update(name, words.DOWNLOADED, descriptor.size, descriptor.size)
    return True


def _fetch(
    registry: Registry, repository: str, descriptor: Descriptor, ingest: Ingest, progress: Progress, name: str
) -> None:
    """Try all who may have it, until it is there and right."""
    errors: list[Exception] = []
    of_registry: Exception | None = None
    for endpoint, source in _sources(registry, repository, descriptor):
        try:
            _fetch_and_check(registry, source, descriptor, ingest, progress, name)
            return
        except (RegistryError, NotFound, DigestMismatch) as error:
            if registry.is_closed:
                raise
            registry.note(endpoint, error)
            errors.append(error)
            if endpoint is registry.endpoint:
                of_registry = error
    # Of all that went wrong, what the registry itself said is what helps, but for a layer that it may not have.
    if of_registry is not None and not (media_types.is_foreign(descriptor.media_type) and descriptor.urls):
        raise of_registry
    raise errors[0]


def _sources(registry: Registry, repository: str, descriptor: Descriptor) -> Iterator[tuple[Endpoint | None, Source]]:
    def at(endpoint: Endpoint) -> Source:
        return lambda offset: registry.blob(repository, descriptor.digest, offset, endpoint=endpoint)

    def elsewhere(url: str) -> Source:
        return lambda offset: _open_url(registry, url, offset, descriptor)

    urls = [(None, elsewhere(url)) for url in descriptor.urls]
    if media_types.is_foreign(descriptor.media_type):
        yield from urls
        urls = []
    for endpoint in registry.alive():
        yield endpoint, at(endpoint)
    yield from urls


def _open_url(registry: Registry, url: str, offset: int, descriptor: Descriptor) -> Stream:
    what = f"the URL of {descriptor.digest}"
    origin, registry_origin = origin_of(url, what), registry.endpoint.origin
    if origin == registry_origin:
        raise RegistryError(f"{what} leads back to {origin}, where nothing but the registry's own content is asked for")
    if origin.scheme != "https" and registry_origin.scheme == "https":
        raise RegistryError(f"{what} leads to {origin}, which is without TLS")
    return open_stream(registry.endpoint, url, offset, what)


def _fetch_and_check(
    registry: Registry, source: Source, descriptor: Descriptor, ingest: Ingest, progress: Progress, name: str
) -> None:
    began_before = ingest.offset > 0
    while True:
        try:
            _transfer(registry, source, descriptor, ingest, progress, name)
            progress.update(name, words.VERIFYING, descriptor.size, descriptor.size)
            ingest.commit()
            return
        except DigestMismatch:
            # What an earlier fetch left may have been what was wrong. It is gone now.
            if not began_before:
                raise
            began_before = False


def _transfer(
    registry: Registry, source: Source, descriptor: Descriptor, ingest: Ingest, progress: Progress, name: str
) -> None:
    """Receive until the end, over as many connections as it takes as long as they bring something."""
    failures = 0
    while True:
        began = ingest.offset
        try:
            with source(ingest.offset) as stream:
                _receive(stream, descriptor, ingest, progress, name)
            return
        except (NoConnection, NotTls):
            raise
        except Unreachable:
            failures = 1 if ingest.offset - began >= _WORTH_WHILE else failures + 1
            if failures >= registry.options.attempts:
                raise
            progress.update(name, words.RETRYING, ingest.offset, descriptor.size)
            registry.endpoint.connections.pause(delay(failures - 1))


def _receive(stream: Stream, descriptor: Descriptor, ingest: Ingest, progress: Progress, name: str) -> None:
    if stream.restarted:
        ingest.restart()
    if stream.remaining >= 0 and stream.offset + stream.remaining != descriptor.size:
        came = stream.offset + stream.remaining
        raise DigestMismatch(f"the blob {descriptor.digest} has {came} bytes where {descriptor.size} were declared")
    progress.update(name, words.DOWNLOADING, ingest.offset, descriptor.size)
    due = ingest.offset + _STEP
    for piece in stream:
        ingest.write(piece)
        if ingest.offset >= due:
            progress.update(name, words.DOWNLOADING, ingest.offset, descriptor.size)
            due = ingest.offset + _STEP
