"""What the client and the engine are, which are one program here, in the words of Docker's ``version``."""

from __future__ import annotations

import os
import sys

import orlop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The runtime specification that containers are made by.
OCI_VERSION = "1.2.0"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def client() -> dict[str, Any]:
    """``Client``: fields that templates know by two names are in JSON once."""
    from orlop.cli.gotemplate.values import Method

    version = _api_version()
    return {
        "Version": orlop.__version__,
        "ApiVersion": version,
        "APIVersion": Method(lambda: version),
        "DefaultAPIVersion": version,
        "GitCommit": "",
        "GoVersion": "",
        "PythonVersion": python(),
        "Os": "linux",
        "Arch": architecture(),
        "KernelVersion": os.uname().release,
        "BuildTime": "",
        "Context": "default",
    }


def server() -> dict[str, Any]:
    """``Server``, with the one component that there is."""
    from orlop.api import routes
    from orlop.cli.gotemplate.values import Method

    version, oldest = _api_version(), routes.text(routes.OLDEST)
    about = {
        "Version": orlop.__version__,
        "ApiVersion": version,
        "MinAPIVersion": oldest,
        "GitCommit": "",
        "GoVersion": "",
        "PythonVersion": python(),
        "OciVersion": OCI_VERSION,
        "Os": "linux",
        "Arch": architecture(),
        "KernelVersion": os.uname().release,
        "Experimental": False,
        "BuildTime": "",
    }
    details = {
        name: str(value).lower() if value is False else value for name, value in about.items() if name != "Version"
    }
    return {
        "Platform": {"Name": "orlop"},
        "Components": [{"Name": "Engine", "Version": orlop.__version__, "Details": details}],
        **about,
        "APIVersion": Method(lambda: version),
    }


def python() -> str:
    """The version of the interpreter."""
    return ".".join(str(part) for part in sys.version_info[:3])


def architecture() -> str:
    """The machine's, in Go's words."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def _api_version() -> str:
    from orlop.api import routes

    return str(routes.text(routes.NEWEST))
