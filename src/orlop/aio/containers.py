"""Containers in an event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from orlop.aio.streams import Stream, ready_to
from orlop.aio.threads import awaited
from orlop.library import container as sync
from orlop.library import containers as sync_containers
from orlop.library import executing, files, quantities
from orlop.library import snapshots as sync_snapshots
from orlop.library.errors import TimedOut
from orlop.library.streams import OUTPUT_LIMIT

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime
    from typing import Literal, Unpack, overload

    from orlop.aio.threads import Threads
    from orlop.library import streams
    from orlop.library.entries import LogEntry
    from orlop.library.options import ContainerOptions, ExecOptions, Pull
    from orlop.library.ports import HostPort
    from orlop.library.results import Result
    from orlop.library.streams import Readable


class Container:
    """A container; ``async with`` removes it, killed if it still runs, however its block is left.

    Its properties are those of `orlop.library.container.Container`, its methods are awaited.
    """

    __slots__ = ("sync", "threads")

    def __init__(self, container: sync.Container, threads: Threads) -> None:
        self.sync = container
        self.threads = threads

    async def __aenter__(self) -> Container:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await asyncio.shield(self.threads.call(lambda: self.sync.__exit__(None, None, None)))

    def __repr__(self) -> str:
        return repr(self.sync)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Container) and other.sync == self.sync

    def __hash__(self) -> int:
        return hash(self.sync)

    @property
    def id(self) -> str:
        """64 hexadecimal digits."""
        return self.sync.id

    @property
    def short_id(self) -> str:
        """The first 12 of them."""
        return self.sync.short_id

    @property
    def name(self) -> str:
        """Its name."""
        return self.sync.name

    @property
    def status(self) -> str:
        """``created``, ``running``, ``paused``, ``restarting``, ``exited``, or ``removed``."""
        return self.sync.status

    @property
    def image(self) -> str:
        """The name of its image as it was given, or its root directory."""
        return self.sync.image

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return self.sync.labels

    @property
    def exit_code(self) -> int | None:
        """How its program ended; None if it runs or was never started."""
        return self.sync.exit_code

    @property
    def oom_killed(self) -> bool:
        """Whether the kernel killed it for lack of memory."""
        return self.sync.oom_killed

    @property
    def ports(self) -> dict[str, list[HostPort]]:
        """Its ports, such as ``80/tcp``, with where each is on the host just now."""
        return self.sync.ports

    @property
    def snapshots(self) -> Snapshots:
        """Its saved files."""
        return Snapshots(self.sync.snapshots, self.threads)

    inspect = awaited(sync.Container.inspect)
    start = awaited(sync.Container.start)
    stop = awaited(sync.Container.stop)
    kill = awaited(sync.Container.kill)
    restart = awaited(sync.Container.restart)
    pause = awaited(sync.Container.pause)
    unpause = awaited(sync.Container.unpause)
    rename = awaited(sync.Container.rename)
    publish = awaited(sync.Container.publish)
    unpublish = awaited(sync.Container.unpublish)
    update = awaited(sync.Container.update)
    explain = awaited(sync.Container.explain)
    remove = awaited(sync.Container.remove)
    logs = awaited(sync.Container.logs)
    stats = awaited(sync.Container.stats)
    top = awaited(sync.Container.top)
    diff = awaited(sync.Container.diff)
    commit = awaited(sync.Container.commit)
    export = awaited(sync.Container.export)
    put_archive = awaited(sync.Container.put_archive)
    get_archive = awaited(sync.Container.get_archive)
    put_file = awaited(sync.Container.put_file)
    get_file = awaited(sync.Container.get_file)
    read_bytes = awaited(sync.Container.read_bytes)
    write_bytes = awaited(sync.Container.write_bytes)

    async def fork(self, name: str = "", *, snapshot: str = "") -> Container:
        """Make a container like this one; see `orlop.library.container.Container.fork`."""
        return Container(
            await self.threads.call(lambda: self.sync.fork(name, snapshot=snapshot), _remove), self.threads
        )

    async def wait(self, *, condition: str = "not-running") -> int:
        """Wait until it does not run (or ``next-exit``, ``removed``); its exit code. For a limit: `asyncio.timeout`."""
        with files.Ending(self.sync.target) as ending:
            while ending.descriptor >= 0:
                await ready_to(ending.descriptor)
                if ending.hear():
                    break
        return await self.threads.call(lambda: self.sync.wait(condition=condition))

    async def log_entries(
        self,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | datetime | None = None,
        until: float | datetime | None = None,
    ) -> AsyncIterator[LogEntry]:
        """Its log line by line; with ``follow`` on as it grows, until it ends."""
        entries = self.threads.iterate(
            lambda stopped: self.sync.log_entries(follow=follow, tail=tail, since=since, until=until, stopped=stopped)
        )
        async for entry in entries:
            yield entry

    async def attach(self, *, stdin: bool = True, output_limit: int | str | None = OUTPUT_LIMIT) -> Stream:
        """Its standard streams from now on. What it writes faster than you read is left out (see its log)."""
        return Stream(await self.threads.call(lambda: self.sync.attach(stdin=stdin, output_limit=output_limit), _close))

    async def open(
        self,
        command: str | Sequence[str],
        *,
        tty: bool = False,
        output_limit: int | str | None = OUTPUT_LIMIT,
        **options: Unpack[ExecOptions],
    ) -> Stream:
        """Start a command in it, and talk to it by its standard streams."""
        started = await self.threads.call(
            lambda: self.sync.open(command, tty=tty, output_limit=output_limit, **options), _close
        )
        return Stream(started)

    async def exec(
        self,
        command: str | Sequence[str],
        *,
        stdin: bytes | str | Readable | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - it kills the command, which a cancellation does, too
        check: bool = False,
        output_limit: int | str | None = OUTPUT_LIMIT,
        **options: Unpack[ExecOptions],
    ) -> Result:
        """Run a command in it to its end; see `orlop.library.container.Container.exec`."""
        limit = quantities.most("output_limit", output_limit)
        done = await self.threads.call(
            lambda: executing.Execution(
                self.sync.target, command, stdin=stdin is not None, tty=False, limit=limit, options=options
            ),
            _end,
        )
        async with Stream(done.stream) as stream:
            try:
                await asyncio.wait_for(stream.communicate(stdin), timeout)
            except TimeoutError:
                done.kill()
                await stream.communicate()
                raise TimedOut(done.result(), timeout or 0) from None
            except BaseException:
                done.kill()
                raise
        result = done.result()
        return result.check() if check else result


class Snapshots:
    """What ``container.snapshots`` is; see `orlop.library.snapshots.Snapshots`."""

    __slots__ = ("sync", "threads")

    def __init__(self, snapshots: sync_snapshots.Snapshots, threads: Threads) -> None:
        self.sync = snapshots
        self.threads = threads

    create = awaited(sync_snapshots.Snapshots.create)
    list = awaited(sync_snapshots.Snapshots.list)
    remove = awaited(sync_snapshots.Snapshots.remove)
    restore = awaited(sync_snapshots.Snapshots.restore)


class Containers:
    """What ``engine.containers`` is."""

    __slots__ = ("sync", "threads")

    def __init__(self, containers: sync_containers.Containers, threads: Threads) -> None:
        self.sync = containers
        self.threads = threads

    prune = awaited(sync_containers.Containers.prune)
    repair = awaited(sync_containers.Containers.repair)

    if TYPE_CHECKING:

        @overload
        async def run(
            self,
            image: str | None = None,
            command: str | Sequence[str] | None = None,
            *,
            rootfs: str | os.PathLike[str] | None = None,
            detach: Literal[False] = False,
            remove: bool | None = None,
            stdin: bytes | str | Readable | None = None,
            timeout: float | None = None,  # noqa: ASYNC109 - as below
            check: bool = False,
            tty: bool = False,
            output_limit: int | str | None = OUTPUT_LIMIT,
            pull: Pull = "missing",
            **options: Unpack[ContainerOptions],
        ) -> Result: ...

        @overload
        async def run(
            self,
            image: str | None = None,
            command: str | Sequence[str] | None = None,
            *,
            rootfs: str | os.PathLike[str] | None = None,
            detach: Literal[True],
            remove: bool | None = None,
            interactive: bool = False,
            leash: bool = False,
            tty: bool = False,
            pull: Pull = "missing",
            **options: Unpack[ContainerOptions],
        ) -> Container: ...

    async def run(
        self,
        image: str | None = None,
        command: str | Sequence[str] | None = None,
        *,
        rootfs: str | os.PathLike[str] | None = None,
        detach: bool = False,
        remove: bool | None = None,
        stdin: bytes | str | Readable | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - it kills the program, which a cancellation does, too
        check: bool = False,
        tty: bool = False,
        output_limit: int | str | None = OUTPUT_LIMIT,
        pull: Pull = "missing",
        **options: Any,
    ) -> Result | Container:
        """Run a program in a new container, to its end; or with ``detach`` have it run, and get the container.

        As `orlop.library.containers.Containers.run`. Cancelled, it kills the program.
        """
        if detach:
            made = await self.threads.call(
                lambda: self.sync.run(
                    image, command, rootfs=rootfs, detach=True, remove=remove, tty=tty, pull=pull, **options
                ),
                _remove,
            )
            return Container(made, self.threads)
        limit = quantities.most("output_limit", output_limit)
        wanted = self.sync.settings(
            image, command, rootfs, options, remove=remove is not False, tty=tty, stdin=stdin is not None
        )
        run = await self.threads.call(lambda: self.sync.begin(wanted, pull, limit), _abandon)
        async with Stream(run.stream) as stream:
            try:
                await asyncio.wait_for(stream.communicate(stdin), timeout)
            except TimeoutError:
                await self.threads.call(run.kill)
                await stream.communicate()
                raise TimedOut(run.result(), timeout or 0) from None
            except BaseException:
                await asyncio.shield(self.threads.call(run.abandon))
                raise
        return self.sync.finish(run, check=check)

    async def create(
        self,
        image: str | None = None,
        command: str | Sequence[str] | None = None,
        *,
        rootfs: str | os.PathLike[str] | None = None,
        remove: bool = False,
        interactive: bool = False,
        tty: bool = False,
        pull: Pull = "missing",
        **options: Unpack[ContainerOptions],
    ) -> Container:
        """Make a container without starting it; see `orlop.library.containers.Containers.create`."""
        made = await self.threads.call(
            lambda: self.sync.create(
                image, command, rootfs=rootfs, remove=remove, interactive=interactive, tty=tty, pull=pull, **options
            ),
            _remove,
        )
        return Container(made, self.threads)

    async def get(self, name: str) -> Container:
        """The container of a name, an id, or the beginning of an id."""
        return Container(await self.threads.call(lambda: self.sync.get(name)), self.threads)

    async def list(
        self,
        *,
        all: bool = False,  # noqa: A002 - Docker's word
        labels: Mapping[str, str | None] | Sequence[str] = (),
        status: str | None = None,
        filters: Mapping[str, str | Sequence[str]] | None = None,
    ) -> list[Container]:
        """The containers that run, newest first; see `orlop.library.containers.Containers.list`."""
        found = await self.threads.call(lambda: self.sync.list(all=all, labels=labels, status=status, filters=filters))
        return [Container(each, self.threads) for each in found]


# What was brought about although nobody waits for it any more:


def _close(stream: streams.Stream) -> None:
    stream.close()


def _end(done: executing.Execution) -> None:
    done.kill()
    done.stream.close()


def _remove(made: sync.Container) -> None:
    made.__exit__(None, None, None)


def _abandon(run: sync_containers.Run) -> None:
    run.abandon()
