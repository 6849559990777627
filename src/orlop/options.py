"""Command lines read from a table: Docker's and runc's grammar, and the help text out of the same table.

A command describes its options as data and gets back what the user said::

    RUN = Parser(
        "orlop run",
        "IMAGE [COMMAND] [ARG...]",
        "Create and run a new container",
        (
            Option("-d, --detach", "Run in the background and print the container's ID"),
            Option("-e, --env", "Set environment variables", value="list", many=True),
            Option("-m, --memory", "Memory limit", value="bytes", read=size),
        ),
        at_least=1,
        intermixed=False,
    )
    said = RUN.parse(["-de", "A=1", "--memory=64m", "debian", "ls", "-l"])
    said["detach"], said["env"], said["memory"], said.arguments
    # True, ["A=1"], 67108864, ["debian", "ls", "-l"]

The grammar, which is that of Go's pflag as far as Docker's users know it:

- ``--flag value`` and ``--flag=value``; ``-f value``, ``-fvalue`` and ``-f=value``; ``-it`` for ``-i -t``;
- a flag without a value is a boolean, and ``--flag=false`` (also ``0``, ``f``) takes it back;
- an option given twice counts the last time, unless it is one that collects (``many``);
- ``--`` ends the options; with ``intermixed=False`` the first argument does so too;
- ``--help`` anywhere among the options wins over every mistake after it; ``-h`` means the same unless the
  table has an ``-h`` of its own.

``argparse`` does the same in 8 ms of start-up; this costs none. Whatever is wrong is an `InvalidArgument`, and with a
flag an `InvalidFlag`.
"""

from __future__ import annotations

from orlop.errors import InvalidArgument, InvalidFlag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

__all__ = [
    "Option", "Parsed", "Parser", "boolean", "duration", "integer", "limit", "natural", "one_of", "size",
]  # fmt: skip

_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")
_UNITS = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_NANOSECONDS = {
    "ns": 1,
    "us": 1000,
    "µs": 1000,
    "ms": 1000_000,
    "s": 1000_000_000,
    "m": 60_000_000_000,
    "h": 3600_000_000_000,
}
_LARGEST = (1 << 63) - 1


class Option:
    """One row of a command's table.

    ``names`` is what the user may type, short and long, as the help shows it: ``"-e, --env"``. The long
    name (the first name, if there is none) without dashes is the key in `Parsed`. ``value`` is the word
    that stands for the value in the help, and empty for a boolean. ``read`` turns the value's text into
    what the command wants, and raises ``ValueError`` with a reason if it cannot. ``hidden`` rows are
    accepted and not shown.
    """

    __slots__ = ("about", "default", "hidden", "key", "many", "names", "read", "value")

    def __init__(
        self,
        names: str,
        about: str,
        *,
        value: str = "",
        read: Callable[[str], Any] | None = None,
        many: bool = False,
        default: Any = None,
        hidden: bool = False,
    ) -> None:
        self.names = tuple(names.split(", "))
        self.key = next((name for name in self.names if name.startswith("--")), self.names[0]).lstrip("-")
        self.about = about
        self.value = value
        self.read = read if value else boolean
        self.many = many
        self.default = default if default is not None or value else False
        self.hidden = hidden


class Parsed:
    """What the user said: ``said["key"]`` is the value or the option's default, ``arguments`` the rest."""

    __slots__ = ("_given", "_options", "arguments", "has_further", "wants_help")

    def __init__(self, options: Sequence[Option]) -> None:
        self._options = options
        self._given: dict[str, Any] = {}
        self.arguments: list[str] = []
        self.wants_help = False
        #: Whether an option was given that is among the parser's further ones; only then these are known here.
        self.has_further = False

    def __getitem__(self, key: str) -> Any:
        if key in self._given:
            return self._given[key]
        for option in self._options:
            if option.key == key:
                return [] if option.many and option.default is None else option.default
        raise KeyError(key)

    def given(self, key: str) -> bool:
        """Whether the user named this option at all."""
        return key in self._given

    def know(self, options: Sequence[Option]) -> None:
        """Have a parser's further options too."""
        self._options = (*self._options, *options)
        self.has_further = True

    def record(self, option: Option, value: Any) -> None:
        """Note one use of an option."""
        if option.many:
            self._given.setdefault(option.key, []).append(value)
        else:
            self._given[option.key] = value


