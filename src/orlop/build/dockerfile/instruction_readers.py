"""A statement becomes an instruction: one function for each keyword."""

from __future__ import annotations

import re

from orlop.build.dockerfile import heredoc, run_devices, run_mounts, statements, words
from orlop.build.dockerfile.flags import Flags
from orlop.build.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    Command,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    HealthCheck,
    Label,
    Maintainer,
    OnBuild,
    Pair,
    Run,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from orlop.build.dockerfile.problem import suggestion
from orlop.errors import InvalidArgument, InvalidDockerfile
from orlop.options import duration, natural

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orlop.build.dockerfile.heredoc import Heredoc
    from orlop.build.dockerfile.instructions import Instruction
    from orlop.build.dockerfile.problem import Source
    from orlop.build.dockerfile.statements import Statement

_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*")
_NETWORKS = ("default", "none", "host")
_SECURITY = ("sandbox", "insecure")
_NOT_TRIGGERS = ("FROM", "MAINTAINER", "ONBUILD")
_LEAST_DURATION = 1_000_000  # nanoseconds, as with Docker
#: What is expected after a keyword that stands alone.
_FORMS = {
    "ADD": "source… destination",
    "ARG": "name[=default]",
    "CMD": 'a command, or ["program", "argument"]',
    "COPY": "source… destination",
    "ENTRYPOINT": 'a command, or ["program", "argument"]',
    "ENV": "name=value",
    "EXPOSE": "port[/protocol]",
    "FROM": "image [AS name]",
    "HEALTHCHECK": "CMD and a command, or NONE",
    "LABEL": "name=value",
    "MAINTAINER": "a name",
    "ONBUILD": "another instruction",
    "RUN": 'a command, or ["program", "argument"]',
    "SHELL": '["program", "argument"]',
    "STOPSIGNAL": "a signal such as SIGTERM",
    "USER": "user[:group]",
    "VOLUME": '/path, or ["/path"]',
    "WORKDIR": "/path",
}


class Said:
    """A statement on its way to an instruction: its flags read, its rest not yet."""

    __slots__ = ("escape", "flags", "statement")

    def __init__(self, statement: Statement, escape: str) -> None:
        self.statement = statement
        self.escape = escape
        self.flags = Flags(statement.name, statement.flags)

    @property
    def name(self) -> str:
        """The keyword in capitals."""
        return self.statement.name

    @property
    def rest(self) -> str:
        """What follows keyword and flags.

        Raises:
            InvalidArgument: nothing does.
        """
        if not self.statement.rest:
            form = f": expected {self.name} {_FORMS[self.name]}" if self.name in _FORMS else ""
            raise InvalidArgument(f"{self.name} requires at least one argument{form}")
        return self.statement.rest

    def array(self) -> list[str] | None:
        """The strings of the JSON array that the rest is, or None."""
        try:
            return statements.json_array(self.rest)
        except TypeError as error:
            raise InvalidArgument(f"invalid arguments of {self.name}: {error}") from None

    def words(self) -> list[str]:
        """The rest as a JSON array, or split at its blanks."""
        listed = self.array()
        return self.rest.split() if listed is None else listed

    def command(self) -> Command:
        """The rest as something to run."""
        listed = self.array()
        if listed is not None:
            return Command(tuple(listed))
        return Command((), self.rest, self.statement.documents)


def read(statement: Statement, source: Source, escape: str) -> Instruction:
    """The instruction that a statement is.

    Raises:
        InvalidDockerfile: it is none, or says something that cannot be.
    """
    reader = _READERS.get(statement.name)
    try:
        if reader is None:
            known = suggestion(statement.keyword, tuple(_READERS))
            expected = f": expected one of {', '.join(sorted(_READERS))}"
            shown = statement.keyword if len(statement.keyword) < 40 else f"{statement.keyword[:40]}…"
            raise InvalidArgument(f"unknown instruction {shown}{known or expected}")
        return reader(Said(statement, escape))
    except InvalidDockerfile:
        raise
    except InvalidArgument as error:
        raise source.problem(statement.span, str(error)) from None


