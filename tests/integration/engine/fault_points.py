"""The commands that are broken off by the tests, and where.

A scenario is what is there before, a command, who is killed (somebody in the command itself, or somebody of the
launcher that carries it out), and what is asked afterwards. Its points are named lines of the source: see `killed_at`.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.conftest import REPOSITORY
from tests.integration.engine import leftovers
from tests.integration.engine.conftest import wait_until
from tests.integration.engine.image_maker import make
from tests.integration.images.commands.archives import docker_archive, small

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.engine.conftest import Engine


class Scenario:
    """One command to break off. In its words ``DIRECTORY`` stands for a directory of the test's own."""

    def __init__(
        self,
        words: str,
        before: Callable[[Engine, Path], object] | None = None,
        *,
        in_launcher: bool = False,
    ) -> None:
        self.words = words.split(" ")
        self.before = before
        self.in_launcher = in_launcher


def _volumed(engine: Engine, directory: Path) -> None:
    if not engine.ok("images", "-q", "volumed"):
        make(engine, "volumed:latest", config={"Cmd": ["true"], "Env": ["PATH=/bin"], "Volumes": {"/data": {}}})


def _running(engine: Engine, directory: Path) -> None:
    engine.ok("run", "-d", "--name", "web", "plain", "sh", "-c", "echo begun; touch /made; sleep 1000")


def _stopped(engine: Engine, directory: Path) -> None:
    engine.ok("run", "--name", "web", "-v", "/data", "plain", "sh", "-c", "echo begun; touch /made")


def _created(engine: Engine, directory: Path) -> None:
    engine.ok("create", "--name", "web", "plain", "sh", "-c", "echo begun; sleep 1000")


def _files(engine: Engine, directory: Path) -> None:
    _running(engine, directory)
    (directory / "tree/deep").mkdir(parents=True, exist_ok=True)
    (directory / "tree/deep/file").write_text("text")


def _archive(engine: Engine, directory: Path) -> None:
    if engine.ok("images", "-q", "app"):
        engine.ok("rmi", "-f", "app:1")
    (directory / "archive.tar").write_bytes(
        docker_archive("app:1", [small("one"), small("two")], {"Env": ["PATH=/bin"]})
    )


def _loaded(engine: Engine, directory: Path) -> None:
    _archive(engine, directory)
    engine.ok("load", "-i", str(directory / "archive.tar"))


def _in_use(engine: Engine, directory: Path) -> None:
    _loaded(engine, directory)
    _created(engine, directory)


def _volume(engine: Engine, directory: Path) -> None:
    engine.ok("volume", "create", "kept")


#: What is broken off.
SCENARIOS = {
    "create": Scenario("create --name web -v data:/data -v /other --label a=b volumed true", _volumed),
    "run": Scenario("run -d --name web -v data:/data -v /other volumed sleep 1000", _volumed, in_launcher=True),
    "run without launcher": Scenario("run --name web -v data:/data plain sh -c true"),
    "run to the end": Scenario("run --name web plain sh -c echo\tbegun;exit\t3", in_launcher=True),
    "run with rm": Scenario("run --rm --name web -v /other plain sh -c exit\t3", in_launcher=True),
    "restart policy": Scenario("run --name web --restart on-failure:1 plain sh -c exit\t3", in_launcher=True),
    "start": Scenario("start web", _created, in_launcher=True),
    "stop": Scenario("stop -t 0 web", _running),
    "stopped": Scenario("stop -t 0 web", _running, in_launcher=True),
    "restart": Scenario("restart -t 0 web", _running),
    "exec": Scenario("exec web sh -c exit\t4", _running, in_launcher=True),
    "rm": Scenario("rm -v web", _stopped),
    "rm force": Scenario("rm -f web", _running),
    "rename": Scenario("rename web other", _stopped),
    "update": Scenario("update --memory 64m --restart always web", _running),
    "commit": Scenario("commit web app:made", _running),
    "cp in": Scenario("cp DIRECTORY/tree web:/there", _files),
    "cp out": Scenario("cp web:/made DIRECTORY/made", _running),
    "pause": Scenario("pause web", _running),
    "load": Scenario("load -i DIRECTORY/archive.tar", _archive),
    "tag": Scenario("tag plain other:tag"),
    "rmi": Scenario("rmi app:1", _loaded),
    "image prune": Scenario("image prune -af", _in_use),
    "volume create": Scenario("volume create --label a=b data"),
    "volume rm": Scenario("volume rm kept", _volume),
    "volume prune": Scenario("volume prune -af", _volume),
    "container prune": Scenario("container prune -f", _stopped),
    "export": Scenario("export -o DIRECTORY/export.tar web", _stopped),
    "save": Scenario("save -o DIRECTORY/save.tar plain"),
    "repair": Scenario("ps -a", lambda engine, _: _monitor_killed(engine)),
}

