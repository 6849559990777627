"""What isolates a container from, in words; tables for `orlop.engine.explanation`."""

from __future__ import annotations

#: Of each kind of namespace: what it means to have one of its own, and what it means to have none.
NAMESPACES = {
    "mount": (
        "it sees the files of its image and what is mounted for it, none of this machine's",
        "it sees all files of this machine",
    ),
    "pid": (
        "it sees, signals and traces its own processes only",
        "it sees all processes of this machine, and can signal those of its user",
    ),
    "network": (
        "it has interfaces, ports and a firewall of its own",
        "it can listen on this machine's ports, and reach what listens on localhost and on abstract sockets",
    ),
    "ipc": (
        "it has shared memory, semaphores and message queues of its own",
        "it can reach shared memory and message queues of this machine's processes",
    ),
    "uts": ("it has a host name of its own", "with CAP_SYS_ADMIN it could rename this machine"),
    "cgroup": (
        "it sees its own control group as the top of all",
        "it sees where its control group lies among this machine's",
    ),
    "user": (
        "its root is nobody special outside: user {first}, with no right over this machine",
        "its user 0 is this machine's root, whom only the rest of this page holds back",
    ),
    "time": ("it can have a clock of its own", ""),
}

#: Capabilities beyond Docker's defaults: what whoever has them can do with them.
POWERS = {
    "CAP_AUDIT_CONTROL": "change the kernel's auditing",
    "CAP_AUDIT_READ": "read the kernel's audit log",
    "CAP_BLOCK_SUSPEND": "keep this machine awake",
    "CAP_BPF": "load programs into the kernel",
    "CAP_CHECKPOINT_RESTORE": "look into and rebuild processes",
    "CAP_DAC_READ_SEARCH": "read any file, and open files by handle, outside of its root too",
    "CAP_IPC_LOCK": "lock memory, so that it cannot be swapped out",
    "CAP_IPC_OWNER": "use others' shared memory",
    "CAP_LEASE": "delay others' access to files",
    "CAP_LINUX_IMMUTABLE": "make files immutable",
    "CAP_MAC_ADMIN": "change the policy of security modules",
    "CAP_MAC_OVERRIDE": "disregard the policy of security modules",
    "CAP_NET_ADMIN": "change addresses, routes and the firewall of its network",
    "CAP_NET_BROADCAST": "listen to broadcasts",
    "CAP_PERFMON": "trace the whole kernel",
    "CAP_SYSLOG": "read the kernel's log and addresses",
    "CAP_SYS_ADMIN": "mount, and much else: most ways out of a container begin with it",
    "CAP_SYS_BOOT": "reboot this machine, or load another kernel",
    "CAP_SYS_MODULE": "load code into the kernel: it is as good as being root outside",
    "CAP_SYS_NICE": "take processor time from others",
    "CAP_SYS_PACCT": "switch process accounting",
    "CAP_SYS_PTRACE": "read and change its user's other processes, and what enters the container",
    "CAP_SYS_RAWIO": "reach memory and devices directly: it is as good as being root outside",
    "CAP_SYS_RESOURCE": "exceed quotas and limits of processes",
    "CAP_SYS_TIME": "set this machine's clock",
    "CAP_SYS_TTY_CONFIG": "control this machine's terminals",
    "CAP_WAKE_ALARM": "wake this machine",
}

#: Sources of binds that give more than files, and what.
SOURCES = {
    "/": "all files of this machine",
    "/boot": "the kernel that this machine starts with",
    "/dev": "this machine's devices",
    "/etc": "this machine's configuration, users and passwords included",
    "/lib": "programs that this machine runs",
    "/proc": "all processes of this machine",
    "/root": "root's own files, keys included",
    "/run": "the sockets of this machine's services",
    "/sys": "this machine's devices and kernel",
    "/usr": "programs that this machine runs",
    "/var": "the data of this machine's services",
    "/var/run": "the sockets of this machine's services",
    "/run/docker.sock": "Docker, and with it all of this machine",
    "/var/run/docker.sock": "Docker, and with it all of this machine",
    "/run/containerd/containerd.sock": "containerd, and with it all of this machine",
    "/run/podman/podman.sock": "podman, and with it all of its user's",
}
