"""Instructions as values: what each line of a Dockerfile says, before variables are replaced.

Every one has its ``span`` (the lines that it stands on) and its ``text``, which is the instruction in one line as it
goes into an image's history and into errors.
"""

from __future__ import annotations

from orlop.build.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.build.dockerfile.heredoc import Heredoc
    from orlop.build.dockerfile.problem import Span
    from orlop.build.dockerfile.statements import Statement


class Instruction(Value, kw_only=True):
    """What all instructions have; ``statement`` is its text as it was split."""

    statement: Statement

    @property
    def span(self) -> Span:
        """The lines that it stands on."""
        return self.statement.span

    @property
    def name(self) -> str:
        """Its keyword in capitals."""
        return self.statement.name

    @property
    def text(self) -> str:
        """The instruction in one line."""
        return " ".join((self.name, *self.statement.flags, self.statement.rest)).rstrip()


class Pair(Value):
    """``NAME=value``, neither with its variables replaced; ``value`` is None where ``ARG`` has a name alone."""

    name: str
    value: str | None


class Command(Value):
    """What is to be run: the ``words`` of a JSON array, or one ``line`` for the shell, with here-documents after it."""

    words: tuple[str, ...] = ()
    line: str | None = None
    documents: tuple[Heredoc, ...] = ()

    @property
    def is_line(self) -> bool:
        """Whether a shell is to read it."""
        return self.line is not None


class From(Instruction):
    """``FROM [--platform=…] image [AS name]``; ``stage`` is empty if it has no name."""

    image: str
    platform: str = ""
    stage: str = ""
    as_keyword: str = ""


class Arg(Instruction):
    """``ARG name[=default] …``."""

    pairs: tuple[Pair, ...]


class Env(Instruction):
    """``ENV name=value …``; ``is_legacy`` if it is ``ENV name value``."""

    pairs: tuple[Pair, ...]
    is_legacy: bool = False


class Label(Instruction):
    """``LABEL name=value …``; ``is_legacy`` if it is ``LABEL name value``."""

    pairs: tuple[Pair, ...]
    is_legacy: bool = False


class Run(Instruction):
    """``RUN``; ``mounts`` are the texts of ``--mount`` (`orlop.build.dockerfile.run_mounts`)."""

    command: Command
    mounts: tuple[str, ...] = ()
    network: str = "default"
    security: str = "sandbox"
    devices: tuple[str, ...] = ()


class Copy(Instruction):
    """``COPY``, and what `Add` has in common with it. ``documents`` are sources too."""

    sources: tuple[str, ...]
    target: str
    documents: tuple[Heredoc, ...] = ()
    from_: str = ""
    owner: str = ""
    mode: str = ""
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()


class Add(Copy):
    """``ADD``: a `Copy` that also fetches and unpacks. ``unpack`` is None where the kind of source decides."""

    checksum: str = ""
    keep_git_dir: bool = False
    unpack: bool | None = None


class Cmd(Instruction):
    """``CMD``."""

    command: Command


class Entrypoint(Instruction):
    """``ENTRYPOINT``."""

    command: Command


class Shell(Instruction):
    """``SHELL``."""

    words: tuple[str, ...]


class User(Instruction):
    """``USER``."""

    user: str


class Workdir(Instruction):
    """``WORKDIR``."""

    path: str


class Volume(Instruction):
    """``VOLUME``."""

    paths: tuple[str, ...]


class Expose(Instruction):
    """``EXPOSE``."""

    ports: tuple[str, ...]


class Maintainer(Instruction):
    """``MAINTAINER``, which images have a field for."""

    author: str


class StopSignal(Instruction):
    """``STOPSIGNAL``."""

    signal: str


class HealthCheck(Instruction):
    """``HEALTHCHECK``: durations in nanoseconds, 0 is the engine's; ``command`` is None for ``NONE``."""

    command: Command | None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class OnBuild(Instruction):
    """``ONBUILD``: the ``trigger`` as it goes into the image, and what it is, read."""

    trigger: str
    instruction: Instruction
