"""Verifying what is stored, and repairing it: every blob against its digest, every snapshot's place in its chain.

Safe at any time, from any number of processes, alongside pulls and sweeps. What comes or goes meanwhile is no problem.

The content of a snapshot cannot be verified: it has no digest. What is verified is that its record can be read,
that what it is made upon is there, and that its tree can be mounted. Repairing takes away what is damaged, so that the next
pull or load brings it again; it never takes away a container's own files.
"""

from __future__ import annotations

import os
import stat
import time

from orlop import json_text
from orlop.storage import check_blobs, check_snapshots, collect, ingest
from orlop.storage.blobs import LAYOUT
from orlop.storage.problem import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orlop.storage.blobs import Blobs
    from orlop.storage.problem import Needed
    from orlop.storage.store import Storage


def check(
    storage: Storage,
    needed: Needed,
    *,
    repair: bool = False,
    verified: Callable[[str, int], None] | None = None,
) -> list[Problem]:
    """Look for what is damaged, missing or left over; with ``repair`` put right what can be.

    Args:
        storage: what to look at.
        needed: what has to be there.
        repair: remove what is damaged or left over, and write anew what can be.
        verified: told of each blob that was read: its digest and size.

    Raises:
        OSError: something cannot be looked at, or not be repaired.
    """
    if not os.path.isdir(storage.blobs.directory):
        return []  # never used
    return [
        *_directories(storage, repair=repair),
        *_layout(storage.blobs, repair=repair),
        *check_blobs.strays(storage.blobs, repair=repair),
        *check_blobs.verify(storage.blobs, needed.blobs, verified, repair=repair),
        *check_snapshots.verify(storage, needed.snapshots, repair=repair),
        *_leftovers(storage, repair=repair),
    ]


def _directories(storage: Storage, *, repair: bool) -> Iterator[Problem]:
    """Directories that others can enter: a layer may hold a setuid program (CVE-2021-41091)."""
    for name in ("images", "snapshots", "leases"):
        path = f"{storage.directory}/{name}"
        try:
            mode = stat.S_IMODE(os.stat(path).st_mode)
        except FileNotFoundError:
            continue
        if mode & 0o077:
            if repair:
                os.chmod(path, 0o700)
            what = f"can be entered by other users (mode {mode:03o})"
            yield Problem.of(f"directory {name}", path, what, "closed to them", repaired=repair)


def _layout(blobs: Blobs, *, repair: bool) -> Iterator[Problem]:
    path = f"{blobs.directory}/oci-layout"
    try:
        with open(path, "rb") as file:
            if json_text.loads(file.read(4096)) == json_text.loads(LAYOUT):
                return
        what = "is damaged"
    except FileNotFoundError:
        what = "is missing"
    except ValueError:
        what = "is damaged"
    if repair:
        blobs.prepare()
        blobs.write_layout()
    yield Problem.of("file oci-layout", path, what, "written anew", repaired=repair)


def _leftovers(storage: Storage, *, repair: bool) -> Iterator[Problem]:
    """What killed processes left, which the next sweep would take as well."""
    blobs = storage.blobs
    before = time.time() - collect.KEEP_INGESTS
    for path in ingest.abandoned(blobs, before):
        what = "was left unfinished"
        yield Problem.of(f"download {os.path.basename(path)}", path, what, "removed", repaired=repair)
    try:
        count = len(os.listdir(blobs.trash))
    except FileNotFoundError:
        count = 0
    if count:
        what = f"still holds what was removed ({count} files)"
        yield Problem.of("directory trash", blobs.trash, what, "emptied", repaired=repair)
    if repair:
        ingest.sweep(blobs, before)
        blobs.empty_trash()
        storage.snapshots.cleanup()
