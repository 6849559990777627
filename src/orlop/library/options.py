"""What can be asked of a container, for type checkers: the keywords of ``run`` and ``create``.

Only imported by them: at run time `orlop.library.translation` has the same names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from orlop.library.mounts import Bind, Tmpfs, VolumeMount
    from orlop.library.ports import Ports

Pull = Literal["missing", "always", "never"]


class ContainerOptions(TypedDict, total=False):
    """The options of a container, by Docker's names for them. Sizes are bytes or texts such as ``256m``."""

    annotations: Mapping[str, str]
    #: 10 to 1000, and the same by device.
    blkio_weight: int
    blkio_weight_device: Mapping[str, int]
    cap_add: Sequence[str]
    cap_drop: Sequence[str]
    cgroup_parent: str
    #: ``host`` or ``private``.
    cgroupns: str
    cpu_period: int
    cpu_quota: int
    cpu_rt_period: int
    cpu_rt_runtime: int
    cpu_shares: int
    #: A number of processors, such as 0.5.
    cpus: float | str
    cpuset_cpus: str
    cpuset_mems: str
    device_cgroup_rules: Sequence[str]
    #: Bytes or operations a second, by device.
    device_read_bps: Mapping[str, int | str]
    device_read_iops: Mapping[str, int]
    device_write_bps: Mapping[str, int | str]
    device_write_iops: Mapping[str, int]
    #: Texts of the form ``path[:path in the container[:permissions]]``, or names of CDI (``vendor.example/kind=name``).
    devices: Sequence[str]
    dns: Sequence[str]
    dns_options: Sequence[str]
    dns_search: Sequence[str]
    domainname: str
    #: In the image's place; an empty one takes it away.
    entrypoint: str | Sequence[str]
    #: Variables by name, or texts ``name=value``; a value None takes the image's variable away.
    env: Mapping[str, str | None] | Sequence[str]
    #: Ports that are told of and not published, such as 80, ``53/udp`` or ``8000-8010``.
    expose: Sequence[int | str]
    extra_hosts: Mapping[str, str] | Sequence[str]
    #: ``all``, how many, or which ones.
    gpus: str | int | Sequence[str]
    group_add: Sequence[str | int]
    #: Docker's ``HealthConfig`` object.
    healthcheck: Mapping[str, Any]
    hostname: str
    init: bool
    ipc: str
    labels: Mapping[str, str]
    #: Containers with what they are to be called, or texts ``container[:alias]``.
    links: Mapping[str, str] | Sequence[str]
    log_driver: str
    log_options: Mapping[str, str]
    memory: int | str
    memory_reservation: int | str
    #: Memory and swap together; -1 for no limit.
    memory_swap: int | str
    memory_swappiness: int
    mounts: Sequence[Bind | VolumeMount | Tmpfs]
    name: str
    #: A network, several, or for each what is asked of it: ``aliases``, ``ip``, ``ip6``, ``mac_address``,
    #: ``gateway_priority``, ``driver_options``. Also ``none``, ``host`` and ``container:NAME``.
    network: str | Sequence[str] | Mapping[str, Mapping[str, object] | None]
    oom_kill_disable: bool
    oom_score_adj: int
    pid: str
    #: -1 for no limit.
    pids_limit: int
    platform: str
    #: Texts as ``-p`` takes them, or the container's ports with where they are on the host: a number (None: any), a text such as
    #: ``127.0.0.1:8080``, a tuple of address and number, or a list of these.
    ports: Ports
    privileged: bool
    #: Whether every exposed port is published, at any port of the host.
    publish_all: bool
    read_only: bool
    #: ``no``, ``on-failure[:most]``, ``always`` or ``unless-stopped``.
    restart: str
    runtime: str
    security_opt: Sequence[str]
    shm_size: int | str
    stop_signal: str
    #: Seconds.
    stop_timeout: int
    sysctls: Mapping[str, str]
    #: Targets, or targets with options such as ``size=64m``.
    tmpfs: Sequence[str] | Mapping[str, str]
    #: By name, such as ``nofile``: one limit, or the soft and the hard one.
    ulimits: Mapping[str, int | tuple[int, int]]
    user: str | int
    userns: str
    uts: str
    volume_driver: str
    #: Docker's texts (``source:target[:options]``), or sources with ``target[:options]``.
    volumes: Sequence[str] | Mapping[str | os.PathLike[str], str]
    volumes_from: Sequence[str]
    workdir: str


class ExecOptions(TypedDict, total=False):
    """The options of a command in a running container."""

    env: Mapping[str, str | None] | Sequence[str]
    privileged: bool
    user: str | int
    workdir: str


class UpdateOptions(TypedDict, total=False):
    """What can be changed of a container: limits, or what it has beside its own files, not both in one call."""

    blkio_weight: int
    cpu_period: int
    cpu_quota: int
    cpu_rt_period: int
    cpu_rt_runtime: int
    cpu_shares: int
    cpus: float | str
    cpuset_cpus: str
    cpuset_mems: str
    memory: int | str
    memory_reservation: int | str
    #: Memory and swap together; -1 for no limit.
    memory_swap: int | str
    #: -1 for no limit.
    pids_limit: int
    #: ``no``, ``on-failure[:most]``, ``always`` or ``unless-stopped``.
    restart: str

    #: Texts as in `ContainerOptions.devices`, without names of CDI.
    add_devices: Sequence[str]
    #: For later commands in it, and later starts.
    add_env: Mapping[str, str] | Sequence[str]
    add_mounts: Sequence[Bind | VolumeMount | Tmpfs]
    #: Their paths in the container.
    remove_devices: Sequence[str]
    remove_env: Sequence[str]
    #: Their targets.
    remove_mounts: Sequence[str]
