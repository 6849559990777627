"""What a user asked a container to be, before anything is made of it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The image that is the machine's own root file system.
HOST_IMAGE = "host"


class Settings:
    """One container's settings. Every field has Docker's default; the fields are plain attributes.

    ``rootfs`` is a directory, or empty for the `HOST_IMAGE`. ``env`` holds ``NAME=value`` texts,
    ``binds`` texts of the form ``source:target[:options]``. ``memory`` is in bytes, ``nano_cpus`` in
    billionths of a processor, ``pids_limit`` a count; None is no limit. ``console_size`` is rows and
    columns. ``log_options`` are the json-file driver's, ``max-size`` and ``max-file``.
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
        "hostname",
        "image",
        "labels",
        "log_options",
        "memory",
        "name",
        "nano_cpus",
        "network",
        "open_stdin",
        "pids_limit",
        "privileged",
        "read_only",
        "rootfs",
        "security_opt",
        "stop_signal",
        "stop_timeout",
        "terminal",
        "user",
        "workdir",
    )

    def __init__(self, *, image: str = "", rootfs: str = "", command: list[str] | None = None) -> None:
        self.image = image
        self.rootfs = rootfs
        self.command = command or []
        self.entrypoint: list[str] = []
        self.env: list[str] = []
        self.workdir = ""
        self.user = ""
        self.terminal = False
        self.open_stdin = False
        self.console_size: tuple[int, int] | None = None
        self.name = ""
        self.hostname = ""
        self.binds: list[str] = []
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
        self.stop_signal = "SIGTERM"
        self.stop_timeout = 10
        self.log_options: dict[str, str] = {}

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
        return {
            "Image": self.image or self.rootfs,
            "Rootfs": self.rootfs,
            "Config": {
                "Hostname": self.hostname,
                "User": self.user,
                "Tty": self.terminal,
                "OpenStdin": self.open_stdin,
                "Env": self.env,
                "Cmd": self.command,
                "Entrypoint": self.entrypoint or None,
                "WorkingDir": self.workdir,
                "Image": self.image or self.rootfs,
                "Labels": self.labels,
                "StopSignal": self.stop_signal,
                "StopTimeout": self.stop_timeout,
            },
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
                "LogConfig": {"Type": "json-file", "Config": self.log_options},
            },
        }
