"""What is mounted into a container: ``-v``, ``--mount``, ``--tmpfs``, ``--volumes-from``."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import wait_until
from tests.integration.engine.image_maker import base, directory, file, make

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.engine.conftest import Engine


def out(engine: Engine, *arguments: str) -> str:
    """What a container prints that must succeed."""
    result = engine.run(*arguments)
    assert result.code == 0, result
    return result.out


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a file to mount."""
    made = tmp_path / "place"
    made.mkdir()
    (made / "file").write_text("here\n")
    return made


def test_a_bind_mount_is_read_only_with_everything_below_it(shared: Engine, place: Path) -> None:
    below = place / "below"
    below.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", below], check=True)
    try:
        script = "touch /m/x; touch /m/below/x; cat /m/file"
        for words in (("-v", f"{place}:/m:ro"), ("--mount", f"type=bind,src={place},dst=/m,readonly")):
            result = shared.run(*words, "sh", "-c", script)
            assert (result.out, result.err.count("Read-only")) == ("here\n", 2)
        writable = f"type=bind,src={place},dst=/m,ro,bind-recursive=writable"
        assert shared.run("--mount", writable, "sh", "-c", script).err.count("Read-only") == 1
        alone = f"type=bind,src={place},dst=/m,bind-recursive=disabled"
        assert " /m/below " not in out(shared, "--mount", alone, "cat", "/proc/mounts")
    finally:
        subprocess.run(["umount", below], check=True)


def test_the_source_of_v_is_made_and_that_of_mount_must_be_there(shared: Engine, tmp_path: Path) -> None:
    assert shared.run("-v", f"{tmp_path}/made:/m", "true").code == 0
    assert (tmp_path / "made").is_dir()
    result = shared.run("--mount", f"type=bind,src={tmp_path}/missing,dst=/m", "true")
    assert result.code == 125
    assert f"bind source path does not exist: {tmp_path}/missing" in result.err
    assert not (tmp_path / "missing").exists()


def test_a_relative_source_is_where_the_user_is(shared: Engine, place: Path) -> None:
    words = ("-v", "./place:/m", "cat", "/m/file")
    assert shared("run", "--rm", "--rootfs", shared.rootfs, *words, cwd=place.parent).out == "here\n"


def test_memory_can_be_mounted_with_a_size_and_a_mode(shared: Engine) -> None:
    mount = "type=tmpfs,dst=/fast,tmpfs-size=1m,tmpfs-mode=1750"
    text = out(shared, "--mount", mount, "sh", "-c", "stat -c %a /fast; grep /fast /proc/mounts")
    assert text.startswith("1750\n")
    assert "size=1024k" in text


def test_files_belong_to_the_container_s_user_by_an_id_mapped_mount(shared: Engine, tmp_path: Path) -> None:
    place = tmp_path / "owned"
    place.mkdir()
    os.chown(place, 4242, 4343)
    (place / "old").touch()
    os.chown(place / "old", 4242, 4343)
    for words in (("-v", f"{place}:/m:idmap"), ("--mount", f"type=bind,src={place},dst=/m,idmap=match-user")):
        text = out(shared, *words, "-u", "1000", "sh", "-c", "touch /m/new; stat -c %u:%g /m /m/old /m/new")
        assert text.split() == ["1000:1000"] * 3
        assert (os.stat(place / "new").st_uid, os.stat(place / "new").st_gid) == (4242, 4343)
        (place / "new").unlink()


