"""Where a container's output is recorded: the log drivers, their options, and what each record says beside the text.

``json-file`` and ``local`` write files from the monitor itself. ``syslog`` and ``journald`` have a process of their own
(`log_process`), as does every driver with ``mode=non-blocking``; what they send is also kept in a small local log, so that
``orlop logs`` can show it, unless ``cache-disabled`` is set. ``none`` forgets everything.
"""

from __future__ import annotations

import os

from orlop import json_text
from orlop.errors import InvalidArgument, Unsupported
from orlop.options import boolean, natural, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

JSON_FILE = "json-file"
LOCAL = "local"
NONE = "none"
SYSLOG = "syslog"
JOURNALD = "journald"

JOURNAL = "/run/systemd/journal/socket"
SYSLOG_SOCKETS = ("/dev/log", "/run/syslog", "/run/log")

#: Characters of an id where a short one is meant.
_SHORT = 12


def _any(text: str) -> str:
    return text


def _count(text: str) -> int:
    number = natural(text)
    if number == 0:
        raise ValueError("must be at least 1")
    return number


def _mode(text: str) -> str:
    if text not in ("blocking", "non-blocking"):
        raise ValueError("must be blocking or non-blocking")
    return text


def _pattern(text: str) -> str:
    import re

    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return text


def _tag(text: str) -> str:
    expand(text, dict.fromkeys(_TAG_FIELDS, ""))
    return text


def _facility(text: str) -> str:
    from orlop.engine import log_syslog

    log_syslog.facility(text)
    return text


def _address(text: str) -> str:
    from orlop.engine import log_syslog

    log_syslog.address(text)
    return text


def _format(text: str) -> str:
    from orlop.engine import log_syslog

    if text not in log_syslog.FORMATS:
        raise ValueError(f"must be one of {', '.join(log_syslog.FORMATS)}")
    return text


_Readers = dict[str, "Callable[[str], object]"]
_ROTATION: _Readers = {"max-size": size, "max-file": _count, "compress": boolean}
_EXTRA: _Readers = {"labels": _any, "labels-regex": _pattern, "env": _any, "env-regex": _pattern, "tag": _tag}
_CACHE: _Readers = {
    "cache-disabled": boolean, "cache-max-size": size, "cache-max-file": _count, "cache-compress": boolean,
}  # fmt: skip
_MODE: _Readers = {"mode": _mode, "max-buffer-size": size}

#: The drivers, and how each of their options is read.
DRIVERS: dict[str, _Readers] = {
    JSON_FILE: {**_ROTATION, **_EXTRA, **_MODE},
    LOCAL: {**_ROTATION, **_MODE},
    NONE: {},
    SYSLOG: {
        "syslog-address": _address, "syslog-facility": _facility, "syslog-format": _format,
        "syslog-tls-ca-cert": _any, "syslog-tls-cert": _any, "syslog-tls-key": _any, "syslog-tls-skip-verify": boolean,
        **_EXTRA, **_CACHE, **_MODE,
    },
    JOURNALD: {**_EXTRA, **_CACHE, **_MODE},
}  # fmt: skip

#: What a tag may name.
_TAG_FIELDS = (
    "ID", "FullID", "Name", "ImageID", "ImageFullID", "ImageName", "DaemonName", "Command", "Hostname",
)  # fmt: skip


def check(driver: str, options: Mapping[str, str]) -> None:
    """Whether a container can have this log here.

    Raises:
        InvalidArgument: there is no such driver, it has no such option, or a value cannot be right.
        Unsupported: this machine lacks what the driver needs.
    """
    readers = DRIVERS.get(driver)
    if readers is None:
        raise InvalidArgument(f"unknown log driver {driver!r}: use one of {', '.join(DRIVERS)}")
    for key, value in options.items():
        if key not in readers:
            known = ", ".join(readers) or "none"
            raise InvalidArgument(f"unknown log opt '{key}' for the {driver} log driver, whose options are: {known}")
        try:
            readers[key](value)
        except ValueError as error:
            raise InvalidArgument(f"invalid log opt {key}={value}: {error}") from None
    if "max-buffer-size" in options and options.get("mode") != "non-blocking":
        raise InvalidArgument("the log opt max-buffer-size is only for mode=non-blocking")
    if boolean(options.get("compress", "false")) and options.get("max-file") == "1":
        raise InvalidArgument("the log opt compress needs a max-file of at least 2: the newest file is not compressed")
    if driver == JOURNALD and not os.path.exists(JOURNAL):
        raise Unsupported(
            f"the journald log driver needs systemd's journal, and there is no {JOURNAL}: use json-file or local"
        )
    if driver == SYSLOG and "syslog-address" not in options and local_syslog() is None:
        raise Unsupported(
            "the syslog log driver needs a syslog daemon, and there is no /dev/log: name one with --log-opt syslog-address"
        )


