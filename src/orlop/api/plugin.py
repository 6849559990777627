"""Talking to a plugin, a program at a Unix socket that is asked by JSON over HTTP, as Docker's are.

A plugin is given by the path of its socket, or by a name: then its socket is ``NAME.sock`` in ``/run/docker/plugins``, or
what ``NAME.spec`` in ``/etc/docker/plugins`` or ``/usr/lib/docker/plugins`` says (``unix:///path``).
"""

from __future__ import annotations

import asyncio

from orlop import json_text, third_party
from orlop.errors import OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_SOCKETS = ("/run/docker/plugins",)
_DESCRIPTIONS = ("/etc/docker/plugins", "/usr/lib/docker/plugins")
_ACCEPT = "application/vnd.docker.plugins.v1.2+json"
#: Seconds that an answer may take.
_PATIENCE = 30.0
_CHUNK = 1 << 16
_LARGEST = 8 << 20


class PluginFailed(OrlopError):
    """A plugin gives no answer that could be used."""

    http_status = 500


class Plugin:
    """One plugin, by its name or the path of its socket, that has to be an ``interface``; looked for when it is needed."""

    __slots__ = ("_interface", "_path", "name")

    def __init__(self, name: str, interface: str) -> None:
        self.name = name
        self._interface = interface
        self._path = ""

    def forget(self) -> None:
        """Look for it again the next time."""
        self._path = ""

    async def ask(self, method: str, question: Mapping[str, Any]) -> dict[str, Any]:
        """What it answers.

        Raises:
            PluginFailed: it cannot be reached, takes too long, or answers something else.
        """
        try:
            async with asyncio.timeout(_PATIENCE):
                if not self._path:
                    path = _find(self.name)
                    said = await _post(path, "Plugin.Activate", {})
                    if self._interface not in (said.get("Implements") or ()):
                        raise PluginFailed(f"it does not implement {self._interface}")
                    self._path = path
                return await _post(self._path, method, question)
        except TimeoutError:
            reason = f"no answer within {_PATIENCE:.0f} seconds"
        except OSError as error:
            self.forget()
            reason = error.strerror or str(error)
        except PluginFailed as error:
            reason = str(error)
        raise PluginFailed(f"plugin {self.name} failed with error: {method}: {reason}")


def _find(name: str) -> str:
    """The path of a plugin's socket."""
    import os

    if name.startswith("/"):
        return name
    for directory in _SOCKETS:
        if os.path.exists(path := f"{directory}/{name}.sock"):
            return path
    for directory in _DESCRIPTIONS:
        try:
            with open(f"{directory}/{name}.spec", encoding="utf-8") as file:
                address = file.read(_CHUNK).strip()
        except FileNotFoundError:
            continue
        if not address.startswith("unix:///"):
            raise PluginFailed(f"it is at {address}, and only plugins at unix:///path are spoken to")
        return address.removeprefix("unix://")
    raise PluginFailed(f"it is neither in {_SOCKETS[0]} nor described in {' or '.join(_DESCRIPTIONS)}")


async def _post(path: str, method: str, question: Mapping[str, Any]) -> dict[str, Any]:
    h11 = third_party.load("h11", "orlop serve")
    protocol = h11.Connection(h11.CLIENT)
    body = json_text.dumps(question).encode()
    headers = [("Host", "plugin"), ("Accept", _ACCEPT), ("Content-Type", _ACCEPT), ("Connection", "close")]
    request = h11.Request(method="POST", target=f"/{method}", headers=[*headers, ("Content-Length", str(len(body)))])
    sent = b"".join(protocol.send(each) for each in (request, h11.Data(data=body), h11.EndOfMessage()))
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(sent)
        status, answer = 0, bytearray()
        while True:
            event = protocol.next_event()
            if event is h11.NEED_DATA:
                protocol.receive_data(await reader.read(_CHUNK))
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                answer += event.data
                if len(answer) > _LARGEST:
                    raise PluginFailed(f"its answer is larger than {_LARGEST >> 20} MiB")
            elif isinstance(event, h11.EndOfMessage):
                break
        value = json_text.loads(bytes(answer)) if answer else {}
    except (h11.RemoteProtocolError, ValueError) as error:
        raise PluginFailed(f"its answer is no JSON over HTTP: {error}") from None
    finally:
        writer.transport.abort()
    if status != 200:
        raise PluginFailed(f"it answers with the status {status}")
    if not isinstance(value, dict):
        raise PluginFailed("its answer is no JSON object")
    return value
