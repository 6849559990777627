"""One server of a registry: finds out how it is talked to, proves who asks, and sends requests."""

from __future__ import annotations

import threading

from orlop.errors import InvalidArgument, RegistryError
from orlop.images.registry import challenge as challenges
from orlop.images.registry import credentials
from orlop.images.registry.connections import Connections
from orlop.images.registry.origin import Origin, origin_of
from orlop.images.registry.persistence import follow, persist
from orlop.images.registry.refusals import Unreachable, refusal
from orlop.images.registry.tokens import Tokens

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orlop.images.registry.challenge import Challenge
    from orlop.images.registry.connections import Answer
    from orlop.images.registry.credentials import Credential
    from orlop.images.registry.hosts import RegistryOptions, Server
    from orlop.images.registry.persistence import Body

_SCHEMES = ("bearer", "basic")
#: How much of an answer that is an error is read.
_LARGEST_REFUSAL = 64 << 10


class Endpoint:
    """A server, its connections and what it wants to be told. Threads share it.

    ``domain`` is the registry's name in references, by which a user's credentials are found.
    """

    def __init__(self, server: Server, domain: str, options: RegistryOptions) -> None:
        self.server = server
        self.domain = server.authority if server.is_mirror else domain
        self.options = options
        self.connections = Connections(options, server.authority)
        self._lock = threading.RLock()
        self._origin: Origin | None = None
        self._challenge: Challenge | None = None
        self._credentials: dict[str, Credential | None] = {}
        self._tokens: Tokens | None = None
        #: Whether it has answered before, so that its silence is likely to pass.
        self._has_answered = False

    @property
    def origin(self) -> Origin:
        """The server's scheme, host and port.

        Raises:
            RegistryError: it cannot be reached by any scheme that may be used.
        """
        with self._lock:
            if self._origin is None:
                self._origin = self._find_origin()
                self._tokens = Tokens(self.connections, self._origin)
            return self._origin

    def url(self, path: str, repository: str = "") -> str:
        """The URL of what is at ``path`` of a repository, or of the whole registry."""
        name = f"{self.server.prefix}{repository}/" if repository else ""
        return f"{self.origin}/v2/{name}{path}"

    def scope(self, repository: str, actions: str = "pull") -> str:
        """The scope of a token that allows actions on a repository."""
        return f"repository:{self.server.prefix}{repository}:{actions}"

    def request(
        self,
        method: str,
        url: str,
        what: str,
        *,
        repository: str = "",
        scopes: Iterable[str] = (),
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        expected: tuple[int, ...] = (200,),
        attempts: bool = True,
    ) -> Answer:
        """Send a request with the authorisation that it needs; ``what`` is wanted begins an error's sentence.

        ``attempts=False`` leaves trying again to the caller. A URL of another server is asked without authorisation.

        Raises:
            NotFound, Unauthorized, RegistryError: the answer is not of an ``expected`` status, or there is none.
        """
        own = origin_of(url, what) == self.origin
        authorization = self._authorization(repository, scopes) if own else ""
        answer = self._send(method, url, headers or {}, body, authorization, attempts=attempts)
        if answer.status == 401 and own and answer.origin == self.origin and self._learn(answer):
            # The token has ended before its time, or nothing was known about what to show.
            again = self._authorization(repository, scopes, refused=authorization)
            if again not in ("", authorization):
                answer.discard()
                answer = self._send(method, url, headers or {}, body, again, attempts=attempts)
        if answer.status not in expected:
            raise self.refused(answer, what, repository)
        return answer

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: Body, authorization: str, *, attempts: bool
    ) -> Answer:
        def once() -> Answer:
            return follow(self.connections, method, url, headers, body, authorization)

        answer = persist(self.connections, once, insist=self._has_answered) if attempts else once()
        self._has_answered = True
        return answer

    def refused(self, answer: Answer, what: str, repository: str = "") -> Exception:
        """The error that an answer means."""
        try:
            body = answer.body(_LARGEST_REFUSAL, what)
        except RegistryError:
            body = b""  # the status says enough
        help_ = ""
        if answer.origin == self.origin:
            name = "" if self.domain == "docker.io" else f" {self.domain}"
            help_ = "" if self.credential(repository) is not None else f"try 'orlop login{name}'"
        return refusal(answer.status, answer.headers, body, answer.origin.authority, what, help_)

    def close(self) -> None:
        """Close the connections."""
        self.connections.close()

    def ping(self) -> Challenge | None:
        """What the server asks to be told, or None if anybody may ask it.

        Raises:
            RegistryError: it cannot be reached.
        """
        url = self.url("")

        def once() -> Answer:
            return follow(self.connections, "GET", url, {}, None, "")

        answer = persist(self.connections, once, insist=self._has_answered)
        if answer.status == 401:
            self._learn(answer)
        elif answer.status != 200:
            raise self.refused(answer, f"asking {self.origin} whether it is a registry")
        answer.discard()
        return self._challenge

    def tokens(self) -> Tokens:
        """The tokens that are known."""
        self.origin  # noqa: B018 - makes them
        if self._tokens is None:
            raise AssertionError("the tokens come with the origin")
        return self._tokens

    def _find_origin(self) -> Origin:
        schemes = self.server.schemes
        for scheme in schemes[:-1]:
            origin = Origin(scheme, self.server.authority)
            try:
                answer = self.connections.send("GET", f"{origin}/v2/", {})
            except Unreachable:
                continue
            if answer.status == 401:
                self._learn(answer)
            answer.discard()
            self._has_answered = True
            return origin
        return Origin(schemes[-1], self.server.authority)

    def _learn(self, answer: Answer) -> bool:
        """Note how the server wants to be asked; whether it is a way that is known here."""
        offered = {each.scheme: each for each in reversed(challenges.parse(answer.all("www-authenticate")))}
        for scheme in _SCHEMES:
            if scheme in offered:
                with self._lock:
                    self._challenge = offered[scheme]
                return True
        return False

    def _authorization(self, repository: str, scopes: Iterable[str], refused: str = "") -> str:
        """The header's value for a request, or an empty text; not the one that was ``refused`` if there is another."""
        challenge = self._challenge
        if challenge is None:
            return ""
        credential = self.credential(repository)
        if challenge.scheme == "basic":
            return credential.basic() if credential is not None and credential.is_basic else ""
        if credential is not None and credential.registry_token:
            return f"Bearer {credential.registry_token}"
        wanted = [*scopes] or challenge.parameters.get("scope", "").split()
        token = self.tokens().get(challenge, wanted, credential, refused.removeprefix("Bearer "))
        return f"Bearer {token}"

    def credential(self, repository: str = "") -> Credential | None:
        """The user's credentials for this server and a repository.

        Raises:
            InvalidArgument: the configuration or a helper of the user's is at fault.
        """
        with self._lock:
            if repository not in self._credentials:
                if self.options.credentials is not None:
                    found = self.options.credentials(self.domain)
                else:
                    path = f"{self.server.prefix}{repository}" if repository else ""
                    found = credentials.lookup(self.domain, self.options.environment, path)
                if found is not None and not f"{found.username}{found.registry_token}".isprintable():
                    raise InvalidArgument(f"the credentials for {self.domain} have control characters in them")
                self._credentials[repository] = found
            return self._credentials[repository]
