"""What templates have to know of Docker's API, whose fields have types where orlop's records are JSON."""

from __future__ import annotations

#: Fields whose values are maps with keys of the user's, or of a driver's.
OPEN = frozenset((
    "Annotations", "Data", "DriverOpts", "ExposedPorts", "Labels", "LogOpts", "Networks", "Options", "PortBindings",
    "Ports", "StorageOpt", "Sysctls", "Tmpfs", "Volumes",
))  # fmt: skip

#: Fields that the API leaves out where there is nothing to tell. In a template they are nil then.
OPTIONAL = frozenset((
    "Annotations", "ArgsEscaped", "Descriptor", "DockerVersion", "DriverOpts", "ExposedPorts", "GraphDriver", "Health",
    "Healthcheck", "ImageManifestDescriptor", "Init", "Manifests", "NetworkDisabled", "OnBuild", "OsVersion", "Shell", "SizeRootFs",
    "SizeRw", "Status", "StopSignal", "StopTimeout", "StorageOpt", "Sysctls", "Tmpfs", "UsageData", "Variant", "Volumes",
))  # fmt: skip

_LISTS = (
    "Aliases", "Args", "Binds", "CapAdd", "CapDrop", "Cmd", "DNSNames", "DeviceRequests", "Devices", "Dns", "DnsOptions",
    "DnsSearch", "Entrypoint", "Env", "ExecIDs", "ExtraHosts", "GroupAdd", "Links", "Mounts", "OnBuild", "RepoDigests", "RepoTags",
    "SecondaryIPAddresses", "SecondaryIPv6Addresses", "SecurityOpt", "Shell", "Ulimits", "VolumesFrom",
)  # fmt: skip
_POINTERS = (
    "Health", "Healthcheck", "ImageManifestDescriptor", "Init", "PidsLimit", "Platform", "SizeRootFs", "SizeRw",
    "StopTimeout", "UsageData",
)  # fmt: skip

#: What is printed for a field that is null: the nothing of its type. Of any other it is ``<no value>``.
NOTHING = {
    **dict.fromkeys(_LISTS, "[]"),
    **dict.fromkeys(OPEN - {"Data"}, "map[]"),
    **dict.fromkeys(_POINTERS, "<nil>"),
    "DockerVersion": "",
    "Status": "map[]",  # a volume's; of all else it is there
}

#: Those values of Docker's API that Go prints as ``{no 0}``, since they are structs there: their fields in order, and
#: what is printed for one that JSON leaves out where it has nothing to tell.
STRUCTS: tuple[tuple[tuple[str, ...], dict[str, str]], ...] = (
    (("HostIp", "HostPort"), {}),
    (("Name", "MaximumRetryCount"), {}),
    (("Type", "Config"), {}),
    (("Type", "Layers"), {}),
    (("Data", "Name"), {}),
    (("Type", "Name", "Source", "Destination", "Driver", "Mode", "RW", "Propagation"), {"Name": "", "Driver": ""}),
    (("PathOnHost", "PathInContainer", "CgroupPermissions"), {}),
    (("Driver", "Options", "Config"), {}),
    (("Subnet", "IPRange", "Gateway", "AuxiliaryAddresses"), {"IPRange": "", "Gateway": "", "AuxiliaryAddresses": "map[]"}),
    (("Name", "EndpointID", "MacAddress", "IPv4Address", "IPv6Address"), {}),
    (
        (
            "Status", "Running", "Paused", "Restarting", "OOMKilled", "Dead", "Pid", "ExitCode", "Error", "StartedAt",
            "FinishedAt", "Health",
        ),
        {"Health": "<nil>"},
    ),
)  # fmt: skip


def struct_of(value: dict[str, object]) -> tuple[tuple[str, ...], dict[str, str]] | None:
    """The fields of the struct that a map stands for, and what to print for those that are missing; None for a real map."""
    keys = value.keys()
    for fields, missing in STRUCTS:
        if keys <= set(fields) and set(fields) - missing.keys() <= keys:
            return fields, missing
    return None
