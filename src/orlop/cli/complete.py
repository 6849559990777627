"""``orlop __complete``: what may come next on a command line, for the scripts of ``orlop completion``.

Each line is a word and, after a tab, what it means; the last line is ``:files`` where a file may be meant, ``:nospace``
where the word goes on, and otherwise ``:``.
"""

from __future__ import annotations

import sys

from orlop.errors import OrlopError
from orlop.options import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import ModuleType

    from orlop.engine.location import Location
    from orlop.options import Option, Parsed

PARSER = Parser("orlop __complete", "[WORD...] LAST", "Say what may come next on a command line", intermixed=False)


class Answer:
    """Words with their meanings, and what is to be done with them: ``files``, ``nospace`` or nothing."""

    __slots__ = ("kind", "words")

    def __init__(self, words: Iterable[tuple[str, str]] = (), kind: str = "") -> None:
        self.words = list(words)
        self.kind = kind


def run(location: Location, said: Parsed) -> int:
    """Carry the command out. Whatever goes wrong, no words come of it."""
    words = said.arguments or [""]
    try:
        answer = complete(location, words[:-1], words[-1])
    except (OrlopError, OSError):
        answer = Answer()
    for word, meaning in answer.words:
        if word.startswith(words[-1]) and "\n" not in word:
            sys.stdout.write(f"{word}\t{' '.join(meaning.split())}\n" if meaning else f"{word}\n")
    sys.stdout.write(f":{answer.kind}\n")
    return 0


def complete(location: Location, before: Sequence[str], last: str) -> Answer:
    """What may stand in the place of ``last``, after these words.

    Raises:
        OrlopError: the command line's beginning makes no sense, or a record is damaged.
    """
    from orlop import cli

    rest, location = _skip_global(location, before)
    if rest is None:  # within an option of orlop's own
        return Answer(kind="files")
    if rest and rest[0] == "help":
        rest = rest[1:]
    if not rest:
        if last.startswith("-"):
            return Answer(_flags(cli.PARSER))
        groups = [(name, about) for name, (about, _) in cli.GROUPS.items()]
        return Answer([*groups, *cli.COMMANDS, ("help", "Print help about a command")])
    name, *rest = rest
    if name in cli.GROUPS:
        if not rest:
            found = [(word, about) for word, _, about in cli.GROUPS[name][1]]
            if name == "snapshot":  # which takes a container, too
                from orlop.cli import complete_values

                found += complete_values.containers(location)
            return Answer(found)
        module, rest = _in_group(name, rest)
        name = module.__name__.rpartition(".")[2]
    else:
        module = cli.command_module(name)
        name = cli.MODULES.get(name, name)
    return _in_command(location, name, module.PARSER, rest, last)


def _in_group(group: str, rest: Sequence[str]) -> tuple[ModuleType, list[str]]:
    from orlop import cli

    if group in cli.MEANT and not cli.is_in_group(group, rest[0]):
        return cli.module_in_group(group, cli.MEANT[group]), list(rest)
    return cli.module_in_group(group, rest[0]), list(rest[1:])


def _skip_global(location: Location, before: Sequence[str]) -> tuple[list[str] | None, Location]:
    """The words from the command on; None if the place is the value of an option before it."""
    from orlop import cli
    from orlop.engine.location import Location as Place

    takers = {each for option in cli.PARSER.options if option.value for each in option.names}
    root, run_root = location.root, location.run_root
    rest = list(before)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if name not in takers:
            continue
        if not equals:
            if not rest:
                return None, location
            value = rest.pop(0)
        if name == "--root":
            root = value
        elif name == "--run-root":
            run_root = value
    return rest, Place(root, run_root, rootless=location.rootless)


def _in_command(location: Location, name: str, parser: Parser, rest: Sequence[str], last: str) -> Answer:
    from orlop.cli import complete_values

    options = [*parser.options, *(parser.further() if parser.further is not None else ())]
    known = {each: option for option in options for each in option.names}
    arguments: list[str] = []
    pending: Option | None = None
    ended = False
    for word in rest:
        if pending is not None:
            pending = None
        elif word == "--" and not ended:
            ended = True
        elif ended or len(word) < 2 or word[0] != "-" or (arguments and not parser.intermixed):
            arguments.append(word)
        elif "=" not in word:
            pending = _taker(known, word)
    if pending is not None:
        return complete_values.of_option(location, name, pending, last)
    if not ended and last.startswith("-") and (parser.intermixed or not arguments):
        flag, equals, value = last.partition("=")
        option = known.get(flag)
        if not equals:
            return Answer(_flags(parser))
        if option is None or not option.value:
            return Answer()
        found = complete_values.of_option(location, name, option, value)
        return Answer([(f"{flag}={word}", meaning) for word, meaning in found.words], found.kind)
    return complete_values.of_argument(location, name, arguments, last)


def _taker(known: dict[str, Option], word: str) -> Option | None:
    """The option whose value is the next word, if there is one: ``--name`` or the last letter of ``-itv``."""
    if word.startswith("--"):
        option = known.get(word)
        return option if option is not None and option.value else None
    for place, letter in enumerate(word[1:], 1):
        option = known.get(f"-{letter}")
        if option is None:
            return None
        if option.value:
            return option if place == len(word) - 1 else None
    return None


def _flags(parser: Parser) -> list[tuple[str, str]]:
    options = [*parser.options, *(parser.further() if parser.further is not None else ())]
    found = [(name, option.about) for option in options if not option.hidden for name in option.names]
    return [*sorted(found), ("--help", "Print this help")]
