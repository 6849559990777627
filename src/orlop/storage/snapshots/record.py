"""The records of snapshots kept as directories: small JSON files, replaced by rename.

``record.json`` says what a snapshot is: the ``kind`` that it was prepared as, its ``parent`` and all ancestors (``layers``),
and when it was ``created``. A provisional snapshot (`orlop.storage.snapshots.interface`) has the ``boot`` of the kernel
under which it was committed; when it was written out that is replaced by ``confirmed``. So what says that the files are on the
disk is written after they are, and nothing depends on the order in which a file system writes: a record that was lost with
the power, or is an older one, or empty, means that the snapshot is not there.
"""

from __future__ import annotations

import os

from orlop import json_text
from orlop.errors import OrlopError
from orlop.storage import digest
from orlop.storage.snapshots import interface
from orlop.storage.snapshots.interface import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RECORD_FILE = "record.json"
USAGE_FILE = "usage.json"

_BOOT = "boot"
_CONFIRMED = "confirmed"
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


def kind(name: str, record: dict[str, Any]) -> str:
    """What a snapshot is now: committed if its name is a digest."""
    return interface.COMMITTED if digest.is_digest(name) else record["kind"]


def boot_id() -> str:
    """What the running kernel calls the time since it was started (random(4)).

    Raises:
        OSError: /proc is not there.
    """
    descriptor = os.open(_BOOT_ID, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 64).decode().strip()
    finally:
        os.close(descriptor)


def make_provisional(record: dict[str, Any]) -> None:
    """Have a record count only as long as this kernel runs."""
    record[_BOOT] = boot_id()


def confirmed(record: dict[str, Any]) -> dict[str, Any]:
    """A record that counts for good."""
    return {**{key: value for key, value in record.items() if key != _BOOT}, _CONFIRMED: True}


def is_provisional(record: dict[str, Any]) -> bool:
    """Whether a record is not confirmed, be it of this boot or of another."""
    return _BOOT in record


def is_confirmed(record: dict[str, Any]) -> bool:
    """Whether a record was confirmed, and with it all that the snapshot is made upon."""
    return _CONFIRMED in record


def is_lost(record: dict[str, Any]) -> bool:
    """Whether a record is one that the machine went down over before the files were known to be on the disk."""
    return _BOOT in record and record[_BOOT] != boot_id()


def read(directory: str) -> dict[str, Any] | None:
    """A snapshot's record; None if there is no such snapshot, or it has only been begun.

    Raises:
        OrlopError: it is damaged, or missing though the snapshot is there.
    """
    path = f"{directory}/{RECORD_FILE}"
    record = _read_object(path)
    if record is None:
        if os.path.basename(directory)[0] == "." or not os.path.lexists(directory):
            return None
        record = _read_object(path)  # it may have been removed, and made anew, between the two looks
        if record is None and os.path.lexists(directory):
            raise OrlopError(f"the record {path} is missing")
    if record is not None and not _is_record(record):
        raise OrlopError(f"the record {path} is damaged: it does not say what a snapshot is")
    return record


def _is_record(value: dict[str, Any]) -> bool:
    parent = value.get("parent")
    layers = value.get("layers")
    return (
        value.get("kind") in (interface.ACTIVE, interface.VIEW)
        and isinstance(value.get("created"), (int, float))
        and isinstance(parent, str)
        and isinstance(layers, list)
        and layers[:1] == ([parent] if parent else [])
        and all(isinstance(layer, str) and digest.is_digest(layer) for layer in layers)
        and isinstance(value.get(_BOOT, ""), str)
    )


def read_usage(path: str) -> Usage | None:
    """What was counted before; None if nothing was, or a crash of the machine left it damaged."""
    try:
        value = _read_object(path)
        return Usage(int(value["bytes"]), int(value["inodes"])) if value is not None else None
    except (OrlopError, KeyError, TypeError, ValueError):
        return None


def _read_object(path: str) -> dict[str, Any] | None:
    try:
        with open(path, "rb", buffering=0) as file:
            text = file.read()
    except FileNotFoundError:
        return None
    try:
        value = json_text.loads(text)
    except ValueError as error:
        raise OrlopError(f"the record {path} is damaged: {error}") from None
    if not isinstance(value, dict):
        raise OrlopError(f"the record {path} is damaged: it is no JSON object")
    return value


def write(path: str, value: dict[str, Any]) -> None:
    """Write a JSON file, or replace it by rename."""
    aside = f"{path}.{os.urandom(6).hex()}"
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            data = json_text.dumps(value).encode()
            while data:
                data = data[os.write(descriptor, data) :]
        finally:
            os.close(descriptor)
        os.rename(aside, path)
    except OSError:
        os.unlink(aside)
        raise
