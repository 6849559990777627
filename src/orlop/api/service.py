"""What is done with each request, whatever it asks for: it is permitted, answered, counted and written down."""

from __future__ import annotations

import time

from orlop.api import browsers, failures
from orlop.api.exchange import Stream, status_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.api.audit import AuditLog
    from orlop.api.authorization import Authorization
    from orlop.api.exchange import Answer, Request
    from orlop.api.metrics import Metrics
    from orlop.api.routes import Routes


class Service:
    """What answers the requests of all clients.

    An answer is counted and written down before the client has it: the head of one that goes on for long, too.
    """

    __slots__ = ("_audit", "_authorization", "_metrics", "_routes")

    def __init__(
        self,
        routes: Routes,
        metrics: Metrics,
        authorization: Authorization | None = None,
        audit: AuditLog | None = None,
    ) -> None:
        self._routes = routes
        self._metrics = metrics
        self._authorization = authorization
        self._audit = audit

    async def __call__(self, request: Request) -> Answer:
        """Answer a request; what goes wrong is an answer, too."""
        begun = time.monotonic()
        status = 0  # the client has gone before there was an answer
        try:
            answer = await self._answer(request)
            status = status_of(request, answer)
        finally:
            seconds = time.monotonic() - begun
            self._metrics.answered(request, status, seconds)
            if self._audit is not None:
                self._audit.write(request, status, seconds)
        if isinstance(answer, Stream):
            answer.chunks = self._metrics.watched(request, answer.chunks)
        return answer

    async def _answer(self, request: Request) -> Answer:
        try:
            endpoint = self._routes.find(request)
            browsers.check(request)
            if self._authorization is None:
                return await endpoint(request)
            return await self._authorization.guard(request, endpoint)
        except Exception as error:  # noqa: BLE001 - whatever it was, the client must hear of it
            return failures.reply(error)
