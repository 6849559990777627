from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orlop.cli.settings_options import cpus, environment
from orlop.engine import binds, capabilities
from orlop.engine.security_options import SecurityOptions
from orlop.errors import InvalidArgument, Unsupported
from orlop.linux import capability
from orlop.linux.capability import NUMBERS

if TYPE_CHECKING:
    from pathlib import Path

FULL = (1 << 41) - 1


def chosen(add: list[str], drop: list[str], *, privileged: bool = False, available: int = FULL) -> set[str]:
    return set(capabilities.choose(add, drop, privileged=privileged, available=available)[0])


def test_capabilities_are_added_to_and_dropped_from_the_default() -> None:
    default = chosen([], [])
    assert default == set(capabilities.DEFAULT)
    assert chosen(["net_admin"], []) == default | {"CAP_NET_ADMIN"}
    assert chosen([], ["CAP_CHOWN"]) == default - {"CAP_CHOWN"}
    assert chosen(["CHOWN", "net_admin"], ["NET_ADMIN", "CHOWN"]) == default | {"CAP_NET_ADMIN"}


def test_all_can_be_added_and_dropped() -> None:
    assert chosen([], ["ALL"]) == set()
    assert chosen(["CHOWN"], ["ALL"]) == {"CAP_CHOWN"}
    assert len(chosen(["all"], [])) == 41
    assert chosen(["ALL"], ["CHOWN"]) == chosen(["ALL"], []) - {"CAP_CHOWN"}


def test_a_capability_that_the_machine_lacks_is_left_out_unless_it_was_named() -> None:
    available = FULL & ~(1 << NUMBERS["CAP_SYS_RESOURCE"])
    granted, missing = capabilities.choose([], [], privileged=True, available=available)
    assert missing == ["CAP_SYS_RESOURCE"]
    assert "CAP_SYS_RESOURCE" not in granted
    with pytest.raises(Unsupported, match="CAP_SYS_RESOURCE"):
        chosen(["SYS_RESOURCE"], [], available=available)


def test_the_default_capabilities_have_the_kernel_s_numbers() -> None:
    assert all(NUMBERS[name] == number for name, number in capabilities.DEFAULT.items())
    assert capabilities.available() == capability.bounding()
    granted, missing = capabilities.choose([], [], privileged=False, available=0)
    assert (granted, missing) == ([], list(capabilities.DEFAULT))


def test_an_unknown_capability_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="NONSENSE"):
        chosen(["NONSENSE"], [])


def test_a_path_is_bound_and_a_name_is_a_volume() -> None:
    mount = binds.parse("/a/../b:/c/")
    assert (mount["Type"], mount["Source"], mount["Target"], mount["ReadOnly"]) == ("bind", "/b", "/c", False)
    mount = binds.parse("/a:/b:ro,rshared")
    assert (mount["ReadOnly"], mount["BindOptions"]["Propagation"]) == (True, "rshared")
    mount = binds.parse("data:/b:nocopy,idmap")
    assert (mount["Type"], mount["Source"], mount["IDMap"]) == ("volume", "data", "match-user")
    assert mount["VolumeOptions"] == {"NoCopy": True}


@pytest.mark.parametrize(
    "text", ["", "/a", "a/b:/b", "/a:b", "/a:/", "/a:/b:bogus", "/a:/b:ro,rw", "/a:/b:ro:x", ":/b", "data:/b:rshared"]
)
def test_other_volumes_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid volume"):
        binds.parse(text)


def test_a_missing_mount_source_is_made_a_directory(tmp_path: Path) -> None:
    binds.make_source(str(tmp_path / "a/b"))
    assert (tmp_path / "a/b").is_dir()
    (tmp_path / "file").touch()
    binds.make_source(str(tmp_path / "file"))
    with pytest.raises(InvalidArgument, match="cannot be made"):
        binds.make_source(str(tmp_path / "file/below"))


def test_security_options_are_read() -> None:
    options = SecurityOptions(["no-new-privileges", "seccomp=unconfined", "systempaths=unconfined", "label=disable"])
    assert (options.no_new_privileges, options.seccomp, options.unmask) == (True, "unconfined", True)
    assert not SecurityOptions(["no-new-privileges=false"]).no_new_privileges
    assert SecurityOptions(["apparmor=unconfined"]).seccomp == ""


@pytest.mark.parametrize(
    "text", ["bogus=1", "seccomp", "seccomp=", "no-new-privileges=maybe", "label=colour:x", "writable-cgroups=x"]
)
def test_wrong_security_options_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        SecurityOptions([text])


@pytest.mark.parametrize("text", ["label=type:x", "apparmor=some-profile"])
def test_security_modules_that_are_not_there_are_named(text: str) -> None:
    with pytest.raises(Unsupported, match="SELinux|AppArmor|apparmor"):
        SecurityOptions([text])


def test_kernels_with_security_modules_get_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orlop.runtime.spec.machine.has_apparmor", lambda: True)
    monkeypatch.setattr("orlop.runtime.spec.machine.has_selinux", lambda: True)
    options = SecurityOptions(["apparmor=mine", "label=type:mine_t", "label=level:s0:c1,c2"])
    assert options.apparmor == "mine"
    assert options.process_label == "system_u:system_r:mine_t:s0:c1,c2"
    assert options.mount_label == "system_u:object_r:container_file_t:s0:c1,c2"
    assert SecurityOptions(["label=type:x", "label=disable"]).process_label == ""


@pytest.mark.parametrize(("text", "nano"), [("1", 10**9), ("0.5", 5 * 10**8), ("1.25", 125 * 10**7), (".1", 10**8)])
def test_processors_may_be_fractions(text: str, nano: int) -> None:
    assert cpus(text) == nano


@pytest.mark.parametrize("text", ["", ".", "x", "-1", "1.2.3", "1e3"])
def test_other_numbers_of_processors_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="processors"):
        cpus(text)


def test_variables_come_from_files_from_ours_and_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS", "here")
    monkeypatch.delenv("NOT_OURS", raising=False)
    (tmp_path / "env").write_text("# comment\n\nA=1\nOURS\n  B=two words\n")
    assert environment([str(tmp_path / "env")], ["C=3", "NOT_OURS"]) == [
        "A=1",
        "OURS=here",
        "B=two words",
        "C=3",
        "NOT_OURS",
    ]
    with pytest.raises(InvalidArgument, match="environment file"):
        environment([str(tmp_path / "missing")], [])
