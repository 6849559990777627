"""Which variables an instruction sees: build arguments with their scopes, and the environment of the image.

``ARG`` before the first ``FROM`` counts for all ``FROM``, and in a stage only once that says ``ARG`` of it too. In a stage
an argument counts from its line on; the environment hides arguments of the same name. What a user gives as
``--build-arg`` wins over every default. Some arguments are there without being declared.
"""

from __future__ import annotations

from orlop.build.dockerfile import expansion
from orlop.build.dockerfile.problem import suggestion
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orlop.build.dockerfile.instructions import Arg, Instruction, Pair
    from orlop.build.dockerfile.problem import Source, Span
    from orlop.images.platform import Platform

#: Arguments that every ``RUN`` has in its environment, if the user gives them; they are in no history and no cache key.
PROXIES = (
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
)
#: What programs are looked for in where an image does not say it.
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def of_platforms(target: Platform, build: Platform, stage: str = "") -> dict[str, str]:
    """The arguments that say for which platform is built, and on which."""
    made = {"TARGETSTAGE": stage or "default"}
    for prefix, platform in (("TARGET", target), ("BUILD", build)):
        made[f"{prefix}PLATFORM"] = str(platform)
        made[f"{prefix}OS"] = platform.os
        made[f"{prefix}OSVERSION"] = platform.os_version
        made[f"{prefix}ARCH"] = platform.architecture
        made[f"{prefix}VARIANT"] = platform.variant
    return made


class Words:
    """Expands the words of one file: variables in, an error with the instruction's place out."""

    __slots__ = ("escape", "source", "undefined")

    def __init__(self, source: Source, escape: str) -> None:
        self.source = source
        self.escape = escape
        #: Variables without a value: the name, where it is, and the names that were known there.
        self.undefined: list[tuple[str, Span, tuple[str, ...]]] = []

    def one(self, text: str, variables: Mapping[str, str], span: Span) -> str:
        """A text as one word.

        Raises:
            InvalidDockerfile: it is malformed, or a variable refuses to be unset.
        """
        try:
            word, undefined = expansion.word(text, variables, self.escape)
        except InvalidArgument as error:
            raise self.source.problem(span, str(error)) from None
        self.undefined += [(name, span, tuple(variables)) for name in undefined]
        return word

    def document(self, text: str, variables: Mapping[str, str], span: Span) -> str:
        """A here-document's text.

        Raises:
            InvalidDockerfile: as `one`.
        """
        try:
            made, undefined = expansion.document(text, variables)
        except InvalidArgument as error:
            raise self.source.problem(span, str(error)) from None
        self.undefined += [(name, span, tuple(variables)) for name in undefined]
        return made

    def many(self, text: str, variables: Mapping[str, str], span: Span) -> list[str]:
        """A text as the words that it is split into.

        Raises:
            InvalidDockerfile: as `one`.
        """
        try:
            found = expansion.words(text, variables, self.escape)
        except InvalidArgument as error:
            raise self.source.problem(span, str(error)) from None
        self.undefined += [(name, span, tuple(variables)) for name in found.undefined]
        return found.words


class Scope:
    """The variables of one stage, or of all ``FROM``, as they are at a line.

    ``given`` are the user's build arguments, ``outer`` what an argument without a default has.
    """

    __slots__ = ("_words", "arguments", "environment", "given", "outer")

    def __init__(
        self,
        words: Words,
        given: Mapping[str, str],
        outer: Mapping[str, str],
        environment: Iterable[str] = (),
    ) -> None:
        self._words = words
        self.given = given
        self.outer = outer
        #: Declared arguments, in their order; None has no value.
        self.arguments: dict[str, str | None] = {}
        self.environment: dict[str, str] = {}
        for each in environment:
            name, _, value = each.partition("=")
            self.environment[name] = value

    @property
    def variables(self) -> dict[str, str]:
        """Everything that can be used in the next instruction."""
        return {name: value for name, value in self.arguments.items() if value is not None} | self.environment

    def declare(self, instruction: Arg) -> None:
        """An ``ARG`` counts from here on."""
        for pair in instruction.pairs:
            name = self.word(pair.name, instruction)
            if name in self.given:
                value: str | None = self.given[name]
            elif pair.value is not None:
                value = self.word(pair.value, instruction)
            else:
                value = self.outer.get(name)
            self.arguments[name] = value

    def set(self, pairs: Iterable[tuple[str, str]]) -> None:
        """An ``ENV`` counts from here on."""
        self.environment.update(pairs)

    def pairs(self, pairs: Iterable[Pair], instruction: Instruction) -> list[tuple[str, str]]:
        """Names and values with their variables replaced, all by what they were before."""
        variables = self.variables
        words = self._words
        return [
            (
                words.one(pair.name, variables, instruction.span),
                words.one(pair.value or "", variables, instruction.span),
            )
            for pair in pairs
        ]

    def word(self, text: str, instruction: Instruction) -> str:
        """A text as one word."""
        return self._words.one(text, self.variables, instruction.span)

    def words(self, text: str, instruction: Instruction) -> list[str]:
        """A text as several words."""
        return self._words.many(text, self.variables, instruction.span)

    def document(self, text: str, instruction: Instruction) -> str:
        """The text of a here-document."""
        return self._words.document(text, self.variables, instruction.span)

    def for_run(self) -> tuple[list[str], list[str]]:
        """The environment of a ``RUN``, and the arguments in it, which are no part of the image, both as ``NAME=value``."""
        arguments = {
            name: value
            for name, value in self.arguments.items()
            if value is not None and name not in self.environment and name not in PROXIES
        }
        both = [f"{name}={value}" for name, value in arguments.items()]
        return [*(f"{name}={value}" for name, value in self.environment.items()), *both], both


def undefined_message(name: str, known: Iterable[str]) -> str:
    """What is said of a variable that has no value."""
    return f"Usage of undefined variable '${name}'{suggestion(name, tuple(known)).replace('mean ', 'mean $')}"
