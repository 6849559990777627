"""What refers to a manifest as its subject, such as signatures (distribution-spec, "Listing Referrers").

A registry from before version 1.1 of the specification does not keep account of it. There the list is an index under a
tag that is made of the subject's digest, which the clients bring up to date.
"""

from __future__ import annotations

from urllib.parse import urlencode

from orlop.errors import NotFound, RegistryError
from orlop.images import media_types
from orlop.images.manifest import Descriptor, Index, Manifest, descriptor, make_index, parse
from orlop.images.registry.pages import pages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.images.registry.client import Registry

_MOST = 100_000


def fallback_tag(digest: str) -> str:
    """The tag of the list of what refers to a digest: ``sha256-…`` (distribution-spec, "Referrers Tag Schema")."""
    algorithm, _, encoded = digest.partition(":")
    return f"{algorithm[:32]}-{encoded[:64]}"


def find(registry: Registry, repository: str, digest: str, artifact_type: str = "") -> list[Descriptor]:
    """What refers to a digest, of one type or of all.

    Raises:
        Unauthorized, RegistryError: the registry does not say.
    """
    found = _by_interface(registry, repository, digest, artifact_type)
    if found is None:
        found = _by_tag(registry, repository, digest)
    return [each for each in found if not artifact_type or each.artifact_type == artifact_type]


def _by_interface(registry: Registry, repository: str, digest: str, artifact_type: str) -> list[Descriptor] | None:
    """What the registry itself keeps account of; None if it does not."""
    endpoint = registry.endpoint
    what = f"the referrers of {registry.domain}/{repository}@{digest}"
    url = endpoint.url(f"referrers/{digest}", repository)
    if artifact_type:
        url += f"?{urlencode({'artifactType': artifact_type})}"
    found: list[Descriptor] = []
    try:
        for _, document in pages(
            endpoint, url, what, repository=repository, scopes=[endpoint.scope(repository)],
            accept=media_types.OCI_INDEX,
        ):  # fmt: skip
            entries = document.get("manifests") or []
            if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
                raise RegistryError(f"{what}: {endpoint.server.authority} did not answer with an index")
            found += [descriptor(entry, f"an entry of {what}") for entry in entries]
            if len(found) > _MOST:
                raise RegistryError(f"{what}: there are more than {_MOST}")
    except NotFound:
        return None
    except RegistryError as error:
        if error.status in (400, 405, 501) and not found:
            return None
        raise
    return found


def _by_tag(registry: Registry, repository: str, digest: str) -> list[Descriptor]:
    try:
        data, media_type, _ = registry.manifest(repository, fallback_tag(digest))
    except NotFound:
        return []
    found = parse(data, media_type, f"the list of what refers to {digest}")
    return list(found.manifests) if isinstance(found, Index) else []


def add(registry: Registry, repository: str, data: bytes, media_type: str, digest: str) -> None:
    """Note a manifest that was just brought to a registry in the list of its subject's referrers.

    Raises:
        Unauthorized, RegistryError: the registry does not take the list.
    """
    made = parse(data, media_type, f"the manifest {digest}")
    if made.subject is None:
        return
    kind = made.artifact_type or (made.config.media_type if isinstance(made, Manifest) else "")
    entry = Descriptor(made.media_type, digest, len(data), artifact_type=kind, annotations=made.annotations)
    there = _by_tag(registry, repository, made.subject.digest)
    if entry.digest in (each.digest for each in there):
        return
    index = make_index([*there, entry])
    registry.put_manifest(repository, fallback_tag(made.subject.digest), index.data, index.media_type)
