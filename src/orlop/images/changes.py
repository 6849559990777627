"""``--change`` of commit and import: Dockerfile instructions that alter an image's configuration.

Those are CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, SHELL, STOPSIGNAL, USER, VOLUME and WORKDIR, in the
syntax of a Dockerfile: a JSON array or plain words, quotes and backslashes, and variables of the image's environment
(``$NAME``, ``${NAME}``, ``${NAME:-word}``, ``${NAME:+word}``) where a Dockerfile replaces them.
"""

from __future__ import annotations

import posixpath

from orlop import json_text
from orlop.errors import InvalidArgument
from orlop.images.config import Healthcheck
from orlop.images.words import split_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from orlop.images.config import Execution

_DEFAULT_SHELL = ["/bin/sh", "-c"]
_NOT_ON_BUILD = ("FROM", "MAINTAINER", "ONBUILD")
_LAST_PORT = 65535


def apply(texts: Iterable[str], config: Execution) -> None:
    """Carry instructions out on a configuration, one after the other.

    Raises:
        InvalidArgument: an instruction is none of these, or is malformed.
    """
    work = _Changes(config)
    for text in texts:
        name, _, rest = text.strip().partition(" ")
        carry_out = work.instructions().get(name.upper())
        if carry_out is None:
            raise InvalidArgument(f"'{name}' is not a valid change command: use CMD, ENTRYPOINT, ENV and the like")
        rest = rest.strip()
        if not rest:
            raise InvalidArgument(f"{name.upper()} requires at least one argument")
        carry_out(rest)


class _Changes:
    __slots__ = ("_cmd_is_set", "_config")

    def __init__(self, config: Execution) -> None:
        self._config = config
        self._cmd_is_set = False

    def instructions(self) -> dict[str, Callable[[str], None]]:
        return {
            "CMD": self._cmd,
            "ENTRYPOINT": self._entrypoint,
            "ENV": self._env,
            "EXPOSE": self._expose,
            "HEALTHCHECK": self._healthcheck,
            "LABEL": self._label,
            "ONBUILD": self._on_build,
            "SHELL": self._shell,
            "STOPSIGNAL": self._stop_signal,
            "USER": self._user,
            "VOLUME": self._volume,
            "WORKDIR": self._workdir,
        }

    def _cmd(self, rest: str) -> None:
        self._config.cmd = self._command(rest)
        self._cmd_is_set = True

    def _entrypoint(self, rest: str) -> None:
        self._config.entrypoint = self._command(rest)
        if not self._cmd_is_set:
            self._config.cmd = []  # what was there belonged to the entrypoint before

    def _command(self, rest: str) -> list[str]:
        listed = _array(rest)
        return listed if listed is not None else [*(self._config.shell or _DEFAULT_SHELL), rest]

    def _env(self, rest: str) -> None:
        for name, value in self._pairs("ENV", rest):
            kept = [each for each in self._config.env if each.partition("=")[0] != name]
            self._config.env = [*kept, f"{name}={value}"]

    def _label(self, rest: str) -> None:
        self._config.labels.update(self._pairs("LABEL", rest))

    def _pairs(self, instruction: str, rest: str) -> list[tuple[str, str]]:
        """``NAME=value`` words, or one name and its value with blanks in between, as old Dockerfiles have it."""
        name, blank, value = rest.partition(" ")
        if "=" not in name:
            if not blank:
                raise InvalidArgument(f"{instruction} must have two arguments, or be of the form NAME=value")
            return [(name, " ".join(self._words(value)))]
        pairs = []
        for word in self._words(rest):
            name, equals, value = word.partition("=")
            if not (name and equals):
                raise InvalidArgument(f'syntax error - can\'t find = in "{word}" of {instruction}: use NAME=value')
            pairs.append((name, value))
        return pairs

    def _expose(self, rest: str) -> None:
        for word in self._words(rest):
            for port in _ports(word):
                if port not in self._config.exposed_ports:
                    self._config.exposed_ports.append(port)

    def _healthcheck(self, rest: str) -> None:
        kind, _, command = rest.partition(" ")
        options: dict[str, int] = {}
        while kind.startswith("--"):
            name, value = _health_option(kind)
            options[name] = value
            kind, _, command = command.strip().partition(" ")
        command = command.strip()
        if kind.upper() == "NONE":
            if command or options:
                raise InvalidArgument("HEALTHCHECK NONE takes no arguments")
            test = ["NONE"]
        elif kind.upper() == "CMD":
            if not command:
                raise InvalidArgument("missing command after HEALTHCHECK CMD")
            listed = _array(command)
            test = ["CMD-SHELL", command] if listed is None else ["CMD", *listed]
        else:
            raise InvalidArgument(f'unknown type "{kind}" in HEALTHCHECK (try CMD)')
        self._config.healthcheck = Healthcheck(test, **options)

    def _on_build(self, rest: str) -> None:
        trigger = rest.partition(" ")[0].upper()
        if trigger in _NOT_ON_BUILD:
            raise InvalidArgument(f"{trigger} isn't allowed as an ONBUILD trigger")
        self._config.on_build.append(rest)

    def _shell(self, rest: str) -> None:
        listed = _array(rest)
        if not listed:
            raise InvalidArgument('SHELL requires the arguments to be in JSON form, such as ["/bin/bash", "-c"]')
        self._config.shell = listed

    def _stop_signal(self, rest: str) -> None:
        signal = self._one_word("STOPSIGNAL", rest)
        known = signal.isdigit() or signal.upper().removeprefix("SIG").replace("+", "").replace("-", "").isalnum()
        if not (signal.isascii() and known):
            raise InvalidArgument(f'invalid signal "{signal}" of STOPSIGNAL')
        self._config.stop_signal = signal

    def _user(self, rest: str) -> None:
        self._config.user = self._one_word("USER", rest)

    def _volume(self, rest: str) -> None:
        listed = _array(rest)
        for volume in self._words(rest) if listed is None else listed:
            if not volume.strip():
                raise InvalidArgument("VOLUME specified can not be an empty string")
            if volume not in self._config.volumes:
                self._config.volumes.append(volume)

    def _workdir(self, rest: str) -> None:
        path = " ".join(self._words(rest))
        # A relative one counts from the one before.
        self._config.working_dir = posixpath.normpath(posixpath.join("/", self._config.working_dir, path))

    def _one_word(self, instruction: str, rest: str) -> str:
        words = self._words(rest)
        if len(words) != 1 or not words[0]:
            raise InvalidArgument(f"{instruction} requires exactly one argument")
        return words[0]

    def _words(self, text: str) -> list[str]:
        variables = dict(each.split("=", 1) for each in self._config.env if "=" in each)
        return split_words(text, variables)


