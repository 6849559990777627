"""Whoever makes or removes a container of an image may be killed between any two steps: the next command clears up.

The steps are the file system's: each time the interpreter opens, makes, renames or removes something, one process is
killed there. Then an engine that is asked anything must have nothing left of the container, or all of it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import REPOSITORY
from tests.integration.engine.conftest import wait_until
from tests.integration.engine.image_maker import make

if TYPE_CHECKING:
    from tests.integration.engine.conftest import Engine

_VOLUMES = {"Cmd": ["true"], "Env": ["PATH=/bin"], "Volumes": {"/data": {}, "/other": {}}, "User": "web"}

_SCRIPT = """
import json, os, signal, sys
sys.path.insert(0, sys.argv[1])
from orlop.engine import container, create, image_root, own_namespace, removal, repair, volumes
from orlop.engine.location import Location
from orlop.engine.settings import Settings
from orlop.images import config, platform, reference
from orlop.runtime import copy_up
from orlop.storage import leases, mounts, trees
stride = int(sys.argv[4])
location = Location(sys.argv[2], sys.argv[3], rootless=os.geteuid() != 0)
WORDS = ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.symlink", "os.chmod", "os.chown", "os.truncate")

def make():
    settings = Settings(image="steps")
    settings.name = "steps"
    made = create.create(location, settings)
    os.close(made.lock)
    return made.container

def die_at(step, action):
    # The pid of a child that was killed, or 0 if the action was over before that step.
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return os.WIFSIGNALED(status)
    left = [step]
    def hook(event, _):
        if event in WORDS:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    try:
        action()
    finally:
        os._exit(0)

def left_over():
    drivers = [f"{location.snapshots}/{each}" for each in os.listdir(location.snapshots)]
    keys = [key for each in drivers if os.path.isdir(each) for key in os.listdir(each) if len(key) == 64]
    there = os.listdir(location.volumes) if os.path.isdir(location.volumes) else []
    return [*os.listdir(location.containers), *keys, *there, *(n for n in os.listdir(location.names) if n[0] != ".")]

def cleared(what, step):
    repair.everything(location)
    if left_over():
        print(what, step, left_over())
        os._exit(1)

def everything_is_there(target):
    return (len(os.listdir(location.volumes)) == 2 and os.path.isdir(target.directory)
            and os.path.isdir(f"{location.snapshots}/overlay/{target.id}"))

def remove(target):
    removal.remove(target, with_volumes=True)

remove(make())
cleared("nothing", 0)
created = removed = 0
while die_at(created, make):
    repair.everything(location)
    for each in container.every_id(location):
        target = container.Container(location, each)
        if not everything_is_there(target):
            print("half made", created, left_over())
            os._exit(1)
        remove(target)
    cleared("create", created)
    created += stride
remove(container.find(location, "steps"))
while True:
    target = make()
    killed = die_at(removed, lambda: remove(target))
    repair.everything(location)
    if os.path.isdir(target.directory):
        if not everything_is_there(target):
            print("half removed", removed, left_over())
            os._exit(1)
        remove(target)
    cleared("remove", removed)
    if not killed:
        break
    removed += stride
print(json.dumps([created, removed]))
"""


def test_a_container_is_whole_or_gone_whenever_its_maker_or_remover_is_killed(owner: Engine) -> None:
    make(owner, "steps:latest", config=_VOLUMES)
    stride = "7" if owner.prefix else "2"  # making namespaces takes its time, and the steps are the same
    words = [str(REPOSITORY / "src"), str(owner.root), str(owner.run_root), stride]
    done = subprocess.run(
        [*owner.prefix, sys.executable, "-c", _SCRIPT, *words], capture_output=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    created, removed = json.loads(done.stdout)
    assert created > 20
    assert removed > 10


@pytest.mark.parametrize("moment", range(0, 40, 4))
def test_a_command_killed_at_any_moment_leaves_no_snapshot(owner: Engine, moment: int) -> None:
    owner.ok("run", "--rm", "plain", "true")
    process = owner.popen("run", "--rm", "--name", "web", "-v", "/data", "plain", "true", stdout=-3, stderr=-3)
    time.sleep(0.001 * moment)
    process.kill()
    process.wait()
    wait_until(
        lambda: owner.ok("ps", "-a", "-q") == "" and not (owner.containers() or owner.snapshots() or owner.volumes())
    )


def test_a_container_with_rm_whose_monitor_was_killed_loses_its_snapshot_and_volumes(owner: Engine) -> None:
    container_id = owner.ok("run", "-d", "--rm", "--name", "web", "-v", "/data", "plain", "sleep", "1000").strip()
    os.kill(owner.monitor(container_id), 9)
    wait_until(lambda: owner.ok("ps", "-a", "-q") == "")
    wait_until(lambda: not (owner.containers() or owner.snapshots() or owner.volumes()), "the end of clearing away")


def test_a_snapshot_whose_container_was_removed_by_hand_goes(owner: Engine) -> None:
    container_id = owner.ok("run", "-d", "--name", "web", "plain", "true").strip()
    wait_until(lambda: owner.state("web")["Status"] == "exited" and not owner.runtime_state())
    assert owner.snapshots() == [container_id]
    shutil.rmtree(owner.root / "containers" / container_id)
    owner.ok("ps")
    assert owner.snapshots() == []


def test_an_image_that_is_removed_while_containers_are_made_of_it_breaks_none(owner: Engine) -> None:
    """Each run has the image whole, or is told that there is none."""
    config = {"Cmd": ["cat", "/data/kept"], "Env": ["PATH=/bin"], "Labels": {"its": "own"}}
    for _ in range(3):
        make(owner, "vanishing:latest", config=config)
        runs = [owner.popen("run", "--rm", "--pull", "never", "vanishing", stdout=-1, stderr=-1) for _ in range(4)]
        removal = owner("rmi", "-f", "vanishing")
        for each in runs:
            out, err = each.communicate(timeout=60)
            assert (each.returncode, out) == (0, b"kept") or b"No such image" in err or b"not whole" in err, (out, err)
        if removal.code:
            assert "running container" in removal.err
            owner.ok("rmi", "-f", "vanishing")
    wait_until(lambda: not (owner.containers() or owner.snapshots()), "the end of clearing away")
