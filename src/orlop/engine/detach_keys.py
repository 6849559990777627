r"""The keys that take a user away from a container's terminal and let the container go on: ``ctrl-p,ctrl-q``.

They are named with commas between them, each one character, or ``ctrl-`` and a letter or one of ``@ [ \ ] ^ _``.
"""

from __future__ import annotations

from orlop.errors import InvalidArgument

DEFAULT = "ctrl-p,ctrl-q"
_CONTROL = "@abcdefghijklmnopqrstuvwxyz[\\]^_"


class Away(Exception):
    """The user has pressed the keys; ``before`` is what was typed before them."""

    def __init__(self, before: bytes) -> None:
        super().__init__()
        self.before = before


class DetachKeys:
    """What is typed, on its way to the container: the beginning of the keys waits until they are something else."""

    __slots__ = ("_held", "_keys")

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""

    def take(self, data: bytes) -> bytes:
        """What of the input goes on to the container.

        Raises:
            Away: the keys were pressed; what comes after them is forgotten.
        """
        if not self._keys:
            return data
        passed = bytearray()
        for byte in data:
            self._held += bytes((byte,))
            while not self._keys.startswith(self._held):
                passed += self._held[:1]
                self._held = self._held[1:]
            if self._held == self._keys:
                raise Away(bytes(passed))
        return bytes(passed)


def read(text: str) -> bytes:
    """The bytes that the terminal sends for the keys; none if ``text`` is empty.

    Raises:
        InvalidArgument: a key is no key.
    """
    if not text:
        return b""
    return bytes(_key(word, text) for word in text.split(","))


def _key(word: str, text: str) -> int:
    if len(word) == 1 and word.isascii():
        return ord(word)
    name = word[len("ctrl-") :].lower() if word.lower().startswith("ctrl-") else ""
    if len(name) == 1 and name in _CONTROL:
        return _CONTROL.index(name)
    raise InvalidArgument(
        f'invalid detach keys "{text}": "{word}" is neither one character nor ctrl- and a letter or one of @ [ \\ ] ^ _'
    )
