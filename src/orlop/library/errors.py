"""What goes wrong with a program that was run, beside what `orlop.errors` has."""

from __future__ import annotations

from orlop.errors import OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orlop.library.results import Result

#: Characters of standard error that a message quotes.
_TAIL = 200


class ProgramError(OrlopError):
    """A program ran and did not do what it should; ``result`` is what came of it all the same."""

    def __init__(self, message: str, result: Result) -> None:
        super().__init__(message)
        self.result = result

    @property
    def container_id(self) -> str:
        """The container that it ran in, which is gone by now unless it was to stay."""
        return self.result.container_id

    @property
    def image(self) -> str:
        """What the container was made of: an image's name, or a directory."""
        return self.result.image

    @property
    def command(self) -> Sequence[str]:
        """The command as it was given."""
        return self.result.command

    @property
    def stderr(self) -> bytes:
        """What the program wrote to its standard error."""
        return self.result.stderr


class CommandFailed(ProgramError):
    """A program ended with another exit code than 0, and ``check`` was asked for."""

    def __init__(self, result: Result) -> None:
        said = result.stderr.decode(errors="replace").strip()[-_TAIL:].replace("\n", "; ")
        why = "killed for lack of memory" if result.oom_killed else f"exit code {result.exit_code}"
        super().__init__(f"{_called(result)} failed: {why}" + (f": {said}" if said else ""), result)
        self.exit_code = result.exit_code


class TimedOut(ProgramError, TimeoutError):
    """A program took longer than ``timeout`` seconds and was killed; ``result`` has what it wrote until then."""

    def __init__(self, result: Result, timeout: float) -> None:
        super().__init__(f"{_called(result)} was killed: it took longer than {timeout:g} seconds", result)
        self.timeout = timeout


def _called(result: Result) -> str:
    name = result.command[0] if result.command else "the command"
    return f"{name} in container {result.container_id[:12]} of {result.image}"