class Parser:
    """A command's options and arguments.

    ``program`` is the command as the user typed it (``"orlop run"``), ``usage`` its arguments in words,
    ``about`` what it does. ``at_least`` and ``at_most`` count arguments (no ``at_most``: any number).
    ``intermixed`` lets options follow arguments. ``single_dash`` also takes ``-name`` for ``--name``, as
    Go's flag package and so runc do. ``sections`` are further lists for the help, such as a program's
    commands: pairs of a title and rows of name and meaning. ``further`` returns more rows, which are rarely used: it is
    called for an option that is not among ``options``, and for the help.
    """

    __slots__ = (
        "about",
        "at_least",
        "at_most",
        "further",
        "intermixed",
        "options",
        "program",
        "sections",
        "single_dash",
        "usage",
    )

    def __init__(
        self,
        program: str,
        usage: str,
        about: str,
        options: Sequence[Option] = (),
        *,
        at_least: int = 0,
        at_most: int | None = None,
        intermixed: bool = True,
        single_dash: bool = False,
        sections: Sequence[tuple[str, Sequence[tuple[str, str]]]] = (),
        further: Callable[[], Sequence[Option]] | None = None,
    ) -> None:
        self.program = program
        self.usage = usage
        self.about = about
        self.options = options
        self.at_least = at_least
        self.at_most = at_most
        self.intermixed = intermixed
        self.single_dash = single_dash
        self.sections = sections
        self.further = further

    def parse(self, words: Sequence[str]) -> Parsed:
        """Read a command line, the program's and command's names not included.

        Raises:
            InvalidFlag: an unknown option, or a value that is missing or wrong.
            InvalidArgument: too few or too many arguments.
        """
        said = Parsed(self.options)
        known = {name: option for option in self.options for name in option.names}
        rest = iter(words)
        for word in rest:
            if word == "--":
                said.arguments.extend(rest)
            elif len(word) < 2 or word[0] != "-":
                said.arguments.append(word)
                if not self.intermixed:
                    said.arguments.extend(rest)
            elif word == "--help" or (word == "-h" and "-h" not in known):
                said.wants_help = True
                return said
            else:
                self._option(word, rest, known, said)
        self._count(said.arguments)
        return said

    def _option(self, word: str, rest: Iterator[str], known: dict[str, Option], said: Parsed) -> None:
        name, equals, value = word.partition("=")
        if self.single_dash and word[1] != "-" and len(name) > 2 and "-" + name in known:
            name = "-" + name
        option = known.get(name)
        if option is None and (word[1] == "-" or len(name) == 2):
            option = self._find_further(name, known, said)
        if option is None:
            if word[1] == "-" or word[1] == "=":
                raise self._unknown(name, word, known)
            self._cluster(word, rest, known, said)
        elif equals:
            said.record(option, self._read(option, name, value))
        elif option.value:
            said.record(option, self._read(option, name, self._next(rest, name)))
        else:
            said.record(option, True)

    def _cluster(self, word: str, rest: Iterator[str], known: dict[str, Option], said: Parsed) -> None:
        """Read ``-itv /a:/b``, ``-eA=1`` and the like: short flags, of which the last may have a value."""
        for place in range(1, len(word)):
            name = "-" + word[place]
            option = known.get(name) or self._find_further(name, known, said)
            if option is None:
                raise self._unknown(name, word, known)
            after = word[place + 1 :]
            if after.startswith("="):
                said.record(option, self._read(option, name, after[1:]))
                return
            if option.value:
                said.record(option, self._read(option, name, after or self._next(rest, name)))
                return
            said.record(option, True)

    def _find_further(self, name: str, known: dict[str, Option], said: Parsed) -> Option | None:
        if self.further is None or said.has_further:
            return None
        rows = self.further()
        said.know(rows)
        known.update({name: option for option in rows for name in option.names})
        return known.get(name)

    def _next(self, rest: Iterator[str], name: str) -> str:
        value = next(rest, None)
        if value is None:
            raise self._wrong_flag(f"flag needs a value: {name}")
        return value

    def _read(self, option: Option, name: str, value: str) -> Any:
        if option.read is None:
            return value
        try:
            return option.read(value)
        except (ValueError, InvalidArgument) as error:
            raise self._wrong_flag(f'invalid value "{value}" for {name}: {error}') from None

    def _count(self, arguments: list[str]) -> None:
        count = len(arguments)
        if count >= self.at_least and (self.at_most is None or count <= self.at_most):
            return
        wanted = self.at_least if count < self.at_least else self.at_most
        if self.at_least == self.at_most:
            bound = f"exactly {wanted}" if wanted else "no"
        else:
            bound = f"at least {wanted}" if count < self.at_least else f"at most {wanted}"
        plural = "" if wanted == 1 else "s"
        raise self.mistake(f"'{self.program}' takes {bound} argument{plural}, {count} given")

    def _unknown(self, name: str, word: str, known: dict[str, Option]) -> InvalidFlag:
        if name[:2] == "--":
            import difflib  # only a mistake pays for it

            shown = [known_name for known_name, option in known.items() if not option.hidden]
            near = difflib.get_close_matches(name, shown, 1)
            if near:
                return self._wrong_flag(f"unknown flag: {name} (did you mean {near[0]}?)")
            return self._wrong_flag(f"unknown flag: {name}")
        return self._wrong_flag(f"unknown flag: {name}" if word == name else f"unknown flag: {name} in {word}")

    def mistake(self, text: str) -> InvalidArgument:
        """The error for a wrong command line, with the way to the help added."""
        return InvalidArgument(f"{text}; see '{self.program} --help'")

    def _wrong_flag(self, text: str) -> InvalidFlag:
        return InvalidFlag(f"{text}; see '{self.program} --help'")

    def help(self) -> str:
        """The help text, ending in a newline."""
        options = "[OPTIONS] " if self.options else ""
        lines = [
            f"Usage:  {self.program} {options}{self.usage}".rstrip(),
            "",
            self.about,
        ]
        for title, rows in self.sections:
            lines += ["", f"{title}:", *_columns(rows)]
        everything = [*self.options, *(self.further() if self.further is not None else ())]
        if self.further is not None:
            everything.sort(key=lambda option: option.key)
        shown = [(_heading(option), _meaning(option)) for option in everything if not option.hidden]
        names = [name for option in everything for name in option.names]
        if "--help" not in names:
            shown.append(("    --help" if "-h" in names else "-h, --help", "Print this help"))
        lines += ["", "Options:", *_columns(shown)]
        return "\n".join(lines) + "\n"


