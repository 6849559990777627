from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orlop.errors import InvalidArgument
from orlop.images.registry.hosts import RegistryOptions, host_and_port, registries_of

if TYPE_CHECKING:
    from pathlib import Path


def write(directory: Path, text: str) -> dict[str, str]:
    """An environment whose user's configuration is this."""
    (directory / "orlop").mkdir(exist_ok=True)
    (directory / "orlop/config.toml").write_text(text)
    return {"XDG_CONFIG_HOME": str(directory)}


def test_the_users_configuration_counts_before_the_systems(tmp_path: Path) -> None:
    system = tmp_path / "system.toml"
    system.write_text('[registry."a:1"]\ninsecure = true\nmirrors = ["m"]\n[registry.b]\ninsecure = true\n')
    environment = write(tmp_path, '[registry."a:1"]\ninsecure = false\n[something.else]\nx = 1\n')
    assert registries_of(environment, str(system), str(tmp_path)) == {
        "a:1": {"insecure": False, "mirrors": ["m"]},
        "b": {"insecure": True},
    }


def test_without_any_file_nothing_is_configured(tmp_path: Path) -> None:
    assert registries_of({}, str(tmp_path / "absent"), str(tmp_path)) == {}
    assert registries_of({"HOME": str(tmp_path)}, "/dev/null/absent", "/dev/null/absent") == {}


@pytest.mark.parametrize(
    "text",
    [
        "registry = 1",
        "[registry]\na = 1",
        "[registry.a]\ninsecure = 'yes'",
        "[registry.a]\nmirrors = 'm'",
        "[registry.a]\nmirrors = [1]",
        "[registry.a]\nmirrors = ['ftp://m']",
        "[registry.a]\nmirrors = ['https://user@m']",
        "[registry.a]\nmirrors = ['']",
        "[registry.a]\nmirrors = ['m:x']",
        "[registry.a]\nlocation = 'm'",
        "not toml",
    ],
)
def test_what_means_nothing_is_refused_by_the_files_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"orlop/config\.toml"):
        registries_of(write(tmp_path, text), str(tmp_path / "absent"))


def test_mirrors_come_before_the_registry_with_their_scheme_and_path() -> None:
    mirrors = ["https://m.example.com", "cache:5000/hub/", "http://plain:80"]
    options = RegistryOptions(
        environment={}, registries={"docker.io": {"mirrors": mirrors}, "cache:5000": {"insecure": True}}
    )
    servers = options.servers("docker.io")
    assert [(each.authority, each.schemes, each.prefix, each.insecure) for each in servers] == [
        ("m.example.com", ("https",), "", False),
        ("cache:5000", ("https", "http"), "hub/", True),
        ("plain:80", ("http",), "", False),
        ("registry-1.docker.io", ("https",), "", False),
    ]
    assert [each.is_mirror for each in servers] == [True, True, True, False]


def test_the_hub_is_insecure_by_its_name_in_references() -> None:
    options = RegistryOptions(environment={}, registries={"docker.io": {"insecure": True}})
    assert options.servers("docker.io")[-1].insecure


def test_all_hosts_are_insecure_if_nothing_is_to_be_verified() -> None:
    assert RegistryOptions(environment={}, registries={}, verify_tls=False).is_insecure("example.com")


def test_a_host_and_its_port_are_told_apart() -> None:
    assert host_and_port("Example.com", "https") == ("example.com", 443)
    assert host_and_port("example.com", "http") == ("example.com", 80)
    assert host_and_port("[::1]:5000", "https") == ("::1", 5000)
    for wrong in ("", "a:b", "a/b", "u@a", "a:99999", ":5000", "[::1", "a?b", "a#b"):
        with pytest.raises(InvalidArgument):
            host_and_port(wrong, "https")


def test_certificates_are_looked_for_in_the_directories_of_docker_podman_and_containerd() -> None:
    options = RegistryOptions(environment={"HOME": "/home/me"}, registries={})
    assert options.certificate_directories == (
        "/home/me/.config/containers/certs.d",
        "/home/me/.config/docker/certs.d",
        "/etc/containers/certs.d",
        "/etc/docker/certs.d",
        "/etc/containerd/certs.d",
    )
