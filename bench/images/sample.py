"""The image that is moved about: a Debian system and copies of parts of it, some 570 MB and 34,000 files in 4 layers."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from bench.workspace import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Of each layer: the parts of the root file system, and where it has them.
_LAYERS = (
    ((".", "."),),
    (("usr", "opt/one"),),
    (("usr/share", "opt/two"),),
    (("usr/share", "opt/three"), ("usr/share", "opt/four")),
)


def root() -> Path:
    """The Debian root file system that the tests use too (``make`` builds it)."""
    return Path(os.environ.get("ORLOP_TEST_ROOTFS") or REPOSITORY / "build/rootfs/debian")


def make(directory: Path, count: int = len(_LAYERS)) -> Path:
    """Write the image as an OCI layout, its layers compressed as Docker does it; returns the layout."""
    layout = directory / "sample"
    blobs = layout / "blobs/sha256"
    blobs.mkdir(parents=True)
    layers, diff_ids = [], []
    for number, parts in enumerate(_LAYERS[:count]):
        archive = directory / f"layer-{number}.tar"
        for part, place in parts:
            renamed = [f"--transform=s,^\\.,{place},S", "--exclude=./opt"] if place != "." else []
            command = ["tar", "-rf", str(archive), "-C", str(root() / part), *renamed, "."]
            subprocess.run(command, check=True)
        diff_ids.append(_digest(archive))
        subprocess.run(["gzip", "-6", "--no-name", str(archive)], check=True)
        compressed = archive.with_suffix(".tar.gz")
        digest = _digest(compressed)
        size = compressed.stat().st_size
        shutil.move(compressed, blobs / digest.partition(":")[2])
        layers.append({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": size})
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/bin/true"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _store(blobs, config, "application/vnd.oci.image.config.v1+json"),
        "layers": layers,
    }
    descriptor = _store(blobs, manifest, manifest["mediaType"])
    descriptor["annotations"] = {"org.opencontainers.image.ref.name": "bench"}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [descriptor]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return layout


def _store(blobs: Path, document: Mapping[str, object], media_type: object) -> dict[str, object]:
    data = json.dumps(document).encode()
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def small(directory: Path) -> Path:
    """A gzipped layer of one small file, for images that are only counted."""
    path = directory / "small.tar"
    (directory / "small").write_text("small")
    subprocess.run(["tar", "-cf", str(path), "-C", str(directory), "small"], check=True)
    with path.open("rb") as plain, gzip.open(f"{path}.gz", "wb") as compressed:
        shutil.copyfileobj(plain, compressed)
    return Path(f"{path}.gz")