def _heading(option: Option) -> str:
    short = [name for name in option.names if not name.startswith("--")]
    long = [name for name in option.names if name.startswith("--")]
    names = ", ".join(short + long) if short else "    " + ", ".join(long)
    return f"{names} {option.value}".rstrip()


def _meaning(option: Option) -> str:
    if option.value and option.default not in (None, ""):
        return f"{option.about} (default {option.default})"
    return option.about


def _columns(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max((len(left) for left, _ in rows), default=0) + 2
    return [f"  {left:<{width}}{right}".rstrip() for left, right in rows]


def boolean(text: str) -> bool:
    """``true`` or ``false`` in one of the forms that Go's ``strconv.ParseBool`` takes."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError("must be true or false")


def natural(text: str) -> int:
    """A decimal number that is not negative and fits 63 bits."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= _LARGEST):
        raise ValueError("must be a whole number, 0 or more")
    return int(text)


def integer(text: str) -> int:
    """A decimal number with or without a sign, of at most 63 bits."""
    digits = text[1:] if text[:1] in ("-", "+") else text
    try:
        number = natural(digits)
    except ValueError:
        raise ValueError("must be a whole number") from None
    return -number if text[:1] == "-" else number


def size(text: str) -> int:
    """A number of bytes: ``1000``, ``64m``, ``1.5g``, ``2GiB``; units are powers of 1024, as Docker's are."""
    problem = "must be a size such as 512m or 2g"
    lowered = text.lower()
    for ending in ("ib", "b"):
        stem = lowered.removesuffix(ending)
        if stem != lowered and stem[-1:] in ("k", "m", "g", "t", "p"):
            lowered = stem
            break
    unit = _UNITS.get(lowered[-1:], 0)
    if unit:
        lowered = lowered[:-1]
    whole, dot, fraction = lowered.strip(" ").partition(".")
    digits = whole + fraction
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 40) or (dot and not (whole and fraction)):
        raise ValueError(problem)
    count: int = int(digits) * (unit or 1) // 10 ** len(fraction)
    if count > _LARGEST:
        raise ValueError("is more than 63 bits can hold")
    return count


def limit(text: str) -> int:
    """A `size`, or ``-1`` for no limit."""
    return -1 if text == "-1" else size(text)


def duration(text: str) -> int:
    """Nanoseconds from a duration in Go's form: ``5s``, ``1m30s``, ``1.5h``, ``100ms``, ``0``."""
    problem = "must be a duration such as 30s or 1m30s"
    if text == "0":
        return 0
    total = 0
    place = 0
    while place < len(text):
        start = place
        while place < len(text) and text[place] in "0123456789.":
            place += 1
        whole, _, fraction = text[start:place].partition(".")
        digits = whole + fraction
        start = place
        while place < len(text) and text[place] not in "0123456789.":
            place += 1
        unit = _NANOSECONDS.get(text[start:place])
        if unit is None or not digits.isdigit() or len(digits) > 40:
            raise ValueError(problem)
        total += int(digits) * unit // 10 ** len(fraction)
    if not text or total > _LARGEST:
        raise ValueError(problem)
    return total


def one_of(*words: str) -> Callable[[str], str]:
    """A reader that takes these words and no other."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return read
