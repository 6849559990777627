"""One container, running or not."""

from __future__ import annotations

import os

from orlop.engine import container as engine_container
from orlop.engine import output_file, pausing
from orlop.errors import NotFound
from orlop.library import errand, files, quantities
from orlop.library.entries import Difference, LogEntry
from orlop.library.known_container import KnownContainer
from orlop.library.snapshots import Snapshots
from orlop.library.streams import OUTPUT_LIMIT, Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from types import TracebackType
    from typing import Any, Unpack

    from orlop.library.images import Image
    from orlop.library.options import ExecOptions, UpdateOptions
    from orlop.library.ports import HostPort, Ports
    from orlop.library.results import Result
    from orlop.library.streams import Readable


_KINDS = ("modified", "added", "deleted")


class Container(KnownContainer):
    """A container; a context manager that removes it, killed if it still runs, however its block is left."""

    __slots__ = ()

    def __enter__(self) -> Container:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.remove(force=True, volumes=True)
        except NotFound:
            return  # it removed itself, or somebody else did

    @property
    def snapshots(self) -> Snapshots:
        """Its saved files."""
        return Snapshots(self.target)

    # Its life

    def start(self) -> None:
        """Start it; nothing happens if it runs.

        Raises:
            StartFailed: its program cannot be executed.
            Conflict: it is paused.
            NotFound: it was removed.
        """
        from orlop.engine import restart

        session = restart.start(self.target)
        if session is not None:
            session.wait_started()
            session.leave()

    def stop(self, timeout: float | None = None, *, signal: str | None = None) -> None:
        """Ask it to end, and kill it if it has not after ``timeout`` seconds (negative: never)."""
        from orlop.engine import signalling

        signalling.stop(self.target, timeout, signal)

    def kill(self, signal: str | int = "SIGKILL") -> None:
        """Send a signal to its first process.

        Raises:
            Conflict: it does not run.
        """
        from orlop.engine import signalling

        signalling.kill(self.target, str(signal))

    def restart(self, timeout: float | None = None) -> None:
        """`stop` it, if it runs, and `start` it."""
        from orlop.engine import restart

        restart.restart(self.target, timeout)

    def pause(self) -> None:
        """Have all its processes stand still.

        Raises:
            Conflict: it does not run, or is paused.
        """
        pausing.pause(self.target)

    def unpause(self) -> None:
        """Have it go on.

        Raises:
            Conflict: it is not paused.
        """
        pausing.unpause(self.target)

    def rename(self, name: str) -> None:
        """Give it another name.

        Raises:
            Conflict: another container has it.
        """
        from orlop.engine import rename

        rename.rename(self.target, name)

    @property
    def ports(self) -> dict[str, list[HostPort]]:
        """Its ports, such as ``80/tcp``, with where each is on the host just now; that is nowhere for one that is only exposed.

        Raises:
            NotFound: it was removed.
        """
        from orlop.library import ports

        return ports.of_container(self.target)

    def publish(self, ports: Ports) -> dict[str, list[HostPort]]:
        """Publish more of its ports, also while it runs, and at each later start: ``{80: 8080, "53/udp": ("127.0.0.1", None)}``.

        ``ports`` is as in `orlop.library.options.ContainerOptions`. Returns where they are now; nowhere if it does not run.

        Raises:
            Conflict: somebody has the port, whom the message names.
            InvalidArgument: its network has no ports that could be published, or the text says nothing.
            NotFound: it was removed, or the host has no such interface.
        """
        from orlop.engine import port_changes
        from orlop.library import ports as library
        from orlop.network.ports import specification

        wanted = specification.bindings(library.texts(ports))
        return library.told(port_changes.publish(self.target, wanted))

    def unpublish(self, ports: Ports) -> None:
        """Publish ports no more, also while it runs; a port that is named alone is so wherever it is.

        Raises:
            NotFound: one is not published.
        """
        from orlop.engine import port_changes
        from orlop.library import ports as library

        port_changes.unpublish(self.target, library.texts(ports))

    def update(self, **options: Unpack[UpdateOptions]) -> None:
        """Change its limits, what happens when it ends, or its mounts, devices and variables, at once and for good.

        Raises:
            InvalidArgument: a value cannot be right, or the kernel refuses it.
            Conflict: something is mounted there already.
            NotFound: what is to be removed is not there.
        """
        from orlop.library import changing

        changing.change(self.target, options)

    def fork(self, name: str = "", *, snapshot: str = "") -> Container:
        """Make a container like this one, with its files as they are now or as a snapshot of it has them; `start` it.

        Volumes with names and binds are shared; in place of others there are new ones.

        Raises:
            Conflict: another container has the name.
            NotFound: there is no such snapshot.
            Unsupported: it is not one of an image.
        """
        made = errand.call(
            self.location, "fork", {"container": self.id, "name": name, "snapshot": snapshot}, light=True
        )
        return Container(engine_container.Container(self.location, made))

    def remove(self, *, force: bool = False, volumes: bool = False) -> None:
        """Remove it; with ``force`` a running one is killed, with ``volumes`` those go that are only its own.

        Raises:
            Conflict: it runs and ``force`` is not given.
            NotFound: it was removed already.
        """
        if self.location.rootless:
            errand.call(self.location, "remove", {"container": self.id, "force": force, "with_volumes": volumes})
            return
        from orlop.engine import removal

        removal.remove(self.target, force=force, with_volumes=volumes)

    def wait(self, timeout: float | None = None, *, condition: str = "not-running") -> int:
        """Wait until it does not run (or ``next-exit``, ``removed``); its exit code.

        Raises:
            TimeoutError: that took more than ``timeout`` seconds. It goes on.
            NotFound: it was removed before.
        """
        from orlop.engine import control

        if timeout is None:
            return control.wait(self.target, condition)
        files.wait_for_end(self.target, timeout)
        return control.wait(self.target, condition)

    # What it says

    def logs(
        self,
        *,
        stdout: bool = True,
        stderr: bool = True,
        tail: int | None = None,
        since: float | datetime | None = None,
        until: float | datetime | None = None,
    ) -> bytes:
        """What it has written until now; the last ``tail`` lines of it, or what was in a time.

        Raises:
            Unsupported: its log driver keeps nothing that could be read.
        """
        wanted = ["stdout"] * stdout + ["stderr"] * stderr
        found = self.log_entries(tail=tail, since=since, until=until)
        return b"".join(each.data for each in found if each.stream in wanted)

    def log_entries(
        self,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | datetime | None = None,
        until: float | datetime | None = None,
        stopped: Callable[[], bool] | None = None,
    ) -> Iterator[LogEntry]:
        """Its log line by line; with ``follow`` on as it grows, until it ends or ``stopped`` says so.

        Raises:
            Unsupported: its log driver keeps nothing that could be read.
        """
        from orlop.engine import log_reader

        for entry in log_reader.read(
            self.target,
            tail=tail,
            follow=follow,
            since=None if since is None else quantities.moment("since", since),
            until=None if until is None else quantities.moment("until", until),
            stopped=stopped,
        ):
            yield LogEntry(entry.stream, entry.text.encode("utf-8", "surrogateescape"), entry.time)

    def attach(self, *, stdin: bool = True, output_limit: int | str | None = OUTPUT_LIMIT) -> Stream:
        """Its standard streams from now on. What it writes faster than you read is left out (see its log).

        Raises:
            Conflict: it does not run, or is paused.
        """
        from orlop.engine import control

        session = control.attach(self.target, stdin=stdin)
        return Stream(session, f"container {self.short_id}", quantities.most("output_limit", output_limit))

    # Other commands in it

    def exec(
        self,
        command: str | Sequence[str],
        *,
        stdin: bytes | str | Readable | None = None,
        timeout: float | None = None,
        check: bool = False,
        output_limit: int | str | None = OUTPUT_LIMIT,
        **options: Unpack[ExecOptions],
    ) -> Result:
        """Run a command in it to its end.

        Raises:
            TimedOut: it took more than ``timeout`` seconds. It is killed, and what it started too.
            CommandFailed: ``check`` is given, and its exit code is not 0.
            StartFailed: there is no such program, or it cannot be executed.
            Conflict: the container does not run.
        """
        from orlop.library import executing

        limit = quantities.most("output_limit", output_limit)
        return executing.run(
            self.target, command, stdin=stdin, timeout=timeout, check=check, limit=limit, options=options
        )

    def open(
        self,
        command: str | Sequence[str],
        *,
        tty: bool = False,
        output_limit: int | str | None = OUTPUT_LIMIT,
        **options: Unpack[ExecOptions],
    ) -> Stream:
        """Start a command in it, and talk to it by its standard streams.

        Raises:
            StartFailed: there is no such program, or it cannot be executed.
            Conflict: the container does not run.
        """
        from orlop.library import executing

        limit = quantities.most("output_limit", output_limit)
        return executing.start(self.target, command, tty=tty, limit=limit, options=options)

    # What it does and has

    def stats(self, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What it uses, as Docker's API tells it; ``before`` is an earlier one, which it is to be compared with."""
        from orlop.engine import statistics

        return statistics.sample(self.target, dict(before) if before is not None else None)

    def top(self, *options: str) -> list[dict[str, str]]:
        """Its processes as ps(1) shows them, with these options or ``-ef``.

        Raises:
            Conflict: it does not run.
        """
        from orlop.engine import top

        table = top.processes(self.target, options)
        return [dict(zip(table.titles, each, strict=False)) for each in table.processes]

    def diff(self) -> list[Difference]:
        """What it changed in its image's files.

        Raises:
            Unsupported: it is not one of an image.
        """
        changed = errand.call(self.location, "diff", {"container": self.id})
        return [Difference(path, _KINDS[kind]) for path, kind in changed]

    def commit(
        self,
        name: str = "",
        *,
        message: str = "",
        author: str = "",
        changes: Sequence[str] = (),
        pause: bool = True,
    ) -> Image:
        """Make an image of its files; ``changes`` are lines of a Dockerfile.

        Raises:
            Unsupported: it is not one of an image.
            InvalidReference: it can be no name.
        """
        from orlop.library import images

        arguments = {"name": name, "message": message, "author": author, "changes": list(changes), "pause": pause}
        arguments["container"] = self.id
        return images.find(self.location, errand.call(self.location, "commit", arguments))

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write all its files to a tar archive, which is there once it is whole.

        Raises:
            Unsupported: it is one of the image ``host``.
        """
        with output_file.written(path) as descriptor:
            errand.call(self.location, "export", {"container": self.id}, descriptors=[descriptor])

    # Its files

    def put_file(self, source: str | os.PathLike[str], target: str) -> None:
        """Copy a file or a directory of this machine into it, by the rules of ``cp -r``.

        Raises:
            NotFound: one of the two places is not there.
        """
        arguments = {"container": self.id, "source": os.fspath(source), "target": target}
        errand.call(self.location, "put", arguments, light=True)

    def get_file(self, source: str, target: str | os.PathLike[str]) -> None:
        """Copy a file or a directory of it to this machine, by the rules of ``cp -r``; what is made belongs to you.

        Raises:
            NotFound: one of the two places is not there.
        """
        arguments = {"container": self.id, "source": source, "target": os.fspath(target)}
        errand.call(self.location, "get", arguments, light=True)

    def put_archive(self, archive: str | os.PathLike[str], target: str) -> None:
        """Extract a tar archive, compressed or not, in a directory of it; owners are as the archive has them.

        Raises:
            NotFound: there is no such directory.
            InvalidArchive: it is damaged, or none.
        """
        with open(archive, "rb", buffering=0) as file:
            said = {"container": self.id, "target": target}
            errand.call(self.location, "put_archive", said, descriptors=[file.fileno()], light=True)

    def get_archive(self, source: str, archive: str | os.PathLike[str]) -> None:
        """Write a file or a directory of it to a tar archive, which is there once it is whole.

        Raises:
            NotFound: there is no such file.
        """
        with output_file.written(archive) as descriptor:
            arguments = {"container": self.id, "source": source, "follows": False}
            errand.call(self.location, "get_archive", arguments, descriptors=[descriptor], light=True)

    def read_bytes(self, path: str, *, limit: int | str | None = OUTPUT_LIMIT) -> bytes:
        """What is in a file of it, links followed as the container would.

        Raises:
            NotFound: there is no such file.
            InvalidArgument: it is no file, or has more than ``limit`` bytes.
        """
        return files.read(self.target, path, quantities.most("limit", limit))

    def write_bytes(self, path: str, data: bytes | str, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
        """Make a file in it, or replace one; its directory has to be there.

        Raises:
            NotFound: there is no such directory.
        """
        files.write(self.target, path, data.encode() if isinstance(data, str) else data, mode, uid, gid)
