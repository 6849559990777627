from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orlop.errors import InvalidArgument
from orlop.images.registry.hosts import RegistryOptions, registries_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    Read = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """What is configured by files of these paths and texts."""

    def written(files: dict[str, str]) -> dict[str, dict[str, Any]]:
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        environment = {"XDG_CONFIG_HOME": str(tmp_path / "home")}
        return registries_of(environment, str(tmp_path / "etc/orlop/config.toml"), str(tmp_path / "etc"))

    return written


def options(registries: dict[str, dict[str, Any]]) -> RegistryOptions:
    return RegistryOptions(environment={}, registries=registries)


def test_dockers_mirrors_are_the_hubs_and_its_insecure_registries_hosts_and_networks(read: Read) -> None:
    said = '{"registry-mirrors": ["https://m.example/"], "insecure-registries": ["r:5000", "http://s", "10.0.0.0/8"]}'
    found = read({"etc/docker/daemon.json": said})
    assert found == {
        "docker.io": {"mirrors": ["https://m.example"]},
        "r:5000": {"insecure": True},
        "s": {"insecure": True},
        "10.0.0.0/8": {"insecure": True},
    }
    hosts = ("r:5000", "r", "10.1.2.3:5000", "11.1.2.3:5000", "name:5000", "[fe80::1]:5000")
    assert [options(found).is_insecure(each) for each in hosts] == [True, False, True, False, False, False]
    assert not options(found | {"10.1.2.3:5000": {"insecure": False}}).is_insecure("10.1.2.3:5000")


def test_the_containers_tables_of_whole_registries_count(read: Read) -> None:
    found = read(
        {
            "etc/containers/registries.conf": """
                unqualified-search-registries = ["quay.io"]
                [[registry]]
                prefix = "docker.io"
                location = "docker.io"
                [[registry.mirror]]
                location = "m:5000/hub"
                insecure = true
                [[registry.mirror]]
                location = "digests"
                pull-from-mirror = "digest-only"
                [[registry]]
                location = "other"
                insecure = true
                [[registry]]
                prefix = "docker.io/library"
                location = "elsewhere/library"
                [[registry]]
                prefix = "*.example.com"
                insecure = true
            """,
            "etc/containers/registries.conf.d/1.conf": '[[registry]]\nprefix = "r"\nlocation = "moved:5000/r"\n',
            "etc/containers/registries.conf.d/read.me": "not toml",
        }
    )
    assert found == {
        "docker.io": {"mirrors": ["m:5000/hub"]},
        "m:5000": {"insecure": True},
        "other": {"insecure": True},
        "r": {"mirrors": ["moved:5000/r"]},
    }


def test_a_users_own_registries_conf_is_instead_of_the_systems(read: Read) -> None:
    found = read(
        {
            "etc/containers/registries.conf": '[[registry]]\nlocation = "a"\ninsecure = true\n',
            "home/containers/registries.conf": '[[registry]]\nlocation = "b"\ninsecure = true\n',
        }
    )
    assert found == {"b": {"insecure": True}}


def test_containerds_hosts_are_mirrors_with_their_certificates(read: Read, tmp_path: Path) -> None:
    found = read(
        {
            "etc/containerd/certs.d/docker.io/hosts.toml": """
                server = "https://registry-1.docker.io"
                [host."https://m.example"]
                capabilities = ["pull", "resolve"]
                ca = "m.crt"
                client = [["/c.cert", "/c.key"]]
                [host."http://cache:5000/v2/hub"]
                override_path = true
                skip_verify = true
                [host."https://push.example"]
                capabilities = ["push"]
            """,
            "etc/containerd/certs.d/r_5000_/hosts.toml": 'server = "https://r:5000"\nskip_verify = true\n',
            "etc/containerd/certs.d/_default/hosts.toml": '[host."https://all.example"]\n',
        }
    )
    assert found == {
        "docker.io": {"mirrors": ["https://m.example", "http://cache:5000/hub"]},
        "m.example": {
            "ca": [str(tmp_path / "etc/containerd/certs.d/docker.io/m.crt")],
            "client": [["/c.cert", "/c.key"]],
        },
        "cache:5000": {"insecure": True},
        "r:5000": {"insecure": True},
    }
    servers = options(found).servers("docker.io")
    assert [(each.authority, each.schemes, each.prefix) for each in servers[:2]] == [
        ("m.example", ("https",), ""),
        ("cache:5000", ("http",), "hub/"),
    ]
    authorities, pairs = options(found).certificates("m.example")
    assert authorities == found["m.example"]["ca"]
    assert pairs == [("/c.cert", "/c.key")]


def test_orlops_own_configuration_counts_before_all_others(read: Read) -> None:
    found = read(
        {
            "etc/docker/daemon.json": '{"registry-mirrors": ["https://d"], "insecure-registries": ["r"]}',
            "etc/containers/registries.conf": '[[registry]]\nlocation = "r"\ninsecure = true\n',
            "etc/orlop/config.toml": '[registry."docker.io"]\nmirrors = ["https://o"]\n[registry.r]\ninsecure = false\n',
        }
    )
    assert found == {"docker.io": {"mirrors": ["https://o"]}, "r": {"insecure": False}}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("etc/docker/daemon.json", "{"),
        ("etc/docker/daemon.json", "[]"),
        ("etc/docker/daemon.json", '{"registry-mirrors": "m"}'),
        ("etc/containers/registries.conf", "[registry]"),
        ("etc/containers/registries.conf", "registry = [1]"),
        ("etc/containers/registries.conf", "registry"),
        ("etc/containerd/certs.d/r/hosts.toml", "host = 1"),
        ("etc/containerd/certs.d/r/hosts.toml", '[host."https://m/path"]'),
        ("etc/containerd/certs.d/r/hosts.toml", '[host."https://m"]\nca = 1'),
        ("etc/containerd/certs.d/r/hosts.toml", '[host."https://m"]\nclient = [["a"]]'),
    ],
)
def test_what_means_nothing_is_refused_by_the_files_name(read: Read, path: str, text: str) -> None:
    with pytest.raises(InvalidArgument, match=path.rpartition("/")[2].replace(".", r"\.")):
        read({path: text})


def test_a_mirror_that_can_be_none_is_refused(read: Read) -> None:
    with pytest.raises(InvalidArgument, match="ftp://m"):
        read({"etc/docker/daemon.json": '{"registry-mirrors": ["ftp://m"]}'})
