from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orlop.cli import further_options, run, settings_options
from orlop.engine import host_config
from orlop.engine.settings import Settings
from orlop.errors import InvalidArgument

if TYPE_CHECKING:
    from pathlib import Path


def settings(*words: str) -> Settings:
    return settings_options.read(run.PARSER.parse([*words, "image"]))


def recorded(*words: str) -> dict[str, Any]:
    record = settings(*words).record()
    return host_config.described(record["HostConfig"])


def test_an_ordinary_command_line_loads_and_carries_nothing_more() -> None:
    said = run.PARSER.parse(["-it", "--rm", "-e", "A=1", "-v", "/a:/b", "-m", "1g", "image", "--ulimit", "x"])
    made = settings_options.read(said)
    assert (said.has_further, made.is_ordinary) == (False, True)
    assert set(made.fields()) == set(Settings().fields())


def test_settings_come_through_to_another_process() -> None:
    made = settings("--ulimit", "nofile=1:2", "--init", "--tmpfs", "/a:size=1m", "--tmpfs", "/b")
    again = Settings.from_fields(made.fields())
    assert again.record() == made.record()
    assert again.tmpfs == {"/a": "size=1m", "/b": ""}
    assert not again.is_ordinary


def test_every_option_that_is_a_setting_names_one() -> None:
    keys = {option.key for option in further_options.OPTIONS}
    for option, attribute in further_options._PLAIN.items():
        assert option in keys
        assert hasattr(Settings(), attribute)


def test_no_option_is_there_twice() -> None:
    names = [name for option in (*run.PARSER.options, *further_options.OPTIONS) for name in option.names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (("--blkio-weight", "30"), "BlkioWeight", 30),
        (("--device-read-bps", "/dev/x:2k"), "BlkioDeviceReadBps", [{"Path": "/dev/x", "Rate": 2048}]),
        (("--device-write-iops", "/dev/x:9"), "BlkioDeviceWriteIOps", [{"Path": "/dev/x", "Rate": 9}]),
        (("--memory-swap", "-1"), "MemorySwap", -1),
        (("--memory-swappiness", "-1"), "MemorySwappiness", None),
        (("--ulimit", "core=-1"), "Ulimits", [{"Name": "core", "Soft": -1, "Hard": -1}]),
        (("--sysctl", "a.b=c=d"), "Sysctls", {"a.b": "c=d"}),
        (("-c", "7"), "CpuShares", 7),
        ((), "IpcMode", "private"),
        ((), "ShmSize", 64 << 20),
        ((), "Ulimits", []),
    ],
)
def test_what_is_said_is_told_in_docker_s_words(words: tuple[str, ...], field: str, value: object) -> None:
    assert recorded(*words)[field] == value


def test_a_device_is_a_path_or_a_name(tmp_path: Path) -> None:
    made = settings("--device", "/dev/a:/dev/b:r", "--device", "/dev/c:w", "--device", "vendor.com/class=name")
    assert made.devices == [
        {"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "r"},
        {"PathOnHost": "/dev/c", "PathInContainer": "/dev/c", "CgroupPermissions": "w"},
    ]
    assert made.device_requests[0]["DeviceIDs"] == ["vendor.com/class=name"]
    for text in ("relative", "/dev/a:/dev/b:x", "/dev/a:/dev/b:r:w", "/dev/a:relative", "/dev/a:/dev/../b"):
        with pytest.raises(InvalidArgument):
            settings("--device", text)
    assert str(tmp_path)


@pytest.mark.parametrize(
    ("text", "count", "ids", "capabilities"),
    [
        ("all", -1, None, ["gpu"]),
        ("2", 2, None, ["gpu"]),
        ("device=a", 0, ["a"], ["gpu"]),
        ('"device=a,b",capabilities=compute', 0, ["a", "b"], ["compute", "gpu"]),
        ("driver=nvidia", 1, None, ["gpu"]),
    ],
)
def test_gpus_are_a_request(text: str, count: int, ids: list[str] | None, capabilities: list[str]) -> None:
    made = further_options.gpus(text)
    assert (made["Count"], made["DeviceIDs"], made["Capabilities"]) == (count, ids, [capabilities])


def test_ranges_of_ports_are_single_ports() -> None:
    ports = settings("--expose", "80-82/udp", "--expose", "9").record()["Config"]["ExposedPorts"]
    assert set(ports) == {"80/udp", "81/udp", "82/udp", "9/tcp"}


def test_a_relative_bind_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert settings("-v", "./a:/b:ro").binds == [f"{tmp_path}/a:/b:ro"]
    assert settings("-v", "name:/b").binds == ["name:/b"]
