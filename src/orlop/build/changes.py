"""``--change`` of commit and import: instructions of a Dockerfile that alter an image's configuration, read as a build reads them."""

from __future__ import annotations

from orlop.build.dockerfile import instruction_readers, instructions, statements
from orlop.build.stage_state import StageState
from orlop.build.variables import Scope, Words
from orlop.errors import InvalidArgument, InvalidDockerfile
from orlop.images.config import Execution

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from orlop.build.dockerfile.instructions import Instruction
    from orlop.build.steps import Origin

_NAME = "--change"
_ALLOWED = (
    instructions.Cmd,
    instructions.Entrypoint,
    instructions.Env,
    instructions.Expose,
    instructions.HealthCheck,
    instructions.Label,
    instructions.OnBuild,
    instructions.Shell,
    instructions.StopSignal,
    instructions.User,
    instructions.Volume,
    instructions.Workdir,
)


def applied(texts: Iterable[str]) -> Execution:
    """How a container starts of which nothing but these instructions is known.

    Raises:
        InvalidArgument: as `apply`.
    """
    made = Execution()
    apply(texts, made)
    return made


def apply(texts: Iterable[str], config: Execution) -> None:
    """Carry instructions out on a configuration, one after the other.

    Raises:
        InvalidArgument: an instruction is none of these, or is malformed.
    """
    triggers = list(config.on_build)
    state: StageState | None = None
    for text in texts:
        read = statements.split(text.encode("utf-8", "surrogateescape"), _NAME)
        if len(read.statements) != 1:
            raise InvalidArgument(f"invalid {_NAME} '{text}': expected one instruction such as CMD, ENTRYPOINT or ENV")
        (statement,) = read.statements
        if state is None:
            scope = Scope(Words(read.source, "\\"), {}, {}, config.env)
            state = StageState(config, scope, read.source, _nowhere)
        try:
            instruction = instruction_readers.read(statement, read.source, "\\")
            if not isinstance(instruction, _ALLOWED):
                raise InvalidArgument(
                    f"'{statement.keyword}' is not a valid change command: use CMD, ENTRYPOINT, ENV and the like"
                )
            state.apply(instruction)
        except InvalidDockerfile as error:
            # There is one line, which is the whole text.
            message = str(error).partition(": ")[2]
            raise InvalidArgument(f"invalid {_NAME} '{text}': {message}") from None
    config.on_build[:0] = triggers


def _nowhere(_text: str, _instruction: Instruction) -> Origin:
    raise InvalidArgument("there are no stages")
