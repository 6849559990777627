"""The processes of a container, as ps(1) of this machine shows them."""

from __future__ import annotations

from orlop.engine import events, repair
from orlop.errors import Conflict, InvalidArgument, NotFound
from orlop.runtime.container import Container as RuntimeContainer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orlop.engine.container import Container

#: Chooses processes by their ids.
_PROCESSES = "-q"


class Processes:
    """A table in the words of Docker's API: ``titles`` of columns, and ``processes``, a list of cells for each."""

    __slots__ = ("processes", "titles")

    def __init__(self, titles: list[str], processes: list[list[str]]) -> None:
        self.titles = titles
        self.processes = processes


def processes(target: Container, options: Sequence[str] = ()) -> Processes:
    """What ps(1) says of a container's processes, with these options or ``-ef``.

    Raises:
        Conflict: the container does not run.
        InvalidArgument: ps does not take the options, or they leave out the column PID.
        NotFound: the machine has no ps.
    """
    from orlop.runtime import ps

    repair.look_after(target)
    try:
        inner = RuntimeContainer.load(target.location.runtime, target.id)
    except NotFound:
        inner = None
    if inner is None or not inner.alive():
        raise Conflict(f"container {target.id} is not running")
    ours = set(map(str, ps.pids(inner)))
    text = _ps(options or ("-ef",), ours)
    found = _parse(text, ours)
    events.of_container(target, "top")
    return found


def _ps(options: Sequence[str], pids: set[str]) -> str:
    import subprocess

    # Most options choose which columns there are, and without any that choose processes those of our own terminal would
    # be listed. Not every option can be combined with a choice by ids: then the container's are looked for in all lines.
    chosen = [*options, _PROCESSES + ",".join(sorted(pids))]
    done = None
    for arguments in (chosen, list(options)):
        try:
            done = subprocess.run(["ps", *arguments], capture_output=True, check=False)  # noqa: S603, S607
        except FileNotFoundError:
            raise NotFound("cannot list processes: the program ps is not installed (Debian: procps)") from None
        if done.returncode == 0:
            return done.stdout.decode("utf-8", "replace")
    said = (done.stderr or done.stdout).decode("utf-8", "replace").strip() if done is not None else ""
    reason = said.partition("\n")[0]  # how ps is to be used follows
    raise InvalidArgument(f"ps {' '.join(options)} failed: {reason}")


def _parse(text: str, pids: set[str]) -> Processes:
    """The lines of the container's processes; the last column has all that is left, spaces included."""
    header, *lines = text.splitlines() or [""]
    titles = header.split()
    if "PID" not in titles:
        raise InvalidArgument("couldn't find the PID field in ps output: the options must not leave it out")
    place = titles.index("PID")
    found = []
    seen = ""
    for line in lines:
        fields = line.split()
        if len(fields) <= place:
            continue
        if fields[place] == "-":  # a thread, of the process above
            if seen not in pids:
                continue
        else:
            seen = fields[place]
            if seen not in pids:
                continue
        cells = fields[: len(titles) - 1]
        if len(fields) >= len(titles):
            cells.append(" ".join(fields[len(titles) - 1 :]))
        found.append(cells)
    return Processes(titles, found)
