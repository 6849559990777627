"""A request, and the kinds of answers to one."""

from __future__ import annotations

import asyncio
from typing import cast
from urllib.parse import parse_qs

from orlop import json_text
from orlop.api import json_reading
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
    from typing import Any

    from orlop.api.peer import Peer
    from orlop.api.wire import Wire

JSON = "application/json"
#: Bytes that the body of a request may have that is read as a whole.
_LARGEST_BODY = 8 << 20
#: Seconds in which it has to come.
_SLOWEST_BODY = 60.0
#: The largest whole number that a parameter may be.
_LARGEST_NUMBER = (1 << 63) - 1
#: The most rows and columns that a terminal may have.
_LARGEST_SIZE = (1 << 16) - 1
_NO = ("", "0", "no", "none", "false")


class TooLarge(InvalidArgument):
    """A body that is to be read as a whole is larger than any that means something."""

    http_status = 413


class TooSlow(InvalidArgument):
    """A body that is to be read as a whole does not come."""

    http_status = 408


class Request:
    """What a client asks for.

    ``target`` is what the client wrote, ``path`` what it means, without version and query; ``version`` is the API's that the
    client speaks, as two numbers, which it may have named. ``endpoint`` is the pattern of the route that was found, and
    ``arguments`` are the parts of the path that it names. ``body`` yields what comes, as it comes. ``upgrades`` says that
    the connection may become one for raw bytes.
    """

    __slots__ = (
        "arguments",
        "body",
        "endpoint",
        "headers",
        "method",
        "names_version",
        "path",
        "peer",
        "query",
        "target",
        "upgrades",
        "version",
    )

    def __init__(
        self, method: str, target: str, headers: Mapping[str, str], body: AsyncIterator[bytes], peer: Peer
    ) -> None:
        self.method = method
        self.target = target
        self.path, _, query = target.partition("?")
        self.query = parse_qs(query, keep_blank_values=True)
        self.peer = peer
        self.endpoint = ""
        self.names_version = False
        self.headers = headers
        self.body = body
        self.arguments: dict[str, str] = {}
        self.version = (0, 0)
        self.upgrades = "upgrade" in headers.get("connection", "").lower() and bool(headers.get("upgrade"))

    def text(self, name: str, default: str = "") -> str:
        """A parameter of the query; of several with one name the first counts, as for Docker."""
        return self.query.get(name, [default])[0]

    def texts(self, name: str) -> list[str]:
        """All parameters of a name."""
        return self.query.get(name, [])

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Whether a parameter says yes: anything but nothing, 0, no, none and false does."""
        found = self.query.get(name)
        return default if found is None else found[0].strip().lower() not in _NO

    def number(self, name: str, default: int | None = None) -> int | None:
        """A parameter that is a whole number.

        Raises:
            InvalidArgument: it is none.
        """
        text = self.text(name)
        if not text:
            return default
        try:
            number = int(text)
        except ValueError:
            raise InvalidArgument(f'strconv.Atoi: parsing "{text}": invalid syntax') from None
        if abs(number) > _LARGEST_NUMBER:
            raise InvalidArgument(f'strconv.Atoi: parsing "{text}": value out of range')
        return number

    def filters(self) -> dict[str, list[str]]:
        """The parameter ``filters``: ``{"key": ["value"]}``, or as older clients write it, ``{"key": {"value": true}}``.

        Raises:
            InvalidArgument: it is neither.
        """
        text = self.text("filters")
        if not text:
            return {}
        found = {}
        try:
            value = json_reading.read(text)
        except InvalidArgument as error:
            raise InvalidArgument(f"invalid filter: {error}") from None
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise InvalidArgument("invalid filter: it must be a JSON object of lists")
        for key, wanted in value.items():
            values = wanted
            if isinstance(wanted, dict) and all(isinstance(is_so, bool) for is_so in wanted.values()):
                values = [each for each, is_so in wanted.items() if is_so]
            if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
                raise InvalidArgument(f"invalid filter '{key}': it must be a list of texts")
            found[key] = values
        return found

    @property
    def is_json(self) -> bool:
        """Whether the client says that the body is JSON."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower() == JSON

    def size(self) -> tuple[int, int]:
        """The parameters ``h`` and ``w``: the height and the width of a terminal.

        Raises:
            InvalidArgument: one is not there, or can be none.
        """
        found = []
        for name in ("h", "w"):
            number = self.number(name)
            if number is None:
                raise InvalidArgument(f'invalid resize {name}: strconv.Atoi: parsing "": invalid syntax')
            if not 0 <= number <= _LARGEST_SIZE:
                raise InvalidArgument(f"invalid resize {name}: {number} is not from 0 to {_LARGEST_SIZE}")
            found.append(number)
        return found[0], found[1]

    async def whole_body(self) -> bytes:
        """The body, all of it.

        Raises:
            TooLarge: it is larger than any that means something.
            TooSlow: it takes longer than any that somebody waits for.
        """
        chunks, size = [], 0
        try:
            async with asyncio.timeout(_SLOWEST_BODY):
                async for chunk in self.body:
                    size += len(chunk)
                    if size > _LARGEST_BODY:
                        raise TooLarge(f"the request's body is larger than {_LARGEST_BODY >> 20} MiB")
                    chunks.append(chunk)
        except TimeoutError:
            raise TooSlow(f"the request's body was not there after {_SLOWEST_BODY:.0f} seconds") from None
        return b"".join(chunks)

    async def json(self, *, needed: bool = True) -> dict[str, Any]:
        """The body's JSON object; unless it is ``needed`` none is an empty one.

        Raises:
            InvalidArgument: there is no such thing.
        """
        data = await self.whole_body()
        if not data.strip():
            if needed:
                raise InvalidArgument("invalid JSON: got EOF while reading request body")
            return {}
        if not self.is_json:
            kind = self.headers.get("content-type", "")
            raise InvalidArgument(f"unsupported Content-Type header ({kind}): must be '{JSON}'")
        value = json_reading.read(data)
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise json_reading.wrong(value, "value of type object")
        return value


