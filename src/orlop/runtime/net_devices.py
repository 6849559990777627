"""``linux.netDevices``: network devices of the host that move into the container's network namespace.

runtime-spec 1.3, config-linux.md, "Network Devices". A device takes its lasting addresses with it and is switched on
there. It is never taken back: when its namespace ends the kernel returns a physical device to the host and
destroys a virtual one.
"""

from __future__ import annotations

import os

from orlop.errors import NotFound, StepFailed
from orlop.linux import network_address, network_device
from orlop.linux.netlink import Netlink
from orlop.runtime.step import step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TEMPLATE = "%d"


def move(devices: dict[str, dict[str, Any]], namespace: int) -> None:
    """Move the devices into the network namespace that ``namespace`` is open on; all of them are looked at first.

    Raises:
        NotFound: the host has no such device.
        StepFailed: the name is taken in the container, or the kernel refuses.
    """
    with step("open netlink of the container's network namespace"):
        there = Netlink(namespace)
    with there, Netlink() as here:
        plan = [
            _plan(here, there, device, (settings or {}).get("name") or device) for device, settings in devices.items()
        ]
        for index, device, name in plan:
            with step(f"move network device {device} to the container as", name):
                _move(here, there, namespace, index, device, name)


def _plan(here: Netlink, there: Netlink, device: str, name: str) -> tuple[int, str, str]:
    with step("find network device", device):
        index = network_device.find(here, device)
        if index is None:
            raise NotFound(f"linux.netDevices: the host has no network device {device}")
        # A rename that fails would leave the device in the container under its old name.
        if _TEMPLATE not in name and network_device.find(there, name) is not None:
            raise StepFailed(
                f"move network device {device} to the container as", name, "a device with this name is there", 17
            )
    return index, device, name


def _move(here: Netlink, there: Netlink, namespace: int, index: int, device: str, name: str) -> None:
    addresses = [each for each in network_address.addresses(here, index) if each.is_lasting]
    before = network_device.names(there)
    network_device.move(here, index, namespace, name)
    # The index, and with a template the name, are the kernel's choice.
    after = network_device.names(there)
    [(new_index, new_name)] = [
        (number, called) for number, called in after.items() if number not in before and _fits(called, name)
    ]
    for address in addresses:
        network_address.add_again(there, new_index, address, device, new_name)
    network_device.set_up(there, new_index)


def _fits(called: str, name: str) -> bool:
    first, template, last = name.partition(_TEMPLATE)
    if not template:
        return called == name
    return called.startswith(first) and called.endswith(last)


def open_namespace(pid: int) -> int:
    """The network namespace of a process."""
    path = f"/proc/{pid}/ns/net"
    with step("open", path):
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
