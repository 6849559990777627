"""The features document (``features.md`` of the runtime specification), asked of this kernel.

Other runtimes write down what they were compiled with. What a caller wants to know is what a container can have
here and now, by this user: so every entry that depends on the kernel is probed, and an entry says true only when
the thing was just done, or is visibly there.
"""

from __future__ import annotations

import os

import orlop
from orlop.linux import capability, clone, mount, namespace, number, resctrl, scheduling
from orlop.linux.call import syscall
from orlop.runtime.spec import machine, mount_options
from orlop.runtime.spec.validation import HOOKS, NEWEST_VERSION, OLDEST_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NOBODY = 65534


def document() -> dict[str, Any]:
    """The whole document, ready to be printed as JSON."""
    namespaces = allowed_namespaces()
    return {
        "ociVersionMin": OLDEST_VERSION,
        "ociVersionMax": NEWEST_VERSION,
        "hooks": list(HOOKS),
        "mountOptions": mount_options.known(),
        "linux": {
            "namespaces": namespaces,
            "capabilities": capability.names(capability.bounding()),
            "cgroup": _cgroup(),
            "seccomp": _seccomp(),
            "apparmor": {"enabled": machine.has_apparmor()},
            "selinux": {"enabled": machine.has_selinux()},
            "intelRdt": dict.fromkeys(("enabled", "schemata", "monitoring"), bool(resctrl.mountpoint())),
            "memoryPolicy": _memory_policy(),
            "mountExtensions": {"idmap": {"enabled": maps_ids()}},
            "netDevices": {"enabled": "network" in namespaces and _has_net_admin()},
        },
        "annotations": {"orlop.version": orlop.__version__, "orlop.kernel": os.uname().release},
        # No annotation changes what this runtime does.
        "potentiallyUnsafeConfigAnnotations": [],
    }


def allowed_namespaces() -> list[str]:
    """The kinds of namespace that the kernel has and whose number it does not limit to none."""
    allowed = []
    for kind in sorted(namespace.supported()):
        if kind == "user" and os.geteuid() != 0 and _number("/proc/sys/kernel/unprivileged_userns_clone") == 0:
            continue  # Debian's switch
        if _number(f"/proc/sys/user/max_{namespace.FILES[kind]}_namespaces") != 0:
            allowed.append(kind)
    return allowed


def maps_ids() -> bool:
    """Whether a mount's ids can be mapped: a copy of a mount is made here and given a mapping, seen by nobody.

    The file systems that containers' files are likely to be on are tried, since each has its own support.
    """
    try:
        user_namespace = _new_user_namespace()
    except OSError:
        return False
    try:
        for place in ("/var/lib", "/", "/dev/shm"):
            try:
                copy = mount.clone(mount.AT_FDCWD, place)
            except OSError:
                continue
            try:
                mount.set_attributes(copy, user_namespace=user_namespace)
            except OSError:
                continue
            finally:
                os.close(copy)
            return True
        return False
    finally:
        os.close(user_namespace)


def _new_user_namespace() -> int:
    """A descriptor of a new user namespace, kept alive by nothing else."""
    waiting, ending = os.pipe()
    try:
        pid, pidfd = clone.clone(namespace.CLONE_NEWUSER)
        if pid == 0:
            os.close(ending)
            os.read(waiting, 1)
            os._exit(0)
        os.close(pidfd)
        try:
            for name in ("gid_map", "uid_map"):
                with open(f"/proc/{pid}/{name}", "w", encoding="ascii") as file:
                    file.write(f"0 {_NOBODY} 1\n")
            return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(ending)
            ending = -1
            os.waitpid(pid, 0)
    finally:
        os.close(waiting)
        if ending >= 0:
            os.close(ending)


def _cgroup() -> dict[str, bool]:
    from orlop.linux.cgroup import layout

    found = layout.detect()
    unified: list[str] = []
    if found.unified is not None:
        with open(f"{found.unified.mountpoint}/cgroup.controllers", encoding="ascii") as file:
            unified = file.read().split()
    return {
        "v1": bool(found.v1),
        "v2": found.unified is not None,
        # systemd is never asked to make the groups.
        "systemd": False,
        "systemdUser": False,
        "rdma": found.v1_hierarchy("rdma") is not None or "rdma" in unified,
    }


def _seccomp() -> dict[str, Any]:
    from orlop.linux import seccomp

    return seccomp.supported()


def _memory_policy() -> dict[str, list[str]]:
    """The modes and flags that set_mempolicy(2) takes, tried on this very thread, which gets the default back."""
    modes = []
    flags = []
    first_node = bytes([1]) + bytes(7)
    try:
        for name, mode in scheduling.MEMORY_MODES.items():
            nodes = name not in ("MPOL_DEFAULT", "MPOL_LOCAL")
            if _takes_memory_policy(mode, first_node if nodes else None):
                modes.append(name)
        for name, flag in scheduling.MEMORY_FLAGS.items():
            if _takes_memory_policy(scheduling.MEMORY_MODES["MPOL_BIND"] | flag, first_node):
                flags.append(name)
    finally:
        _takes_memory_policy(scheduling.MEMORY_MODES["MPOL_DEFAULT"], None)
    return {"modes": modes, "flags": flags}


def _takes_memory_policy(mode: int, nodes: bytes | None) -> bool:
    try:
        # The kernel reads one bit less than it is told.
        syscall(number.SET_MEMPOLICY, "set_mempolicy", None, mode, nodes, 65 if nodes else 0)
    except OSError:
        return False
    return True


def _has_net_admin() -> bool:
    effective, _, _ = capability.get()
    return bool(effective >> capability.NUMBERS["CAP_NET_ADMIN"] & 1)


def _number(path: str) -> int:
    """The number in a file of /proc/sys, or -1 where the kernel has no such file."""
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except FileNotFoundError:
        return -1
