"""The terminals of a container's clients, from before it is started.

The docker command attaches first and starts then. So who attaches to a container that does not run yet is noted; the
start, if it comes through this server, gives it the connection that has everything from the first byte on, and
otherwise it finds its own way as soon as the container runs.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager

from orlop.engine import control, frames
from orlop.engine.detach_keys import Away, DetachKeys
from orlop.errors import Conflict, NotFound
from orlop.storage import directory_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Generator, Iterator
    from typing import Any, TypeVar

    from orlop.api.watching import Watching
    from orlop.api.websocket import WebSocket
    from orlop.api.wire import Wire
    from orlop.engine import container
    from orlop.engine.start import Session
    from orlop.linux.shared_inotify import SharedWatch

    Result = TypeVar("Result")
    Channel = Wire | WebSocket

_LARGEST = frames.LARGEST + 1
#: Seconds after which a container that somebody waits for is looked at again.
_LOOK = 5.0
#: Seconds between two attempts to have a container's lock.
_PAUSE = 0.05
#: Seconds in which a program may read what a client has sent that is gone.
_LAST_WORDS = 3.0


class Wanted:
    """What a client wants of a container's streams: which, whether frames tell them apart, and keys to leave by."""

    __slots__ = ("has_frames", "keys", "stderr", "stdin", "stdout")

    def __init__(self, *, stdin: bool, stdout: bool, stderr: bool, has_frames: bool, keys: bytes) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.has_frames = has_frames
        self.keys = keys

    @property
    def outputs(self) -> dict[bytes, int]:
        """The frames that it gets, and the number of the stream that each is."""
        wanted = {frames.STDOUT: 1} if self.stdout else {}
        if self.stderr:
            wanted[frames.STDERR] = 2
        return wanted


class Attachments:
    """Who waits for a container's start, by its id."""

    __slots__ = ("_starting", "_waiting", "_watching")

    def __init__(self, watching: Watching) -> None:
        self._watching = watching
        self._waiting: dict[str, list[Attachment]] = {}
        self._starting: set[str] = set()

    def begin(self, target: container.Container, wanted: Wanted) -> Attachment:
        """Want a container's streams, from now on or from its start on; `Attachment.close` ends that.

        Raises:
            Conflict: it is paused, or just being restarted.
        """
        made = Attachment(target, wanted, self._watching.watch(target.directory), self)
        if not made.is_connected:
            self._waiting.setdefault(target.id, []).append(made)
        return made

    @contextmanager
    def starting(self, container_id: str) -> Iterator[None]:
        """While a container is being started by us, who waits for it waits for the connection of that start."""
        self._starting.add(container_id)
        try:
            yield
        finally:
            self._starting.discard(container_id)

    def is_starting(self, container_id: str) -> bool:
        """Whether a container is just being started by us."""
        return container_id in self._starting

    def started(self, container_id: str, session: Session) -> bool:
        """Give the first who waits the connection of the start; False if nobody does."""
        for each in self._waiting.get(container_id, ()):
            if not each.handed.done():
                each.handed.set_result(session)
                return True
        return False

    def failed(self, container_id: str) -> None:
        """Tell who waits that the container could not be started."""
        for each in self._waiting.get(container_id, ()):
            if not each.handed.done():
                each.handed.set_result(None)

    def forget(self, gone: Attachment) -> None:
        """Have one waiting less."""
        waiting = self._waiting.get(gone.target.id, [])
        if gone in waiting:
            waiting.remove(gone)
            if not waiting:
                del self._waiting[gone.target.id]


class Attachment:
    """One client's wish for a container's streams; ``handed`` gets the connection of a start that comes through us."""

    __slots__ = ("_all", "_before", "_session", "_wanted", "_watch", "handed", "target")

    def __init__(
        self,
        target: container.Container,
        wanted: Wanted,
        watch: SharedWatch,
        others: Attachments,
    ) -> None:
        self.target = target
        self.handed: asyncio.Future[Session | None] = asyncio.get_running_loop().create_future()
        self._wanted = wanted
        self._all = others
        self._session: Session | None = None
        self._watch = watch  # from before the first look, so that nothing happens between
        self._before = target.state()["StartedAt"]
        try:
            self._session = self._begin()
        except BaseException:
            self._watch.close()
            raise

    @property
    def is_connected(self) -> bool:
        """Whether the container runs, and this is its terminal."""
        return self._session is not None

    async def session(self, wire: Channel) -> Session | None:
        """A connection to the streams, once the container runs; None if it, or the client, ends or goes before that."""
        if self._session is not None:
            session, self._session = self._session, None
            return session
        while not await _first(self.handed, self._watch.descriptor, wire):
            if wire.hung_up.is_set():
                return None
            self._watch.wait(0)
            if not os.path.isdir(self.target.directory):  # noqa: ASYNC240 - takes no time where the engine's files are
                return None
            state = self.target.state()
            if state["StartedAt"] == self._before or self._all.is_starting(self.target.id):
                continue
            if state["Status"] != "running":
                return None  # it was quicker than we
            try:
                return self._attach()
            except (Conflict, NotFound):
                return None
        return self.handed.result()

    def _begin(self) -> Session | None:
        """The connection to a container that runs."""
        try:
            return self._attach()
        except Conflict:
            if self.target.state()["Status"] in ("running", "restarting", "paused"):
                raise
            return None

    def close(self) -> None:
        """Want no more."""
        self._watch.close()
        self._all.forget(self)
        for unused in (self._session, self.handed.result() if self.handed.done() else None):
            if unused is not None:
                unused.socket.close()

    def _attach(self) -> Session:
        wanted = self._wanted
        return control.attach(self.target, stdin=wanted.stdin, stdout=wanted.stdout, stderr=wanted.stderr)


