"""Requests that the description of Docker's Engine API allows, nearly allows, or does not.

Each is made by chance of what the description says of an endpoint: its path, its parameters, its body's schema.
"""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from tests.engine_api_schema import description

if TYPE_CHECKING:
    import random

#: What texts are taken from: names of what is there, and what nobody should send.
_TEXTS = (
    *(
        "web",
        "plain",
        "plain:latest",
        "one",
        "bridge",
        "none",
        "true",
        "running",
        "SIGTERM",
        "/tmp",
        "/bin/busybox",
        "1m",
    ),
    *("", "x", "UPPER", "a b", "-1", "0", "1.5", "../../etc", "/", ":", "@", "a=b", "\0", "\n", "%00", "é💥", "\ud800"),
    *(
        "a" * 300,
        "sha256:" + "0" * 64,
        "0" * 12,
        "[]",
        "{}",
        '{"x":1}',
        '{"label":["a"]}',
        "127.0.0.1:1/x",
        "container:web",
    ),
)
_NUMBERS = (0, 1, 2, -1, 10, 1000, 64 << 20, 1 << 31, (1 << 63) - 1, 1 << 63, 1 << 70, -(1 << 63))
_WRONG: tuple[Any, ...] = (None, True, 5, 1.5, 1e300, "x", [], ["x"], {}, {"x": 1}, [[]], [None])
#: How often a value is of another type than the description says, and how often something optional is there.
_MISTAKES = 0.08
_THERE = 0.35
_DEEPEST = 6
#: Fields that would change the machine's control groups, or wait for as long as they say.
_LEFT_OUT = frozenset(("CgroupParent", "t", "StopTimeout"))


class Call:
    """One request."""

    def __init__(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> None:
        self.method = method
        self.path = path
        self.body = body
        self.headers = headers

    def __repr__(self) -> str:
        return f"{self.method} {self.path} {self.headers} {self.body!r}"


class Requests:
    """Calls of every endpoint that the description has, one after the other, as chance makes them."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._operations = [
            (method.upper(), pattern, operation, described.get("parameters", []))
            for pattern, described in description()["paths"].items()
            for method, operation in described.items()
            if method != "parameters"
        ]

    def __next__(self) -> Call:
        method, path, operation, common = self._chance.choice(self._operations)
        query: list[tuple[str, str]] = []
        body: bytes | None = None
        headers: dict[str, str] = {}
        for parameter in [*common, *operation.get("parameters", [])]:
            name, place = parameter["name"], parameter["in"]
            if place == "path":
                text = self._chance.choice(_TEXTS[:8] if self._chance.random() < 0.7 else _TEXTS) or "x"
                path = path.replace(f"{{{name}}}", quote(text, safe="", errors="surrogatepass"))
            elif place == "query" and name not in _LEFT_OUT and self._chance.random() < _THERE:
                query.append((name, self._as_text(self._value(parameter, 0))))
            elif place == "header" and self._chance.random() < _THERE:
                headers[name] = self._chance.choice(("e30=", "x", "", "eyJ1c2VybmFtZSI6MX0="))
            elif place == "body":
                body, kind = self._body(parameter)
                headers["Content-Type"] = kind
        where = f"/v1.51{path}"
        if query:
            where += "?" + urlencode(query, errors="surrogatepass")
        return Call(method, where, body, headers)

    def _body(self, parameter: dict[str, Any]) -> tuple[bytes, str]:
        schema = parameter.get("schema", {})
        if schema.get("format") == "binary" or schema.get("type") == "string":
            return self._chance.choice((b"", b"garbage", _archive(), _archive()[:700])), "application/x-tar"
        data = json.dumps(self._value(schema, 0)).encode()
        if self._chance.random() < _MISTAKES:
            data = data[: self._chance.randrange(len(data) + 1)]
        return data, "application/json" if self._chance.random() > _MISTAKES else "text/plain"

    def _as_text(self, value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(value)

    def _value(self, schema: dict[str, Any], depth: int) -> Any:
        if self._chance.random() < _MISTAKES:
            return self._chance.choice(_WRONG)
        if "$ref" in schema:
            return self._value(description()["definitions"][schema["$ref"].rpartition("/")[2]], depth)
        if "anyOf" in schema:
            return self._value(schema["anyOf"][0], depth)
        if "allOf" in schema:
            found: dict[str, Any] = {}
            for each in schema["allOf"]:
                part = self._value(each, depth)
                found.update(part if isinstance(part, dict) else {})
            return found
        if "enum" in schema:
            return self._chance.choice(schema["enum"])
        if depth > _DEEPEST:
            return None
        match schema.get("type", "object"):
            case "integer" | "number":
                return self._chance.choice(_NUMBERS)
            case "boolean":
                return self._chance.choice((True, False))
            case "string":
                return self._chance.choice(_TEXTS)
            case "array":
                items = schema.get("items", {"type": "string"})
                return [self._value(items, depth + 1) for _ in range(self._chance.randrange(3))]
            case _:
                return self._object(schema, depth)

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        found = {
            name: self._value(each, depth + 1)
            for name, each in schema.get("properties", {}).items()
            if name not in _LEFT_OUT and self._chance.random() < _THERE
        }
        if "Image" in schema.get("properties", {}) or "HostConfig" in schema.get("properties", {}):
            found["Image"] = "plain"
        more = schema.get("additionalProperties")
        if isinstance(more, dict):
            for _ in range(self._chance.randrange(3)):
                found[self._chance.choice(_TEXTS)] = self._value(more, depth + 1)
        return found


def _archive() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as made:
        for name, content in (("Dockerfile", b"FROM plain\nRUN true\n"), ("dir/file", b"x"), ("../out", b"x")):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
    return data.getvalue()
