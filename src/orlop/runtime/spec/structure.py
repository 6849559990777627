"""The types of a ``config.json``: one table, and the walk that compares a configuration with it.

A shape is one of

* ``str`` and ``bool``;
* a ``range``: an integer in it;
* ``[shape]``: an array;
* ``{"": shape}``: an object with any keys;
* ``(fields, required)``: an object with known fields.

Fields that are not in the table are left alone, as "Extensibility" in the specification's ``config.md`` asks;
so are the sections of other platforms (``windows``, ``solaris``, ``vm``, ``zos``, ``freebsd``). The seccomp
section is only known to be an object here: its compiler reads the rest.
"""

from __future__ import annotations

from orlop.errors import InvalidConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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
    ("ociVersion", "root", "process"),
)


def check(value: Any, shape: Any, path: str) -> None:
    """Compare ``value``, which is at ``path`` of the configuration, with a shape.

    A field that is ``null`` counts as absent, as it does for every engine written in Go, and is removed, so
    that nobody after this has to think of it.

    Raises:
        InvalidConfig: a type is wrong, a number is out of its range, or a required field is missing.
    """
    kind = type(shape)
    if shape is str:
        if type(value) is not str:
            raise _wrong(shape, path)
        if "\0" in value:
            raise InvalidConfig(f"{path} must not contain a NUL character")
    elif shape is bool:
        if type(value) is not bool:
            raise _wrong(shape, path)
    elif kind is range:
        if type(value) is not int:
            raise _wrong(shape, path)
        if value not in shape:
            raise InvalidConfig(f"{path} must be from {shape.start} to {shape.stop - 1}, not {value}")
    elif kind is list:
        _check_array(value, shape, path)
    elif type(value) is not dict:
        raise _wrong(shape, path)
    elif kind is tuple:
        _check_object(value, shape[0], shape[1], path)
    else:
        _check_map(value, shape[""], path)


def _check_map(value: dict[str, Any], shape: Any, path: str) -> None:
    for key, item in value.items():
        if key.isprintable():
            check(item, shape, f"{path}.{key}")
        elif path == "annotations":  # the only map whose keys are anybody's
            check(item, shape, f"{path}.{key!r}")
        else:
            raise InvalidConfig(f"{path} must not have a key with control characters: {key!r}")


def _check_array(value: Any, shape: Any, path: str) -> None:
    if type(value) is not list:
        raise _wrong(shape, path)
    element = shape[0]
    if element is str:  # by far the most
        for item in value:
            if type(item) is not str:
                raise _wrong(shape, path)
            if "\0" in item:
                raise InvalidConfig(f"{path} must not contain a NUL character")
        return
    is_object = type(element) is tuple
    for index, item in enumerate(value):
        if is_object:
            if type(item) is not dict:
                raise _wrong(shape, path)
            _check_object(item, element[0], element[1], f"{path}[{index}]")
        elif type(item) is not int:
            raise _wrong(shape, path)
        else:
            check(item, element, f"{path}[{index}]")


def _check_object(value: dict[str, Any], fields: dict[str, Any], required: tuple[str, ...], path: str) -> None:
    nulls = None
    for name, item in value.items():
        if name in fields:
            shape = fields[name]
            if type(item) is str and shape is str and "\0" not in item:
                continue
            if item is None:
                nulls = nulls or []
                nulls.append(name)
            else:
                check(item, shape, f"{path}.{name}" if path else name)
    if nulls:
        for name in nulls:
            del value[name]
    for name in required:
        if name not in value:
            raise InvalidConfig(f"{path}.{name} is required" if path else f"{name} is required")


def _wrong(shape: Any, path: str) -> InvalidConfig:
    return InvalidConfig(f"{path} must be {_words(shape)}")


def _words(shape: Any) -> str:
    if shape is str:
        return "a string"
    if shape is bool:
        return "true or false"
    if type(shape) is range:
        return "an integer"
    if type(shape) is not list:
        return "an object"
    if shape[0] is str:
        return "an array of strings"
    return "an array of integers" if type(shape[0]) is range else "an array of objects"