def local_syslog() -> str | None:
    """The socket of this machine's syslog daemon."""
    return next((path for path in SYSLOG_SOCKETS if os.path.exists(path)), None)


def request(record: dict[str, Any]) -> dict[str, Any]:
    """What a monitor needs to know of a container's log, from the container's record.

    ``Type`` and ``Config`` are as there; ``Attributes`` what each record says beside; ``Tag`` and ``About`` are for logs
    that others keep.
    """
    config = record["HostConfig"]["LogConfig"]
    options = config["Config"]
    found: dict[str, Any] = {"Type": config["Type"], "Config": options}
    attributes = _attributes(record["Config"], options)
    about = {
        "ID": record["Id"][:_SHORT],
        "FullID": record["Id"],
        "Name": record["Name"],
        "ImageID": str(record["Image"]).removeprefix("sha256:")[:_SHORT],
        "ImageFullID": record["Image"],
        "ImageName": record["Config"]["Image"],
        "DaemonName": "orlop",
        "Command": " ".join([record["Path"], *record["Args"]]),
        "Hostname": record["Config"]["Hostname"],
    }
    if config["Type"] in (SYSLOG, JOURNALD):
        found["Tag"] = expand(options.get("tag") or "{{.ID}}", about)
        found["About"] = about
    elif options.get("tag"):
        attributes["tag"] = expand(options["tag"], about)
    if attributes:
        found["Attributes"] = attributes
    return found


def _attributes(config: dict[str, Any], options: Mapping[str, str]) -> dict[str, str]:
    """The labels and variables that a container's log options ask for."""
    labels = dict(config.get("Labels") or {})
    variables = dict(text.split("=", 1) for text in config.get("Env") or () if "=" in text)
    found: dict[str, str] = {}
    for key, values in (("labels", labels), ("env", variables)):
        if key in options:
            found.update({name: values[name] for name in options[key].split(",") if name in values})
        if f"{key}-regex" in options:
            import re

            pattern = re.compile(options[f"{key}-regex"])
            found.update({name: value for name, value in values.items() if pattern.search(name)})
    return found


def expand(tag: str, about: Mapping[str, str]) -> str:
    """A tag such as ``{{.Name}}/{{.ID}}`` with its fields filled in.

    Raises:
        ValueError: it names something else.
    """
    made = []
    rest = tag
    while True:
        before, opening, rest = rest.partition("{{")
        made.append(before)
        if not opening:
            return "".join(made)
        field, closing, rest = rest.partition("}}")
        name = field.strip()
        if not closing or not name.startswith(".") or name[1:] not in about:
            fields = ", ".join(f"{{{{.{each}}}}}" for each in about)
            raise ValueError(f"can only have the fields {fields}")
        made.append(about[name[1:]])


def local_path(directory: str) -> str:
    """The newest file of a container's local log, below the container's ``directory``."""
    return f"{directory}/local-logs/container.log"


def is_plain(log: Mapping[str, Any]) -> bool:
    """Whether the monitor writes this log to a json-file by itself."""
    return bool(log["Type"] == JSON_FILE and log["Config"].get("mode") != "non-blocking")


def writer(directory: str, path: str, log: dict[str, Any]) -> Any:
    """The writer, a `pump.Log`, of a log that is not plain, in this process."""
    from orlop.engine import log_process

    driver, options = log["Type"], log["Config"]
    if driver == NONE:
        return log_process.NoLog()
    if driver == LOCAL and options.get("mode") != "non-blocking":
        from orlop.engine.log_local import LocalLog

        return LocalLog(local_path(directory), options)
    return log_process.ProcessLog(lambda: sink(directory, path, log), options)


def sink(directory: str, path: str, log: dict[str, Any]) -> list[Any]:
    """The writers of a log in a process of its own."""
    from orlop.engine.log_local import LocalLog

    driver, options = log["Type"], log["Config"]
    attributes = log.get("Attributes") or {}
    if driver == JSON_FILE:
        from orlop.engine.log_file import LogFile, open_log

        return [LogFile(open_log(path), lambda: (path, options, dump(attributes)))]
    if driver == LOCAL:
        return [LocalLog(local_path(directory), options)]
    made: list[Any] = []
    if not boolean(options.get("cache-disabled", "false")):
        cache = {key.removeprefix("cache-"): value for key, value in options.items() if key.startswith("cache-")}
        made.append(LocalLog(local_path(directory), cache))
    if driver == SYSLOG:
        from orlop.engine.log_syslog import Syslog

        made.append(Syslog(options, log["Tag"], attributes))
    else:
        from orlop.engine.log_journal import Journal

        made.append(Journal(JOURNAL, log["Tag"], log["About"], attributes))
    return made


def dump(attributes: Mapping[str, str]) -> str:
    """What each record of a json-file says beside: a JSON object, or nothing."""
    return json_text.dumps({name: attributes[name] for name in sorted(attributes)}) if attributes else ""
