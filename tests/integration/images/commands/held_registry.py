"""A registry that stops in the middle of a layer until it is told to go on, for what happens meanwhile."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Larger blobs are held in their middle.
_SMALL = 20_000


class HeldRegistry:
    """One image, ``name``, out of the files of an OCI layout."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        registry = self
        index = json.loads(files["index.json"])["manifests"][0]
        self._blobs = {name.rpartition("/")[2]: data for name, data in files.items() if name.startswith("blobs/")}
        self._manifest = index["digest"][7:]
        #: The ``Range`` of every request for a large blob; empty for all of it.
        self.asked: list[str] = []
        #: Set while somebody waits for the rest of a blob.
        self.holding = threading.Event()
        #: Set it to let everybody have the rest.
        self.released = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                kind, _, wanted = self.path.rpartition("/")
                if kind.endswith("/manifests"):
                    data = registry._blobs[registry._manifest]
                    self._answer(200, data, "application/vnd.oci.image.manifest.v1+json")
                elif kind.endswith("/blobs/uploads") or not kind.endswith("/blobs"):
                    self._answer(200, b"{}", "application/json")
                else:
                    self._blob(registry._blobs[wanted[7:]])

            def _blob(self, data: bytes) -> None:
                if len(data) <= _SMALL:
                    self._answer(200, data, "application/octet-stream")
                    return
                asked = self.headers.get("Range", "")
                registry.asked.append(asked)
                start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
                self.send_response(206 if asked else 200)
                if asked:
                    self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
                self.send_header("Content-Length", str(len(data) - start))
                self.end_headers()
                middle = max(start, len(data) // 2)
                self.wfile.write(data[start:middle])
                registry.holding.set()
                registry.released.wait(60)
                try:
                    self.wfile.write(data[middle:])
                except OSError:
                    self.close_connection = True

            def _answer(self, status: int, data: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's word
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.name = f"127.0.0.1:{self._server.server_address[1]}/app:1"

    def stop(self) -> None:
        """End it."""
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
