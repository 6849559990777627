"""Sweeps in a loop, beside many processes that add images and are killed at it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from orlop.storage import collect
from orlop.storage.collect import Marked
from orlop.storage.store import Storage

SOURCE = Path(__file__).parents[3] / "src"
ROUNDS = 80

#: What all of these processes know: an image is some blobs and a chain of snapshots, shared with other images; a file in
#: ``references`` names them, and appears by one rename.
PRELUDE = f"""
import hashlib, os, random, sys
sys.path.insert(0, {str(SOURCE)!r})
from orlop.errors import Conflict, NotFound
from orlop.storage import collect
from orlop.storage.store import Storage

root = sys.argv[1]
storage = Storage(root, rootless=False, driver="overlay")
references = root + "/references"

def content(number):
    return b"%d " % number * 3000

def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()

def marked():
    found = collect.Marked()
    for name in os.listdir(references):
        if name.startswith("."):
            continue
        try:
            with open(references + "/" + name) as file:
                blobs, snapshots = file.read().split("\\n")
        except FileNotFoundError:
            continue
        found.blobs.update(blobs.split())
        found.snapshots.update(snapshots.split())
    return found
"""

ADD = """
number = int(sys.argv[2])
rounds = int(sys.argv[3])
chance = random.Random(number)

def fetch(data, lease):
    ingest = storage.blobs.ingest(digest(data), len(data))
    if ingest is not None:
        with ingest:
            for start in range(ingest.offset, len(data), 4096):
                ingest.write(data[start : start + 4096])
            ingest.commit()

def unpack(name, parent, lease):
    if storage.snapshots.has(name):
        return
    key = lease.temporary_key()
    storage.snapshots.prepare(key, parent)
    try:
        storage.snapshots.commit(name, key)
    except Conflict:
        storage.snapshots.remove(key)

def look(blobs, chain):
    for data in blobs:
        assert storage.blobs.read(digest(data)) == data
    for name in chain:
        assert storage.snapshots.has(name), name

for turn in range(rounds):
    blobs = [content(chance.randrange(12)) for _ in range(3)]
    blobs.append(b"manifest of %d %d" % (number, turn))
    length = chance.randrange(1, 5)
    chain = [digest(b"layer %d" % level) for level in range(length)]
    reference = "%s/%d" % (references, number)
    with storage.leases.take() as lease:
        lease.hold(*map(digest, blobs[:3]))
        lease.hold_snapshot(*chain)
        for data in blobs[:3]:
            if not storage.blobs.has(digest(data)):
                fetch(data, lease)
        if chance.random() < 0.5:
            storage.blobs.write(blobs[3], lease)
        else:
            with storage.blobs.writer() as writer:
                writer.write(blobs[3])
                writer.commit(lease)
        for name, parent in zip(chain, ["", *chain]):
            unpack(name, parent, lease)
        look(blobs, chain)
        with open("%s/.%d" % (references, number), "w") as file:
            file.write(" ".join(map(digest, blobs)) + "\\n" + chain[-1])
        os.rename("%s/.%d" % (references, number), reference)
        print("published", flush=True)
    look(blobs, chain)
    if chance.random() < 0.3:
        # A container from the image, which the image then is removed under.
        key = "container-%d" % number
        storage.snapshots.prepare(key, chain[-1])
        os.unlink(reference)
        look([], chain)
        storage.snapshots.remove(key)
    else:
        look(blobs, chain)
        os.unlink(reference)
print("added", flush=True)
"""

SWEEP = """
print("sweeping", flush=True)
swept = 0
while not os.path.exists(root + "/stop"):
    swept += len(collect.sweep(storage, marked, everything=True).blobs)
print(swept, flush=True)
"""

CHECK = """
from orlop.storage.check import check
from orlop.storage.problem import Needed

while not os.path.exists(root + "/stop"):
    for problem in check(storage, Needed({}, {}), repair=True):
        if "trash" not in str(problem):  # another's sweep is at it
            print(problem, flush=True)
"""


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", PRELUDE + code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def complaints(adder: subprocess.Popen[str]) -> str:
    """What an adder says at its end besides how far it came."""
    said = adder.communicate(timeout=120)[0].replace("published\n", "")
    return said.removesuffix("added\n") if said.endswith("added\n") else f"did not get to its end: {said}"


def prepared(tmp_path: Path) -> Storage:
    storage = Storage(str(tmp_path / "root"), rootless=False, driver="overlay")
    storage.prepare()
    assert list(storage.snapshots.walk()) == []
    (tmp_path / "root" / "references").mkdir()
    return storage


def assert_empty(storage: Storage) -> None:
    assert list(storage.blobs.walk()) == []
    assert list(storage.snapshots.walk()) == []
    assert os.listdir(storage.blobs.ingests) == []
    assert os.listdir(storage.blobs.trash) == []
    assert os.listdir(storage.leases.directory) == ["lock"]


def test_sweeps_never_take_what_is_held_or_referred_to(tmp_path: Path) -> None:
    storage = prepared(tmp_path)
    sweepers = [python(SWEEP, storage.directory) for _ in range(2)]
    adders = [python(ADD, storage.directory, str(number), str(ROUNDS)) for number in range(4)]
    try:
        assert [complaints(adder) for adder in adders] == [""] * 4
    finally:
        (tmp_path / "root" / "stop").touch()
        swept = [sweeper.communicate(timeout=60)[0] for sweeper in sweepers]
    assert all(text.startswith("sweeping\n") and text[9:].strip().isdecimal() for text in swept), swept
    assert sum(int(text[9:]) for text in swept) > 50, "the sweeps took nothing: this shows nothing"
    collect.sweep(storage, Marked, everything=True)
    assert_empty(storage)


def test_checks_beside_pulls_and_sweeps_find_nothing_wrong_and_do_no_harm(tmp_path: Path) -> None:
    storage = prepared(tmp_path)
    others = [python(CHECK, storage.directory), python(SWEEP, storage.directory)]
    adders = [python(ADD, storage.directory, str(number), str(ROUNDS)) for number in range(2)]
    try:
        assert [complaints(adder) for adder in adders] == [""] * 2
    finally:
        (tmp_path / "root" / "stop").touch()
        found, _ = [other.communicate(timeout=60)[0] for other in others]
    assert found == ""


def test_what_killed_processes_held_and_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    storage = prepared(tmp_path)
    sweepers = [python(SWEEP, storage.directory) for _ in range(2)]
    steady = python(ADD, storage.directory, "0", str(ROUNDS))
    try:
        for number in range(1, 9):
            adder = python(ADD, storage.directory, str(number), "1000")
            assert adder.stdout is not None
            for _ in range(number):
                assert adder.stdout.readline() == "published\n"
            adder.kill()
            output = adder.communicate()[0]
            assert "Error" not in output, output
            if number == 4:
                sweepers[0].kill()
                sweepers[0].communicate()
        assert complaints(steady) == ""
    finally:
        (tmp_path / "root" / "stop").touch()
        swept = sweepers[1].communicate(timeout=60)[0]
        if steady.poll() is None:
            steady.kill()
            steady.communicate()
    assert swept.startswith("sweeping\n"), swept
    assert swept[9:].strip().isdecimal(), swept
    for info in list(storage.snapshots.walk()):
        if info.name.startswith("container-"):  # a container's record would say that it is there
            storage.snapshots.remove(info.name)
    collect.sweep(storage, Marked, everything=True)
    assert_empty(storage)
