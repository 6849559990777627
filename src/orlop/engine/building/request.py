"""What a user asks to be built."""

from __future__ import annotations

from orlop.build.attested import Attested
from orlop.build.value import Value
from orlop.images import platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from orlop.build.cache_places import Place
    from orlop.images.platform import Platform
    from orlop.images.registry.hosts import RegistryOptions


class Output(Value):
    """Where the result goes: ``image`` into the store, ``local`` and ``tar`` as files, ``oci`` and ``docker`` as an archive.

    ``destination`` is a path, or ``-`` for standard output. With ``is_directory`` it is an OCI layout that is no archive.
    ``names`` are further names of the image, and with ``push`` it goes to their registries. With ``split`` the files of each
    platform are in a directory of its own; None is so where there are several.
    """

    kind: str = "image"
    destination: str = ""
    is_directory: bool = False
    names: Sequence[str] = ()
    push: bool = False
    split: bool | None = None


class BuildRequest(Value):
    """One build.

    ``context`` is a directory, an address, a git repository or ``-``; ``dockerfile`` a path, ``-``, or empty for the
    context's own. ``platforms`` are all that are built for if they are several, of which ``platform`` is the first. ``contexts`` are further ones by name. ``no_cache_filter`` names stages. ``secrets``, ``agents`` and ``keys`` are
    contents, sockets and files of ssh keys by id. ``wishes`` are settings of the containers that steps run in, by their names. ``epoch`` is
    SOURCE_DATE_EPOCH. ``allowed`` are entitlements. ``annotations`` are the manifest's, ``platform_annotations`` those of one platform's only, ``index_annotations`` those of the index that has its attestations,
    and ``entry_annotations`` those of the manifest's descriptor there; ``attested`` is what these say, and ``described`` what is told of the build only. ``cache_from`` and ``cache_to`` are caches elsewhere.
    ``registries`` makes what is to be known of registries, if it is not to be what the engine's user has. ``parallel`` is
    how many steps may be done at the same time, 0 as many as there are processors.
    """

    context: str
    dockerfile: str = ""
    tags: Sequence[str] = ()
    target: str = ""
    arguments: Mapping[str, str] = {}
    contexts: Mapping[str, str] = {}
    platform: Platform = platform.host()
    platforms: Sequence[Platform] = ()
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    platform_annotations: Mapping[str, Mapping[str, str]] = {}
    index_annotations: Mapping[str, str] = {}
    entry_annotations: Mapping[str, str] = {}
    attested: Attested = Attested()
    described: Attested = Attested()
    no_cache: bool = False
    no_cache_filter: Sequence[str] = ()
    pull: bool = False
    secrets: Mapping[str, bytes] = {}
    agents: Mapping[str, str] = {}
    keys: Mapping[str, Sequence[str]] = {}
    network: str = "default"
    wishes: Mapping[str, Any] = {}
    allowed: Sequence[str] = ()
    epoch: int | None = None
    squash: bool = False
    outputs: Sequence[Output] = ()
    parallel: int = 0
    cache_from: Sequence[Place] = ()
    cache_to: Sequence[Place] = ()
    registries: Callable[[], RegistryOptions] | None = None
