"""Everything that is known of an image, in the words of Docker's API."""

from __future__ import annotations

from orlop import clock
from orlop.images import attestations, reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.images.config import Execution
    from orlop.images.manifest import Index, Manifest
    from orlop.images.store import Image, ImageStore


def describe(images: ImageStore, image: Image) -> dict[str, Any]:
    """What `orlop image inspect` shows.

    Raises:
        NotFound: the image was removed meanwhile.
        InvalidImage: its configuration is damaged.
    """
    config = image.config
    manifest, attested = image.read_manifest(), image.read_index()
    snapshots = images.storage.snapshots
    return {
        "Id": image.id,
        "RepoTags": [reference.parse(name).familiar for name in image.tags],
        "RepoDigests": [reference.parse(name).familiar for name in image.digests],
        "Parent": "",
        "Comment": config.history[-1].comment if config.history else "",
        "Created": config.created or clock.NEVER,
        "Author": config.author,
        "Config": configuration(config.config),
        "Architecture": config.platform.architecture,
        **({"Variant": config.platform.variant} if config.platform.variant else {}),
        "Os": config.platform.os,
        "Size": image.size,
        "GraphDriver": {"Name": snapshots.driver, "Data": {"Top": image.top}},
        "RootFS": {"Type": "layers", "Layers": config.diff_ids},
        "Metadata": {"LastTagTime": image.added},
        "Descriptor": (attested or manifest).descriptor.as_json(),
        **({"Manifests": _manifests(manifest, attested, image.size)} if attested is not None else {}),
    }


def _manifests(manifest: Manifest, attested: Index, size: int) -> list[dict[str, Any]]:
    """What the index that an image is in has: the image itself, those for other platforms, and what is said of them."""
    made = []
    others = {each.digest for each in attestations.images(attested)} - {manifest.digest}
    for each in attested.manifests:
        is_used = each.digest == manifest.digest
        is_image = is_used or each.digest in others
        shown: dict[str, Any] = {
            "ID": each.digest,
            "Descriptor": each.as_json(),
            "Available": True,
            "Size": {"Content": each.size, "Total": each.size + (size if is_used else 0)},
            "Kind": "image" if is_image else "attestation",
        }
        if is_image:
            platform = each.platform.as_json() if each.platform is not None else {}
            shown["ImageData"] = {"Platform": platform, "Containers": [], "Size": {"Unpacked": size if is_used else 0}}
        else:
            shown["AttestationData"] = {"For": attestations.subject_of(each) or manifest.digest}
        made.append(shown)
    return made


def configuration(config: Execution) -> dict[str, Any]:
    """How a container of the image starts, with the fields that Docker always shows."""
    shown: dict[str, Any] = {"User": "", "Env": None, "Cmd": None, "Entrypoint": None, "Labels": None, "WorkingDir": ""}
    return shown | config.as_json()
