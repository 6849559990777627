"""A Dockerfile's text becomes stages of instructions."""

from __future__ import annotations

import re

from orlop.build.dockerfile import instruction_readers, statements
from orlop.build.dockerfile.instructions import Arg, From
from orlop.build.dockerfile.problem import Span
from orlop.build.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.build.dockerfile.directives import Directives
    from orlop.build.dockerfile.instructions import Instruction
    from orlop.build.dockerfile.problem import Source

#: Far more than an image can have layers; some of what is done with them takes longer than in proportion.
MOST_INSTRUCTIONS = 5000
_NUMBER = re.compile(r"[0-9]{1,6}")


class Stage(Value):
    """One ``FROM`` and what follows it; ``number`` counts from 0, ``name`` may be empty."""

    number: int
    base: From
    instructions: tuple[Instruction, ...]

    @property
    def name(self) -> str:
        """What ``AS`` says, in small letters."""
        return self.base.stage

    @property
    def title(self) -> str:
        """What people call the stage: its name, or its number."""
        return self.name or f"stage-{self.number}"


class Dockerfile(Value):
    """A whole file. ``arguments`` stand before the first stage and count for all ``FROM``."""

    source: Source
    directives: Directives
    arguments: tuple[Arg, ...]
    stages: tuple[Stage, ...]
    empty_continuations: tuple[Span, ...]

    def find(self, name: str, before: int | None = None) -> Stage | None:
        """The stage of a name or number; of several with one name the last. With ``before``, only stages that come earlier."""
        stages = self.stages[:before]
        lowered = name.lower()
        for stage in reversed(stages):
            if stage.name and stage.name == lowered:
                return stage
        if _NUMBER.fullmatch(name) and int(name) < len(stages):
            return stages[int(name)]
        return None


def parse(data: bytes, name: str = "Dockerfile") -> Dockerfile:
    """Read a Dockerfile; ``name`` is what errors call it.

    Raises:
        InvalidDockerfile: it breaks the language's rules; says in which line, and what was expected there.
    """
    text = statements.split(data, name)
    source, escape = text.source, text.directives.escape
    if not text.statements:
        raise source.problem(Span(1, 1), "has no instructions: expected FROM")
    if len(text.statements) > MOST_INSTRUCTIONS:
        where = text.statements[MOST_INSTRUCTIONS].span
        raise source.problem(where, f"has more than {MOST_INSTRUCTIONS} instructions: expected fewer, joined with &&")
    arguments: list[Arg] = []
    stages: list[Stage] = []
    current: list[Instruction] = []
    base: From | None = None
    for statement in text.statements:
        instruction = instruction_readers.read(statement, source, escape)
        if isinstance(instruction, From):
            if base is not None:
                stages.append(Stage(len(stages), base, tuple(current)))
            base, current = instruction, []
        elif base is not None:
            current.append(instruction)
        elif isinstance(instruction, Arg):
            arguments.append(instruction)
        else:
            raise source.problem(
                statement.span, f"{instruction.name} stands before the first stage: expected FROM, or ARG before it"
            )
    if base is None:
        raise source.problem(text.statements[-1].span, "has no build stage: expected FROM")
    stages.append(Stage(len(stages), base, tuple(current)))
    return Dockerfile(source, text.directives, tuple(arguments), tuple(stages), text.empty_continuations)
