"""What the configurations of other engines say of registries, so that a machine where these work needs no other.

Docker's ``/etc/docker/daemon.json`` (``~/.config/docker/daemon.json`` of an ordinary user's daemon)
    ``registry-mirrors``, which are docker.io's, and ``insecure-registries``, hosts and networks.
``/etc/containers/registries.conf`` and ``registries.conf.d`` (containers-registries.conf(5)), the user's own instead
    ``[[registry]]`` tables whose prefix is a whole registry: its mirrors and whether it is insecure. A ``location`` elsewhere
    is asked like a mirror. Mirrors that are for digests or for tags only, and tables of single namespaces, are left out.
containerd's ``/etc/containerd/certs.d/HOST/hosts.toml`` (docs/hosts.md)
    The hosts from which may be pulled, as mirrors, with ``skip_verify``, ``ca`` and ``client``.

Of these the second counts before the third, and the first before both, where they speak of the same; orlop's own
configuration counts before all (`orlop.images.registry.hosts`).
"""

from __future__ import annotations

import os

from orlop import configuration, json_text
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    Settings = dict[str, dict[str, Any]]

_HUB = "docker.io"


def settings(environment: Mapping[str, str], etc: str = "/etc") -> Settings:
    """What is said of each registry, by its domain: ``mirrors``, ``insecure``, ``ca`` and ``client``.

    A network of addresses, such as ``10.0.0.0/8``, may be insecure too. Files that this user may not read do not count.

    Raises:
        InvalidArgument: a file is not what it should be.
    """
    own = configuration.user_directory(environment)
    found: Settings = {}
    for settings_of in (_containerd, _containers, _docker):
        for domain, said in settings_of(etc, own).items():
            found[domain] = found.get(domain, {}) | said
    return found


def _docker(etc: str, own: str) -> Settings:
    path = f"{own}/docker/daemon.json"
    if not own or not os.path.exists(path):
        path = f"{etc}/docker/daemon.json"
    document = _read(path)
    found: Settings = {}
    mirrors = _strings(document.get("registry-mirrors", []), f"registry-mirrors in {path}")
    if mirrors:
        found[_HUB] = {"mirrors": [each.rstrip("/") for each in mirrors]}
    for each in _strings(document.get("insecure-registries", []), f"insecure-registries in {path}"):
        name = each.partition("://")[2] or each
        found.setdefault(name.rstrip("/"), {})["insecure"] = True
    return found


def _containers(etc: str, own: str) -> Settings:
    directories = [etc, *([own] if own else [])]
    paths = [f"{directory}/containers/registries.conf" for directory in directories]
    paths = [next((path for path in reversed(paths) if os.path.exists(path)), paths[0])]
    for directory in directories:
        place = f"{directory}/containers/registries.conf.d"
        paths += [f"{place}/{name}" for name in sorted(_entries(place)) if name.endswith(".conf")]
    found: Settings = {}
    for path in paths:
        for table in _tables(configuration.read(path) if os.access(path, os.R_OK) else {}, "registry", path):
            for domain, said in _of_containers(table, path).items():
                found[domain] = found.get(domain, {}) | said
    return found


def _of_containers(table: dict[str, Any], path: str) -> Settings:
    location = str(table.get("location", ""))
    domain = str(table.get("prefix", "")) or location
    if "/" in domain or "*" in domain or not domain:
        return {}
    found: Settings = {domain: {"insecure": True} if table.get("insecure", False) else {}}
    by_digest = table.get("mirror-by-digest-only", False)
    mirrors = []
    for mirror in _tables(table, "mirror", path):
        place = str(mirror.get("location", ""))
        if place and not by_digest and mirror.get("pull-from-mirror", "all") in ("", "all"):
            mirrors.append(place)
            if mirror.get("insecure", False):
                found.setdefault(place.partition("/")[0], {})["insecure"] = True
    if location and location != domain:
        mirrors.append(location)
        if table.get("insecure", False):
            found.setdefault(location.partition("/")[0], {})["insecure"] = True
    if mirrors:
        found[domain]["mirrors"] = mirrors
    return found


def _containerd(etc: str, _own: str) -> Settings:
    place = f"{etc}/containerd/certs.d"
    found: Settings = {}
    for name in sorted(_entries(place)):
        path = f"{place}/{name}/hosts.toml"
        if not os.access(path, os.R_OK):
            continue
        document = configuration.read(path)
        # A colon may be written otherwise, for file systems that know no colons.
        domain = f"{name[:-1].rpartition('_')[0]}:{name[:-1].rpartition('_')[2]}" if name.endswith("_") else name
        hosts = document.get("host", {})
        if not isinstance(hosts, dict) or not all(isinstance(each, dict) for each in hosts.values()):
            raise InvalidArgument(f"host in {path} must be tables")
        if domain == "_default":
            continue
        mirrors = []
        for url, said in hosts.items():
            if "pull" in said.get("capabilities", ["pull"]):
                mirrors.append(_place(url, path, whole=bool(said.get("override_path"))))
            _note(found, _authority(url), said, f"{place}/{name}", path)
        _note(found, domain, document, f"{place}/{name}", path)
        others = [each for each in mirrors if _authority(each) != domain]
        if others:
            found.setdefault(domain, {})["mirrors"] = others
    return found


def _place(url: str, path: str, *, whole: bool) -> str:
    """A host of containerd's as a mirror: with ``override_path`` its path ends where names begin, after the ``/v2``."""
    scheme, separator, rest = url.rpartition("://")
    authority, _, below = rest.partition("/")
    below = below.strip("/")
    if whole and (below == "v2" or below.startswith("v2/")):
        below = below[3:]
    elif below:
        raise InvalidArgument(
            f'the host "{url}" in {path} cannot be used: its path is not below /v2 with override_path; say in '
            f"{configuration.SYSTEM} what it is a mirror of"
        )
    return f"{scheme or 'https'}{separator or '://'}{authority}{'/' if below else ''}{below}"


def _authority(url: str) -> str:
    return url.rpartition("://")[2].partition("/")[0]


def _note(found: Settings, authority: str, said: Mapping[str, Any], directory: str, path: str) -> None:
    """What containerd is told of one server's certificates."""
    known: dict[str, Any] = {}
    if said.get("skip_verify"):
        known["insecure"] = True
    if "ca" in said:
        ca = said["ca"]
        known["ca"] = [os.path.join(directory, each) for each in _strings([ca] if isinstance(ca, str) else ca, path)]
    if "client" in said:
        client = said["client"]
        pairs = [[client, client]] if isinstance(client, str) else client
        pairs = [[each, each] if isinstance(each, str) else each for each in pairs] if isinstance(pairs, list) else [[]]
        if not all(isinstance(each, list) and len(each) == 2 for each in pairs):
            raise InvalidArgument(f"client in {path} must be pairs of a certificate and its key")
        known["client"] = [[os.path.join(directory, each) for each in _strings(pair, path)] for pair in pairs]
    if known:
        found[authority] = found.get(authority, {}) | known


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            document = json_text.loads(file.read())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    except (OSError, ValueError) as error:
        raise InvalidArgument(f"the configuration {path} cannot be read: {error}") from None
    if not isinstance(document, dict):
        raise InvalidArgument(f"the configuration {path} is no object")
    return document


def _tables(document: Mapping[str, Any], name: str, path: str) -> list[dict[str, Any]]:
    found = document.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise InvalidArgument(f"{name} in {path} must be an array of tables")
    return found


def _strings(value: Any, where: str) -> Iterable[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InvalidArgument(f"{where} must be an array of strings")
    return value


def _entries(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
