"""The containers of an engine: running, making, finding them."""

from __future__ import annotations

import os
import time

from orlop.engine import container as engine_container
from orlop.engine import frames, monitor_lock, start
from orlop.engine.settings import HOST_IMAGE
from orlop.errors import ImageNotFound, InvalidArgument, NotFound, OrlopError
from orlop.library import errand, quantities, translation
from orlop.library.container import Container
from orlop.library.errors import TimedOut
from orlop.library.results import Result, Timings
from orlop.library.streams import OUTPUT_LIMIT, Source, Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Literal, TypeVar, Unpack, overload

    from orlop.engine.location import Location
    from orlop.engine.settings import Settings
    from orlop.library.options import ContainerOptions, Pull
    from orlop.library.streams import Readable

    T = TypeVar("T")

#: What is asked for a program that somebody waits for: that it ends with them, and that its use is told.
_WISHES = {"leash": True, "measure": True}
#: In `frames.ATTACH`: to none of the standard streams.
_TO_NOTHING = b"\0"
#: Seconds that a program has run when there is time to look after what crashes left.
_QUIET = 0.05
#: How often an image may be removed right after it was pulled.
_MOST_REMOVED = 2
#: Programs whose end is remembered: as many as could be clearing away at once.
_FEW = 64
_MANY = 256


class Run:
    """A program that was started in a container of its own, and that somebody waits for."""

    __slots__ = ("_begun", "_settings", "_started", "stream", "target")

    def __init__(self, target: engine_container.Container, wanted: Settings, stream: Stream, begun: float) -> None:
        self.target = target
        self.stream = stream
        self._settings = wanted
        self._begun = begun
        self._started = time.perf_counter()

    def result(self) -> Result:
        """What came of it; it has ended."""
        said = self.stream.conversation
        stdout, stderr = said.kept()
        return Result(
            said.exit_code or 0,
            stdout,
            stderr,
            container_id=self.target.id,
            image=self._settings.image or self._settings.rootfs,
            command=self._settings.command,
            timings=Timings(self._started - self._begun, max(0.0, said.ended - self._started)),
            usage=said.usage,
            truncated=said.truncated,
        )

    def kill(self) -> None:
        """Have it end, with all its processes."""
        from orlop.engine import signalling

        signalling.kill_all(self.target)

    def abandon(self) -> None:
        """End it because nobody waits for it any more; returns when it is cleared away."""
        from orlop.engine import repair

        try:
            self.kill()
        finally:
            self.stream.close()  # it is leashed to this
            monitor_lock.wait(self.target.location, self.target.id)
            repair.look_after(self.target)