def _array(text: str) -> list[str] | None:
    """The strings of a JSON array; None if the text is something else, which then means itself."""
    if not text.startswith("["):
        return None
    try:
        value = json_text.loads(text)
    except ValueError:
        return None
    if not isinstance(value, list) or not all(type(each) is str for each in value):
        return None
    return value


def _ports(word: str) -> list[str]:
    """The ports that a word such as ``80``, ``53/udp`` or ``8000-8003/tcp`` stands for."""
    numbers, _, protocol = word.partition("/")
    protocol = protocol.lower() or "tcp"
    first, dash, last = numbers.partition("-")
    last = last if dash else first
    if not all(each.isascii() and each.isdigit() and len(each) < 6 for each in (first, last)):
        raise InvalidArgument(f'invalid containerPort "{word}" of EXPOSE: use a number or a range, and perhaps /udp')
    low, high = int(first), int(last)
    if not 0 < low <= high <= _LAST_PORT:
        raise InvalidArgument(f'invalid containerPort "{word}" of EXPOSE: ports are from 1 to {_LAST_PORT}')
    if protocol not in ("tcp", "udp", "sctp"):
        raise InvalidArgument(f'invalid proto "{protocol}" of EXPOSE: use tcp, udp or sctp')
    return [f"{port}/{protocol}" for port in range(low, high + 1)]


_HEALTH_DURATIONS = {
    "--interval": "interval",
    "--timeout": "timeout",
    "--start-period": "start_period",
    "--start-interval": "start_interval",
}
_LEAST_DURATION = 1_000_000  # nanoseconds, as with Docker


def _health_option(text: str) -> tuple[str, int]:
    from orlop.options import duration, natural

    option, equals, value = text.partition("=")
    name = _HEALTH_DURATIONS.get(option) or ("retries" if option == "--retries" else "")
    if not (name and equals):
        raise InvalidArgument(f"unknown flag {text} of HEALTHCHECK")
    try:
        number = natural(value) if name == "retries" else duration(value)
    except ValueError as error:
        raise InvalidArgument(f"invalid {option} of HEALTHCHECK: {value} {error}") from None
    if name != "retries" and 0 < number < _LEAST_DURATION:
        raise InvalidArgument(f"invalid {option} of HEALTHCHECK: {value} is less than the minimum of 1ms")
    return name, number
