"""What cgroupsPath may be and means."""

from __future__ import annotations

import pytest

from orlop.errors import InvalidConfig, Unsupported
from orlop.linux.cgroup import path


@pytest.mark.parametrize(
    ("cgroups_path", "meaning"),
    [
        (None, "/orlop/box"),
        ("", "/orlop/box"),
        ("/docker/abc", "/docker/abc"),
        ("//docker///abc/", "/docker/abc"),
        ("mine/abc", "/orlop/mine/abc"),
        ("/kubepods/pod1/a:b:c", "/kubepods/pod1/a:b:c"),
    ],
)
def test_a_path_is_absolute_or_below_the_runtimes_own_parent(cgroups_path: str | None, meaning: str) -> None:
    assert path.resolve(cgroups_path, "box", "/orlop") == meaning


@pytest.mark.parametrize(
    "cgroups_path", ["/a/../../b", "..", "a/..", "/./a", "/", "///", "/a\nb", "/a\0b", "/" + "x" * 256]
)
def test_a_path_that_leads_elsewhere_is_refused(cgroups_path: str) -> None:
    with pytest.raises(InvalidConfig):
        path.resolve(cgroups_path, "box", "/orlop")


def test_systemds_form_says_that_systemd_is_missing() -> None:
    with pytest.raises(Unsupported, match="systemd"):
        path.resolve("system.slice:docker:abc", "box", "/orlop")


def test_parents_come_innermost_first_and_without_the_root() -> None:
    assert path.parents("/a/b/c") == ["/a/b", "/a"]
    assert path.parents("/a") == []