def _from(said: Said) -> From:
    listed = said.rest.split()
    if len(listed) not in (1, 3) or (len(listed) == 3 and listed[1].upper() != "AS"):
        raise InvalidArgument("FROM requires either one or three arguments: expected FROM image, or FROM image AS name")
    stage = listed[2].lower() if len(listed) == 3 else ""
    if stage and not _STAGE_NAME.fullmatch(stage):
        raise InvalidArgument(
            f"invalid name for a build stage: '{listed[2]}': expected a letter, then letters, digits, '-', '_' and '.'"
        )
    return From(
        listed[0],
        said.flags.text("platform"),
        stage,
        listed[1] if stage else "",
        statement=said.statement,
    )


def _arg(said: Said) -> Arg:
    pairs = []
    for word in words.split(said.rest, said.escape)[0]:
        name, equals, value = word.partition("=")
        if not name:
            raise InvalidArgument("names of ARG can not be blank: expected ARG name or ARG name=default")
        pairs.append(Pair(name, value if equals else None))
    return Arg(tuple(pairs), statement=said.statement)


def _pairs(said: Said) -> tuple[tuple[Pair, ...], bool]:
    """``name=value`` words; or a name and, after a blank, its value, which is the old form."""
    split = words.split(said.rest, said.escape)[0]
    if "=" not in split[0]:
        pieces = said.rest.split(None, 1)
        if len(pieces) < 2:
            raise InvalidArgument(f"{said.name} must have two arguments: expected {said.name} {pieces[0]}=value")
        return (Pair(pieces[0], pieces[1]),), True
    pairs = []
    for word in split:
        name, equals, value = word.partition("=")
        if not equals:
            raise InvalidArgument(
                f"can't find = in '{word}': expected {said.name} name=value …, with quotes around blanks"
            )
        if not name:
            raise InvalidArgument(f"names of {said.name} can not be blank: expected {said.name} name=value")
        pairs.append(Pair(name, value))
    return tuple(pairs), False


def _env(said: Said) -> Env:
    pairs, is_legacy = _pairs(said)
    return Env(pairs, is_legacy, statement=said.statement)


def _label(said: Said) -> Label:
    pairs, is_legacy = _pairs(said)
    return Label(pairs, is_legacy, statement=said.statement)


def _run(said: Said) -> Run:
    flags = said.flags
    for each in flags.many("mount"):
        run_mounts.parse(each)
    for each in flags.many("device"):
        run_devices.parse(each)
    command = said.command()
    if not command.is_line and not command.words:
        raise InvalidArgument("RUN requires at least one argument: expected a program in its array")
    return Run(
        command,
        flags.many("mount"),
        _one_of(said, "network", _NETWORKS),
        _one_of(said, "security", _SECURITY),
        flags.many("device"),
        statement=said.statement,
    )


def _one_of(said: Said, flag: str, known: tuple[str, ...]) -> str:
    value = said.flags.text(flag, known[0])
    if value not in known:
        raise InvalidArgument(f"invalid --{flag} '{value}'{suggestion(value, known)}: expected {', '.join(known)}")
    return value


def _copy(said: Said) -> Copy:
    sources, target, documents = _sources(said)
    flags = said.flags
    if flags.given("from") and documents:
        raise InvalidArgument("COPY --from has a here-document as its source, which is in no stage")
    return Copy(
        sources,
        target,
        documents,
        flags.text("from"),
        flags.text("chown"),
        flags.text("chmod"),
        flags.flag("link"),
        flags.flag("parents"),
        flags.many("exclude"),
        statement=said.statement,
    )


def _add(said: Said) -> Add:
    sources, target, documents = _sources(said)
    flags = said.flags
    if flags.given("checksum") and len(sources) + len(documents) != 1:
        raise InvalidArgument("--checksum can only be given for one source")
    return Add(
        sources,
        target,
        documents,
        "",
        flags.text("chown"),
        flags.text("chmod"),
        flags.flag("link"),
        False,  # it has no --parents
        flags.many("exclude"),
        checksum=flags.text("checksum"),
        keep_git_dir=flags.flag("keep-git-dir"),
        unpack=flags.flag("unpack") if flags.given("unpack") else None,
        statement=said.statement,
    )


def _sources(said: Said) -> tuple[tuple[str, ...], str, tuple[Heredoc, ...]]:
    listed = said.words()
    if len(listed) < 2:
        raise InvalidArgument(f"{said.name} requires at least two arguments: expected {said.name} source… destination")
    *sources, target = listed
    documents = said.statement.documents
    if documents:
        if heredoc.parse_mark(target, said.escape) is not None:
            raise InvalidArgument(f"{said.name} cannot have a here-document as its destination")
        sources = [each for each in sources if heredoc.parse_mark(each, said.escape) is None]
    return tuple(sources), target, documents


