"""What the kernel must be told beside rules: that it forwards packets, and what bridges may do.

As Docker does, forwarding is switched on where it is off, and never off again: whether somebody else began to need it
meanwhile nobody can know. Nothing else of the host's changes, except that devices which take their IPv6 routes from
routers go on doing so: the kernel would stop that on a machine that forwards (``accept_ra``).
Source: Documentation/networking/ip-sysctl.rst.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.network.firewall.zone import Zone

_IPV4 = "/proc/sys/net/ipv4"
_IPV6 = "/proc/sys/net/ipv6/conf"
_BRIDGES_CALL = ("/proc/sys/net/bridge/bridge-nf-call-iptables", "/proc/sys/net/bridge/bridge-nf-call-ip6tables")
_EVEN_IF_FORWARDING = "2"


def switch_on(zone: Zone) -> None:
    """Have the caller's network namespace forward packets of the network's families.

    Raises:
        OSError: /proc/sys cannot be written.
    """
    if zone.has_ipv4 and _read(f"{_IPV4}/ip_forward") == "0":
        _write(f"{_IPV4}/ip_forward", "1")
    if zone.has_ipv6 and _read(f"{_IPV6}/all/forwarding") == "0":
        for device in os.listdir(_IPV6):
            path = f"{_IPV6}/{device}/accept_ra"
            if device != "all" and _read(path) == "1":
                _write(path, _EVEN_IF_FORWARDING)
        _write(f"{_IPV6}/all/forwarding", "1")


def prepare(zone: Zone) -> None:
    """Set what the network's bridge needs, if it is there.

    Containers that are kept from each other get answers of the host's for each other's addresses (`Link`).
    """
    if not zone.icc and os.path.isdir(f"{_IPV4}/conf/{zone.bridge}"):
        _write(f"{_IPV4}/conf/{zone.bridge}/proxy_arp_pvlan", "1")
        _write(f"{_IPV4}/conf/{zone.bridge}/send_redirects", "0")
        _write(f"{_IPV4}/neigh/{zone.bridge}/proxy_delay", "0")
    if zone.has_ipv6 and os.path.isdir(f"{_IPV6}/{zone.bridge}"):
        _write(f"{_IPV6}/{zone.bridge}/accept_ra", "0")


def bridges_call_rules() -> bool:
    """Whether the kernel has rules for IP packets see what bridges pass on (br_netfilter).

    Then the host's address leads a container back to itself only if its port of the bridge is in hairpin mode, since
    translation keeps the packet in the bridge.
    """
    for path in _BRIDGES_CALL:
        try:
            if _read(path) == "1":
                return True
        except FileNotFoundError:
            pass  # this kernel does not, or not yet
    return False


def open_loopback(bridge: str) -> None:
    """Let 127.0.0.1 of the host's be translated to a container on a bridge, if it is there.

    That the kernel then would take packets to 127.0.0.1 from the bridge is what the chain ``guard`` is for.
    """
    path = f"{_IPV4}/conf/{bridge}/route_localnet"
    try:
        if _read(path) == "0":
            _write(path, "1")
    except FileNotFoundError:
        pass  # nobody can use the port anyway


def _read(path: str) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 64).decode().strip()
    finally:
        os.close(descriptor)


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
