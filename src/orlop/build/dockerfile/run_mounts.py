"""``RUN --mount``: what a step sees beside its files, while it runs.

A mount is read twice: when the file is, for its words to be known and errors to have a line, and once more when the
variables in it have values.
"""

from __future__ import annotations

from orlop.build.dockerfile.problem import suggestion
from orlop.build.value import Value
from orlop.errors import InvalidArgument
from orlop.options import boolean, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

BIND, CACHE, TMPFS, SECRET, SSH = TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
SHARED, PRIVATE, LOCKED = _SHARING = ("shared", "private", "locked")
_SYNONYMS = {
    "dst": "target",
    "destination": "target",
    "src": "source",
    "rw": "readwrite",
    "ro": "readonly",
}
_KEYS = {
    BIND: ("target", "source", "from", "readwrite", "readonly"),
    CACHE: ("target", "source", "from", "id", "readwrite", "readonly", "sharing", "mode", "uid", "gid"),
    TMPFS: ("target", "size"),
    SECRET: ("target", "id", "source", "required", "mode", "uid", "gid", "env"),
    SSH: ("target", "id", "required", "mode", "uid", "gid"),
}
_FLAGS = ("readwrite", "readonly", "required")
_SECRETS = "/run/secrets"


class RunMount(Value):
    """One mount. What a type does not have is empty, and None is the type's default.

    ``size`` is in bytes, ``mode`` the permission bits. ``from_`` is a stage, an image or a context, or empty for the
    build's own context (``bind``) or nothing (``cache``). ``env`` is the variable that holds a secret.
    """

    type: str = BIND
    target: str = ""
    source: str = ""
    from_: str = ""
    id: str = ""
    readonly: bool = True
    sharing: str = SHARED
    size: int | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    required: bool = False
    env: str = ""


def parse(text: str, expand: Callable[[str], str] | None = None) -> RunMount:
    """Read ``type=cache,target=/root/.cache,…``; ``expand`` replaces variables.

    Without ``expand`` the variables stay, and a value that has one is not held to anything.

    Raises:
        InvalidArgument: it is malformed.
    """
    import csv

    try:
        fields = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise InvalidArgument(f"invalid --mount {text}: {error}") from None
    said: dict[str, str] = {}
    for field in fields:
        key, equals, value = field.partition("=")
        key = key.strip().lower()
        key = _SYNONYMS.get(key, key)
        if not equals and key not in _FLAGS:
            raise InvalidArgument(f"invalid field '{field}' of --mount: expected key=value")
        said[key] = expand(value) if expand is not None else value
        if not equals:
            said[key] = "true"
    kind = said.pop("type", BIND).lower()
    if kind not in TYPES and not _is_open(kind, expand):
        raise InvalidArgument(f"unknown type '{kind}' of --mount{suggestion(kind, TYPES)}: expected {_listed(TYPES)}")
    keys = _KEYS.get(kind, sum(_KEYS.values(), ()))
    for key in said:
        if key not in keys:
            raise InvalidArgument(
                f"unexpected key '{key}' of --mount=type={kind}{suggestion(key, ('type', *keys))}: expected {_listed(keys)}"
            )
    return _Reader(kind, said, is_final=expand is not None).read()


class _Reader:
    __slots__ = ("_is_final", "_kind", "_said")

    def __init__(self, kind: str, said: dict[str, str], *, is_final: bool) -> None:
        self._kind = kind
        self._said = said
        self._is_final = is_final

    def read(self) -> RunMount:
        kind, said = self._kind, self._said
        target, name = said.get("target", ""), said.get("id", "")
        if kind in (BIND, CACHE, TMPFS) and not target:
            raise InvalidArgument(f"--mount=type={kind} needs a target: add target=/path")
        source = said.get("source", "")
        if kind == SECRET:
            name, target = self._secret(name or source, target)
            source = ""
        readonly = kind == BIND
        if "readwrite" in said:
            readonly = not self._flag("readwrite", default=True)
        if "readonly" in said:
            readonly = self._flag("readonly", default=True)
        sharing = said.get("sharing", SHARED)
        if sharing not in _SHARING and self._is_known("sharing"):
            raise InvalidArgument(
                f"invalid sharing '{sharing}' of --mount{suggestion(sharing, _SHARING)}: expected {_listed(_SHARING)}"
            )
        return RunMount(
            kind,
            target,
            source,
            said.get("from", ""),
            name,
            readonly,
            sharing,
            self._number("size", size),
            self._number("mode", _octal),
            self._number("uid", _identity),
            self._number("gid", _identity),
            self._flag("required", default=False),
            said.get("env", ""),
        )

    def _secret(self, name: str, target: str) -> tuple[str, str]:
        if not name:
            if not target:
                raise InvalidArgument("--mount=type=secret needs an id: add id=name")
            name = target.rpartition("/")[2]
        if not target and "env" not in self._said:
            target = f"{_SECRETS}/{name.rpartition('/')[2]}"
        return name, target

    def _is_known(self, key: str) -> bool:
        """Whether a value is what it is going to be."""
        return self._is_final or "$" not in self._said.get(key, "")

    def _flag(self, key: str, *, default: bool) -> bool:
        if key not in self._said or not self._is_known(key):
            return default
        try:
            return boolean(self._said[key])
        except ValueError as error:
            raise InvalidArgument(f"invalid value '{self._said[key]}' of {key} in --mount: {error}") from None

    def _number(self, key: str, read: Callable[[str], int]) -> int | None:
        if key not in self._said or not self._is_known(key):
            return None
        try:
            return read(self._said[key])
        except ValueError as error:
            raise InvalidArgument(f"invalid value '{self._said[key]}' of {key} in --mount: {error}") from None


def _octal(text: str) -> int:
    if not text or len(text) > 5 or any(digit not in "01234567" for digit in text):
        raise ValueError("must be an octal mode such as 0755")
    return int(text, 8)


def _identity(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 11 and int(text) < (1 << 32) - 1):
        raise ValueError("must be a number")
    return int(text)


def _is_open(value: str, expand: object) -> bool:
    return expand is None and "$" in value


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)
