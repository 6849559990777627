"""What a mount in a configuration may be."""

from __future__ import annotations

from typing import Any

import pytest

from orlop.errors import InvalidConfig
from orlop.runtime.spec import validate
from tests.unit.spec.changes import changed

ONE = [{"containerID": 0, "hostID": 1000, "size": 1}]


def mount(*options: str, **fields: Any) -> dict[str, Any]:
    return {"destination": "/x", "type": "none", "source": "/s", "options": list(options), **fields}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (mount(destination=""), "mounts[0].destination must not be empty"),
        (mount("bind", source=""), "mounts[0].source is required for a bind mount"),
        ({"destination": "/x", "type": "bind"}, "mounts[0].source is required for a bind mount"),
        ({"destination": "/x"}, "mounts[0].type is required unless the options have bind or rbind"),
        (mount("rbind", uidMappings=ONE), "mounts[0].uidMappings must come with gidMappings"),
        (mount("rbind", gidMappings=ONE), "mounts[0].gidMappings must come with uidMappings"),
        (
            mount("rbind", "idmap", uidMappings=[{"containerID": 0, "hostID": 0, "size": 0}], gidMappings=ONE),
            "mounts[0].uidMappings[0].size must be greater than zero",
        ),
        (
            mount("idmap", type="tmpfs", uidMappings=ONE, gidMappings=ONE),
            "mounts[0] is no bind mount, and only those can have ids mapped",
        ),
        (
            mount("bind", "ridmap"),
            (
                "mounts[0] asks for idmap but has no uidMappings and gidMappings, "
                "and there is no user namespace to take them from"
            ),
        ),
    ],
)
def test_a_broken_rule_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        validate(changed({"mounts": [given]}))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "given",
    [
        mount(type="tmpfs"),
        mount("rbind"),
        mount("rbind", type=""),
        {"destination": "/x", "options": ["remount", "ro"]},
        mount("rbind", "ridmap", uidMappings=ONE, gidMappings=ONE),
        mount("rbind", "idmap", type="bind", uidMappings=ONE, gidMappings=ONE),
        mount("rbind", uidMappings=[], gidMappings=[]),
    ],
)
def test_what_the_specification_allows_is_accepted(given: dict[str, Any]) -> None:
    assert validate(changed({"mounts": [given]})) == []


def test_a_relative_destination_is_accepted_with_a_warning() -> None:
    assert validate(changed({"mounts": [mount("bind", destination="x/y")]})) == [
        "mounts[0].destination 'x/y' is relative, which is deprecated; it is taken as below /"
    ]


def test_a_file_system_s_option_means_nothing_to_a_bind_mount() -> None:
    assert validate(changed({"mounts": [mount("rbind", "size=1m", "ro", "rslave")]})) == [
        "mounts[0].options: 'size=1m' means nothing to a bind mount and is ignored"
    ]


def test_mappings_without_the_option_are_taken_as_idmap() -> None:
    assert validate(changed({"mounts": [mount("bind", uidMappings=ONE, gidMappings=ONE)]})) == [
        "mounts[0] has mappings without idmap or ridmap in its options; it is taken as idmap"
    ]


@pytest.mark.parametrize(
    ("option", "uids"),
    [
        ("idmap=uids=0-1000-10#10-2000-5;gids=0-1-1", [(0, 1000, 10), (10, 2000, 5)]),
        ("ridmap=gids=0-1-1;uids=@0-5-10", [(0, 100005, 10)]),
    ],
)
def test_mappings_can_stand_in_the_option_as_crun_takes_them(option: str, uids: list[tuple[int, ...]]) -> None:
    spec = changed({"mounts": [mount("bind", option)]}, rootless=True)
    for name in ("uidMappings", "gidMappings"):
        spec["linux"][name] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    assert validate(spec) == []
    entry = spec["mounts"][0]
    assert entry["options"] == ["bind", option.partition("=")[0]]
    assert [tuple(each.values()) for each in entry["uidMappings"]] == uids
    assert [tuple(each.values()) for each in entry["gidMappings"]] == [(0, 1, 1)]


@pytest.mark.parametrize("option", ["idmap=", "idmap=uids=0-1", "idmap=uids=a-b-c;gids=0-0-1", "idmap=uids=@0-99999-2"])
def test_mappings_of_another_form_are_refused(option: str) -> None:
    with pytest.raises(InvalidConfig, match=r"^mounts\[0\]\.options: "):
        validate(changed({"mounts": [mount("bind", option)]}, rootless=True))


def test_idmap_can_take_the_container_s_own_mappings() -> None:
    assert validate(changed({"mounts": [mount("bind", "idmap")]}, rootless=True)) == []


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("uid=1", "mounts[0].options: uid=1 is not mapped by linux.uidMappings"),
        ("gid=5", "mounts[0].options: gid=5 is not mapped by linux.gidMappings"),
    ],
)
def test_a_file_system_s_owner_must_be_mapped(option: str, message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        validate(changed({"mounts": [mount(option, type="tmpfs")]}, rootless=True))
    assert str(caught.value) == message
    assert validate(changed({"mounts": [mount("uid=0", "gid=0", "uid=x", type="tmpfs")]}, rootless=True)) == []


@pytest.mark.parametrize("word", ["", "shared", "rshared", "slave", "rslave", "private", "unbindable", "runbindable"])
def test_the_root_s_propagation(word: str) -> None:
    assert validate(changed({"linux.rootfsPropagation": word})) == []


def test_another_word_is_no_propagation() -> None:
    with pytest.raises(InvalidConfig) as caught:
        validate(changed({"linux.rootfsPropagation": "open"}))
    assert str(caught.value) == "linux.rootfsPropagation 'open' is none of shared, slave, private, unbindable"
