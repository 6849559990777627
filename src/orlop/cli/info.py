"""``orlop info``."""

from __future__ import annotations

import sys

from orlop.options import Option, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.location import Location
    from orlop.options import Parsed

PARSER = Parser(
    "orlop info",
    "",
    "Display system-wide information",
    (Option("-f, --format", "'json', or a template such as '{{.ServerVersion}}'", value="string"),),
    at_most=0,
)


def run(location: Location, said: Parsed) -> int:
    """Carry the command out."""
    from orlop.cli import identity
    from orlop.engine import information

    client = {"Debug": False, **identity.client(), "Plugins": [], "Warnings": None}
    about = {**information.describe(location), "ClientInfo": client}
    if said["format"]:
        from orlop.cli import template

        sys.stdout.write(template.render(said["format"], about) + "\n")
        return 0
    sys.stdout.write("".join(f"{line}\n" for line in _lines(about)))
    sys.stderr.write("".join(f"{line}\n" for line in about["Warnings"]))
    return 0


def _lines(about: dict[str, Any]) -> list[str]:
    """Docker's lines, as far as there is something to tell; the engine's are below "Server"."""
    client = about["ClientInfo"]
    return [
        "Client:",
        f" Version:    {client['Version']}",
        f" Context:    {client['Context']}",
        " Debug Mode: false",
        "",
        "Server:",
        *(f" {line}" for line in _server(about)),
        "",
    ]


def _server(about: dict[str, Any]) -> list[str]:
    from orlop import units

    plugins = about["Plugins"]
    lines = [
        f"Containers: {about['Containers']}",
        f" Running: {about['ContainersRunning']}",
        f" Paused: {about['ContainersPaused']}",
        f" Stopped: {about['ContainersStopped']}",
        f"Images: {about['Images']}",
        f"Server Version: {about['ServerVersion']}",
        f"Storage Driver: {about['Driver']}",
        *(f" {name}: {value}" for name, value in about["DriverStatus"]),
        f"Logging Driver: {about['LoggingDriver']}",
        f"Cgroup Driver: {about['CgroupDriver']}",
        f"Cgroup Version: {about['CgroupVersion']}",
        "Plugins:",
        *(f" {name}: {' '.join(plugins[name])}" for name in ("Volume", "Network", "Log")),
        f"Swarm: {about['Swarm']['LocalNodeState']}",
        f"Runtimes: {' '.join(about['Runtimes'])}",
        f"Default Runtime: {about['DefaultRuntime']}",
        f"Init Binary: {about['InitBinary']}",
        "Security Options:",
    ]
    for option in about["SecurityOptions"]:
        name, *more = option.split(",")
        lines.append(f" {name.partition('=')[2]}")
        lines += [f"  {key.capitalize()}: {value}" for key, _, value in (each.partition("=") for each in more)]
    return [
        *lines,
        f"Kernel Version: {about['KernelVersion']}",
        f"Operating System: {about['OperatingSystem']}",
        f"OSType: {about['OSType']}",
        f"Architecture: {about['Architecture']}",
        f"CPUs: {about['NCPU']}",
        f"Total Memory: {units.binary_size(about['MemTotal'])}",
        f"Name: {about['Name']}",
        f"ID: {about['ID']}",
        f"Docker Root Dir: {about['DockerRootDir']}",
        "Debug Mode: false",
        "Experimental: false",
        "Insecure Registries:",
        *(f" {network}" for network in about["RegistryConfig"]["InsecureRegistryCIDRs"]),
        f"Live Restore Enabled: {'true' if about['LiveRestoreEnabled'] else 'false'}",
    ]
