"""Which proxy leads to a host: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY as programs written in Go read them."""

from __future__ import annotations

import ipaddress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def proxy_for(scheme: str, host: str, port: int, environment: Mapping[str, str]) -> str:
    """The URL of the proxy for a host, or an empty text if it is reached directly.

    This machine itself is never reached by way of a proxy.
    """
    if is_loopback(host) or _is_excluded(host.lower(), port, _variable("NO_PROXY", environment)):
        return ""
    if scheme == "https":
        proxy = _variable("HTTPS_PROXY", environment)
    elif "REQUEST_METHOD" in environment:
        proxy = environment.get("http_proxy", "")  # in a CGI program HTTP_PROXY is a header of the request
    else:
        proxy = _variable("HTTP_PROXY", environment)
    proxy = proxy or _variable("ALL_PROXY", environment)
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own, by its look: 127.0.0.0/8, ::1, localhost."""
    if host.lower().rstrip(".") == "localhost":
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def _variable(name: str, environment: Mapping[str, str]) -> str:
    return environment.get(name) or environment.get(name.lower(), "")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _is_excluded(host: str, port: int, exclusions: str) -> bool:
    address = _address(host)
    for item in exclusions.lower().split(","):
        rule = item.strip()
        if rule == "*":
            return True
        if rule and _excludes(rule, host, port, address):
            return True
    return False


def _excludes(rule: str, host: str, port: int, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    if "/" in rule:
        try:
            return address is not None and address in ipaddress.ip_network(rule, strict=False)
        except ValueError:
            return False
    if _address(rule) is not None:
        return _address(rule) == address
    name, colon, number = rule.rpartition(":")
    if colon and number.isdecimal():
        if int(number) != port:
            return False
        rule = name
    if address is not None:
        return _address(rule) == address
    if rule.startswith("*."):
        rule = rule[1:]
    if rule.startswith("."):
        return host.endswith(rule)
    return host == rule or host.endswith(f".{rule}")
