"""What the runtime and a container's init process say to each other while the container is made.

A pair of SOCK_SEQPACKET sockets: one JSON object per packet, ``{"kind": …, …}``, descriptors beside it where
needed. Both ends are close-on-exec, so that the end of the conversation, with no error said before, means
that the program runs.

From init: ``hooks`` (mounts are made; run prestart and createRuntime), ``console`` (with the terminal's
master), ``ready``, ``error``, ``unlisted`` (no list can do it). From the runtime: ``mapped``, ``devices``, ``continue``, ``start``.
"""

from __future__ import annotations

import _socket
import os

from orlop import errors, json_text
from orlop.errors import OrlopError, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

_LARGEST = 1 << 16
_IN_FILE = b"@"
_MSG_CMSG_CLOEXEC = 0x40000000


class Channel:
    """One end of the conversation.

    ``failure`` says what it means that a step of a list of system calls failed with an errno, where init is one
    (`listed_init`); None is that this is no error. What it says comes as if init had said it.
    """

    __slots__ = ("failure", "socket")

    def __init__(self, socket: _socket.socket) -> None:
        self.socket = socket
        self.failure: Callable[[int, int], StepFailed | None] = _no_list

    @property
    def descriptor(self) -> int:
        """The socket's descriptor."""
        return self.socket.fileno()

    def send(self, kind: str, *, descriptors: Iterable[int] = (), **body: Any) -> None:
        """Say something; BrokenPipeError if the other end is gone."""
        body["kind"] = kind
        data = json_text.dumps(body).encode()
        if len(data) > _LARGEST:
            self._send_file(data, list(descriptors))
        else:
            self._send(data, descriptors)

    def _send(self, data: bytes, descriptors: Iterable[int]) -> None:
        fds = b"".join(each.to_bytes(4, "little") for each in descriptors)
        ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fds)] if fds else []
        self.socket.sendmsg([data], ancillary, _socket.MSG_NOSIGNAL)

    def _send_file(self, data: bytes, descriptors: list[int]) -> None:
        """A message that no packet holds, such as the state of a container with many annotations, in a memory file."""
        file = os.memfd_create("orlop-message", os.MFD_CLOEXEC)
        try:
            written = 0
            while written < len(data):
                written += os.write(file, data[written:])
            self._send(_IN_FILE, [file, *descriptors])
        finally:
            os.close(file)

    def receive(self) -> tuple[dict[str, Any], list[int]] | None:
        """Wait for the next message and the descriptors that came with it; None if the other end is closed."""
        try:
            data, ancillary, _, _ = self.socket.recvmsg(_LARGEST, _socket.CMSG_SPACE(16), _MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            return None
        if not data:
            return None
        fds: list[int] = []
        for level, kind, packed in ancillary:
            if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
                fds += [int.from_bytes(packed[at : at + 4], "little") for at in range(0, len(packed) - 3, 4)]
        if len(data) == 4:  # the trampoline's last word: a bare errno
            return {"kind": "errno", "errno": int.from_bytes(data, "little")}, fds
        if len(data) == 8:  # a list of system calls got no further: the step, and its errno
            error = self.failure(int.from_bytes(data[:4], "little"), int.from_bytes(data[4:], "little"))
            return ({"kind": "unlisted"} if error is None else {"kind": "error", **describe(error)}), fds
        if data == _IN_FILE:
            with open(fds.pop(0), "rb", buffering=0) as file:
                file.seek(0)
                data = file.readall()
        return json_text.loads(data), fds

    def close(self) -> None:
        """End the conversation."""
        self.socket.close()


def _no_list(step: int, errno: int) -> StepFailed:
    return StepFailed("set up the container", "", f"step {step}: {os.strerror(errno)}", errno)


def pair() -> tuple[Channel, Channel]:
    """Two connected ends, close-on-exec."""
    one, other = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    return Channel(one), Channel(other)


def describe(error: BaseException) -> dict[str, Any]:
    """An exception as a message's body, from which `revive` makes the same exception on the other side."""
    body: dict[str, Any] = {"class": type(error).__name__, "message": str(error)}
    if isinstance(error, StepFailed):
        body.update(step=error.step, path=error.path, reason=error.reason, errno=error.errno)
    elif isinstance(error, OSError) and not isinstance(error, OrlopError):
        body.update(reason=error.strerror or str(error), path=error.filename or "", errno=error.errno or 0)
    return body


def revive(body: dict[str, Any]) -> OrlopError:
    """The exception that `describe` described; what is not one of ours becomes a StepFailed."""
    name = body["class"]
    if name == "StepFailed":
        return StepFailed(body["step"], body["path"], body["reason"], body["errno"])
    if "reason" in body:
        return StepFailed("set up the container", body["path"], body["reason"], body["errno"])
    known = getattr(errors, name, None)
    if isinstance(known, type) and issubclass(known, OrlopError):
        revived: OrlopError = known(body["message"])
        return revived
    return OrlopError(f"set up the container: {name}: {body['message']}")