class Containers:
    """What ``engine.containers`` is."""

    __slots__ = ("_ended", "_is_repaired", "_leashes", "_location")

    def __init__(self, location: Location) -> None:
        self._location = location
        self._is_repaired = False
        self._leashes: dict[str, start.Session] = {}  # connections with which detached containers end
        self._ended: list[str] = []  # programs that have, and whose monitors may be still clearing away

    if TYPE_CHECKING:

        @overload
        def run(
            self,
            image: str | None = None,
            command: str | Sequence[str] | None = None,
            *,
            rootfs: str | os.PathLike[str] | None = None,
            detach: Literal[False] = False,
            remove: bool | None = None,
            stdin: bytes | str | Readable | None = None,
            timeout: float | None = None,
            check: bool = False,
            tty: bool = False,
            output_limit: int | str | None = OUTPUT_LIMIT,
            pull: Pull = "missing",
            **options: Unpack[ContainerOptions],
        ) -> Result: ...

        @overload
        def run(
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

    def run(
        self,
        image: str | None = None,
        command: str | Sequence[str] | None = None,
        *,
        rootfs: str | os.PathLike[str] | None = None,
        detach: bool = False,
        remove: bool | None = None,
        interactive: bool = False,
        leash: bool = False,
        stdin: bytes | str | Readable | None = None,
        timeout: float | None = None,
        check: bool = False,
        tty: bool = False,
        output_limit: int | str | None = OUTPUT_LIMIT,
        pull: Pull = "missing",
        **options: Any,
    ) -> Result | Container:
        """Run a program in a new container, to its end; or with ``detach`` have it run, and get the container.

        The container is removed when its program has ended, unless ``remove`` is false; a detached one stays unless it is
        true, or it is used in a ``with`` block. Whoever waits for a program takes it along: when this process ends,
        however it does, the program is killed. With ``leash`` that holds for a detached one, too, and it ends when the engine
        is closed.

        ``rootfs`` is a directory to run on, in place, instead of an image. ``timeout`` is in seconds from the
        program's start. Of its output at most ``output_limit`` bytes are kept, of each stream. An image that is missing is
        pulled, unless ``pull`` is ``never``. ``interactive`` leaves a detached program its input open. All other
        options are in `orlop.library.options.ContainerOptions`.

        Raises:
            TimedOut: it took more than ``timeout`` seconds and was killed; what it wrote is in ``result``.
            CommandFailed: ``check`` is given, and its exit code is not 0.
            StartFailed: there is no such program, or something else of the container cannot be made.
            ImageNotFound: there is no such image.
            InvalidArgument: an option cannot be right.
        """
        if detach:
            if stdin is not None or timeout is not None or check:
                raise InvalidArgument("stdin, timeout and check are for programs that are waited for, not with detach")
            wanted = self.settings(image, command, rootfs, options, remove=bool(remove), tty=tty, stdin=interactive)
            return self._detached(wanted, pull, leash=leash)
        wanted = self.settings(
            image, command, rootfs, options, remove=remove is not False, tty=tty, stdin=stdin is not None
        )
        run = self.begin(wanted, pull, quantities.most("output_limit", output_limit))
        with run.stream as stream:
            try:
                self._accompany(stream, Source(stdin), timeout)
            except TimeoutError:
                run.kill()
                stream.communicate()
                raise TimedOut(run.result(), timeout or 0) from None
            except BaseException:
                run.abandon()
                raise
        return self.finish(run, check=check)

    def finish(self, run: Run, *, check: bool) -> Result:
        """What came of a program that has ended."""
        self._ended.append(run.target.id)
        if len(self._ended) > _MANY:
            del self._ended[:-_FEW]
        result = run.result()
        return result.check() if check else result

    def close(self) -> None:
        """End what is leashed, and wait until everything is cleared away."""
        while self._leashes:
            container_id, session = self._leashes.popitem()
            session.socket.close()
            self._ended.append(container_id)
        self.settle()

    def settle(self) -> None:
        """Wait until what programs left is cleared away."""
        ended, self._ended = self._ended, []
        for container_id in ended:
            monitor_lock.wait(self._location, container_id)

    def create(
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
        """Make a container without starting it; see `run`.

        Raises:
            ImageNotFound: there is no such image.
            InvalidArgument: an option cannot be right.
        """
        wanted = self.settings(image, command, rootfs, options, remove=remove, tty=tty, stdin=interactive)

        def make() -> str:
            return str(errand.call(self._location, "create", {"settings": wanted.fields()}, light=True))

        return Container(engine_container.Container(self._location, self._with_image(wanted, pull, make)))

    def get(self, name: str) -> Container:
        """The container of a name, an id, or the beginning of an id.

        Raises:
            NotFound: there is none.
        """
        from orlop.engine import repair

        found = engine_container.find(self._location, name)
        repair.look_after(found)
        return Container(engine_container.find(self._location, found.id))

    def list(
        self,
        *,
        all: bool = False,  # noqa: A002 - Docker's word
        labels: Mapping[str, str | None] | Sequence[str] = (),
        status: str | None = None,
        filters: Mapping[str, str | Sequence[str]] | None = None,
    ) -> list[Container]:
        """The containers that run, newest first; with ``all`` all of them.

        ``labels`` are those that they have, by name or with their value; ``status`` is theirs, whatever it is. ``filters``
        are Docker's, by name: ``name``, ``ancestor``, ``health``, ``network``, ``volume``, ``since`` and so on.

        Raises:
            InvalidArgument: there is no such filter, or its value cannot be right.
        """
        from orlop import filters as tests
        from orlop.engine import container_list

        words = [f"status={status}"] if status else []
        wanted_labels = labels.items() if hasattr(labels, "items") else dict.fromkeys(labels).items()
        words += [f"label={name}" if value is None else f"label={name}={value}" for name, value in wanted_labels]
        for name, values in (filters or {}).items():
            words += [f"{name}={each}" for each in ([values] if isinstance(values, str) else values)]
        self.repair()
        wanted = tests.read(words, container_list.tests(self._location))
        found = []
        for container_id in engine_container.every_id(self._location):
            try:
                each = container_list.Listed(engine_container.Container(self._location, container_id), None)
            except NotFound:
                continue  # removed just now
            is_alive = each.state["Status"] in container_list.RUNNING
            if (all or is_alive or "status" in wanted.keys) and wanted(each):
                found.append(each)
        found.sort(key=lambda each: each.created, reverse=True)
        return [Container(each.target) for each in found]

    def prune(self) -> tuple[Sequence[str], int]:
        """Remove all that do not run; their ids, and the bytes that were freed."""
        names, freed = errand.call(self._location, "prune", {}, light=True)
        return names, freed

    def repair(self) -> None:
        """Clear away what crashes left; other methods do so when there is time."""
        self._is_repaired = True
        if self._location.rootless:
            errand.call(self._location, "repair", {})
            return
        from orlop.engine import repair

        repair.everything(self._location)

    def settings(
        self,
        image: str | None,
        command: str | Sequence[str] | None,
        rootfs: str | os.PathLike[str] | None,
        options: Mapping[str, Any],
        *,
        remove: bool,
        tty: bool,
        stdin: bool,
    ) -> Settings:
        """The engine's settings, for what `run` and `create` are told."""
        wanted = translation.settings(image, command, rootfs, options)
        wanted.auto_remove = remove
        wanted.terminal = tty
        wanted.open_stdin = stdin
        if remove and wanted.restart_policy["Name"] != "no":
            raise InvalidArgument("a container that is removed at its end cannot be restarted: give remove or restart")
        return wanted

    def begin(self, wanted: Settings, pull: Pull, limit: int | None) -> Run:
        """Start a program for somebody who waits for it."""
        begun = time.perf_counter()
        wanted.stdin_once = wanted.open_stdin
        started = self._start(wanted, pull, _WISHES)
        target = engine_container.Container(self._location, started.id)
        return Run(target, wanted, Stream(started.session, f"container {started.id[:12]}", limit), begun)

    def _detached(self, wanted: Settings, pull: Pull, *, leash: bool) -> Container:
        started = self._start(wanted, pull, {"leash": True} if leash else {})
        if leash:
            started.session.send(frames.ATTACH, _TO_NOTHING)  # nobody reads here
            self._forget_removed()
            self._leashes[started.id] = started.session
        else:
            started.session.socket.close()
        return Container(engine_container.Container(self._location, started.id))

    def _forget_removed(self) -> None:
        """Close the connections of leashed containers that are gone."""
        for container_id in list(self._leashes):
            if not os.path.isdir(f"{self._location.containers}/{container_id}"):
                session = self._leashes.pop(container_id, None)
                if session is not None:
                    session.socket.close()

    def _start(self, wanted: Settings, pull: Pull, wishes: Mapping[str, Any]) -> start.Started:
        def make() -> start.Started:
            return start.create_and_start_apart(self._location, wanted, wishes)

        started = self._with_image(wanted, pull, make)
        if started.warnings:
            _warn(started.warnings)
        try:
            started.session.wait_started()
        except BaseException as error:
            started.session.socket.close()
            if isinstance(error, start.StartFailed):
                error.container_id = started.id
                error.image = wanted.image or wanted.rootfs
            self._take_back(started.id)
            raise
        return started

    def _take_back(self, container_id: str) -> None:
        """Remove a container that was made and could not be started."""
        monitor_lock.wait(self._location, container_id)
        try:
            Container(engine_container.Container(self._location, container_id)).remove(force=True, volumes=True)
        except OrlopError:
            return  # it has gone by itself

    def _with_image(self, wanted: Settings, pull: Pull, make: Callable[[], T]) -> T:
        """What ``make`` returns, once the image is here."""
        if pull not in ("missing", "always", "never"):
            raise InvalidArgument(f"pull={pull!r} must be missing, always or never")
        if pull == "always" and wanted.image not in ("", HOST_IMAGE):
            self._pull(wanted)
        try:
            return make()
        except ImageNotFound as error:
            error.image = wanted.image
            if pull != "missing":
                raise
        for _ in range(_MOST_REMOVED):
            self._pull(wanted)
            try:
                return make()
            except ImageNotFound:
                continue  # somebody has removed it again before it was in use
        self._pull(wanted)
        return make()

    def _pull(self, wanted: Settings) -> None:
        from orlop.library import images

        images.pull(self._location, wanted.image, wanted.platform)

    def _accompany(self, stream: Stream, source: Source, timeout: float | None) -> None:
        """Be with a program until its end, and use the time for repairs."""
        if not self._is_repaired and (timeout is None or timeout > _QUIET):
            try:
                stream.communicate(source, timeout=_QUIET)
            except TimeoutError:
                timeout = None if timeout is None else timeout - _QUIET
                self.repair()
        stream.communicate(source, timeout=timeout)


def _warn(warnings: Sequence[str]) -> None:
    import logging

    for each in warnings:
        logging.getLogger("orlop").warning("%s", each)