#: Where: in every verb before and after each step that others can see.
POINTS = {
    "create": (
        "storage/directory_lock.py:make:return hold(",
        "engine/names.py:claim:os.symlink+",
        "storage/leases.py:_begin:fcntl.flock",
        "storage/snapshots/directory.py:_rename:os.rename(source+",
        "engine/container.py:write:os.rename",
        "engine/volumes.py:publish:os.rename+",
        "engine/create.py:publish:os.rename(aside+",
        "engine/create.py:leave:write_state",
    ),
    "run": (
        "engine/starter.py:_create:create.create",
        "engine/create.py:publish:events.emit",
        "engine/monitor_lock.py:take:os.write",
        "engine/control_socket.py:listen:return",
        "runtime/creation.py:_make_group:+",
        "runtime/creation.py:_launch:+",
        "engine/starter.py:_tell_monitor:self._container.write_state",
        "engine/starter.py:_tell_monitor:birth.tell",
        "engine/starter.py:_tell_monitor:birth.tell+",
        "engine/starter.py:_start:created.release()",
        "engine/starter.py:_start:birth.tell_runs",
        "engine/starter.py:_start:birth.tell_runs+",
        "engine/starter.py:run:self._line.send(frames.STARTED",
        "engine/starter.py:run:self._line.finish",
        "engine/monitor.py:_accompany:pump.run",
    ),
    "run without launcher": (
        "engine/start.py:wait_started:launch.spawn",
        "engine/start.py:_fork_monitor:monitor.run",
        "engine/launch.py:spawn:os.setsid",
    ),
    "run to the end": (
        "engine/monitor.py:_accompany:code = os.waitstatus",
        "engine/monitor.py:_accompany:pump.drain",
        "engine/ending.py:_record:starter.record_end",
        "engine/ending.py:_record:starter.record_end+",
        "engine/ending.py:finish:starter.clean_up+",
        "engine/ending.py:finish:monitor_lock.drop",
    ),
    "run with rm": (
        "engine/removal.py:vanish:os.rename+",
        "engine/removal.py:vanish:events.emit",
        "engine/removal.py:destroy:exec_record.forget",
        "engine/removal.py:clear:image_root.remove",
        "engine/removal.py:clear:remove_tree",
    ),
    "restart policy": (
        "engine/restarting.py:next:target.write_state+",
        "engine/restarting.py:_start:start.wait_born",
        "engine/starter.py:run:removal.release_runtime+",
    ),
    "start": ("engine/starter.py:_become_monitor:listen", "engine/starter.py:_start:log_file.open_log+"),
    "stop": ("engine/signalling.py:stop:send",),
    "restart": ("engine/restart.py:restart:session = start",),
    "exec": ("engine/exec_monitor.py:run:_start", "engine/exec_record.py:write:container.write"),
    "rm": (
        "engine/volumes.py:mark:+",
        "engine/removal.py:remove:vanish",
        "engine/volumes.py:withdraw:+",
        "storage/snapshots/directory.py:_hide:os.rename+",
    ),
    "rm force": ("engine/removal.py:remove:monitor_lock.wait",),
    "rename": (
        "engine/rename.py:rename:record[",
        "engine/container.py:write:os.rename(",
        "engine/rename.py:rename:names.release(target.location.names, old",
        "engine/rename.py:rename:about =",
    ),
    "update": ("engine/container.py:write:os.rename(", "engine/update.py:_change_bundle:container.write"),
    "commit": (
        "engine/commit.py:commit:layer = diff.create",
        "storage/ingest.py:_publish:os.rename",
        "images/index.py:write:os.rename",
    ),
    "cp in": ("engine/copying.py:copy_in:+",),
    "cp out": ("engine/copying.py:_write_out:+",),
    "load": (
        "storage/named_lock.py:acquire:return self",
        "images/unpack.py:_extract:+",
        "storage/snapshots/directory.py:commit:+",
        "images/index.py:write:os.rename",
        "images/index.py:write:os.rename+",
    ),
    "tag": ("images/index.py:write:os.rename",),
    "rmi": ("storage/snapshots/directory.py:_hide:os.rename+", "storage/blobs.py:set_aside:os.rename+"),
    "volume create": ("engine/volume_store.py:_publish:os.rename",),
    "volume rm": ("engine/volume_store.py:remove:os.rename+",),
    "repair": (
        "engine/repair.py:_end:kill.kill(inner+",
        "engine/repair.py:_settle:target.write_state",
        "engine/repair.py:_settle:removal.release_runtime",
    ),
}


