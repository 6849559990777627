"""What templates have to know of Docker's API, whose fields have types where orlop's records are JSON."""

from __future__ import annotations

#: Fields whose values are maps with keys of the user's, or of a driver's.
OPEN = frozenset((
    "Annotations", "Data", "DriverOpts", "ExposedPorts", "Labels", "LogOpts", "Networks", "Options", "PortBindings",
    "Ports", "StorageOpt", "Sysctls", "Tmpfs", "Volumes",
))  # fmt: skip

#: Fields that the API leaves out where there is nothing to tell. In a template they are nil then.
OPTIONAL = frozenset((
    "Annotations", "ArgsEscaped", "Descriptor", "DriverOpts", "ExposedPorts", "GraphDriver", "Health", "Healthcheck",
    "ImageManifestDescriptor", "Init", "Manifests", "NetworkDisabled", "OnBuild", "OsVersion", "Shell", "SizeRootFs",
    "SizeRw", "StopSignal", "StopTimeout", "StorageOpt", "Sysctls", "Tmpfs", "Variant", "Volumes",
))  # fmt: skip

_LISTS = (
    "Args", "Binds", "CapAdd", "CapDrop", "Cmd", "DeviceRequests", "Devices", "Dns", "DnsOptions", "DnsSearch",
    "Entrypoint", "Env", "ExecIDs", "ExtraHosts", "GroupAdd", "Links", "Mounts", "OnBuild", "RepoDigests", "RepoTags",
    "SecurityOpt", "Shell", "Ulimits", "VolumesFrom",
)  # fmt: skip
_POINTERS = ("Health", "Healthcheck", "ImageManifestDescriptor", "Init", "SizeRootFs", "SizeRw", "StopTimeout")

#: What is printed for a field that is null: the nothing of its type. Of any other it is ``<no value>``.
NOTHING = dict.fromkeys(_LISTS, "[]") | dict.fromkeys(OPEN - {"Data"}, "map[]") | dict.fromkeys(_POINTERS, "<nil>")
