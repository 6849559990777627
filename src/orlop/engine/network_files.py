"""The files that tell a container who it is and whom to ask: /etc/hostname, /etc/hosts, /etc/resolv.conf.

They lie in the container's directory and are bound over the root file system's own.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.settings import Settings

_LOCAL_HOSTS = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""

#: Their names in a container's directory, and below its /etc.
FILES = ("resolv.conf", "hostname", "hosts")


def write(directory: str, settings: Settings) -> None:
    """Make the three files in a container's directory; with the host's network they are the host's.

    Raises:
        InvalidArgument: what is to be added to them cannot be.
    """
    hostname = settings.hostname
    on_host = settings.network == "host"
    hosts = (_host_file("/etc/hosts") if on_host else None) or _LOCAL_HOSTS.encode()
    resolvers = (_host_file("/etc/resolv.conf") if on_host else None) or b""
    names = hostname
    if not settings.is_ordinary:
        from orlop.engine import name_resolution

        resolvers = name_resolution.resolvers(resolvers, settings)
        if settings.domainname:
            names = f"{hostname}.{settings.domainname} {hostname}"
    if not on_host and hostname:
        hosts += f"127.0.1.1\t{names}\n".encode()
    if settings.extra_hosts:
        from orlop.engine import name_resolution

        hosts += name_resolution.hosts(settings)
    texts = {"resolv.conf": resolvers, "hostname": f"{hostname}\n".encode(), "hosts": hosts}
    for name in FILES:
        # 0644: any user in the container reads them; outside, the directory around them keeps others out.
        descriptor = os.open(f"{directory}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            os.fchmod(descriptor, 0o644)
            os.write(descriptor, texts[name])
        finally:
            os.close(descriptor)


def mounts(directory: str) -> list[dict[str, Any]]:
    """The OCI mounts that put the files in place."""
    return [
        {
            "destination": f"/etc/{name}",
            "type": "bind",
            "source": f"{directory}/{name}",
            "options": ["rbind", "rprivate", "rw"],
        }
        for name in FILES
    ]


def _host_file(path: str) -> bytes | None:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(1 << 20)
    except OSError:
        return None  # a machine without the file has nothing to pass on
