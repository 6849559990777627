"""Archives of images, made file by file as other tools write them, or as an attacker would."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

from orlop.images import platform
from tests.integration.engine.image_maker import file, layer

if TYPE_CHECKING:
    from collections.abc import Sequence

CREATED = "2024-02-03T04:05:06Z"


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def small(text: str = "text") -> bytes:
    """A layer of one file."""
    return layer(file("a/file", text))


def config(layers: Sequence[bytes] = (), execution: dict[str, Any] | None = None, **fields: Any) -> bytes:
    """An image's configuration; ``layers`` are uncompressed."""
    here = platform.host()
    made = {
        "created": CREATED,
        "os": "linux",
        "architecture": here.architecture,
        "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]} if execution is None else execution,
        "rootfs": {"type": "layers", "diff_ids": [digest(each) for each in layers]},
        "history": [{"created": CREATED, "created_by": f"step {number}"} for number in range(len(layers))],
        **fields,
    }
    return json.dumps({key: value for key, value in made.items() if value is not None}).encode()


def tar(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """An archive of files in this order; ``links`` are symbolic ones."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type = tarfile.SYMTYPE
            info.linkname = target
            archive.addfile(info)
    return output.getvalue()


def docker_files(
    name: str | None = "app:1", layers: Sequence[bytes] = (), execution: dict[str, Any] | None = None, **fields: Any
) -> dict[str, bytes]:
    """The files of what ``docker save`` wrote before version 25."""
    layers = layers or [small()]
    described = config(layers, execution, **fields)
    image_id = digest(described)[7:]
    paths = [f"{number:064d}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": f"{image_id}.json", "RepoTags": [name] if name else None, "Layers": paths}]
    return {
        **dict(zip(paths, layers, strict=True)),
        f"{image_id}.json": described,
        "manifest.json": json.dumps(manifest).encode(),
    }


def docker_archive(*arguments: Any, **fields: Any) -> bytes:
    """What ``docker save`` wrote before version 25."""
    return tar(docker_files(*arguments, **fields))


def oci_files(
    name: str = "app:1",
    layers: Sequence[bytes] = (),
    *,
    stored: Sequence[bytes] = (),
    media_type: str = "application/vnd.oci.image.layer.v1.tar",
    execution: dict[str, Any] | None = None,
    **fields: Any,
) -> dict[str, bytes]:
    """The files of an OCI layout; ``stored`` are the layers as they are stored, if they are compressed."""
    layers = layers or [small()]
    described = config(layers, execution, **fields)
    blobs = [described, *(stored or layers)]
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest(described),
                "size": len(described),
            },
            "layers": [
                {"mediaType": media_type, "digest": digest(each), "size": len(each)} for each in stored or layers
            ],
        }
    ).encode()
    descriptor = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest(manifest),
        "size": len(manifest),
        "annotations": {"org.opencontainers.image.ref.name": name},
    }
    return {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps({"schemaVersion": 2, "manifests": [descriptor]}).encode(),
        **{f"blobs/sha256/{digest(each)[7:]}": each for each in [manifest, *blobs]},
    }


def image_id(files: dict[str, bytes]) -> str:
    """The ID of the image in the files of an archive."""
    if "manifest.json" in files:
        name: str = json.loads(files["manifest.json"])[0]["Config"]
        return digest(files[name])
    manifest = json.loads(files["index.json"])["manifests"][0]["digest"][7:]
    found: str = json.loads(files[f"blobs/sha256/{manifest}"])["config"]["digest"]
    return found