def _monitor_killed(engine: Engine) -> None:
    container_id = engine.ok("run", "-d", "--name", "web", "plain", "sleep", "1000").strip()
    os.kill(engine.monitor(container_id), 9)
    wait_until(lambda: not engine.processes("orlop-monitor"))


def start_launcher(engine: Engine, mark: Path, place: str) -> subprocess.Popen[bytes]:
    """Put a launcher in the place of the engine's own, one of whose processes is to die."""
    (engine.run_root).mkdir(mode=0o700, exist_ok=True)
    words = killing(mark, place, "launcher", str(engine.root), str(engine.run_root))
    end = time.monotonic() + 10
    while True:
        end_launcher(engine)
        process = subprocess.Popen([*engine.prefix, *words])
        while not (holder := _launcher_at_the_door(engine)) and process.poll() is None:
            time.sleep(0.01)
        # An earlier command may have left one behind that comes to the door only now: its containers would not die.
        if holder in (0, process.pid) or time.monotonic() > end:
            return process
        process.terminate()
        process.wait()


def _launcher_at_the_door(engine: Engine) -> int:
    """The pid of the launcher that callers reach; 0 if there is none."""
    if not (engine.run_root / "launcher.sock").exists():
        return 0
    # struct flock of fcntl(2): type, whence, start, length, pid
    layout = "hhqqi4x"
    wanted = struct.pack(layout, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    with open(engine.run_root / "launcher.lock", "rb+") as lock:
        kind, _, _, _, pid = struct.unpack(layout, fcntl.fcntl(lock, fcntl.F_GETLK, wanted))
    return 0 if kind == fcntl.F_UNLCK else int(pid)


def end_launcher(engine: Engine) -> None:
    """Have no launcher, however many containers run."""
    for pid in {*engine.processes("orlop-launcher"), _launcher_at_the_door(engine)} - {0}:
        try:
            os.kill(pid, 15)
        except ProcessLookupError:
            continue
    wait_until(lambda: not engine.processes("orlop-launcher") and not (engine.run_root / "launcher.sock").exists())


def killing(mark: Path, place: str, *words: str) -> list[str]:
    """The command line of a command one of whose processes is to die at a place, having made the file ``mark``."""
    return [
        sys.executable,
        "-IS",
        str(Path(__file__).with_name("killed_at.py")),
        str(REPOSITORY / "src"),
        str(mark),
        place,
        *words,
    ]


def broken_off(engine: Engine, scenario: Scenario, place: str, directory: Path) -> bool:
    """Break the command off at a place, and see that the next one finds everything in order; False if nobody came there."""
    if scenario.before is not None:
        scenario.before(engine, directory)
    mark = directory / "mark"
    mark.unlink(missing_ok=True)
    words = [word.replace("DIRECTORY", str(directory)).replace("\t", " ") for word in scenario.words]
    own = ["--root", str(engine.root), "--run-root", str(engine.run_root), *words]
    launcher = start_launcher(engine, mark, place) if scenario.in_launcher else None
    if launcher is None and words[0] == "run":
        end_launcher(engine)
    if launcher is None or launcher.poll() is not None:
        subprocess.run(killing(mark, place, *own), stdin=-3, capture_output=True, timeout=60, check=False)
    else:
        engine(*words)
    if launcher is not None:
        _wait_for(mark, engine)
        launcher.terminate()
        launcher.wait()
    leftovers.settled(engine)
    was_there = mark.exists()
    assert leftovers.damaged_logs(engine) == []
    _goes_on(engine, scenario, words)
    return was_there


def _wait_for(mark: Path, engine: Engine) -> None:
    """Wait until somebody has died, or nobody is left who could; a container that goes on running is waited for in vain."""
    end = time.monotonic() + 1
    while not mark.exists() and engine.processes("orlop-monitor") and time.monotonic() < end:
        time.sleep(0.01)


def _goes_on(engine: Engine, scenario: Scenario, words: list[str]) -> None:
    """Every container that is there can be used and removed, and names are free."""
    there = engine.root / "names"  # once there was a container
    names = [each for each in os.listdir(there) if each[0] != "."] if there.exists() else []
    for each in json.loads(engine.ok("inspect", *names)) if names else []:
        state = each["State"]
        if state["Status"] == "running":
            done = engine("exec", each["Id"], "true")
            assert done.code == 0 or engine.state(each["Id"])["Status"] != "running", done
        elif state["Status"] == "exited" and words[0] == "run":
            assert state["ExitCode"] in (3, 0, 137, 255), state
        engine.ok("logs", each["Id"])
    if names:
        engine.ok("rm", "-f", "-v", *names)
    if engine.volumes():
        engine.ok("volume", "prune", "-af")
    assert engine.volumes() == []
    engine.ok("run", "--rm", "--name", "web", "plain", "true")
    wait_until(lambda: not leftovers.found(engine), "an engine without leftovers")
