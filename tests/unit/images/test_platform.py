from __future__ import annotations

import pytest

from orlop.errors import InvalidArgument, NotFound
from orlop.images import media_types
from orlop.images.manifest import Descriptor
from orlop.images.platform import Platform, choose, host, matches, parse


def entry(number: int, platform: str | None) -> Descriptor:
    made = parse(platform) if platform and platform != "unknown/unknown" else None
    if platform == "unknown/unknown":
        made = Platform("unknown", "unknown")
    return Descriptor(media_types.OCI_MANIFEST, f"sha256:{number:064}", 1, platform=made)


def chosen(wanted: str, *platforms: str | None) -> str | None:
    entries = [entry(number, platform) for number, platform in enumerate(platforms)]
    return platforms[entries.index(choose(entries, parse(wanted)))]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("Linux/AMD64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/i686", "linux/386"),
        ("macos/arm64", "darwin/arm64"),
        ("windows(10.0.20348)/amd64", "windows(10.0.20348)/amd64"),
        ("linux/loongarch64", "linux/loong64"),
    ],
)
def test_a_platform_is_written_in_one_way_however_it_was_said(text: str, meant: str) -> None:
    assert str(parse(text)) == meant
    assert parse(meant) == parse(text)


def test_what_is_left_out_is_this_machines() -> None:
    assert parse("linux") == Platform("linux", host().architecture, host().variant)
    assert parse("arm64") == Platform("linux", "arm64")


@pytest.mark.parametrize("text", ["", "/", "linux/", "linux//v8", "a/b/c/d", "pdp11", "linux/a b", "linux(1/amd64"])
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="^invalid platform"):
        parse(text)


def test_the_platform_itself_comes_before_what_it_also_runs() -> None:
    assert chosen("linux/amd64", "linux/386", "linux/amd64") == "linux/amd64"
    assert chosen("linux/amd64", "linux/arm64", "linux/386") == "linux/386"


def test_the_best_variant_that_runs_is_chosen() -> None:
    assert chosen("linux/amd64/v3", "linux/amd64", "linux/amd64/v4", "linux/amd64/v2") == "linux/amd64/v2"
    assert chosen("linux/arm/v7", "linux/arm/v5", "linux/arm/v6", "linux/arm64") == "linux/arm/v6"
    assert chosen("linux/arm64", "linux/arm/v6", "linux/arm/v7") == "linux/arm/v7"
    assert chosen("linux/arm64/v9", "linux/arm/v7", "linux/arm64") == "linux/arm64"


def test_the_first_of_equals_is_chosen() -> None:
    entries = [entry(1, "linux/amd64"), entry(2, "linux/amd64")]
    assert choose(entries, parse("linux/amd64")) is entries[0]


def test_an_entry_without_a_platform_is_the_last_resort() -> None:
    assert chosen("linux/amd64", None, "linux/386") == "linux/386"
    assert chosen("linux/amd64", "linux/arm64", None) is None


def test_an_attestation_is_never_chosen_and_never_listed() -> None:
    with pytest.raises(NotFound, match=r"^app has no image for linux/amd64: it has linux/arm64$"):
        choose([entry(1, "unknown/unknown"), entry(2, "linux/arm64")], parse("linux/amd64"), "app")
    with pytest.raises(NotFound, match="it has no image at all"):
        choose([entry(1, "unknown/unknown")], parse("linux/amd64"))


def test_another_system_does_not_match_and_a_newer_variant_neither() -> None:
    assert not matches(parse("windows/amd64"), parse("linux/amd64"))
    assert not matches(parse("linux/arm/v7"), parse("linux/arm/v6"))
    assert matches(parse("linux/arm/v6"), parse("linux/arm/v7"))


def test_a_platform_is_written_as_the_specification_has_it() -> None:
    platform = Platform("windows", "amd64", os_version="10.0", os_features=["win32k"])
    assert platform.as_json() == {
        "architecture": "amd64",
        "os": "windows",
        "os.version": "10.0",
        "os.features": ["win32k"],
    }
