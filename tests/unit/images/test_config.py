from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orlop.errors import InvalidImage, OrlopError
from orlop.images import media_types
from orlop.images.config import Healthcheck, History, ImageConfig, chain_ids, describe
from orlop.images.platform import Platform
from orlop.storage import digest as digests

DIFF_IDS = ["sha256:" + "a" * 64, "sha256:" + "b" * 64, "sha256:" + "c" * 64]

#: What `docker build` writes, with a field that nobody here knows.
DOCKERS: dict[str, Any] = {
    "created": "2024-05-01T12:00:00.123456789Z",
    "author": "A. Author",
    "architecture": "arm64",
    "os": "linux",
    "config": {
        "User": "1000:1000",
        "ExposedPorts": {"443/tcp": {}, "80/tcp": {}},
        "Env": ["PATH=/bin", "A=ü"],
        "Entrypoint": ["/entry"],
        "Cmd": ["serve"],
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 30_000_000_000, "Retries": 3},
        "Volumes": {"/data": {}},
        "WorkingDir": "/srv",
        "OnBuild": ["RUN true"],
        "Labels": {"a": "b"},
        "StopSignal": "SIGINT",
        "Shell": ["/bin/sh", "-c"],
        "StopTimeout": 5,
        "ArgsEscaped": True,
    },
    "rootfs": {"type": "layers", "diff_ids": DIFF_IDS},
    "history": [
        {"created": "2024-05-01T12:00:00Z", "created_by": "ADD x"},
        {"created_by": "CMD y", "comment": "c", "empty_layer": True},
    ],
    "moby.buildkit.cache.v0": "xyz",
}


def read(value: Any) -> ImageConfig:
    return ImageConfig.parse(json.dumps(value).encode())


def test_every_field_of_dockers_is_read() -> None:
    made = read(DOCKERS)
    config = made.config
    assert (made.created, made.author, str(made.platform)) == (DOCKERS["created"], "A. Author", "linux/arm64")
    assert made.diff_ids == DIFF_IDS
    assert (config.user, config.working_dir, config.stop_signal, config.stop_timeout) == (
        "1000:1000",
        "/srv",
        "SIGINT",
        5,
    )
    assert (config.env, config.entrypoint, config.cmd) == (["PATH=/bin", "A=ü"], ["/entry"], ["serve"])
    assert (config.exposed_ports, config.volumes) == (["443/tcp", "80/tcp"], ["/data"])
    assert (config.labels, config.shell, config.on_build) == ({"a": "b"}, ["/bin/sh", "-c"], ["RUN true"])
    assert config.healthcheck is not None
    assert (config.healthcheck.test, config.healthcheck.interval) == (["CMD", "true"], 30_000_000_000)
    assert [step.empty_layer for step in made.history] == [False, True]


def test_what_was_read_is_written_again_with_fields_that_nobody_knows() -> None:
    assert json.loads(read(DOCKERS).to_bytes()) == DOCKERS


def test_writing_is_reproducible() -> None:
    made = ImageConfig(Platform("linux", "amd64"), DIFF_IDS)
    made.config.labels = {"b": "1", "a": "2"}
    made.config.healthcheck = Healthcheck(["CMD-SHELL", "true"], timeout=1)
    made.history.append(History("2024-01-01T00:00:00Z", "x"))
    data = made.to_bytes()
    made.config.labels = {"a": "2", "b": "1"}
    assert made.to_bytes() == data
    assert ImageConfig.parse(data).to_bytes() == data
    assert describe(data, media_types.DOCKER_CONFIG).digest == digests.of(data)


def test_chain_ids_are_made_of_the_ones_below() -> None:
    second = digests.of(f"{DIFF_IDS[0]} {DIFF_IDS[1]}".encode())
    assert chain_ids(DIFF_IDS) == [DIFF_IDS[0], second, digests.of(f"{second} {DIFF_IDS[2]}".encode())]
    assert chain_ids([]) == []


def test_nulls_and_absent_fields_are_the_same() -> None:
    nulls = dict.fromkeys(DOCKERS["config"]) | {"Labels": {"a": None}}
    made = read({"rootfs": {"type": "layers", "diff_ids": None}, "config": nulls, "history": None, "created": None})
    assert (made.config.env, made.config.cmd, made.config.healthcheck) == ([], [], None)
    assert made.config.labels == {"a": ""}
    assert read({"rootfs": {}, "config": None}).config.user == ""


def test_a_command_that_is_a_text_is_one_word() -> None:
    assert read({"rootfs": {}, "config": {"Cmd": "run me"}}).config.cmd == ["run me"]


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"rootfs": []},
        {"rootfs": {"type": "tree"}},
        {"rootfs": {"diff_ids": ["x"]}},
        {"rootfs": {"diff_ids": "x"}},
        {"rootfs": {}, "config": []},
        {"rootfs": {}, "config": {"Env": "A=1"}},
        {"rootfs": {}, "config": {"Env": [1]}},
        {"rootfs": {}, "config": {"User": 0}},
        {"rootfs": {}, "config": {"ExposedPorts": ["80"]}},
        {"rootfs": {}, "config": {"Labels": ["a"]}},
        {"rootfs": {}, "config": {"StopTimeout": "5"}},
        {"rootfs": {}, "config": {"Healthcheck": {"Interval": "30s"}}},
        {"rootfs": {}, "history": [{"empty_layer": "yes"}]},
        {"rootfs": {}, "architecture": 1},
    ],
)
def test_nonsense_is_refused_by_the_fields_name(value: dict[str, Any]) -> None:
    with pytest.raises(InvalidImage):
        read(value)


@given(
    st.sampled_from(sorted(DOCKERS["config"])),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=5,
    ),
)
def test_any_value_of_any_field_is_read_or_refused_with_a_known_error(field: str, value: Any) -> None:
    try:
        made = read({"rootfs": {}, "config": {field: value}})
    except OrlopError:
        return
    made.to_bytes()