async def _first(handed: asyncio.Future[Session | None], descriptor: int, wire: Channel) -> bool:
    """Wait until a connection is handed over, a descriptor can be read or the client goes; whether it was the first."""
    others: list[asyncio.Future[Any]] = [
        asyncio.ensure_future(until_readable(descriptor, _LOOK)),
        asyncio.ensure_future(wire.hung_up.wait()),
    ]
    try:
        await asyncio.wait((handed, *others), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)
    return handed.done()


async def until_readable(descriptor: int, patience: float | None = None) -> None:
    """Wait until a descriptor can be read, or for ``patience`` seconds."""
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not readable.done():
            readable.set_result(None)

    loop.add_reader(descriptor, tell)
    try:
        async with asyncio.timeout(patience):
            await readable
    except TimeoutError:
        return
    finally:
        loop.remove_reader(descriptor)


async def locked(target: container.Container) -> int | None:
    """A container's lock, waited for without holding up anybody; None if it is gone.

    A client that sends an archive for it has the lock meanwhile, for as long as it likes.
    """
    while (lock := directory_lock.lock(target.directory, wait=False)) is None:
        if not os.path.isdir(target.directory):  # noqa: ASYNC240 - takes no time where the engine's files are
            return None
        await asyncio.sleep(_PAUSE)
    return lock


async def stepping(steps: Generator[int, None, Result]) -> Result:
    """Go through the steps of a start, as `orlop.engine.start.starting` has them."""
    try:
        while True:
            await until_readable(next(steps))
    except StopIteration as done:
        result: Result = done.value
        return result
    finally:
        steps.close()


async def receive(session: Session) -> tuple[bytes, bytes] | None:
    """The next frame of a monitor; None if it is gone."""
    frame = session.early()
    if frame is not None:
        return frame
    try:
        data = await asyncio.get_running_loop().sock_recv(session.socket, _LARGEST)  # type: ignore[arg-type]
    except ConnectionResetError:
        return None
    return (data[:1], data[1:]) if data else None


def multiplexed(stream: int, data: bytes) -> bytes:
    """Output in the frames that tell streams apart: which one, and how long."""
    return bytes((stream, 0, 0, 0)) + len(data).to_bytes(4, "big") + data


async def connect(wire: Channel, session: Session, wanted: Wanted, ended: Callable[[], object] | None = None) -> None:
    """Pass what a client types on to a program, and its output to the client, until one of them ends.

    ``ended`` is called when the client has typed the keys to leave.
    """
    session.socket.setblocking(False)
    typing = asyncio.ensure_future(_type(wire, session.socket, wanted))
    tasks: tuple[asyncio.Future[Any], ...] = (
        typing,
        asyncio.ensure_future(_show(wire, session, wanted)),
        asyncio.ensure_future(_abandoned(wire)),
    )
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            each.result()
        if typing in done and typing.result() and ended is not None:
            ended()
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        session.socket.close()


async def _abandoned(wire: Channel) -> None:
    """Wait until a client has gone, and had the time to have its last words taken."""
    await wire.hung_up.wait()
    await asyncio.sleep(_LAST_WORDS)


async def _type(wire: Channel, socket: _socket.socket, wanted: Wanted) -> bool:
    """Pass on what the client types, until it goes; True if it types the keys to leave."""
    loop = asyncio.get_running_loop()
    keys = DetachKeys(wanted.keys)
    try:
        while data := await wire.read():
            if not wanted.stdin:
                continue
            away = False
            try:
                data = keys.take(data)
            except Away as left:
                data, away = left.before, True
            for begin in range(0, len(data), frames.LARGEST):
                await loop.sock_sendall(socket, frames.STDIN + data[begin : begin + frames.LARGEST])  # type: ignore[arg-type]
            if away:
                return True
        if wanted.stdin:
            await loop.sock_sendall(socket, frames.STDIN_END)  # type: ignore[arg-type]
    except OSError:
        pass  # the program has ended; its last words are still to come
    await wire.hung_up.wait()
    return False


async def _show(wire: Channel, session: Session, wanted: Wanted) -> None:
    outputs = wanted.outputs
    while (frame := await receive(session)) is not None:
        kind, body = frame
        stream = outputs.get(kind)
        if stream is not None and body:
            await wire.write(multiplexed(stream, body) if wanted.has_frames else body)
        elif kind in (frames.EXITED, frames.FAILED):
            return
