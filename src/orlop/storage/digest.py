"""Digests: ``sha256:<hex>``, the names of everything that is stored by its content (OCI image-spec, descriptor.md)."""

from __future__ import annotations

from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import _Hash

#: Algorithms that content may be named by, and the length of their hexadecimal digests.
ALGORITHMS = {"sha256": 64, "sha512": 128}

_HEXADECIMAL = frozenset("0123456789abcdef")


def is_digest(text: str) -> bool:
    """Whether a text is a digest of a known algorithm, safe to be used as a file's name."""
    algorithm, colon, encoded = text.partition(":")
    return bool(colon) and len(encoded) == ALGORITHMS.get(algorithm) and _HEXADECIMAL.issuperset(encoded)


def check(text: str) -> str:
    """The digest itself, if it is one.

    Raises:
        InvalidArgument: it is malformed, or of an algorithm that is not known.
    """
    if not is_digest(text):
        raise InvalidArgument(f'invalid digest "{text[:160]}": must be sha256: or sha512: and lower-case hexadecimal')
    return text


def hasher(digest: str = "sha256:") -> _Hash:
    """A new hash object of the digest's algorithm (default sha256)."""
    import _hashlib  # hashlib would import five implementations more

    return _hashlib.new(digest.partition(":")[0])


def of(data: bytes | memoryview) -> str:
    """The sha256 digest of some data."""
    state = hasher()
    state.update(data)
    return result(state)


def result(state: _Hash) -> str:
    """The digest that a hash object has come to."""
    return f"{state.name}:{state.hexdigest()}"
