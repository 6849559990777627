"""A blob's content as it comes from a server."""

from __future__ import annotations

from orlop.errors import RegistryError
from orlop.images.registry.refusals import Unreachable, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orlop.images.registry.connections import Answer
    from orlop.images.registry.endpoint import Endpoint


class Stream:
    """The pieces of a blob. Iterate over it once, or close it.

    ``offset`` is where in the blob it begins: at 0 although another offset was asked for if the server does not give
    parts, which is what ``restarted`` says. ``remaining`` is how many bytes are said to come, or -1.
    """

    __slots__ = ("_answer", "offset", "remaining", "restarted")

    def __init__(self, answer: Answer, offset: int, *, restarted: bool) -> None:
        self._answer = answer
        self.offset = offset
        self.restarted = restarted
        self.remaining = answer.length

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces.

        Raises:
            Unreachable: the connection broke before the end.
        """
        came = 0
        for piece in self._answer.chunks():
            yield piece
            came += len(piece)
        if came < self.remaining:
            raise Unreachable(f"{self._answer.origin.authority} broke off after {came} of {self.remaining} bytes")

    def close(self) -> None:
        """Stop."""
        self._answer.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_stream(
    endpoint: Endpoint,
    url: str,
    offset: int,
    what: str,
    *,
    repository: str = "",
    scopes: Iterable[str] = (),
    attempts: bool = True,
) -> Stream:
    """Ask a server for content from an offset on.

    Raises:
        NotFound, Unauthorized, RegistryError: it does not have it or does not give it.
    """
    headers = {"Accept": "application/octet-stream, */*"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    answer = endpoint.request(
        "GET", url, what, repository=repository, scopes=scopes, headers=headers,
        expected=(200, 206, 416) if offset else (200,), attempts=attempts,
    )  # fmt: skip
    if answer.status == 416:
        # What is there is longer than what the server has: it cannot be the beginning of it.
        answer.discard()
        stream = open_stream(endpoint, url, 0, what, repository=repository, scopes=scopes, attempts=attempts)
        stream.restarted = True
        return stream
    if answer.status == 206:
        given = answer.headers.get("content-range", "")
        if not given.startswith(f"bytes {offset}-"):
            answer.close()
            raise RegistryError(
                f"{what}: {answer.origin.authority} sent another part than was asked for: {plain(given)}"
            )
        return Stream(answer, offset, restarted=False)
    return Stream(answer, 0, restarted=offset > 0)
