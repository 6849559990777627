from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from orlop.errors import InvalidArgument
from orlop.storage.leases import Leases

if TYPE_CHECKING:
    from pathlib import Path

    from orlop.storage.leases import Held

ONE = "sha256:" + "1" * 64
TWO = "sha256:" + "2" * 64


@pytest.fixture
def leases(tmp_path: Path) -> Leases:
    """The leases of a store that was never used."""
    return Leases(str(tmp_path / "leases"))


def held_now(leases: Leases) -> Held:
    with leases.lock():
        return leases.held()


def files(leases: Leases) -> list[str]:
    return [name for name in os.listdir(leases.directory) if name != "lock"]


def test_what_a_lease_holds_is_held_until_it_ends(leases: Leases) -> None:
    with leases.take() as lease:
        lease.hold(ONE)
        lease.hold(TWO)
        lease.hold_snapshot("some-container", ONE)
        held = held_now(leases)
        assert held.blobs == {ONE, TWO}
        assert held.snapshots == {"some-container", ONE}
    held = held_now(leases)
    assert held.blobs == held.snapshots == held.leases == set()
    assert files(leases) == []


def test_a_lease_that_holds_nothing_costs_nothing(leases: Leases) -> None:
    with leases.take() as lease:
        lease.hold()
        lease.hold_snapshot()
    assert not os.path.exists(leases.directory)


def test_only_the_owner_looks_into_leases(leases: Leases) -> None:
    with leases.take() as lease:
        lease.hold(ONE)
        assert os.stat(leases.directory).st_mode & 0o777 == 0o700


def test_several_leases_are_held_at_the_same_time(leases: Leases) -> None:
    with leases.take() as first:
        first.hold(ONE)
        with leases.take() as second:
            second.hold(TWO)
            assert held_now(leases).blobs == {ONE, TWO}
        assert held_now(leases).blobs == {ONE}


def test_ending_twice_is_all_right_and_using_it_after_that_is_not(leases: Leases) -> None:
    lease = leases.take()
    lease.hold(ONE)
    lease.release()
    lease.release()
    with pytest.raises(ValueError, match="the lease is over"):
        lease.hold(TWO)
    assert files(leases) == []


@pytest.mark.parametrize("digest", ["", "sha256:x", f"{ONE}\nblob {TWO}", "../x"])
def test_what_is_no_digest_cannot_be_held(leases: Leases, digest: str) -> None:
    with leases.take() as lease, pytest.raises(InvalidArgument, match="invalid digest"):
        lease.hold(digest)


@pytest.mark.parametrize("name", ["", "a\nblob b"])
def test_what_can_be_no_name_of_a_snapshot_cannot_be_held(leases: Leases, name: str) -> None:
    with leases.take() as lease, pytest.raises(InvalidArgument, match="invalid name of a snapshot"):
        lease.hold_snapshot("fine", name)


def test_any_other_name_is_held_as_it_is(leases: Leases) -> None:
    names = {"a b", "blob x", "é", "\udcff", "a\u2028b", "a\rb", " "}
    with leases.take() as lease:
        lease.hold_snapshot(*names)
        held = held_now(leases)
        assert held.snapshots == names
        assert held.blobs == set()


def test_the_lease_of_a_killed_process_is_over(leases: Leases) -> None:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        lease = leases.take()
        lease.hold(ONE)
        key = lease.temporary_key()
        os.write(write_end, key.encode())
        signal.pause()
    key = os.read(read_end, 100).decode()
    held = held_now(leases)
    assert held.blobs == {ONE}
    assert not held.abandoned(key)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(read_end)
    os.close(write_end)
    held = held_now(leases)
    assert held.blobs == set()
    assert held.abandoned(key)
    assert files(leases) == []


def test_a_child_that_outlives_the_operation_does_not_prolong_its_lease(leases: Leases) -> None:
    read_end, write_end = os.pipe()
    with leases.take() as lease:
        lease.hold(ONE)
        child = os.fork()
        if child == 0:
            os.close(write_end)
            os.read(read_end, 1)
            os._exit(0)
    try:
        assert held_now(leases).blobs == set()
    finally:
        os.close(write_end)
        os.close(read_end)
        os.waitpid(child, 0)


def test_a_child_that_leaves_the_context_does_not_end_its_parents_lease(leases: Leases) -> None:
    with leases.take() as lease:
        lease.hold(ONE)
        child = os.fork()
        if child == 0:
            lease.release()
            os._exit(0)
        os.waitpid(child, 0)
        assert held_now(leases).blobs == {ONE}
    assert files(leases) == []


def test_temporary_keys_are_unique_and_belong_to_their_lease(leases: Leases) -> None:
    with leases.take() as first, leases.take() as second:
        keys = {lease.temporary_key() for lease in (first, second) for _ in range(3)}
        assert len(keys) == 6
        held = held_now(leases)
        assert not any(held.abandoned(key) for key in keys)
        second.release()
        held = held_now(leases)
        assert sum(held.abandoned(key) for key in keys) == 3
    assert not held.abandoned("a-container")
    assert not held.abandoned("f" * 64)


def test_threads_share_one_lease(leases: Leases) -> None:
    digests = [f"sha256:{number:064x}" for number in range(100)]
    with leases.take() as lease:
        threads = [threading.Thread(target=lease.hold, args=digests[start::10]) for start in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(files(leases)) == 1
        assert held_now(leases).blobs == set(digests)


def test_nothing_can_be_held_while_the_lock_is_had(leases: Leases) -> None:
    done = threading.Event()

    def hold() -> None:
        with leases.take() as lease:
            lease.hold(ONE)
            done.set()

    thread = threading.Thread(target=hold)
    with leases.lock():
        thread.start()
        assert not done.wait(0.05)
    assert done.wait(30)
    thread.join()


def test_a_line_that_was_not_finished_holds_nothing_else_up(leases: Leases) -> None:
    with leases.take() as lease:
        lease.hold(ONE)
        with open(f"{leases.directory}/{files(leases)[0]}", "ab") as file:
            file.write(b"blob sha256:22\nunknown line\n\xff\nsnaps")
        assert ONE in held_now(leases).blobs
