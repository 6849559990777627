"""Small images for tests, made layer by layer without any registry.

A test describes layers as archives and the configuration as Docker's ``Config``; a process of its own, root of a user
namespace where the engine is an ordinary user's, stores them as a pull does.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.integration.conftest import APPLETS, BUSYBOX, REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.integration.engine.conftest import Engine

Entry = tuple[tarfile.TarInfo, bytes]

_MAKE = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from orlop.engine import image_store, own_namespace
from orlop.engine.location import Location
location = Location(sys.argv[2], sys.argv[2] + "-no-run", rootless=os.geteuid() != 0)
own_namespace.enter()
from orlop import json_text
from orlop.images import install, manifest, media_types, platform
from orlop.images.config import ImageConfig, describe
from orlop.storage import digest
length = int(sys.stdin.buffer.readline())
told = json.loads(sys.stdin.buffer.read(length))
layers = [sys.stdin.buffer.read(size) for size in told["layers"]]
images = image_store.open_store(location)
images.storage.prepare()
with images.storage.leases.take() as lease:
    descriptors = [manifest.Descriptor(media_types.OCI_LAYER, images.storage.blobs.write(each), len(each)) for each in layers]
    here = platform.host()
    document = {
        "os": told["os"] or here.os, "architecture": told["architecture"] or here.architecture, "config": told["config"],
        "rootfs": {"type": "layers", "diff_ids": [each.digest for each in descriptors]},
        "history": [{"created_by": f"layer {number}"} for number in range(len(layers))],
    }
    data = json.dumps(document).encode()
    images.storage.blobs.write(data)
    made = manifest.make_manifest(describe(data), descriptors)
    print(install.install(images, made, [told["name"]], lease).id)
"""


def entry(path: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", **fields: Any) -> Entry:
    """One entry of a layer; ``fields`` are of `tarfile.TarInfo`."""
    info = tarfile.TarInfo(path)
    info.type = kind
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    info.size = len(data)
    for name, value in fields.items():
        setattr(info, name, value)
    return info, data


def file(path: str, text: str = "", **fields: Any) -> Entry:
    """A file."""
    return entry(path, data=text.encode(), **fields)


def directory(path: str, **fields: Any) -> Entry:
    """A directory."""
    return entry(path, tarfile.DIRTYPE, **fields)


def link(path: str, target: str) -> Entry:
    """A symbolic link."""
    return entry(path, tarfile.SYMTYPE, linkname=target)


def layer(*entries: Entry) -> bytes:
    """A layer's archive."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return output.getvalue()


def base(*more: Entry) -> bytes:
    """A layer with busybox, and ``more``."""
    entries = [directory(name) for name in ("bin", "dev", "etc", "proc", "root", "sys")]
    entries.append(directory("tmp", mode=0o1777))
    entries.append(entry("bin/busybox", data=Path(BUSYBOX).read_bytes(), mode=0o755))
    entries += [link(f"bin/{applet}", "busybox") for applet in APPLETS.split()]
    return layer(*entries, *more)


PASSWD = file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001:web:/srv/web:/bin/sh\n")
GROUP = file("etc/group", "root:x:0:\nweb:x:1001:\nlogs:x:55:web\n")


PLAIN = base(PASSWD, GROUP, directory("data"), file("data/gone"), file("data/kept", "kept"))


def make(
    engine: Engine,
    name: str,
    layers: Sequence[bytes] = (),
    config: dict[str, Any] | None = None,
    *,
    os: str = "",
    architecture: str = "",
) -> str:
    """Make an image in an engine's store; its ID. Without layers it has busybox, two users, and two files in ``/data``."""
    layers = layers or [PLAIN]
    told = {
        "name": f"docker.io/library/{name}",
        "layers": [len(each) for each in layers],
        "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]} if config is None else config,
        "os": os,
        "architecture": architecture,
    }
    text = json.dumps(told).encode()
    command = [*engine.prefix, sys.executable, "-c", _MAKE, str(REPOSITORY / "src"), str(engine.root)]
    given = b"".join([f"{len(text)}\n".encode(), text, *layers])
    done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()
