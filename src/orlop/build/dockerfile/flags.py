"""The flags of an instruction: ``--name=value``, or ``--name`` for what is true or false."""

from __future__ import annotations

from orlop.build.dockerfile.problem import suggestion
from orlop.errors import InvalidArgument
from orlop.options import boolean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TEXT, FLAG, MANY = "text", "flag", "many"

#: The flags that each instruction has, and of what kind they are.
KNOWN: Mapping[str, Mapping[str, str]] = {
    "FROM": {"platform": TEXT},
    "RUN": {"mount": MANY, "network": TEXT, "security": TEXT, "device": MANY},
    "COPY": {
        "from": TEXT,
        "chown": TEXT,
        "chmod": TEXT,
        "link": FLAG,
        "parents": FLAG,
        "exclude": MANY,
    },
    "ADD": {
        "checksum": TEXT,
        "chown": TEXT,
        "chmod": TEXT,
        "link": FLAG,
        "exclude": MANY,
        "keep-git-dir": FLAG,
        "unpack": FLAG,
    },
    "HEALTHCHECK": {
        "interval": TEXT,
        "timeout": TEXT,
        "start-period": TEXT,
        "start-interval": TEXT,
        "retries": TEXT,
    },
}


class Flags:
    """The flags that one instruction has."""

    __slots__ = ("_flags", "_many", "_texts")

    def __init__(self, instruction: str, words: Sequence[str]) -> None:
        known = KNOWN.get(instruction, {})
        self._texts: dict[str, str] = {}
        self._flags: dict[str, bool] = {}
        self._many: dict[str, list[str]] = {}
        for word in words:
            name, equals, value = word.removeprefix("--").partition("=")
            kind = known.get(name)
            if kind is None:
                flags = [f"--{each}" for each in known]
                expected = f"expected {', '.join(flags)}" if known else "it has none"
                raise InvalidArgument(
                    f"unknown flag --{name} of {instruction}{suggestion(f'--{name}', flags)}: {expected}"
                )
            if kind != MANY and (name in self._texts or name in self._flags):
                raise InvalidArgument(f"flag --{name} of {instruction} is given twice")
            if kind == FLAG:
                self._flags[name] = _boolean(instruction, name, value) if equals else True
            elif not equals:
                raise InvalidArgument(f"flag --{name} of {instruction} has no value: expected --{name}=value")
            elif kind == MANY:
                self._many.setdefault(name, []).append(value)
            else:
                self._texts[name] = value

    def text(self, name: str, default: str = "") -> str:
        """The value of a flag."""
        return self._texts.get(name, default)

    def flag(self, name: str) -> bool:
        """Whether a flag is set; see `given`."""
        return self._flags.get(name, False)

    def given(self, name: str) -> bool:
        """Whether a flag is there at all."""
        return name in self._flags or name in self._texts or name in self._many

    def many(self, name: str) -> tuple[str, ...]:
        """All values of a flag that may be given several times."""
        return tuple(self._many.get(name, ()))


def _boolean(instruction: str, name: str, value: str) -> bool:
    try:
        return boolean(value.lower())
    except ValueError as error:
        raise InvalidArgument(f"invalid value '{value}' of --{name} of {instruction}: {error}") from None
