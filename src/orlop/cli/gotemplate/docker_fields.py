"""What templates have to know of Docker's API: which fields may be absent without having been misspelt."""

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
