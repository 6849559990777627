"""Real registries for tests: Debian's docker-registry on loopback, with TLS, passwords or tokens as asked for."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

if TYPE_CHECKING:
    from pathlib import Path

USER, PASSWORD = "captain", "s:e c/r@t"


class Authority:
    """A certificate authority of its own, with a certificate for this machine and one for a client."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        self.certificate = directory / "ca.crt"
        self._openssl(
            "req", "-x509", "-new", *_KEY, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=orlop test authority",
            "-days", "2", "-addext", "basicConstraints=critical,CA:TRUE",
        )  # fmt: skip
        self.issue("server", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        self.issue("client", "extendedKeyUsage=clientAuth")

    def issue(self, name: str, extension: str) -> None:
        """Make ``<name>.crt`` and ``<name>.key``."""
        (self.directory / f"{name}.ext").write_text(extension)
        self._openssl("req", "-new", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        self._openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out",
            f"{name}.crt", "-days", "2", "-extfile", f"{name}.ext",
        )  # fmt: skip

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True, timeout=60)


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Server:
    """A running docker-registry; ``authority`` is its host and port."""

    def __init__(self, directory: Path, **sections: Any) -> None:
        program = shutil.which("docker-registry")
        if program is None:
            pytest.skip("needs Debian's docker-registry to talk to")
        directory.mkdir(exist_ok=True)
        self.data = directory / "data"
        configuration = {
            "version": "0.1",
            "log": {"level": "info", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self.data)}, "delete": {"enabled": True}},
            "http": {"addr": "127.0.0.1:0", **sections.pop("http", {})},
            **sections,
        }
        path = directory / "config.yml"
        path.write_text(json.dumps(configuration))  # YAML is a superset
        self._process = subprocess.Popen(
            [program, "serve", str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        self.authority = self._listening()
        self._drain = threading.Thread(target=self._read_on, daemon=True)
        self._drain.start()

    def _listening(self) -> str:
        said = b""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            said += line
            if b"listening on 127.0.0.1:" in line:
                return "127.0.0.1:" + line.split(b"listening on 127.0.0.1:")[1].split(b'"')[0].split(b",")[0].decode()
        raise AssertionError(said.decode())

    def _read_on(self) -> None:
        assert self._process.stderr is not None
        for _ in self._process.stderr:
            continue

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._drain.join()
        assert self._process.stderr is not None
        self._process.stderr.close()


def passwords(directory: Path) -> dict[str, Any]:
    """The configuration of a registry that wants `USER` and `PASSWORD`."""
    path = directory / "htpasswd"
    done = subprocess.run(["htpasswd", "-Bbn", USER, PASSWORD], check=True, capture_output=True, timeout=60)
    path.write_bytes(done.stdout)
    return {"auth": {"htpasswd": {"realm": "basic, realm=x", "path": str(path)}}}


class TokenServer:
    """A token server as the distribution specification has it, whose tokens docker-registry believes.

    Anybody may pull what is below ``public/``; `USER` may do anything. ``requests`` holds what it was asked.
    """

    service, issuer = "test service", "orlop tests"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem",
             "-subj", "/CN=tokens", "-days", "2"],
            cwd=directory, check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        self.requests: list[dict[str, Any]] = []
        #: What is taken instead of a password.
        self.identity_token = "identity-" + base64.b16encode(directory.name.encode()).decode()
        self.lifetime = 300
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                authorization = self.headers.get("Authorization", "")
                user = ""
                if authorization:
                    kind, _, encoded = authorization.partition(" ")
                    if (kind, base64.b64decode(encoded).decode()) != ("Basic", f"{USER}:{PASSWORD}"):
                        return self.answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "who are you"}]})
                    user = USER
                server.requests.append({"method": "GET", "user": user, **query})
                made = {"token": server.token(user, query.get("scope", [])), "expires_in": server.lifetime}
                if query.get("offline_token") == ["true"]:
                    made["refresh_token"] = server.identity_token
                return self.answer(200, made)

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                server.requests.append({"method": "POST", **form})
                if form.get("refresh_token") != [server.identity_token] or not form.get("client_id"):
                    return self.answer(401, {"details": "invalid refresh token"})
                scopes = form.get("scope", [""])[0].split()
                return self.answer(200, {"access_token": server.token(USER, scopes), "expires_in": server.lifetime})

            def answer(self, status: int, document: dict[str, Any]) -> None:
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.realm = f"http://127.0.0.1:{self._http.server_address[1]}/token"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def configuration(self) -> dict[str, Any]:
        """The configuration of a registry that believes this server."""
        token = {
            "realm": self.realm,
            "service": self.service,
            "issuer": self.issuer,
            "rootcertbundle": str(self.directory / "cert.pem"),
        }
        return {"auth": {"token": token}}

    def token(self, user: str, scopes: list[str]) -> str:
        """A signed token for as much of some scopes as a user may have."""
        access = []
        for scope in scopes:
            kind, name, actions = (
                scope.rsplit(":", 2)[0].split(":", 1)[0],
                scope.split(":", 1)[1].rsplit(":", 1)[0],
                scope,
            )
            allowed = actions.rsplit(":", 1)[1].split(",")
            if not user:
                allowed = [action for action in allowed if action == "pull" and name.startswith("public/")]
            access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        certificate = (self.directory / "cert.pem").read_text()
        body = "".join(line for line in certificate.splitlines() if not line.startswith("-----"))
        header = {"typ": "JWT", "alg": "RS256", "x5c": [body]}
        claims = {
            "iss": self.issuer, "sub": user, "aud": self.service, "exp": now + 300, "nbf": now - 60, "iat": now,
            "jti": str(time.monotonic_ns()), "access": access,
        }  # fmt: skip
        signed = b".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
        signature = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", str(self.directory / "key.pem")],
            input=signed, check=True, capture_output=True, timeout=60,
        ).stdout  # fmt: skip
        return (signed + b"." + _encoded(signature)).decode()

    def stop(self) -> None:
        """End it."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
