"""How an image's configuration and the user's settings become one."""

from __future__ import annotations

from typing import Any

import pytest

from orlop.engine import image_settings
from orlop.engine.settings import Settings
from orlop.errors import InvalidArgument, Unsupported
from orlop.images.config import Execution, Healthcheck, ImageConfig
from orlop.images.platform import Platform, host


def merged(image: dict[str, Any], **user: Any) -> Settings:
    execution = Execution()
    for name, value in image.items():
        setattr(execution, name, value)
    settings = Settings(image="x")
    for name, value in user.items():
        setattr(settings, name, value)
    image_settings.merge(settings, execution)
    return settings


@pytest.mark.parametrize(
    ("entrypoint", "command", "expected"),
    [
        ([], [], ["/e", "i", "c"]),
        ([], ["mine"], ["/e", "i", "mine"]),
        (["/my"], [], ["/my"]),
        (["/my"], ["mine"], ["/my", "mine"]),
        ([""], ["mine"], ["", "mine"]),
    ],
)
def test_who_says_an_entrypoint_gets_no_command_of_the_image_s(
    entrypoint: list[str], command: list[str], expected: list[str]
) -> None:
    settings = merged({"entrypoint": ["/e", "i"], "cmd": ["c"]}, entrypoint=entrypoint, command=command)
    assert settings.entrypoint + settings.command == expected


def test_a_variable_of_the_user_s_counts_and_one_that_is_none_is_left_out() -> None:
    settings = merged({"env": ["A=1", "B=2", "C=3", "none", "=x", ""]}, env=["B=user", "C"])
    assert settings.env == ["B=user", "C", "A=1"]


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [("/a/../b", "", "/b"), ("a/b", "", "/a/b"), ("../../x", "", "/x"), ("/a", "/mine", "/mine"), ("", "", "")],
)
def test_a_working_directory_is_absolute(theirs: str, ours: str, expected: str) -> None:
    assert merged({"working_dir": theirs}, workdir=ours).workdir == expected


def test_what_both_say_is_joined_or_the_user_s() -> None:
    image = {
        "labels": {"a": "image", "b": "image"}, "volumes": ["/v", "/w"], "exposed_ports": ["80/tcp"], "user": "web",
        "stop_signal": "SIGUSR1", "stop_timeout": 3, "shell": ["/bin/bash"], "healthcheck": Healthcheck(["NONE"]),
    }  # fmt: skip
    settings = merged(image, labels={"b": "user"}, volumes=["/v"])
    assert settings.labels == {"a": "image", "b": "user"}
    assert settings.volumes == ["/v", "/w"]
    record = settings.record()["Config"]
    assert (record["User"], record["StopSignal"], record["StopTimeout"]) == ("web", "SIGUSR1", 3)
    assert (record["Shell"], record["Healthcheck"]) == (["/bin/bash"], {"Test": ["NONE"]})
    settings = merged(
        image, user="5", stop_signal="SIGINT", stop_timeout=1, shell=["/s"], healthcheck={"Test": ["CMD", "x"]}
    )
    record = settings.record()["Config"]
    assert (record["User"], record["StopSignal"], record["StopTimeout"]) == ("5", "SIGINT", 1)
    assert (record["Shell"], record["Healthcheck"]) == (["/s"], {"Test": ["CMD", "x"]})


@pytest.mark.parametrize("image", [{"env": ["A=\0"]}, {"user": "a\0"}, {"cmd": ["\0"]}, {"working_dir": "/\0"}])
def test_a_nul_in_an_image_is_refused(image: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="NUL"):
        merged(image)


def test_an_unknown_stop_signal_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="unknown signal"):
        merged({"stop_signal": "SIGNONE"})


def test_another_platform_is_told_of_unless_it_was_asked_for() -> None:
    settings = Settings(image="x")
    assert image_settings.check_platform(settings, ImageConfig(host())) == []
    warnings = image_settings.check_platform(settings, ImageConfig(Platform("linux", "s390x")))
    assert "linux/s390x" in warnings[0]
    settings.platform = "linux/s390x"
    assert image_settings.check_platform(settings, ImageConfig(Platform("linux", "s390x"))) == []
    with pytest.raises(Unsupported, match="windows"):
        image_settings.check_platform(settings, ImageConfig(Platform("windows", "amd64")))


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [("linux/arm64", True), ("linux/arm64/v8", True), ("arm64", True), ("linux/amd64", False), ("linux/arm/v7", False)],
)
def test_an_image_is_for_the_platform_that_its_configuration_names(wanted: str, fits: bool) -> None:
    assert image_settings.is_for(ImageConfig(Platform("linux", "arm64")), wanted) is fits
