"""What a user asked a container to be, before anything is made of it."""

from __future__ import annotations

import os

from orlop.engine import network_mode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
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
    texts of the form ``source:target[:options]``, ``volumes`` the targets of volumes that have no name, ``mounts``
    Docker's ``Mount`` objects, ``tmpfs`` targets with their options. ``memory`` and all sizes are in bytes, ``nano_cpus``
    in billionths of a processor, ``pids_limit`` a count; None is no limit, or the kernel's default. ``stop_timeout`` is in
    seconds; None is Docker's 10. ``console_size`` is rows and columns. ``log_options`` are what ``log_driver``
    understands. ``restart_policy``, ``healthcheck``, ``ulimits``, ``devices`` and ``device_requests`` are Docker's
    objects; ``port_bindings`` are Docker's ``PortBindings`` (`orlop.network.ports.specification`), and ``publish_all``
    publishes every exposed port. ``block_io`` has the fields of Docker's ``HostConfig`` whose names begin with ``Blkio``.
    ``network`` is a mode (``none``, ``host``, ``container:NAME``) or a network's name, ``default`` for that of containers
    which name none; ``networks`` are all networks with what is asked for on each (Docker's ``EndpointSettings``), where
    that is more.
    """

    # What few containers ask for stands here, in the class, so that the others do not carry it to the launcher.
    annotations: Mapping[str, str] | None = None
    block_io: Mapping[str, Any] | None = None
    cgroup_parent = ""
    cgroup_namespace = ""
    container_id_file = ""
    cpu_period = 0
    cpu_quota = 0
    cpu_realtime_period = 0
    cpu_realtime_runtime = 0
    cpu_shares = 0
    cpuset_cpus = ""
    cpuset_mems = ""
    device_cgroup_rules: Sequence[str] = ()
    device_requests: Sequence[Mapping[str, Any]] = ()
    devices: Sequence[Mapping[str, str]] = ()
    dns: Sequence[str] = ()
    dns_options: Sequence[str] = ()
    dns_search: Sequence[str] = ()
    domainname = ""
    extra_hosts: Sequence[str] = ()
    group_add: Sequence[str] = ()
    init = False
    ipc = ""
    links: Sequence[str] = ()
    memory_reservation = 0
    memory_swap = 0
    memory_swappiness: int | None = None
    mounts: Sequence[Mapping[str, Any]] = ()
    networks: Mapping[str, Mapping[str, Any]] | None = None
    oom_kill_disable = False
    oom_score_adjustment = 0
    pid = ""
    port_bindings: Mapping[str, Sequence[Mapping[str, Any]] | None] | None = None
    publish_all = False
    runtime = ""
    shm_size: int | None = None
    sysctls: Mapping[str, str] | None = None
    tmpfs: Mapping[str, str] | None = None
    ulimits: Sequence[Mapping[str, Any]] = ()
    user_namespace = ""
    uts = ""
    volume_driver = ""
    volumes_from: Sequence[str] = ()

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
        self.network = os.environ.get(network_mode.VARIABLE) or network_mode.DEFAULT
        self.auto_remove = False
        self.labels: dict[str, str] = {}
        self.stop_signal = ""
        self.stop_timeout: int | None = None
        self.log_driver = DEFAULT_LOG_DRIVER
        self.log_options: dict[str, str] = {}
        self.restart_policy: dict[str, Any] = {"Name": "no", "MaximumRetryCount": 0}

    @property
    def is_ordinary(self) -> bool:
        """Whether nothing is asked for that few containers ask for."""
        return len(self.__dict__) == _ORDINARY and self.network in _ORDINARY_NETWORKS

    def fields(self) -> dict[str, Any]:
        """Every setting that is not its class's by its name, for `from_fields` in another process."""
        return self.__dict__

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Settings:
        """The settings that `fields` wrote down."""
        settings = cls()
        settings.__dict__.update(fields)
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
        record = {
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
        if self.networks:
            record["NetworkSettings"] = {"Networks": self.networks}
        if not self.is_ordinary:
            from orlop.engine import host_config

            host_config.complete(record, self)
        return record


#: What needs no other container.
_ORDINARY_NETWORKS = ("none", "host", "bridge")
#: How many attributes settings have that ask for nothing special.
_ORDINARY = len(Settings().__dict__)
