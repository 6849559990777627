"""What is said of an image that was built: what is in it, and how it came to be."""

from __future__ import annotations

import os
import time

import orlop
from orlop.build import definition, provenance
from orlop.build.graph import IMAGES
from orlop.build.result import rfc3339
from orlop.build.sbom import scan, spdx
from orlop.build.sbom.distribution import Distribution
from orlop.build.sbom.scan import Inventory
from orlop.build.value import Value
from orlop.errors import NotFound
from orlop.images import attestations, reference
from orlop.storage import mounts as storage_mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from orlop.build.attested import Attested
    from orlop.build.dockerfile.parser import Dockerfile
    from orlop.build.graph import Graph
    from orlop.build.scheduler import Files
    from orlop.engine.building.request import BuildRequest
    from orlop.images.manifest import Manifest
    from orlop.images.platform import Platform
    from orlop.images.store import ImageStore
    from orlop.storage.store import Storage


class Said(Value):
    """One predicate: its ``kind``, the ``file`` that it is in where files are written, and the ``predicate`` itself."""

    kind: str
    file: str
    predicate: Mapping[str, Any]


def say(
    images: ImageStore,
    request: BuildRequest,
    dockerfile: Dockerfile,
    graph: Graph,
    files: Mapping[int, Files],
    chain: str,
    names: Sequence[str],
    began: int,
    commit: str,
    wanted: Attested,
) -> list[Said]:
    """Everything that is wanted to be said of what was built. ``began`` is nanoseconds since 1970, ``commit`` that of a context out of git.

    Raises:
        InvalidArgument, OSError: the image's files cannot be looked through.
    """
    said = []
    if wanted.sbom:
        inventory = _inventory(images.storage, chain)
        title = reference.parse(names[0]).familiar if names else "image"
        created = rfc3339(request.epoch if request.epoch is not None else int(time.time()))
        document = spdx.document(inventory, title, created, f"orlop-{orlop.__version__}")
        said.append(Said(spdx.PREDICATE, "sbom.spdx.json", document))
    if wanted.provenance:
        facts = provenance.Facts(
            dockerfile,
            graph,
            files,
            began,
            time.time_ns(),
            os.urandom(12).hex(),
            context="" if os.path.isdir(request.context) or request.context == "-" else request.context,
            commit=commit,
            target=request.target,
            arguments=request.arguments,
            labels=request.labels,
            options=_options(request),
            named=[name for name, value in request.contexts.items() if os.path.isdir(value)],
            images=_digests(images, graph),
            secrets=[value.decode("utf-8", "replace").strip() for value in request.secrets.values()],
        )
        kind = provenance.PREDICATES[wanted.version]
        said.append(Said(kind, "provenance.json", provenance.predicate(facts, wanted)))
    return said


def statements(said: Sequence[Said], names: Sequence[str], made: Manifest, wanted: Platform) -> list[tuple[str, bytes]]:
    """Each as a statement about an image, by all of its names."""
    called = [definition.package_url(name, wanted) for name in names] or ["_"]
    subjects = [attestations.subject(name, made.digest) for name in called]
    return [(each.kind, attestations.statement(subjects, each.kind, each.predicate)) for each in said]


def _inventory(storage: Storage, chain: str) -> Inventory:
    if not chain:
        return Inventory(Distribution(), ())
    with storage_mounts.attached(storage.snapshots.mounts(chain)) as tree:
        return scan.scan(tree)


def _options(request: BuildRequest) -> dict[str, str]:
    made = {}
    for name, value in request.contexts.items():
        made[f"context:{name}"] = f"local:{name}" if os.path.isdir(value) else value
    if request.no_cache or request.no_cache_filter:
        made["no-cache"] = "" if request.no_cache else ",".join(request.no_cache_filter)
    if request.network != "default":
        made["force-network-mode"] = request.network
    return made


def _digests(images: ImageStore, graph: Graph) -> dict[str, str]:
    """The digests that registries know images by, by the names that the Dockerfile has."""
    found = {}
    for base, _ in definition.images(graph):
        if base.name.startswith(IMAGES):
            continue  # nobody else knows it
        name = reference.parse(base.name)
        try:
            known = [reference.parse(each) for each in images.find(base.name).digests]
        except NotFound:
            continue  # removed meanwhile
        digests = [each.digest for each in known if each.name == name.name]
        if digests:
            found[base.name] = name.digest if name.digest in digests else digests[-1]
    return found
