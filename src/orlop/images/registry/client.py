"""A registry: what can be asked of it and brought to it (OCI distribution-spec v1.1, and Docker's HTTP API V2).

::

    registry = Registry(reference.domain)
    found = registry.resolve(reference)
    data, media_type, digest = registry.manifest(reference.path, found.digest)
    for piece in registry.blob(reference.path, layer.digest):
        ...

Threads share a registry. What is read goes to its mirrors first; everything else goes to the registry itself. Names of
repositories are paths as in `orlop.images.reference.Reference`, without the domain.
"""

from __future__ import annotations

from urllib.parse import urlencode

from orlop.errors import DigestMismatch, InvalidArgument, InvalidReference, NotFound, RegistryError
from orlop.images import media_types
from orlop.images.manifest import LARGEST, Descriptor, parse
from orlop.images.reference import is_path, is_tag
from orlop.images.registry.endpoint import Endpoint
from orlop.images.registry.hosts import RegistryOptions
from orlop.images.registry.refusals import Unreachable, Untrusted
from orlop.storage import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from orlop.images.reference import Reference
    from orlop.images.registry.connections import Answer
    from orlop.images.registry.stream import Stream
    from orlop.images.registry.upload import Reader

    Result = TypeVar("Result")

_ACCEPT = {"Accept": media_types.ACCEPT}


