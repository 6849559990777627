"""``orlop import``: an image of a file system's archive, from wherever it comes."""

from __future__ import annotations

import bz2
import gzip
import http.server
import json
import lzma
import threading
from typing import TYPE_CHECKING, Any

import pytest

from orlop import third_party
from tests.integration.engine.image_maker import GROUP, PASSWD, base
from tests.integration.images.commands.archives import digest, small

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.images.commands.conftest import ImageEngine


def zstd(data: bytes) -> bytes:
    compressed: bytes = third_party.load("backports.zstd", "tests").compress(data)
    return compressed


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    """A web server with an archive, half of one, and nothing else."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = small("web")
            self.send_response({"/archive.tar": 200, "/half.tar": 200, "/moved.tar": 302}.get(self.path, 404))
            self.send_header("Location", "/archive.tar")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if self.path == "/half.tar" else data)
            self.close_connection = True

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class's word
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_imported_file_system_runs_with_the_changes_that_were_asked_for(engine: ImageEngine, tmp_path: Path) -> None:
    (tmp_path / "root.tar").write_bytes(base(PASSWD, GROUP))
    changes = (
        'CMD ["sh", "-c", "echo $WHO; pwd; id -u"]', "ENV PATH=/bin WHO=me", "WORKDIR /tmp", "USER web",
        "LABEL a=b c='d e'", "EXPOSE 80", "VOLUME /data", "STOPSIGNAL SIGINT",
    )  # fmt: skip
    options = [word for change in changes for word in ("-c", change)]
    made = engine.ok("import", *options, "-m", "by hand", str(tmp_path / "root.tar"), "app").strip()
    found = engine.image("app:latest")
    assert found["Id"] == made
    assert found["Comment"] == "by hand"
    assert found["Config"]["Labels"] == {"a": "b", "c": "d e"}
    assert list(found["Config"]["ExposedPorts"]) == ["80/tcp"]
    assert list(found["Config"]["Volumes"]) == ["/data"]
    assert found["RootFS"]["Layers"] == [digest(base(PASSWD, GROUP))]
    assert engine.ok("run", "--rm", "app").split() == ["me", "/tmp", "1000"]
    assert "by hand" in engine.ok("history", "app")


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstd, lzma.compress, bz2.compress])
def test_the_archive_may_be_compressed_and_come_through_a_pipe(engine: ImageEngine, compress: Any) -> None:
    engine.ok("import", "-", "app:1", given=compress(small()))
    found = engine.image("app:1")
    assert found["RootFS"]["Layers"] == [digest(small())]
    assert found["Comment"] == "Imported from -"
    assert len(engine.blobs()) == 3
    engine.is_sound()
    engine.ok("rmi", "app:1")
    assert engine.leftovers() == []


def test_an_archive_is_fetched_from_the_web(engine: ImageEngine, web: str) -> None:
    for name in ("archive.tar", "moved.tar"):
        engine.ok("import", f"{web}/{name}", "app:1")
        assert engine.image("app:1")["RootFS"]["Layers"] == [digest(small("web"))]
    assert engine.fails("import", f"{web}/nothing.tar") == (
        f"cannot download {web}/nothing.tar: the server has nothing there"
    )
    assert f"{web}/half.tar was interrupted" in engine.fails("import", f"{web}/half.tar")
    assert "127.0.0.1:1" in engine.fails("import", "http://127.0.0.1:1/x.tar")
    assert "is not an address to download from" in engine.fails("import", "http://a b/x.tar")
    engine.ok("image", "prune", "-af")
    assert engine.leftovers() == []


def test_the_platform_may_be_another(engine: ImageEngine) -> None:
    engine.ok("import", "--platform", "linux/arm/v7", "-", "app:1", given=small())
    found = engine.image("app:1")
    assert (found["Os"], found["Architecture"], found["Variant"]) == ("linux", "arm", "v7")


def test_an_image_without_a_name_is_made_if_none_is_given(engine: ImageEngine) -> None:
    made = engine.ok("import", "-", given=small()).strip()
    assert engine.images() == ["<none>:<none>"]
    assert json.loads(engine.ok("image", "inspect", made))[0]["RepoTags"] == []


def test_a_wrong_import_leaves_nothing_behind(engine: ImageEngine, tmp_path: Path) -> None:
    archive = small("x" * 100_000)
    assert engine.fails("import", "-", given=b"") == (
        "the archive on standard input is empty: it is no archive of a file system"
    )
    assert "the archive on standard input is truncated" in engine.fails("import", "-", given=archive[:50_000])
    assert "the archive on standard input" in engine.fails("import", "-", given=b"no archive" * 100)
    assert "zip" in engine.fails("import", "-", given=b"PK\3\4" + bytes(600))
    assert "is a directory" in engine.fails("import", str(tmp_path))
    assert engine.fails("import", str(tmp_path / "nothing")) == f"there is no file {tmp_path}/nothing"
    assert "NONSENSE" in engine.fails("import", "-c", "NONSENSE x", "-", given=archive)
    assert "UPPER" in engine.fails("import", "-", "UPPER", given=archive)
    assert "digest" in engine.fails("import", "-", "app@sha256:" + "0" * 64, given=archive)
    for compress in (gzip.compress, zstd, lzma.compress, bz2.compress):
        data = compress(archive)
        assert "standard input" in engine.fails("import", "-", given=data[:-5])
    assert engine.leftovers() == []
