from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from orlop.engine import users
from orlop.errors import InvalidArgument

if TYPE_CHECKING:
    from pathlib import Path

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
www:x:33:34:www:/var/www:/bin/false
1000:x:0:0:a number for a name:/root:/bin/sh
nohome:x:7:8::relative:/bin/sh
broken:x:notanumber:1::/:/bin/sh
"""
GROUP = "root:x:0:\nstaff:x:50:www,other\nadm:x:4:www\nbroken:x:nan:www\n"


def resolve(wanted: str) -> users.User:
    return users.resolve(wanted, PASSWD, lambda: GROUP)


def test_nobody_named_is_root() -> None:
    user = resolve("")
    assert (user.uid, user.gid, user.home) == (0, 0, "/root")


def test_a_name_brings_its_group_home_and_memberships() -> None:
    user = resolve("www")
    assert (user.uid, user.gid, user.groups, user.home) == (33, 34, [50, 4], "/var/www")


def test_a_number_that_is_known_brings_the_same() -> None:
    user = resolve("33")
    assert (user.uid, user.gid, user.groups) == (33, 34, [50, 4])


def test_a_number_is_never_looked_up_as_a_name_cve_2016_3697() -> None:
    user = resolve("1000")
    assert (user.uid, user.gid, user.home) == (1000, 0, "/")


def test_an_explicit_group_leaves_memberships_out() -> None:
    assert (resolve("www:staff").gid, resolve("www:staff").groups) == (50, [])
    assert (resolve("www:99").gid, resolve("5:6").uid) == (99, 5)


def test_a_home_that_is_no_absolute_path_is_not_used() -> None:
    assert resolve("nohome").home == "/"


@pytest.mark.parametrize("wanted", ["nobody-here", "www:nogroup", "4294967295", "99999999999", "broken", "-1"])
def test_what_cannot_be_resolved_is_refused(wanted: str) -> None:
    with pytest.raises(InvalidArgument):
        resolve(wanted)


def test_a_link_in_the_container_s_root_leads_nowhere_outside(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("evil:x:0:0::/:/bin/sh\n")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").symlink_to(outside)
    with pytest.raises(InvalidArgument):
        users.find(str(root), "evil")


def test_a_link_within_the_container_s_root_is_followed(tmp_path: Path) -> None:
    (tmp_path / "usr/etc").mkdir(parents=True)
    (tmp_path / "usr/etc/passwd").write_text(PASSWD)
    (tmp_path / "etc").symlink_to("/usr/etc")
    assert users.find(str(tmp_path), "www").uid == 33


def test_a_fifo_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc/passwd")
    assert users.find(str(tmp_path), "7").uid == 7
