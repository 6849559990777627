"""What a user asked a container to be, before anything is made of it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The image that is the machine's own root file system.
HOST_IMAGE = "host"
DEFAULT_LOG_DRIVER = "json-file"
DEFAULT_STOP_SIGNAL = "SIGTERM"
DEFAULT_STOP_TIMEOUT = 10  # seconds
#: The name of the image without anything in it, which only a build can begin with.
SCRATCH_IMAGE = "scratch"


class Settings:
    """One container's settings. Every field has Docker's default; the fields are plain attributes.

    ``image`` is a name, an ID or the `HOST_IMAGE`; empty if ``rootfs`` is a directory. What is left empty is the image's
    to say (`orlop.engine.image_settings`); ``entrypoint`` is ``[""]`` if the image's is not wanted either. ``platform``
    says what the image must have been built for, if that matters. ``env`` holds ``NAME=value`` texts, a name alone
    takes that variable away. ``stdin_once`` says that the container's input ends with that of a client. ``binds`` are
    texts of the form ``source:target[:options]``, ``volumes`` the targets of volumes that have no name. ``memory`` is in bytes, ``nano_cpus`` in billionths of a processor, ``pids_limit`` a
    count; None is no limit. ``stop_timeout`` is in seconds; None is Docker's 10. ``console_size`` is rows and columns.
    ``log_options`` are what ``log_driver`` understands. ``restart_policy`` and ``healthcheck`` are Docker's objects.
    """

    __slots__ = (
        "auto_remove",
        "binds",
        "cap_add",
        "cap_drop",
        "command",
        "console_size",
        "entrypoint",
        "env",
        "exposed_ports",
        "healthcheck",
        "hostname",
        "image",
        "labels",
        "log_driver",
        "log_options",
        "memory",
        "name",
        "nano_cpus",
        "network",
        "open_stdin",
        "pids_limit",
        "platform",
        "privileged",
        "read_only",
        "restart_policy",
        "rootfs",
        "security_opt",
        "shell",
        "stdin_once",
        "stop_signal",
        "stop_timeout",
        "terminal",
        "user",
        "volumes",
        "workdir",
    )

    def __init__(self, *, image: str = "", rootfs: str = "", command: list[str] | None = None) -> None:
        self.image = image
        self.rootfs = rootfs
        self.platform = ""
        self.command = command or []
        self.entrypoint: list[str] = []
        self.env: list[str] = []
        self.workdir = ""
        self.user = ""
        self.terminal = False
        self.open_stdin = False
        self.stdin_once = False
        self.console_size: tuple[int, int] | None = None
        self.name = ""
        self.hostname = ""
        self.binds: list[str] = []
        self.volumes: list[str] = []
        self.exposed_ports: list[str] = []
        self.healthcheck: dict[str, Any] | None = None
        self.shell: list[str] = []
        self.read_only = False
        self.memory: int | None = None
        self.nano_cpus: int | None = None
        self.pids_limit: int | None = None
        self.cap_add: list[str] = []
        self.cap_drop: list[str] = []
        self.security_opt: list[str] = []
        self.privileged = False
        self.network = "none"
        self.auto_remove = False
        self.labels: dict[str, str] = {}
        self.stop_signal = ""
        self.stop_timeout: int | None = None
        self.log_driver = DEFAULT_LOG_DRIVER
        self.log_options: dict[str, str] = {}
        self.restart_policy: dict[str, Any] = {"Name": "no", "MaximumRetryCount": 0}

    def fields(self) -> dict[str, Any]:
        """Every setting by its name, for `from_fields` in another process."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Settings:
        """The settings that `fields` wrote down."""
        settings = cls()
        for name in cls.__slots__:
            setattr(settings, name, fields[name])
        return settings

    def record(self) -> dict[str, Any]:
        """The settings in the words of Docker's API, as `orlop inspect` shows them."""
        config: dict[str, Any] = {
            "Hostname": self.hostname,
            "User": self.user,
            "ExposedPorts": {port: {} for port in self.exposed_ports},
            "Tty": self.terminal,
            "OpenStdin": self.open_stdin,
            "StdinOnce": self.stdin_once,
            "Env": self.env,
            "Cmd": self.command,
            "Healthcheck": self.healthcheck,
            "Image": self.image or self.rootfs,
            "Volumes": {volume: {} for volume in self.volumes},
            "WorkingDir": self.workdir,
            "Entrypoint": self.entrypoint or None,
            "Labels": self.labels,
            "StopSignal": self.stop_signal or DEFAULT_STOP_SIGNAL,
            "StopTimeout": DEFAULT_STOP_TIMEOUT if self.stop_timeout is None else self.stop_timeout,
            "Shell": self.shell,
        }
        for name in ("ExposedPorts", "Healthcheck", "Volumes", "Shell"):
            if not config[name]:
                del config[name]
        return {
            "Image": self.image or self.rootfs,
            "Rootfs": self.rootfs,
            "Config": config,
            "HostConfig": {
                "Binds": self.binds,
                "NetworkMode": self.network,
                "AutoRemove": self.auto_remove,
                "ReadonlyRootfs": self.read_only,
                "Privileged": self.privileged,
                "CapAdd": self.cap_add,
                "CapDrop": self.cap_drop,
                "SecurityOpt": self.security_opt,
                "Memory": self.memory or 0,
                "NanoCpus": self.nano_cpus or 0,
                "PidsLimit": self.pids_limit or 0,
                "LogConfig": {"Type": self.log_driver, "Config": self.log_options},
                "RestartPolicy": self.restart_policy,
            },
        }
