"""Pulls that are interrupted, killed, or many at once, beside commands that take images away."""

from __future__ import annotations

import gzip
import os
import random
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import wait_until
from tests.integration.engine.image_maker import base, entry, file, layer
from tests.integration.images.commands.archives import docker_archive, image_id, oci_files, small
from tests.integration.images.commands.held_registry import HeldRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.images.commands.conftest import ImageEngine

GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
LARGE = layer(entry("large", data=random.Random(1).randbytes(2_000_000)))
LAYERS = [small("1"), LARGE, small("2")]
STORED = [gzip.compress(each, mtime=0) for each in LAYERS]
FILES = oci_files("app:1", LAYERS, stored=STORED, media_type=GZIP)


@pytest.fixture
def held() -> Iterator[HeldRegistry]:
    """A registry that holds the middle layer back."""
    registry = HeldRegistry(FILES)
    yield registry
    registry.stop()


def start(engine: ImageEngine, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own."""
    return engine.popen(
        *arguments, env=engine.variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def end(process: subprocess.Popen[bytes], seconds: float = 30) -> tuple[int, str]:
    """Wait for a command's end; its status and output. Nothing that it started may be left."""
    out, err = process.communicate(timeout=seconds)
    wait_until(lambda: not is_there(process.pid), "the end of all that the command started")
    return process.returncode, (out + err).decode()


def received(engine: ImageEngine) -> int:
    """The bytes of the largest blob that is being fetched."""
    sizes = [0]
    with os.scandir(engine.root / "images/ingest") as entries:
        for each in entries:
            try:
                sizes.append(each.stat().st_size)
            except FileNotFoundError:
                continue  # it is whole
    return max(sizes)


def is_there(session: int) -> bool:
    try:
        os.killpg(session, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("to_all", [True, False], ids=["all of its processes", "it alone"])
def test_an_interrupted_pull_ends_at_once_and_goes_on_later(
    engine: ImageEngine, held: HeldRegistry, to_all: bool
) -> None:
    process = start(engine, "pull", held.name)
    assert held.holding.wait(30)
    wait_until(lambda: received(engine) > 500_000, "half of the layer")
    if to_all:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    status, said = end(process)
    assert status == 130, said
    assert "Traceback" not in said
    assert engine.images() == []
    assert [each for each in engine.leftovers() if each.startswith(("leases", "locks"))] == []
    engine.is_sound()
    held.released.set()
    engine.ok("pull", "-q", held.name)
    assert held.asked[0] == ""
    assert held.asked[-1].startswith("bytes=")  # what came before was not fetched again
    assert engine.image(held.name)["Id"] == image_id(FILES)
    engine.is_sound()
    engine.ok("rmi", held.name)
    assert engine.leftovers() == []


def test_whoever_waits_for_another_s_pull_can_be_interrupted(engine: ImageEngine, held: HeldRegistry) -> None:
    first = start(engine, "pull", held.name)
    assert held.holding.wait(30)
    second = start(engine, "pull", held.name)
    assert second.stdout is not None
    while b"Waiting" not in second.stdout.readline():
        assert second.poll() is None
    second.send_signal(signal.SIGINT)
    status, said = end(second)
    assert (status, "Traceback" in said) == (130, False)
    held.released.set()
    assert end(first)[0] == 0
    engine.is_sound()


def test_two_that_pull_one_image_fetch_it_once(engine: ImageEngine, held: HeldRegistry) -> None:
    processes = [start(engine, "pull", held.name) for _ in range(2)]
    assert held.holding.wait(30)
    for process in processes:
        assert process.stdout is not None
    wait_until(lambda: len(os.listdir(engine.root / "leases")) == 3, "both pulls")
    held.released.set()
    assert [end(process)[0] for process in processes] == [0, 0]
    assert held.asked == [""]
    engine.is_sound()


def test_whoever_waits_goes_on_when_the_other_is_killed(engine: ImageEngine, held: HeldRegistry) -> None:
    first = start(engine, "pull", held.name)
    assert held.holding.wait(30)
    second = start(engine, "pull", held.name)
    wait_until(lambda: len(os.listdir(engine.root / "leases")) == 3, "both pulls")
    os.killpg(first.pid, signal.SIGKILL)
    end(first)
    held.released.set()
    assert end(second)[0] == 0
    assert engine.image(held.name)["Id"] == image_id(FILES)
    engine.is_sound()


def test_a_run_that_is_interrupted_while_it_pulls_ends_at_once(engine: ImageEngine, held: HeldRegistry) -> None:
    process = start(engine, "run", "--rm", held.name, "true")
    assert held.holding.wait(30)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert b"Traceback" not in err
    assert (engine.images(), engine.names()) == ([], [])


def test_an_interrupted_load_leaves_nothing(engine: ImageEngine) -> None:
    archive = docker_archive("app:1", [small("x" * 200_000), small("y")])
    process = engine.popen("load", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(archive[:-5000])
    process.stdin.flush()
    wait_until(engine.blobs, "the first layer")
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    process.communicate()
    assert engine.leftovers() == []


def test_a_pull_that_is_killed_anywhere_is_followed_by_one_that_succeeds(engine: ImageEngine, place: str) -> None:
    many = [layer(*(file(f"{number}/{each}", f"{number} {each}" * 50) for each in range(50))) for number in range(3)]
    engine.load(docker_archive(f"{place}:1", many))
    engine.ok("push", f"{place}:1")
    engine.ok("rmi", f"{place}:1")
    began = time.monotonic()
    engine.ok("pull", "-q", f"{place}:1")
    duration = time.monotonic() - began
    expected = engine.image(f"{place}:1")["RootFS"]
    engine.ok("rmi", f"{place}:1")
    for number in range(6):
        process = start(engine, "pull", "-q", f"{place}:1")
        try:
            process.wait(duration * (number + random.random()) / 6)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        end(process)
        if number % 3 == 2:
            engine.ok("pull", "-q", f"{place}:1")
            assert engine.image(f"{place}:1")["RootFS"] == expected
            engine.is_sound()
            engine.ok("rmi", f"{place}:1")
            engine.ok("image", "prune", "-f")
            assert [each for each in engine.leftovers() if "/new-" not in each] == []


def test_many_may_pull_while_others_remove(engine: ImageEngine, place: str) -> None:
    shared = [base(), small("shared")]
    names = [f"{place}:{number}" for number in range(3)]
    for number, name in enumerate(names):
        engine.load(docker_archive(name, [*shared, small(str(number)), small("top")]))
    engine.ok("push", "-a", place)
    engine.ok("rmi", *names)
    remover = 'while :; do "$@" image prune -af; "$@" rmi -f "$name"; done'
    program = [engine.program, "--root", str(engine.root), "--run-root", str(engine.run_root)]
    removers = [
        subprocess.Popen(
            ["sh", "-c", remover, "sh", *program],
            env={**engine.variables, "name": name},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for name in names[:1]
    ]
    try:
        for _ in range(3):
            pulls = [start(engine, "pull", "-q", name) for name in [*names, names[0]]]
            for process in pulls:
                status, said = end(process, 60)
                assert status == 0, said
        for number in range(2):
            done = engine("run", "--rm", names[number], "cat", "/a/file")
            # It may be gone again between the pull and the start.
            assert (done.code, done.out) == (0, "top") or (done.code == 125 and "No such image" in done.err), done
        wait_until(lambda: not engine.snapshots(), "the end of clearing away")
    finally:
        for process in removers:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    engine.ok("image", "prune", "-af")
    assert [each for each in engine.leftovers() if "/new-" not in each] == []
    engine.is_sound()
