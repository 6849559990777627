"""The options that describe a container, for every command that makes one."""

from __future__ import annotations

import os

from orlop.engine.settings import Settings
from orlop.errors import InvalidArgument
from orlop.options import Option, integer, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from orlop.options import Parsed


def cpus(text: str) -> int:
    """Billionths of a processor from a number of processors such as ``1.5``."""
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18 or len(fraction) > 9:
        raise ValueError("must be a number of processors such as 1.5")
    return int(digits + "0" * (9 - len(fraction)))


def further() -> Sequence[Option]:
    """The options that few containers need."""
    from orlop.cli import further_options

    return further_options.OPTIONS


OPTIONS = (
    Option("--rootfs", "Run on this directory instead of an image", value="dir"),
    Option("--name", "Assign a name to the container", value="string"),
    Option("-i, --interactive", "Keep STDIN open even if not attached"),
    Option("-t, --tty", "Allocate a pseudo-TTY"),
    Option("-e, --env", "Set environment variables", value="list", many=True),
    Option("--env-file", "Read in a file of environment variables", value="list", many=True),
    Option("-w, --workdir", "Working directory inside the container", value="string", default=""),
    Option("-u, --user", "Username or UID (format: <name|uid>[:<group|gid>])", value="string", default=""),
    Option("-h, --hostname", "Container host name", value="string", default=""),
    Option("--entrypoint", "Overwrite the default ENTRYPOINT", value="string"),
    Option(
        "-v, --volume",
        "Bind mount a directory or file (source:target[:ro]), or have a volume (target)",
        value="list",
        many=True,
    ),
    Option("--read-only", "Mount the container's root filesystem as read only"),
    Option("-m, --memory", "Memory limit", value="bytes", read=size),
    Option("--cpus", "Number of CPUs", value="decimal", read=cpus),
    Option("--pids-limit", "Tune container pids limit (-1 for unlimited)", value="int", read=integer),
    Option("--cap-add", "Add Linux capabilities", value="list", many=True),
    Option("--cap-drop", "Drop Linux capabilities", value="list", many=True),
    Option("--security-opt", "Security options", value="list", many=True),
    Option("--privileged", "Give extended privileges to this container"),
    Option(
        "--network, --net",
        "Connect a container to a network, several times to several: a name, none, host, container:NAME,\n"
        "or name=NAME,alias=…,ip=…,ip6=…,mac-address=…,gw-priority=…,driver-opt=… (default bridge; none without root)",
        value="network",
        many=True,
    ),
    Option("-l, --label", "Set meta data on a container", value="list", many=True),
    Option(
        "--stop-signal", "Signal to stop the container (default the image's, or SIGTERM)", value="string", default=""
    ),
    Option("--platform", "Have an image for this platform", value="string", default=""),
)


def read(said: Parsed) -> Settings:
    """The settings that a command line means.

    Raises:
        InvalidArgument: options contradict each other, or no image is named.
    """
    rootfs = said["rootfs"] or ""
    if said.given("rootfs") and not rootfs:
        raise InvalidArgument("--rootfs needs a directory")
    image, command = ("", said.arguments) if rootfs else (said.arguments[0], said.arguments[1:])
    settings = Settings(image=image, rootfs=rootfs, command=command)
    settings.name = said["name"] or ""
    settings.terminal = said["tty"]
    settings.open_stdin = said["interactive"]
    settings.env = environment(said["env-file"], said["env"])
    settings.workdir = said["workdir"]
    settings.user = said["user"]
    settings.hostname = said["hostname"]
    # An empty one takes the image's away.
    settings.entrypoint = [said["entrypoint"]] if said.given("entrypoint") else []
    settings.platform = said["platform"]
    settings.binds = [absolute(text) for text in said["volume"] if ":" in text]
    settings.volumes = [text for text in said["volume"] if ":" not in text]
    settings.read_only = said["read-only"]
    settings.memory = said["memory"]
    settings.nano_cpus = said["cpus"]
    settings.pids_limit = said["pids-limit"] if (said["pids-limit"] or 0) > 0 else None
    settings.cap_add = said["cap-add"]
    settings.cap_drop = said["cap-drop"]
    settings.security_opt = said["security-opt"]
    settings.privileged = said["privileged"]
    networks = said["network"]
    if networks:
        settings.network = networks[0]
    if len(networks) > 1 or "=" in settings.network or said.has_further:
        from orlop.cli import network_option

        network_option.read(said, settings)
    settings.labels = dict(_label(text) for text in said["label"])
    settings.stop_signal = said["stop-signal"]
    if said.has_further:
        from orlop.cli import further_options

        further_options.read(said, settings)
    _check(settings)
    return settings


def environment(files: list[str], texts: list[str]) -> list[str]:
    """The variables of ``--env-file`` and ``--env``; a name without a value takes ours, if there is one.

    If there is none, one of ``--env`` stays a name alone, which takes the image's variable away.

    Raises:
        InvalidArgument: a file cannot be read, or has a line that no variable can come from.
    """
    found: list[str] = []
    for path in files:
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                lines = file.read().splitlines()
        except OSError as error:
            raise InvalidArgument(f"cannot read the environment file {path}: {error.strerror}") from None
        for line in lines:
            text = line.lstrip()
            if text and not text.startswith("#"):
                name = text.partition("=")[0]
                if not name or len(name.split(None, 1)) > 1 or name != name.rstrip():
                    raise InvalidArgument(
                        f'the environment file {path} has a line that begins with no variable: "{text}"'
                    )
                found.append(text)
    lines = [text for text in found if "=" in text or text in os.environ]
    return [
        text if "=" in text or text not in os.environ else f"{text}={os.environ[text]}" for text in [*lines, *texts]
    ]


def absolute(text: str) -> str:
    """A source that is relative to where we are, as a path."""
    if not text.startswith("."):
        return text
    source, _, rest = text.partition(":")
    return f"{os.path.abspath(source)}:{rest}"


def _label(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not name:
        raise InvalidArgument(f'invalid label "{text}": it has no name')
    return name, value


def _check(settings: Settings) -> None:
    if settings.stop_signal:
        from orlop.runtime.kill import signal_number

        signal_number(settings.stop_signal)
