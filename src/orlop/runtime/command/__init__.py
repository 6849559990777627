"""`orlop-runtime`: an OCI runtime with runc's command line, for engines and for people.

Each command is a module of this package with two names: ``PARSER``, the table of its options, and
``execute``, a few lines over the verb in `orlop.runtime`. Only the module of the command that is called is
imported. Exit codes are runc's: 0, 1 for a failure, 255 if ``exec`` could not start its process, and the
process's own status from ``run`` and ``exec``.
"""

from __future__ import annotations

import os

from orlop import __version__
from orlop.errors import InvalidArgument, OrlopError, Unsupported
from orlop.options import Option, Parser, boolean, one_of
from orlop.runtime.command.invocation import Invocation
from orlop.runtime.command.log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from orlop.options import Parsed

    class Command(Protocol):
        """What each module of this package provides."""

        PARSER: Parser

        def execute(self, said: Parsed, invocation: Invocation, /) -> int:
            """Do what was said and return the exit code."""


#: The newest version of the runtime specification that is implemented.
SPEC_VERSION = "1.3.0"

COMMANDS = (
    ("create", "Create a container that waits for its start"),
    ("delete", "Delete a container and what it holds"),
    ("events", "Print a container's statistics and out-of-memory events"),
    ("exec", "Run another process in a container"),
    ("features", "Print what this runtime can do on this kernel, as JSON"),
    ("kill", "Send a signal to a container"),
    ("list", "List the containers below the state root"),
    ("pause", "Stop all processes of a container where they are"),
    ("ps", "List the processes of a container"),
    ("resume", "Let the processes of a paused container go on"),
    ("run", "Create and start a container, and wait for its end"),
    ("spec", "Write a configuration to start from"),
    ("start", "Start a created container"),
    ("state", "Print the state of a container, as JSON"),
    ("update", "Change the limits of a container"),
)
_NAMES = frozenset(name for name, _ in COMMANDS)

_EXEC_FAILED = 255
_INTERRUPTED = 130


def _rootless(word: str) -> bool | None:
    return None if word == "auto" else boolean(word)


PARSER = Parser(
    "orlop-runtime",
    "COMMAND [ARG...]",
    "Run containers from OCI bundles",
    (
        Option("--debug", "Log details, and warnings as they come"),
        Option("--log", "Add log lines to this file (default standard error)", value="file"),
        Option("--log-format", "Form of the log: text or json", value="form", default="text"),
        Option("--root", "Keep state here (default /run/orlop-runtime)", value="dir"),
        Option(
            "--rootless", "Put up with missing rights to cgroups: true, false or auto", value="when", read=_rootless
        ),
        Option("--systemd-cgroup", "Let systemd make the cgroups"),
        Option(
            "--cgroup-manager",
            "Who makes the cgroups: cgroupfs or systemd",
            value="name",
            read=one_of("cgroupfs", "systemd"),
            default="cgroupfs",
        ),
        Option("--no-pivot", "As the option of create and run", hidden=True),
        Option("--criu", "Accepted for runc's sake and not used", value="path", hidden=True),
        Option("-v, -V, --version", "Print the version"),
    ),
    intermixed=False,
    single_dash=True,
    sections=(("Commands", COMMANDS),),
)


def main(argv: Sequence[str]) -> int:
    """Do what the command line says and return the exit code; errors are logged, not raised."""
    log = Log()
    name = ""
    failed = 1
    try:
        said = PARSER.parse(argv)
        log = _open_log(said)
        name = said.arguments[0] if said.arguments else "help"
        if said["version"]:
            Invocation.write(_version())
            return 0
        if said.wants_help or name in ("help", "h"):
            return _help(said.arguments[1:])
        command = _load(name)
        words = command.PARSER.parse(said.arguments[1:])
        if words.wants_help:
            Invocation.write(command.PARSER.help())
            return 0
        failed = _EXEC_FAILED if name == "exec" else 1
        invocation = Invocation(said, log)
        log.detail(f"orlop-runtime {__version__}: {name} {' '.join(words.arguments)} below {invocation.root}")
        status = command.execute(words, invocation)
    except OrlopError as error:
        log.failure(_prefixed(name, str(error)))
        return failed
    except OSError as error:
        log.failure(_prefixed(name, _describe(error)))
        return failed
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:
        # A defect of ours: an engine waits for its line in the log all the same.
        log.failure(_prefixed(name, f"internal error: {type(error).__name__}: {error}"))
        if log.debugging:
            raise
        return failed
    log.close()
    return status


def _open_log(said: Parsed) -> Log:
    path = (said["log"] or "").removeprefix("file:")  # crun's form; a file of such a name is ./file:name
    return Log("" if path == "/dev/stderr" else path, said["log-format"], debugging=said["debug"])


def _load(name: str) -> Command:
    if name in _NAMES:
        package = __import__(f"orlop.runtime.command.{name}", fromlist=("PARSER",))
        command: Command = package
        return command
    if name in ("checkpoint", "restore"):
        raise Unsupported(f"{name} is not supported: orlop-runtime cannot checkpoint containers")
    raise PARSER.mistake(f"unknown command: {name}")


def _help(arguments: Sequence[str]) -> int:
    if arguments and arguments[0] not in _NAMES:
        raise InvalidArgument(f"unknown command: {arguments[0]}; see 'orlop-runtime --help'")
    Invocation.write((_load(arguments[0]).PARSER if arguments else PARSER).help())
    return 0


def _version() -> str:
    """The lines that dockerd and podman parse; the commit is the release's tag."""
    return f"orlop-runtime version {__version__}\ncommit: v{__version__}\nspec: {SPEC_VERSION}\n"


def _prefixed(name: str, message: str) -> str:
    """Say in front which command failed where engines show only the message, as runc does."""
    if name == "exec":
        return f"exec failed: {message}"
    return f"orlop-runtime {name} failed: {message}" if name in ("create", "run") else message


def _describe(error: OSError) -> str:
    """``write /sys/…: permission denied`` from an error of the kernel that nobody had better words for."""
    reason = error.strerror or str(error)
    if isinstance(error.filename, (str, bytes)):
        return f"{os.fsdecode(error.filename)}: {reason[:1].lower()}{reason[1:]}"
    return reason[:1].lower() + reason[1:]
