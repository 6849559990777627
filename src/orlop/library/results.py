"""What came of a program that was run in a container."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Usage:
    """What a container used from its start to its end.

    ``cpu_seconds`` is the time that processors worked for it, ``peak_memory`` the most bytes that it had at a time,
    caches included, ``oom_kills`` how many of its processes the kernel killed for lack of memory. What the machine
    does not count, as that of an ordinary user without control groups, is None.
    """

    __slots__ = ("cpu_seconds", "oom_kills", "peak_memory")

    def __init__(
        self, cpu_seconds: float | None = None, peak_memory: int | None = None, oom_kills: int | None = None
    ) -> None:
        self.cpu_seconds = cpu_seconds
        self.peak_memory = peak_memory
        self.oom_kills = oom_kills

    def __repr__(self) -> str:
        return f"Usage(cpu_seconds={self.cpu_seconds}, peak_memory={self.peak_memory}, oom_kills={self.oom_kills})"


class Timings:
    """How long things took, in seconds: ``starting`` from the call until the program ran, ``running`` until it ended."""

    __slots__ = ("running", "starting")

    def __init__(self, starting: float, running: float) -> None:
        self.starting = starting
        self.running = running

    @property
    def total(self) -> float:
        """From the call to the program's end."""
        return self.starting + self.running

    def __repr__(self) -> str:
        return f"Timings(starting={self.starting:.4f}, running={self.running:.4f})"


class Result:
    """How a program ended, and what it wrote.

    ``exit_code`` is 128 and the signal's number if a signal ended it. ``truncated`` says that it wrote more than the limit
    of the output, and that ``stdout`` or ``stderr`` are only the beginning. ``usage`` is empty for a command that was
    executed in a container that goes on.
    """

    __slots__ = ("command", "container_id", "exit_code", "image", "stderr", "stdout", "timings", "truncated", "usage")

    def __init__(
        self,
        exit_code: int,
        stdout: bytes,
        stderr: bytes,
        *,
        container_id: str,
        image: str,
        command: Sequence[str],
        timings: Timings,
        usage: Usage,
        truncated: bool = False,
    ) -> None:
        self.exit_code = exit_code
        self.stdout = stdout
        self.stderr = stderr
        self.container_id = container_id
        self.image = image
        self.command = command
        self.timings = timings
        self.usage = usage
        self.truncated = truncated

    @property
    def ok(self) -> bool:
        """Whether the exit code is 0."""
        return self.exit_code == 0

    @property
    def text(self) -> str:
        """Standard output as text; what is no UTF-8 is replaced."""
        return self.stdout.decode(errors="replace")

    @property
    def oom_killed(self) -> bool:
        """Whether the kernel killed a process of it for lack of memory."""
        return bool(self.usage.oom_kills)

    def check(self) -> Result:
        """The result itself.

        Raises:
            CommandFailed: the exit code is not 0.
        """
        if self.exit_code:
            from orlop.library.errors import CommandFailed

            raise CommandFailed(self)
        return self

    def __repr__(self) -> str:
        return f"Result(exit_code={self.exit_code}, stdout={_short(self.stdout)}, stderr={_short(self.stderr)})"


def _short(data: bytes) -> str:
    return repr(data) if len(data) <= 60 else f"{data[:60]!r}... ({len(data)} bytes)"
