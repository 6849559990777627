"""Whether published ports obey the host's own rules for what comes in.

``/etc/orlop/config.toml`` says it, for every engine of root's; the machine's firewall is no user's to choose::

    firewall = "respect"   # who is not of this machine uses a published port only if the host lets it in (`respect`)
    firewall = "open"      # whoever reaches the host uses it, as with Docker

"respect" is what orlop does if nothing is said: on a host that has no such rules both are the same, and on one that has
them, its owner did not mean "except what containers publish".
"""

from __future__ import annotations

import os

from orlop.configuration import SYSTEM
from orlop.errors import InvalidArgument

_KEY = "firewall"
_RESPECT = "respect"
_OPEN = "open"
_NOTED = ".firewall-policy"


def is_respectful(run_directory: str, system: str = SYSTEM) -> bool:
    """Whether the host's rules are to be respected; ``run_directory`` is the place of what is up of networks.

    A file that has not changed since is not read again: reading TOML takes longer than starting a container may.

    Raises:
        InvalidArgument: the configuration is not TOML, or says something else.
    """
    try:
        status = os.stat(system)
    except (FileNotFoundError, NotADirectoryError):
        return True
    seen = f"{status.st_mtime_ns} {status.st_size} {status.st_ino} "
    path = f"{run_directory}/{_NOTED}"
    noted = _read(path)
    if noted.startswith(seen):
        return noted.endswith(_RESPECT)
    said = _said(system)
    temporary = f"{path}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, (seen + said).encode())
    finally:
        os.close(descriptor)
    os.rename(temporary, path)
    return said == _RESPECT


def _said(system: str) -> str:
    from orlop import configuration

    found = configuration.read(system).get(_KEY, _RESPECT)
    if found not in {_RESPECT, _OPEN}:
        raise InvalidArgument(f'{_KEY} in {system} must be "{_RESPECT}" or "{_OPEN}"')
    return str(found)


def _read(path: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        return os.read(descriptor, 200).decode(errors="replace")
    finally:
        os.close(descriptor)