class Registry:
    """A registry by its name in references, such as ``docker.io`` or ``localhost:5000``.

    Making the value sends nothing.
    """

    def __init__(self, domain: str, options: RegistryOptions | None = None) -> None:
        self.domain = domain
        self.options = options if options is not None else RegistryOptions()
        #: Mirrors that could not be talked to.
        self._silent: set[Endpoint] = set()
        self.endpoints = [Endpoint(server, domain, self.options) for server in self.options.servers(domain)]

    @property
    def endpoint(self) -> Endpoint:
        """The registry itself, which is none of its mirrors."""
        return self.endpoints[-1]

    def close(self) -> None:
        """Close all connections; transfers in other threads end with an error."""
        for endpoint in self.endpoints:
            endpoint.close()

    def resolve(self, reference: Reference) -> Descriptor:
        """What a tag or a digest stands for: the descriptor of a manifest or an index. A digest counts before a tag.

        The digest of a tag is what the registry says. `manifest` by that digest then verifies it.

        Raises:
            NotFound, Unauthorized, RegistryError: the registry does not have it or does not give it.
        """
        wanted = reference.digest or reference.tag or "latest"
        return self._from_any(lambda endpoint: self._resolve(endpoint, reference.path, wanted))

    def _resolve(self, endpoint: Endpoint, repository: str, wanted: str) -> Descriptor:
        what = self._name(repository, wanted)
        try:
            answer = self._ask(endpoint, "HEAD", repository, f"manifests/{wanted}", what, headers=_ACCEPT)
        except RegistryError as error:
            if error.status in (400, 405, 406, 501):
                return self._resolve_whole(endpoint, repository, wanted)
            raise
        answer.discard()
        digest = answer.headers.get("docker-content-digest", "")
        media_type = media_types.essence(answer.headers.get("content-type", ""))
        known = media_type in media_types.MANIFESTS | media_types.INDEXES
        if not digests.is_digest(digest) or answer.length < 0 or not known:
            return self._resolve_whole(endpoint, repository, wanted)
        if ":" in wanted and digest != wanted:
            raise DigestMismatch(f"{what}: {endpoint.server.authority} has {digest} there")
        return Descriptor(media_type, digest, answer.length)

    def _resolve_whole(self, endpoint: Endpoint, repository: str, wanted: str) -> Descriptor:
        data, media_type, digest = self._manifest(endpoint, repository, wanted)
        return Descriptor(parse(data, media_type, self._name(repository, wanted)).media_type, digest, len(data))

    def manifest(self, repository: str, wanted: str) -> tuple[bytes, str, str]:
        """A manifest or an index by its tag or digest: its bytes, the media type that it came with, and its digest.

        Raises:
            DigestMismatch: it is not what the digest names, by which it was asked for or which the registry says.
            NotFound, Unauthorized, RegistryError: the registry does not have it or does not give it.
        """
        return self._from_any(lambda endpoint: self._manifest(endpoint, repository, wanted))

    def _manifest(self, endpoint: Endpoint, repository: str, wanted: str) -> tuple[bytes, str, str]:
        what = self._name(repository, wanted)
        answer = self._ask(endpoint, "GET", repository, f"manifests/{wanted}", what, headers=_ACCEPT)
        data = answer.body(LARGEST, what)
        said = answer.headers.get("docker-content-digest", "")
        expected = wanted if ":" in wanted else said if digests.is_digest(said) else "sha256:"
        state = digests.hasher(expected)
        state.update(data)
        digest = digests.result(state)
        if expected not in (digest, "sha256:"):
            raise DigestMismatch(f"{what}: {endpoint.server.authority} sent something with the digest {digest}")
        return data, media_types.essence(answer.headers.get("content-type", "")), digest

    def blob(self, repository: str, digest: str, offset: int = 0, *, endpoint: Endpoint | None = None) -> Stream:
        """A blob's content from an offset on, which is not verified here; see `orlop.images.registry.fetch`.

        Raises:
            NotFound, Unauthorized, RegistryError: the registry does not have it or does not give it.
        """
        from orlop.images.registry.stream import open_stream

        def ask(asked: Endpoint) -> Stream:
            url = asked.url(f"blobs/{_checked(repository, digest)}", repository)
            scopes = [asked.scope(repository)]
            return open_stream(asked, url, offset, self._name(repository, digest), repository=repository, scopes=scopes)

        return self._from_any(ask) if endpoint is None else ask(endpoint)

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether the registry itself has a blob in a repository.

        Raises:
            Unauthorized, RegistryError: it does not say.
        """
        what = self._name(repository, digest)
        # Asked with the scope that the upload will need, so that one token does for both.
        try:
            answer = self._ask(self.endpoint, "HEAD", repository, f"blobs/{digest}", what, actions="pull,push")
        except NotFound:
            return False
        answer.discard()
        return True

    def has_manifest(self, repository: str, wanted: str) -> bool:
        """Whether the registry itself has a manifest by a tag or digest.

        Raises:
            Unauthorized, RegistryError: it does not say.
        """
        try:
            self._resolve(self.endpoint, repository, wanted)
        except NotFound:
            return False
        return True

    def mount_blob(self, repository: str, digest: str, from_repository: str) -> bool:
        """Have a blob of another repository of the same registry in this one too; False if that was not possible.

        Raises:
            RegistryError: the registry cannot be reached, or fails.
        """
        from orlop.images.registry.upload import mount

        _checked(from_repository, digest)
        return mount(self.endpoint, repository, _checked(repository, digest), from_repository, self.domain)

    def upload_blob(
        self,
        repository: str,
        digest: str,
        size: int,
        open_at: Callable[[int], Reader],
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Bring a blob to the registry.

        ``open_at`` gives a reader of its content from an offset on, and is called as often as it takes.
        ``progress`` hears how many bytes have been sent so far. What was interrupted goes on where it ended.

        Raises:
            DigestMismatch: the registry says that the content is not what the digest names.
            Unauthorized, RegistryError: the registry does not take it, or cannot be reached for long enough.
            OSError: the content cannot be read.
        """
        from orlop.images.registry.upload import upload

        upload(self.endpoint, repository, _checked(repository, digest), size, open_at, self.domain, progress)

    def put_manifest(self, repository: str, wanted: str, data: bytes, media_type: str) -> str:
        """Bring a manifest or an index under a tag or its digest; returns its digest.

        What it refers to has to be there already. If it has a subject, and the registry does not keep account of
        those, the list of the subject's referrers is brought up to date as well.

        Raises:
            DigestMismatch: it is asked for by another digest than its own, or the registry has come to another one.
            Unauthorized, RegistryError: the registry does not take it.
        """
        what = self._name(repository, wanted)
        state = digests.hasher(wanted if ":" in wanted else "sha256:")
        state.update(data)
        digest = digests.result(state)
        if ":" in wanted and wanted != digest:
            raise DigestMismatch(f"{what}: the manifest has the digest {digest}")
        answer = self._ask(
            self.endpoint, "PUT", repository, f"manifests/{wanted}", what,
            actions="pull,push", headers={"Content-Type": media_type}, body=data, expected=(201, 200, 202),
        )  # fmt: skip
        answer.discard()
        said = answer.headers.get("docker-content-digest", "")
        if digests.is_digest(said) and said.startswith(digest.partition(":")[0]) and said != digest:
            raise DigestMismatch(f"{what}: {self.endpoint.server.authority} has stored it as {said}, not as {digest}")
        if b'"subject"' in data and "oci-subject" not in answer.headers:
            from orlop.images.registry.referrers import add

            add(self, repository, data, media_type, digest)
        return digest

    def delete_manifest(self, repository: str, wanted: str) -> None:
        """Delete a manifest by its digest, or a tag where the registry knows how.

        Raises:
            NotFound, Unauthorized, RegistryError: it is not there, or deleting is not allowed.
        """
        self._delete(repository, f"manifests/{wanted}", wanted)

    def delete_blob(self, repository: str, digest: str) -> None:
        """Delete a blob from a repository.

        Raises:
            NotFound, Unauthorized, RegistryError: it is not there, or deleting is not allowed.
        """
        self._delete(repository, f"blobs/{digest}", digest)

    def _delete(self, repository: str, path: str, wanted: str) -> None:
        what = f"deleting {self._name(repository, wanted)}"
        answer = self._ask(
            self.endpoint, "DELETE", repository, path, what, actions="pull,push,delete", expected=(202, 200, 204)
        )
        answer.discard()

    def referrers(self, repository: str, digest: str, artifact_type: str = "") -> list[Descriptor]:
        """What refers to a manifest as its subject, such as signatures, of one type or of all.

        Raises:
            Unauthorized, RegistryError: the registry does not say.
        """
        from orlop.images.registry.referrers import find

        return find(self, repository, _checked(repository, digest), artifact_type)

    def tags(self, repository: str) -> list[str]:
        """A repository's tags, in the registry's order.

        Raises:
            NotFound, Unauthorized, RegistryError: there is no such repository, or the registry does not say.
        """
        from orlop.images.registry.pages import names

        if not is_path(repository):
            raise InvalidReference(f'invalid repository name "{repository[:160]}"')

        def ask(endpoint: Endpoint) -> list[str]:
            what = f"the tags of {self.domain}/{repository}"
            url = endpoint.url("tags/list", repository)
            return names(endpoint, url, "tags", what, repository=repository, scopes=[endpoint.scope(repository)])

        return self._from_any(ask)

    def repositories(self) -> list[str]:
        """The names of all repositories, from registries that have a catalog and show it.

        Raises:
            NotFound, Unauthorized, RegistryError: it does not.
        """
        from orlop.images.registry.pages import names

        endpoint = self.endpoint
        url = endpoint.url("_catalog")
        return names(endpoint, url, "repositories", f"the catalog of {self.domain}", scopes=["registry:catalog:*"])

    def _ask(
        self,
        endpoint: Endpoint,
        method: str,
        repository: str,
        path: str,
        what: str,
        *,
        actions: str = "pull",
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        expected: tuple[int, ...] = (200,),
        query: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        _checked(repository, path.partition("/")[2])
        url = endpoint.url(path, repository) + (f"?{urlencode(query)}" if query else "")
        scopes = [endpoint.scope(repository, actions)]
        return endpoint.request(
            method, url, what, repository=repository, scopes=scopes, headers=headers, body=body, expected=expected
        )

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self.endpoint.connections.is_closed

    def alive(self) -> list[Endpoint]:
        """Who may be asked for what is read: the mirrors that answer, in their order, and the registry itself."""
        return [*(each for each in self.endpoints[:-1] if each not in self._silent), self.endpoint]

    def note(self, endpoint: Endpoint | None, error: Exception) -> None:
        """Remember a mirror that could not be talked to, so that nothing waits for it again."""
        if endpoint is not None and endpoint is not self.endpoint and isinstance(error, (Unreachable, Untrusted)):
            self._silent.add(endpoint)

    def _from_any(self, ask: Callable[[Endpoint], Result]) -> Result:
        """Ask the mirrors in their order and then the registry; the first that has an answer counts."""
        for mirror in self.alive()[:-1]:
            try:
                return ask(mirror)
            except (RegistryError, NotFound, DigestMismatch, InvalidArgument) as error:
                if self.is_closed:
                    raise
                self.note(mirror, error)
                continue  # what matters is what the registry itself says
        return ask(self.endpoint)

    def _name(self, repository: str, wanted: str) -> str:
        return f"{self.domain}/{repository}{'@' if ':' in wanted else ':'}{wanted}"


def _checked(repository: str, wanted: str) -> str:
    """A tag or digest that is one, of a repository whose name is one: both become part of a URL."""
    if not is_path(repository):
        raise InvalidReference(f'invalid repository name "{repository[:160]}"')
    if not (digests.is_digest(wanted) or is_tag(wanted)):
        raise InvalidReference(f'"{wanted[:160]}" is neither a tag nor a digest')
    return wanted