def _shell(said: Said) -> Shell:
    listed = said.array()
    if not listed:
        raise InvalidArgument('SHELL requires the arguments to be in JSON form: expected SHELL ["program", "argument"]')
    return Shell(tuple(listed), statement=said.statement)


def _volume(said: Said) -> Volume:
    listed = said.words()
    if not listed or not all(each.strip() for each in listed):
        raise InvalidArgument("VOLUME requires at least one path, and none may be empty")
    return Volume(tuple(listed), statement=said.statement)


def _healthcheck(said: Said) -> HealthCheck:
    kind, *more = said.rest.split(None, 1)
    rest = more[0] if more else ""
    if kind.upper() == "NONE":
        if rest or said.statement.flags:
            raise InvalidArgument("HEALTHCHECK NONE takes no arguments: expected nothing after NONE")
        return HealthCheck(None, statement=said.statement)
    if kind.upper() != "CMD":
        near = suggestion(kind, ("CMD", "NONE"))
        raise InvalidArgument(f"unknown type '{kind}' of HEALTHCHECK{near}: expected CMD or NONE")
    if not rest:
        raise InvalidArgument("HEALTHCHECK CMD has no command: expected one after CMD")
    command = Said(said.statement.replace(flags=(), rest=rest), said.escape).command()
    if not command.is_line and not command.words:
        raise InvalidArgument("HEALTHCHECK CMD has no command: expected one after CMD")
    return HealthCheck(
        command,
        _duration(said, "interval"),
        _duration(said, "timeout"),
        _duration(said, "start-period"),
        _duration(said, "start-interval"),
        _retries(said),
        statement=said.statement,
    )


def _duration(said: Said, flag: str) -> int:
    text = said.flags.text(flag, "0")
    try:
        value = duration(text)
    except ValueError as error:
        raise InvalidArgument(f"invalid --{flag} '{text}' of HEALTHCHECK: {error}") from None
    if 0 < value < _LEAST_DURATION:
        raise InvalidArgument(f"invalid --{flag} '{text}' of HEALTHCHECK: expected 1ms or more")
    return value


def _retries(said: Said) -> int:
    text = said.flags.text("retries", "0")
    try:
        return natural(text)
    except ValueError as error:
        raise InvalidArgument(f"invalid --retries '{text}' of HEALTHCHECK: {error}") from None


def _on_build(said: Said) -> OnBuild:
    trigger = said.rest
    keyword = trigger.split(None, 1)[0]
    if keyword.upper() in _NOT_TRIGGERS:
        raise InvalidArgument(f"{keyword.upper()} isn't allowed as an ONBUILD trigger: expected another instruction")
    inner = statements.inner(said.statement, said.escape)
    reader = _READERS.get(inner.name)
    if reader is None:
        raise InvalidArgument(f"unknown instruction {keyword} after ONBUILD{suggestion(keyword, tuple(_READERS))}")
    documents = "".join(f"\n{each.content}{each.name}" for each in said.statement.documents)
    return OnBuild(trigger + documents, reader(Said(inner, said.escape)), statement=said.statement)


_READERS: Mapping[str, Callable[[Said], Instruction]] = {
    "ADD": _add,
    "ARG": _arg,
    "CMD": lambda said: Cmd(said.command(), statement=said.statement),
    "COPY": _copy,
    "ENTRYPOINT": lambda said: Entrypoint(said.command(), statement=said.statement),
    "ENV": _env,
    "EXPOSE": lambda said: Expose(tuple(said.rest.split()), statement=said.statement),
    "FROM": _from,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "MAINTAINER": lambda said: Maintainer(said.rest, statement=said.statement),
    "ONBUILD": _on_build,
    "RUN": _run,
    "SHELL": _shell,
    "STOPSIGNAL": lambda said: StopSignal(said.rest, statement=said.statement),
    "USER": lambda said: User(said.rest, statement=said.statement),
    "VOLUME": _volume,
    "WORKDIR": lambda said: Workdir(said.rest, statement=said.statement),
}
