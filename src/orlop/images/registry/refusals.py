"""Answers that are errors, said in one sentence (distribution-spec, "Error Codes").

What a server says goes to a terminal, so nothing in it that is not plain text gets that far.
"""

from __future__ import annotations

import json

from orlop.errors import NotFound, RegistryError, Unauthorized

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from orlop.errors import OrlopError

_LONGEST = 300


class Unreachable(RegistryError):
    """A server gave no answer, or broke off in the middle of one: trying again may help."""


class NoConnection(Unreachable):
    """Nobody is there, or nobody lets us in."""


class NotTls(Unreachable):
    """What is there does not speak TLS."""


class Untrusted(RegistryError):
    """A server's certificate is not one to be trusted, or it does not accept ours: trying again does not help."""


def plain(text: object) -> str:
    """A server's words as one line without control characters, shortened."""
    words = str(text)[: 4 * _LONGEST]
    return " ".join("".join(each if each.isprintable() else " " for each in words).split())[:_LONGEST]


def refusal(
    status: int, headers: Mapping[str, str], body: bytes, server: str, what: str, help_: str = ""
) -> OrlopError:
    """The error that an answer means.

    ``what`` was wanted of the ``server`` begins its sentence; ``help_`` says what whoever showed no credentials can do.
    """
    code, said = _spoken(body)
    reason = ": ".join(part for part in (code, said) if part)
    detail = f" ({reason})" if reason else ""
    if status == 401:
        # Many registries answer like this for what they do not have, so that nobody learns what there is.
        wish = "wants credentials for it" if help_ else "does not accept the credentials for it"
        advice = f", {help_}" if help_ else ""
        return Unauthorized(f"{what}: {server} {wish}, or does not have it{detail}{advice}", status=status, code=code)
    if status == 403 or code == "DENIED":
        advice = f", {help_}" if help_ else ""
        return Unauthorized(f"{what}: {server} does not allow it{detail}{advice}", status=status, code=code)
    if status == 404:
        return NotFound(f"{what}: not found on {server}{detail}")
    if status == 429 or code == "TOOMANYREQUESTS":
        return RegistryError(f"{what}: {_rate_limit(headers, server)}{detail}", status=status, code=code)
    return RegistryError(f"{what}: {server} answered with status {status}{detail}", status=status, code=code)


def _spoken(body: bytes) -> tuple[str, str]:
    """The first error's code, and the messages of all, as far as an answer has any."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(document, dict):
        return "", ""
    errors = document.get("errors")
    if isinstance(errors, list):
        found = [error for error in errors if isinstance(error, dict)]
        codes = [plain(error["code"]) for error in found if isinstance(error.get("code"), str)]
        messages = [plain(error["message"]) for error in found if isinstance(error.get("message"), str)]
        messages += [plain(error["detail"]) for error in found if error.get("detail") and not error.get("message")]
        return codes[0] if codes else "", "; ".join(dict.fromkeys(filter(None, messages)))[:_LONGEST]
    # What token servers and other machinery in front of a registry say.
    for key in ("error_description", "details", "message", "error"):
        if isinstance(document.get(key), str):
            return "", plain(document[key])
    return "", ""


def rate_limit_is_used_up(headers: Mapping[str, str]) -> bool:
    """Whether a server says that no request is left, so that waiting for seconds does not help."""
    return headers.get("ratelimit-remaining", "").partition(";")[0].strip() == "0"


def _rate_limit(headers: Mapping[str, str], server: str) -> str:
    """The sentence about a rate limit: ``100;w=21600`` means 100 requests in 21,600 seconds."""
    sentence = f"{server} takes no more requests for now"
    limit, _, window = headers.get("ratelimit-limit", "").partition(";w=")
    if limit.strip().isdecimal():
        sentence = f"the rate limit of {server} is used up: {limit.strip()} requests"
        sentence += f" in {_duration(int(window))}" if window.isdecimal() and len(window) < 10 else ""
        source = headers.get("docker-ratelimit-source", "")
        sentence += f" for {plain(source)}" if source else ""
    again = headers.get("retry-after", "")
    if again:
        sentence += f", try again {f'in {_duration(int(again))}' if again.isdecimal() else f'at {plain(again)}'}"
    return sentence


def _duration(seconds: int) -> str:
    for size, name in ((3600, "hours"), (60, "minutes")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {name if seconds > size else name[:-1]}"
    return f"{seconds} seconds"
