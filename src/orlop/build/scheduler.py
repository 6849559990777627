"""All steps of a graph, those at the same time that can be, each in a process of its own unless the cache knows it.

A process that does a step hears by the end of a pipe, its leash, that nobody wants it any more, however that came; it then
ends its container and itself. What it made by then and did not commit goes with the build's lease.
"""

from __future__ import annotations

import _signal
import os
import select
import time

from orlop import json_text
from orlop.build.cache import Layer, Record
from orlop.build.temporary import Temporary
from orlop.build.value import Value
from orlop.build.work import Lost, StepFailed, Work, chain_of
from orlop.errors import OrlopError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from orlop.build.cache_sources import Recalled
    from orlop.build.graph import Node
    from orlop.build.progress import Progress
    from orlop.build.steps import Origin
    from orlop.build.work import Workshop

_CHUNK = 1 << 16


class Files(Value):
    """What a step leads to: the ``chain`` ID of all files, and the ``layers`` upon the base image."""

    chain: str
    layers: tuple[Layer, ...]
    #: When the step was done (RFC 3339), and whether it has a layer of its own.
    created: str = ""
    has_layer: bool = False


class BuildFailed(OrlopError):
    """A step failed: ``node`` is it."""

    def __init__(self, message: str, node: Node, exit_code: int = 1) -> None:
        super().__init__(message)
        self.node = node
        self.exit_code = exit_code
        #: The step's place in the Dockerfile, shown.
        self.excerpt = ""


class _Task:
    """A step that a process is doing."""

    __slots__ = ("begun", "leash", "node", "output", "pid", "report", "result", "temporary")

    def __init__(self, node: Node, pid: int, output: int, result: int, leash: int, temporary: Temporary) -> None:
        self.node = node
        self.pid = pid
        self.output = output
        self.result = result
        self.leash = leash
        self.temporary = temporary
        self.begun = time.monotonic()
        self.report = b""

    @property
    def descriptors(self) -> list[int]:
        return [each for each in (self.output, self.result, self.leash) if each >= 0]


