"""The command line: words in, words out. Each command is a few lines over the engine.

`main` finds the command's module by its name; a module has a ``PARSER`` and ``run(location, said) -> int``.
"""

from __future__ import annotations

import sys

from orlop.errors import InvalidArgument, OrlopError
from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

COMMANDS = (
    ("run", "Create and run a new container"),
    ("exec", "Execute a command in a running container"),
    ("ps", "List containers"),
    ("logs", "Fetch the logs of a container"),
    ("stop", "Stop one or more running containers"),
    ("kill", "Kill one or more running containers"),
    ("rm", "Remove one or more containers"),
    ("inspect", "Return low-level information on containers"),
    ("version", "Show the orlop version"),
)

PARSER = Parser(
    "orlop",
    "COMMAND [ARG...]",
    "A container platform without a daemon",
    (
        Option("--root", "Directory of state that survives a reboot (ORLOP_ROOT)", value="dir"),
        Option("--run-root", "Directory of state that does not (ORLOP_RUN_ROOT)", value="dir"),
        Option("-v, --version", "Print version information and quit"),
    ),
    intermixed=False,
    sections=(("Commands", COMMANDS),),
)


def main(arguments: Sequence[str]) -> int:
    """Run one command line, the program's name not included; returns the exit status."""
    try:
        return _main(arguments)
    except OrlopError as error:
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has had enough; what is still buffered must not be tried again at exit.
        import os

        os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
        return 141
    except OSError as error:
        _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error))
        return 125 if arguments[:1] == ["run"] else 1


def _main(arguments: Sequence[str]) -> int:
    said = PARSER.parse(arguments)
    if said.wants_help or not (said.arguments or said["version"]):
        sys.stdout.write(PARSER.help())
        return 0
    if said["version"]:
        import orlop

        sys.stdout.write(f"orlop version {orlop.__version__}\n")
        return 0
    name, *words = said.arguments
    if name == "container" and words:
        name, *words = words
    if name == "help":
        sys.stdout.write(_module(words[0]).PARSER.help() if words else PARSER.help())
        return 0
    module = _module(name)
    command = module.PARSER.parse(words)
    if command.wants_help:
        sys.stdout.write(module.PARSER.help())
        return 0
    from orlop.engine.location import locate

    status: int = module.run(locate(said["root"], said["run-root"]), command)
    return status


def _module(name: str) -> ModuleType:
    if not any(name == known for known, _ in COMMANDS):
        raise InvalidArgument(f"'{name}' is not an orlop command; see 'orlop --help'")
    full = f"orlop.cli.{name}"
    __import__(full)
    return sys.modules[full]


def _complain(text: str) -> None:
    sys.stderr.write(f"orlop: {text}\n")
