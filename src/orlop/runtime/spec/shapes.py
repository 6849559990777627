"""The types of a ``config.json``'s fields, as one table for `orlop.runtime.spec.structure`.

A shape is one of

* ``str`` and ``bool``;
* a ``range``: an integer in it;
* ``[shape]``: an array;
* ``{"": shape}``: an object with any keys;
* ``(fields, required)``: an object with known fields.

The sections of other platforms (``windows``, ``solaris``, ``vm``, ``zos``, ``freebsd``) are not here, and so are
ignored. The seccomp section is only known to be an object: its compiler reads the rest.
"""

from __future__ import annotations

_INT32 = range(-(1 << 31), 1 << 31)
_INT64 = range(-(1 << 63), 1 << 63)
_UINT16 = range(1 << 16)
_UINT32 = range(1 << 32)
_UINT64 = range(1 << 64)
_STRINGS = [str]
_STRING_MAP = {"": str}

_ID_MAPPINGS = [({"containerID": _UINT32, "hostID": _UINT32, "size": _UINT32}, ("containerID", "hostID", "size"))]

PROCESS = (
    {
        "terminal": bool,
        "consoleSize": ({"height": _UINT64, "width": _UINT64}, ("height", "width")),
        "cwd": str,
        "env": _STRINGS,
        "args": _STRINGS,
        "user": ({"uid": _UINT32, "gid": _UINT32, "umask": _UINT32, "additionalGids": [_UINT32]}, ()),
        "capabilities": (
            {
                "bounding": _STRINGS,
                "effective": _STRINGS,
                "inheritable": _STRINGS,
                "permitted": _STRINGS,
                "ambient": _STRINGS,
            },
            (),
        ),
        "rlimits": [({"type": str, "soft": _UINT64, "hard": _UINT64}, ("type", "soft", "hard"))],
        "noNewPrivileges": bool,
        "apparmorProfile": str,
        "selinuxLabel": str,
        "oomScoreAdj": _INT64,
        "scheduler": (
            {
                "policy": str,
                "nice": _INT32,
                "priority": _INT32,
                "flags": _STRINGS,
                "runtime": _UINT64,
                "deadline": _UINT64,
                "period": _UINT64,
            },
            ("policy",),
        ),
        "ioPriority": ({"class": str, "priority": _INT32}, ("class",)),
        "execCPUAffinity": ({"initial": str, "final": str}, ()),
    },
    ("cwd", "args"),
)

_MOUNTS = [
    (
        {
            "destination": str,
            "type": str,
            "source": str,
            "options": _STRINGS,
            "uidMappings": _ID_MAPPINGS,
            "gidMappings": _ID_MAPPINGS,
        },
        ("destination",),
    )
]

_HOOKS = [({"path": str, "args": _STRINGS, "env": _STRINGS, "timeout": _INT64}, ("path",))]

_BLOCK_WEIGHTS = [({"major": _INT64, "minor": _INT64, "weight": _UINT16, "leafWeight": _UINT16}, ("major", "minor"))]
_BLOCK_RATES = [({"major": _INT64, "minor": _INT64, "rate": _UINT64}, ("major", "minor"))]

RESOURCES = (
    {
        "unified": _STRING_MAP,
        "devices": [({"allow": bool, "type": str, "major": _INT64, "minor": _INT64, "access": str}, ("allow",))],
        "pids": ({"limit": _INT64}, ("limit",)),
        "blockIO": (
            {
                "weight": _UINT16,
                "leafWeight": _UINT16,
                "weightDevice": _BLOCK_WEIGHTS,
                "throttleReadBpsDevice": _BLOCK_RATES,
                "throttleWriteBpsDevice": _BLOCK_RATES,
                "throttleReadIOPSDevice": _BLOCK_RATES,
                "throttleWriteIOPSDevice": _BLOCK_RATES,
            },
            (),
        ),
        "cpu": (
            {
                "shares": _UINT64,
                "quota": _INT64,
                "burst": _UINT64,
                "period": _UINT64,
                "realtimeRuntime": _INT64,
                "realtimePeriod": _UINT64,
                "cpus": str,
                "mems": str,
                "idle": _INT64,
            },
            (),
        ),
        "hugepageLimits": [({"pageSize": str, "limit": _UINT64}, ("pageSize", "limit"))],
        "memory": (
            {
                "limit": _INT64,
                "reservation": _INT64,
                "swap": _INT64,
                "kernel": _INT64,
                "kernelTCP": _INT64,
                "swappiness": _UINT64,
                "disableOOMKiller": bool,
                "useHierarchy": bool,
                "checkBeforeUpdate": bool,
            },
            (),
        ),
        "network": (
            {"classID": _UINT32, "priorities": [({"name": str, "priority": _UINT32}, ("name", "priority"))]},
            (),
        ),
        "rdma": {"": ({"hcaHandles": _UINT32, "hcaObjects": _UINT32}, ())},
    },
    (),
)

_LINUX = (
    {
        "namespaces": [({"type": str, "path": str}, ("type",))],
        "uidMappings": _ID_MAPPINGS,
        "gidMappings": _ID_MAPPINGS,
        "timeOffsets": {"": ({"secs": _INT64, "nanosecs": _UINT32}, ())},
        "devices": [
            (
                {
                    "type": str,
                    "path": str,
                    "major": _INT64,
                    "minor": _INT64,
                    "fileMode": _UINT32,
                    "uid": _UINT32,
                    "gid": _UINT32,
                },
                ("type", "path"),
            )
        ],
        "netDevices": {"": ({"name": str}, ())},
        "cgroupsPath": str,
        "resources": RESOURCES,
        "rootfsPropagation": str,
        "seccomp": ({}, ()),
        "sysctl": _STRING_MAP,
        "maskedPaths": _STRINGS,
        "readonlyPaths": _STRINGS,
        "mountLabel": str,
        "intelRdt": (
            {
                "closID": str,
                "schemata": _STRINGS,
                "l3CacheSchema": str,
                "memBwSchema": str,
                "enableMonitoring": bool,
                "enableCMT": bool,
                "enableMBM": bool,
            },
            (),
        ),
        "memoryPolicy": ({"mode": str, "nodes": str, "flags": _STRINGS}, ("mode",)),
        "personality": ({"domain": str, "flags": _STRINGS}, ("domain",)),
    },
    (),
)

CONFIG = (
    {
        "ociVersion": str,
        "root": ({"path": str, "readonly": bool}, ("path",)),
        "process": PROCESS,
        "hostname": str,
        "domainname": str,
        "mounts": _MOUNTS,
        "hooks": (
            {
                "prestart": _HOOKS,
                "createRuntime": _HOOKS,
                "createContainer": _HOOKS,
                "startContainer": _HOOKS,
                "poststart": _HOOKS,
                "poststop": _HOOKS,
            },
            (),
        ),
        "annotations": _STRING_MAP,
        "linux": _LINUX,
    },
    ("ociVersion", "root"),
)