class Scheduler:
    """Does the steps of a graph. ``uses_cache`` says of a step whether it may be one that was done before.

    What a cache elsewhere knows is not fetched before somebody needs its files: a step that has to be done, or whoever wants
    those of ``targets``. If it cannot be had by then, or only its digest is known, the step is done after all.
    """

    __slots__ = (
        "_files",
        "_lost",
        "_nodes",
        "_parallel",
        "_progress",
        "_shop",
        "_targets",
        "_tasks",
        "_thought",
        "_uses_cache",
        "_waiting",
        "_wanted",
        "has_worked",
        "made",
        "recalled",
    )

    def __init__(
        self,
        shop: Workshop,
        nodes: list[Node],
        progress: Progress,
        *,
        parallel: int,
        uses_cache: Callable[[Node], bool],
        targets: Sequence[Node | None] = (),
    ) -> None:
        self._shop = shop
        self._targets = targets
        self._waiting: list[Node] = []
        #: What of elsewhere somebody needs the files of, and what cannot be had from there, by numbers.
        self._wanted: set[int] = set()
        self._lost: set[int] = set()
        #: The chain IDs that others were found upon, of what was fetched or done afterwards.
        self._thought: dict[int, str] = {}
        #: Results whose files are elsewhere, by the numbers of their nodes, with the keys that they are known by.
        self.recalled: dict[int, tuple[str, Recalled]] = {}
        self._nodes = nodes
        self._progress = progress
        self._parallel = parallel
        self._uses_cache = uses_cache
        self._files: dict[int, Files] = {}
        self._tasks: list[_Task] = []
        #: The snapshots that were made now, and whether any step was done at all.
        self.made: list[str] = []
        self.has_worked = False

    def run(self) -> dict[int, Files]:
        """Do all steps; what each node's number came to.

        Raises:
            BuildFailed: a step failed; the others were ended.
            OrlopError: a file of the context is not there, or cannot be read.
        """
        self._waiting = list(self._nodes)
        self._progress.begin(list(self._nodes))
        try:
            while self._waiting or self._tasks or any(self._fetch_back(each) for each in self._targets):
                for node in list(self._waiting):
                    if all(each.number in self._files for each in node.needs) and self._begin(node):
                        self._waiting.remove(node)
                if self._tasks:
                    self._wait()
        finally:
            self._stop()
        return self._files

    def _fetch_back(self, node: Node | None) -> bool:
        """Have the files of a step here that are elsewhere; false if they are here."""
        if node is None or node.number not in self.recalled:
            return False
        del self.recalled[node.number]
        self._thought[node.number] = self._files.pop(node.number).chain
        self._wanted.add(node.number)
        self._waiting.append(node)
        return True

    def _begin(self, node: Node) -> bool:
        """Begin a step, or find that it is done; false if too many are being done."""
        below = self._chain(node.parent, node.base.top)
        chains = {origin: self._chain(read, base.top) for origin, (read, base) in node.reads.items()}
        if len(self._tasks) >= self._parallel:
            return False
        begun = time.monotonic()
        uses_cache = self._uses_cache(node)
        try:
            key = self._shop.quick_key(node, below, chains)
        except OrlopError as error:
            self._progress.started(node)
            self._progress.failed(node, time.monotonic() - begun, str(error))
            raise BuildFailed(str(error), node) from None
        if key and uses_cache:
            record = self._shop.cache.find(key, self._shop.storage, self._shop.lease)
            if record is not None and self._is_in_place(record, below):
                self._started(node)
                self._finish(node, record, begun, cached=True)
                return True
        recalled = self._shop.recall(key) if key and uses_cache and node.number not in self._lost else None
        if recalled is not None and node.number not in self._wanted:
            self._started(node)
            self._finish(node, Record(recalled.known.layer, "", "", recalled.known.created), begun, cached=True)
            self.recalled[node.number] = key, recalled
            return True
        if recalled is not None and not recalled.can_be_had:
            recalled = None
        # What is fetched needs nothing but what it is put upon.
        needs = node.needs if recalled is None else [node.parent]
        missing = [each for each in needs if self._fetch_back(each)]
        if missing:
            return False
        if recalled is None:
            self._wanted.discard(node.number)
        self._started(node)
        self._progress.working(node)
        self._fork(node, below, chains, key, uses_cache=uses_cache, recalled=recalled)
        return True

    def _started(self, node: Node) -> None:
        """Tell that a step is being worked on, unless it is only fetched by now."""
        if node.number not in self._wanted:
            self._progress.started(node)

    def _is_in_place(self, record: Record, below: str) -> bool:
        """Whether a layer that fits upon anything has been put upon these files already."""
        if record.layer is None or record.chain:
            return True
        chain = chain_of(below, record.layer)
        self._shop.lease.hold_snapshot(chain)
        return self._shop.storage.snapshots.has(chain)

    def _chain(self, node: Node | None, top: str) -> str:
        return top if node is None else self._files[node.number].chain

    def _finish(self, node: Node, record: Record, begun: float, *, cached: bool) -> None:
        below = self._files[node.parent.number] if node.parent is not None else Files(node.base.top, ())
        chain, layers = below.chain, below.layers
        if record.layer is not None:
            chain = record.chain or chain_of(below.chain, record.layer)
            layers = (*layers, record.layer)
            if not cached:
                self.made.append(chain)
        self._files[node.number] = Files(chain, layers, record.created, record.layer is not None)
        if node.number in self._wanted:
            self._wanted.discard(node.number)
            self.made.append(chain)
        else:
            self._progress.finished(node, time.monotonic() - begun, cached=cached)

    def _forget_upon(self, node: Node) -> None:
        """Have those looked at again that were thought to be upon what a step has not come to."""
        for each in self._nodes:
            if each.parent is node and each.number in self.recalled:
                del self.recalled[each.number], self._files[each.number]
                self._waiting.append(each)
                self._forget_upon(each)

    def _fork(
        self,
        node: Node,
        below: str,
        chains: dict[Origin, str],
        key: str,
        *,
        uses_cache: bool,
        recalled: Recalled | None = None,
    ) -> None:
        # Each takes a lock that others may want, so they are had here, in one process.
        wanted = 6 + len(getattr(node.step, "mounts", ())) + len(getattr(node.step, "sources", ()))
        self.has_worked = True
        temporary = Temporary(self._shop.storage, self._shop.lease)
        keys = temporary.keys(wanted)
        output, output_end = os.pipe()
        result, result_end = os.pipe()
        leash_end, leash = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                # Whoever is ended with all that belongs to the terminal, or to the build's process group, is not us.
                os.setsid()
                _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
                _signal.signal(_signal.SIGTERM, _signal.SIG_DFL)
                for descriptor in (output, result, leash, *(each for task in self._tasks for each in task.descriptors)):
                    os.close(descriptor)
                work = Work(self._shop, node, below, chains, keys, output_end, leash_end, recalled)
                _tell(result_end, lambda: work.do(key, use_cache=uses_cache))
                status = 0
            finally:
                os._exit(status)
        for descriptor in (output_end, result_end, leash_end):
            os.close(descriptor)
        self._tasks.append(_Task(node, pid, output, result, leash, temporary))

    def _wait(self) -> None:
        """Wait until a process says something, and hear it."""
        poll = select.poll()
        owners = {}
        for task in self._tasks:
            for descriptor in (task.output, task.result):
                if descriptor >= 0:
                    poll.register(descriptor, select.POLLIN)
                    owners[descriptor] = task
        ready = poll.poll(self._progress.period)
        if not ready:
            self._progress.passed()
        for descriptor, _ in ready:
            task = owners[descriptor]
            data = os.read(descriptor, _CHUNK)
            if descriptor == task.output:
                if data:
                    self._progress.output(task.node, data)
                else:
                    os.close(task.output)
                    task.output = -1
            elif data:
                task.report += data
            else:
                os.close(task.result)
                task.result = -1
        for task in list(self._tasks):
            if task.result < 0:
                self._end(task)

    def _end(self, task: _Task) -> None:
        """A process has ended: take what it came to."""
        self._tasks.remove(task)
        if task.output >= 0:
            os.set_blocking(task.output, False)
            try:
                while data := os.read(task.output, _CHUNK):
                    self._progress.output(task.node, data)
            except BlockingIOError:
                pass  # something that the step left running has it still
        self._release(task)
        said: dict[str, Any] = json_text.loads(task.report.decode()) if task.report else {}
        if "lost" in said:
            self._progress.say(f"{said['lost']}: the step is done here")
            self._lost.add(task.node.number)
            self._waiting.append(task.node)
            return
        if "layer" not in said:
            message = said.get("error") or "the process that did this step was killed"
            self._progress.failed(task.node, time.monotonic() - task.begun, message)
            raise BuildFailed(message, task.node, said.get("exit_code", 1))
        layer = Layer(**said["layer"]) if said["layer"] is not None else None
        record = Record(layer, said["chain"], task.node.step.text, said["created"])
        self._finish(task.node, record, task.begun, cached=said["cached"])
        number = task.node.number
        if self._thought.pop(number, self._files[number].chain) != self._files[number].chain:
            self._forget_upon(task.node)

    def _release(self, task: _Task) -> None:
        for descriptor in task.descriptors:
            os.close(descriptor)
        task.output = task.result = task.leash = -1
        os.waitpid(task.pid, 0)
        task.temporary.clear()

    def _stop(self) -> None:
        """Have everybody end who is still at work."""
        for task in self._tasks:
            os.close(task.leash)
            task.leash = -1
        while self._tasks:
            self._release(self._tasks.pop())


def _tell(descriptor: int, do: Callable[[], tuple[Record, bool]]) -> None:
    """Do a step and tell what came of it, in the step's own process."""
    said: dict[str, Any]
    try:
        record, cached = do()
        layer = record.layer
        said = {
            "chain": record.chain,
            "created": record.created,
            "layer": {"diff_id": layer.diff_id, "digest": layer.digest, "size": layer.size} if layer else None,
            "cached": cached,
        }
    except StepFailed as error:
        said = {"error": str(error), "exit_code": error.status}
    except Lost as error:
        said = {"lost": str(error)}
    except OSError as error:
        said = {"error": f"{os.fsdecode(error.filename)}: {error.strerror}" if error.filename else str(error)}
    except Exception as error:  # noqa: BLE001 - whatever it was, whoever builds must hear of it
        said = {"error": str(error) or type(error).__name__}
    data = json_text.dumps(said).encode("utf-8", "replace")
    while data:
        data = data[os.write(descriptor, data) :]