class Reply:
    """An answer that is there as a whole."""

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self, status: int, body: bytes = b"", content_type: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers or {}


class Stream:
    """An answer whose body comes bit by bit; its head goes to the client at once."""

    __slots__ = ("chunks", "content_type", "headers", "status")

    def __init__(
        self, chunks: AsyncIterator[bytes], content_type: str = JSON, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = 200
        self.chunks = chunks
        self.content_type = content_type
        self.headers = headers or {}

    async def discard(self) -> None:
        """Let go of what it holds, because nobody gets it."""
        begun = asyncio.ensure_future(anext(self.chunks, None))
        await asyncio.sleep(0)  # only what has begun clears up after itself
        begun.cancel()
        await asyncio.gather(begun, return_exceptions=True)
        await cast("AsyncGenerator[bytes, None]", self.chunks).aclose()


class Takeover:
    """An answer after which the connection is one for raw bytes in both directions, and ``serve`` has it.

    ``release`` is called in the end, whether it came to that or not. ``switch`` are headers of an upgrade to something
    else than raw bytes.
    """

    __slots__ = ("content_type", "release", "serve", "switch")

    def __init__(
        self,
        serve: Callable[[Wire], Awaitable[None]],
        content_type: str,
        release: Callable[[], object] = lambda: None,
        switch: Mapping[str, str] | None = None,
    ) -> None:
        self.serve = serve
        self.content_type = content_type
        self.release = release
        self.switch = switch


Answer = Reply | Stream | Takeover


def status_of(request: Request, answer: Answer) -> int:
    """The status that goes with an answer."""
    if isinstance(answer, Takeover):
        return 101 if request.upgrades else 200
    return answer.status


def json(value: object, status: int = 200) -> Reply:
    """An answer of JSON, with the newline at its end that Docker's have."""
    return Reply(status, json_text.dumps(value).encode() + b"\n", JSON)


def nothing(status: int = 204) -> Reply:
    """An answer without a body: it is done; with 304 it was so already."""
    return Reply(status)


def line(value: object) -> bytes:
    """One object of a stream of them."""
    return json_text.dumps(value).encode() + b"\r\n"