def test_files_of_others_stay_theirs_in_an_id_mapped_mount(shared: Engine, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    os.chown(tmp_path / "m", 4242, 4242)
    for number in (0, 1000, 77):
        (tmp_path / f"m/{number}").touch()
        os.chown(tmp_path / f"m/{number}", number, number)
    text = out(shared, "-v", f"{tmp_path}/m:/m:idmap", "-u", "1000", "stat", "-c", "%u", "/m/0", "/m/1000", "/m/77")
    assert text.split() == ["0", "4242", "77"]  # the two stand for each other


def test_a_volume_or_a_part_of_it_belongs_to_the_container_s_user(shared: Engine) -> None:
    shared.ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=uid=4242,gid=4343", "memory")
    text = out(shared, "-v", "memory:/m:idmap", "-u", "1000", "sh", "-c", "touch /m/new; stat -c %u:%g /m /m/new")
    assert text.split() == ["1000:1000"] * 2
    out(shared, "-v", "owned:/m", "sh", "-c", "mkdir /m/part; chown 77:78 /m/part")
    part = "type=volume,src=owned,dst=/m,volume-subpath=part,idmap"
    assert out(shared, "--mount", part, "-u", "1000", "sh", "-c", "touch /m/x; stat -c %u:%g /m") == "1000:1000\n"
    assert out(shared, "-v", "owned:/m", "stat", "-c", "%u:%g", "/m/part/x") == "77:78\n"
    wait_until(lambda: not shared.containers(), "the end of clearing away")
    shared.ok("volume", "rm", "memory", "owned")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("-v", "a-name:/x", "-v", "other:/x/"), "duplicate mount point: /x"),
        (("--tmpfs", "/x", "-v", "a-name:/x"), "duplicate mount point: /x"),
        (("-v", "bad name:/x"), "invalid characters"),
        (("-v", "a:/x"), "too short"),
        (("--mount", "type=bogus,dst=/x"), "bogus"),
        (("--mount", "type=bind,src=/etc"), "target is required"),
        (("--mount", "type=bind,dst=/x"), "Source must not be empty"),
        (("--mount", "type=bind,src=relative,dst=/x"), "must be absolute"),
        (("--mount", "type=bind,src=/etc,dst=/x,colour=red"), "unexpected key 'colour'"),
        (("--mount", "type=bind,src=/etc,dst=/x,volume-nocopy"), "cannot mix"),
        (("--mount", "type=tmpfs,src=/etc,dst=/x"), "Source must not be specified"),
        (("--mount", "type=tmpfs,dst=/x,tmpfs-mode=9"), "tmpfs-mode"),
        (("--mount", "type=volume,src=name,dst=/x,volume-subpath=../y"), "subpath"),
        (("--mount", "type=volume,src=name,dst=/x,volume-opt=colour=red"), "colour"),
        (("--mount", "type=image,src=no-such-image,dst=/x"), "No such image"),
        (("--mount", "type=bind,src=/etc,dst=/x,idmap=bogus"), "bogus"),
        (("--volumes-from", "nobody"), "No such container: nobody"),
        (("--volumes-from", "nobody:bogus"), "bogus"),
    ],
)
def test_a_mount_that_cannot_be_is_refused_and_nothing_is_made(
    shared: Engine, options: tuple[str, ...], reason: str
) -> None:
    result = shared.run(*options, "true")
    assert result.code == 125, result
    assert reason in result.err
    assert result.err.count("\n") == 1
    assert (shared.containers(), shared.volumes()) == ([], [])


def test_volumes_and_binds_are_taken_from_another_container(shared: Engine, place: Path) -> None:
    words = ("-v", "/anonymous", "-v", f"{place}:/bound", "-v", "by-name:/named")
    shared.ok("create", "--name", "donor", *words, "--rootfs", "ROOTFS", "true")
    script = "echo x > /named/x; cat /bound/file; ls -d /anonymous"
    assert out(shared, "--volumes-from", "donor", "sh", "-c", script) == "here\n/anonymous\n"
    assert out(shared, "--volumes-from", "donor", "-v", f"{place}:/named", "cat", "/named/file") == "here\n"
    result = shared.run("--volumes-from", "donor:ro", "sh", "-c", "cat /named/x; touch /named/y")
    assert (result.out, "Read-only" in result.err) == ("x\n", True)
    wait_until(lambda: len(shared.containers()) == 1, "the end of clearing away")
    assert len(shared.volumes()) == 2  # the others went with --rm, and took nothing with them
    shared.ok("rm", "-v", "donor")
    assert shared.volumes() == ["by-name"]
    shared.ok("volume", "rm", "by-name")


def test_an_image_is_mounted_whole_or_in_part_and_read_only(owner: Engine) -> None:
    make(
        owner,
        "data:latest",
        [base(directory("data"), file("data/a", "A"), directory("data/sub"), file("data/sub/b", "B"))],
    )
    whole = ("--mount", "type=image,src=data,dst=/whole")
    result = owner("run", "--rm", *whole, "plain", "sh", "-c", "cat /whole/data/a; touch /whole/x")
    assert (result.out, "Read-only" in result.err) == ("A", True)
    part = owner("run", "--rm", "--mount", "type=image,src=data,dst=/p,image-subpath=data/sub", "plain", "cat", "/p/b")
    assert part.out == "B" if not owner.prefix else "only root" in part.err
    owner.ok("create", "--name", "holder", *whole, "plain", "true")
    assert owner("rmi", "data").code == 1
    owner.ok("rmi", "-f", "data")
    owner.ok("image", "prune", "-f")
    owner.ok("start", "-a", "holder")
    owner.ok("rm", "holder")
    wait_until(lambda: not owner.snapshots(), "the end of clearing away")
