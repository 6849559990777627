"""From Python's keywords to the engine's settings."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import pytest

import orlop
from orlop.engine.alteration import Alteration
from orlop.engine.settings import Settings
from orlop.library import changing, options, quantities, translation


def settings(**wanted: Any) -> Settings:
    return translation.settings("debian", None, None, wanted)


def test_type_checkers_and_the_interpreter_know_the_same_options() -> None:
    assert set(options.ContainerOptions.__annotations__) == {*translation._PLACES, *translation._FURTHER}


def test_type_checkers_and_the_interpreter_know_the_same_changes() -> None:
    assert set(options.UpdateOptions.__annotations__) == {*changing.LIMITS, *changing.ALTERATIONS}
    assert {name for name, _ in changing.ALTERATIONS.values()} <= set(Alteration.__slots__)


def test_every_option_is_a_setting_of_the_engine() -> None:
    for name, _ in translation._PLACES.values():
        assert hasattr(Settings(), name)


@pytest.mark.parametrize(("value", "count"), [("256m", 256 << 20), ("1.5g", 3 << 29), (4096, 4096), ("0", 0)])
def test_a_size_is_a_number_or_docker_s_text(value: int | str, count: int) -> None:
    assert settings(memory=value).memory == count


@pytest.mark.parametrize("value", ["lots", "-1", -1, "", "1x"])
def test_what_is_no_size_is_refused_by_its_name(value: int | str) -> None:
    with pytest.raises(orlop.InvalidArgument, match="memory="):
        settings(memory=value)


@pytest.mark.parametrize(("value", "nano"), [(0.5, 500_000_000), ("1.5", 1_500_000_000), (2, 2_000_000_000)])
def test_processors_are_a_number_or_a_text(value: float | str, nano: int) -> None:
    assert settings(cpus=value).nano_cpus == nano


@pytest.mark.parametrize("value", ["many", -1, float("nan"), float("inf")])
def test_what_is_no_number_of_processors_is_refused(value: float | str) -> None:
    with pytest.raises(orlop.InvalidArgument, match="cpus="):
        settings(cpus=value)


def test_an_unknown_option_is_a_type_error_that_names_the_one_that_was_meant() -> None:
    with pytest.raises(TypeError, match="'memroy' of a container; did you mean 'memory'"):
        settings(memroy="1m")


def test_an_image_and_a_root_directory_exclude_each_other() -> None:
    with pytest.raises(orlop.InvalidArgument, match="give one of"):
        translation.settings("debian", None, "/srv", {})
    with pytest.raises(orlop.InvalidArgument, match="give one of"):
        translation.settings(None, None, None, {})


def test_paths_are_relative_to_the_caller(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = translation.settings(None, None, "root", {"volumes": {"data": "/a", "./here": "/b:ro"}})
    assert wanted.rootfs == f"{tmp_path}/root"
    assert wanted.binds == ["data:/a", f"{tmp_path}/here:/b:ro"]
    assert settings(security_opt=["seccomp=a.json"]).security_opt == [f"seccomp={tmp_path}/a.json"]
    assert settings(security_opt=["seccomp=unconfined"]).security_opt == ["seccomp=unconfined"]
    assert orlop.Bind("x", "/x").source == f"{tmp_path}/x"


def test_variables_are_a_mapping_or_texts() -> None:
    assert settings(env={"A": "1", "PATH": None}).env == ["A=1", "PATH"]
    assert settings(env=["A=1"]).env == ["A=1"]
    with pytest.raises(orlop.InvalidArgument, match="env must be"):
        settings(env="A=1")


def test_one_text_is_a_program_without_arguments() -> None:
    assert translation.words("my program") == ["my program"]
    assert translation.words(["echo", "a b"]) == ["echo", "a b"]
    assert translation.words(None) == []


def test_an_empty_entrypoint_takes_the_image_s_away() -> None:
    assert settings(entrypoint="").entrypoint == [""]
    assert settings(entrypoint=[]).entrypoint == [""]
    assert settings(entrypoint=["a", "b"]).entrypoint == ["a", "b"]


def test_none_is_the_default() -> None:
    assert settings(memory=None, env=None).fields() == settings().fields()


def test_mounts_are_docker_s_objects() -> None:
    mounts = [
        orlop.Bind("/srv", "/a", read_only=True),
        orlop.VolumeMount("data", "/b", subpath="x", copy=False, match_user=True),
        orlop.Tmpfs("/c", size="1m", mode=0o700),
    ]
    assert settings(mounts=mounts).mounts == [
        {"Type": "bind", "Source": "/srv", "Target": "/a", "ReadOnly": True},
        {
            "Type": "volume",
            "Source": "data",
            "Target": "/b",
            "VolumeOptions": {"NoCopy": True, "Subpath": "x"},
            "IDMap": "match-user",
        },
        {"Type": "tmpfs", "Target": "/c", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o700}},
    ]


def test_limits_of_processes_are_one_number_or_two() -> None:
    assert settings(ulimits={"nofile": 10, "core": (0, 5)}).ulimits == [
        {"Name": "nofile", "Soft": 10, "Hard": 10},
        {"Name": "core", "Soft": 0, "Hard": 5},
    ]


def test_devices_are_docker_s_texts_or_names_of_cdi() -> None:
    wanted = settings(devices=["/dev/a", "/dev/b:/dev/c:r", "vendor.example/kind=name"], gpus=2)
    assert [(each["PathOnHost"], each["PathInContainer"], each["CgroupPermissions"]) for each in wanted.devices] == [
        ("/dev/a", "/dev/a", "rwm"),
        ("/dev/b", "/dev/c", "r"),
    ]
    assert [(each["Driver"], each["Count"], each["DeviceIDs"]) for each in wanted.device_requests] == [
        ("cdi", 0, ["vendor.example/kind=name"]),
        ("", 2, None),
    ]
    assert settings(gpus="all").device_requests[0]["Count"] == -1
    assert settings(gpus=["0", "1"]).device_requests[0]["DeviceIDs"] == ["0", "1"]


def test_a_restart_policy_is_docker_s_text() -> None:
    assert settings(restart="on-failure:3").restart_policy == {"Name": "on-failure", "MaximumRetryCount": 3}
    with pytest.raises(orlop.InvalidArgument, match="restart='sometimes'"):
        settings(restart="sometimes")


def test_a_moment_is_seconds_or_a_datetime() -> None:
    then = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert quantities.moment("since", then) == quantities.moment("since", then.timestamp()) == 1704164645 * 10**9
    assert quantities.moment("since", 5) == 5 * 10**9
    with pytest.raises(orlop.InvalidArgument, match="since must be"):
        quantities.moment("since", os)  # type: ignore[arg-type]


def test_links_are_docker_s_texts_or_containers_with_what_they_are_called() -> None:
    assert settings(links={"db": "base"}).links == settings(links=["db:base"]).links == ["db:base"]


def test_limits_of_devices_are_named_by_their_paths() -> None:
    wanted = settings(blkio_weight=300, device_read_bps={"/dev/vda": "1m"}, device_write_iops={"/dev/vda": 5})
    assert wanted.block_io == {
        "BlkioWeight": 300,
        "BlkioDeviceReadBps": [{"Path": "/dev/vda", "Rate": 1 << 20}],
        "BlkioDeviceWriteIOps": [{"Path": "/dev/vda", "Rate": 5}],
    }
