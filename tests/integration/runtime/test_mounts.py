"""``mounts``: every option that the specification lists, as the container's mountinfo shows it."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.runtime.containers import (
    FIRST_ID,
    add_mount,
    attempt,
    map_ids,
    namespace,
    options_of,
    refused,
    run,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.conftest import Bundle, BundleMaker, Runtime

LOOK = ("cat", "/proc/self/mountinfo")


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Path]:
    """A directory with a file and, below it, another mount with another file."""
    directory = tmp_path / "source"
    (directory / "below").mkdir(parents=True)
    (directory / "file").write_text("source\n")
    (tmp_path / "other").mkdir()
    subprocess.run(["mount", "--bind", tmp_path / "other", directory / "below"], check=True)
    (directory / "below/deep").write_text("deep\n")
    yield directory
    subprocess.run(["umount", directory / "below"], check=True)


def seen(runtime: Runtime, bundle: Bundle, where: str) -> set[str]:
    """The options of the container's mount at ``where``."""
    return options_of(run(runtime, bundle), where)[0]


# binds


def test_bind_shows_the_directory_alone(runtime: Runtime, bundle: BundleMaker, source: Path) -> None:
    made = bundle("ls", "/data", "/data/below")
    add_mount(made, "/data", "none", str(source), "bind")
    assert run(runtime, made).split() == ["/data:", "below", "file", "/data/below:"]


def test_rbind_shows_what_is_mounted_below_as_well(runtime: Runtime, bundle: BundleMaker, source: Path) -> None:
    made = bundle("cat", "/data/below/deep")
    add_mount(made, "/data", "none", str(source), "rbind")
    assert run(runtime, made) == "deep\n"


def test_the_type_bind_is_a_bind_without_the_option(runtime: Runtime, bundle: BundleMaker, source: Path) -> None:
    made = bundle("cat", "/data/file")
    add_mount(made, "/data", "bind", str(source))
    assert run(runtime, made) == "source\n"


def test_a_relative_source_lies_in_the_bundle(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("cat", "/data/file")
    (made.path / "volume").mkdir()
    (made.path / "volume/file").write_text("in the bundle\n")
    add_mount(made, "/data", "bind", "volume", "bind")
    assert run(runtime, made, cwd="/") == "in the bundle\n"


def test_a_file_is_bound_onto_a_missing_file(runtime: Runtime, bundle: BundleMaker, source: Path) -> None:
    made = bundle("cat", "/new/place/file")
    add_mount(made, "/new/place/file", "bind", str(source / "file"), "bind")
    assert run(runtime, made) == "source\n"
    assert (made.rootfs / "new/place/file").is_file()


def test_a_destination_is_followed_through_links_of_the_container(
    runtime: Runtime, bundle: BundleMaker, source: Path
) -> None:
    made = bundle("cat", "/real/file")
    (made.rootfs / "real").mkdir()
    (made.rootfs / "link").symlink_to("/real")
    add_mount(made, "/link", "bind", str(source), "bind")
    assert run(runtime, made) == "source\n"


def test_a_relative_destination_lies_below_the_root(runtime: Runtime, bundle: BundleMaker, source: Path) -> None:
    made = bundle("cat", "/data/file")
    add_mount(made, "data", "bind", str(source), "bind")
    assert run(runtime, made) == "source\n"


def test_a_missing_source_is_named(runtime: Runtime, bundle: BundleMaker, tmp_path: Path) -> None:
    made = bundle("true")
    add_mount(made, "/data", "bind", str(tmp_path / "nothing"), "bind")
    refused(runtime, made, f"mount {tmp_path}/nothing on /data: ", "no such file or directory")


def test_a_directory_cannot_be_bound_onto_a_file(runtime: Runtime, bundle: BundleMaker, source: Path) -> None:
    made = bundle("true")
    add_mount(made, "/etc/passwd", "bind", str(source), "bind")
    refused(runtime, made, f"mount {source} on /etc/passwd: ", "not a directory")


def test_later_mounts_cover_earlier_ones(runtime: Runtime, bundle: BundleMaker, source: Path) -> None:
    made = bundle("sh", "-c", "cat /data/file; ls /data")
    add_mount(made, "/data", "tmpfs", "tmpfs")
    add_mount(made, "/data", "bind", str(source), "bind")
    assert run(runtime, made).split() == ["source", "below", "file"]


# attributes


@pytest.mark.parametrize(
    ("options", "has", "lacks"),
    [
        (["ro"], {"ro"}, {"rw"}),
        (["ro", "rw"], {"rw"}, {"ro"}),
        (["nosuid", "nodev", "noexec"], {"nosuid", "nodev", "noexec"}, set()),
        (["nosuid", "suid", "nodev", "dev", "noexec", "exec"], set(), {"nosuid", "nodev", "noexec"}),
        (["noatime"], {"noatime"}, {"relatime"}),
        (["relatime"], {"relatime"}, {"noatime"}),
        (["strictatime"], set(), {"relatime", "noatime"}),
        (["noatime", "atime"], {"relatime"}, {"noatime"}),
        (["nodiratime"], {"nodiratime"}, set()),
        (["nodiratime", "diratime"], set(), {"nodiratime"}),
        (["nosymfollow"], {"nosymfollow"}, set()),
        (["nosymfollow", "symfollow"], set(), {"nosymfollow"}),
    ],
)
@pytest.mark.parametrize("kind", ["bind", "tmpfs"])
def test_attributes_are_those_of_the_mount(
    kind: str, options: list[str], has: set[str], lacks: set[str], runtime: Runtime, bundle: BundleMaker, tmp_path: Path
) -> None:
    made = bundle(*LOOK)
    source = tmp_path / "attributes"
    source.mkdir()
    add_mount(made, "/data", kind, str(source), *options)
    said = seen(runtime, made, "/data")
    assert has <= said
    assert not lacks & said


@pytest.mark.parametrize(
    ("option", "above", "below"),
    [
        ("ro", {"ro"}, set()),
        ("rro", {"ro"}, {"ro"}),
        ("rnosuid", {"nosuid"}, {"nosuid"}),
        ("rnodev", {"nodev"}, {"nodev"}),
        ("rnoexec", {"noexec"}, {"noexec"}),
        ("rnodiratime", {"nodiratime"}, {"nodiratime"}),
        ("rnoatime", {"noatime"}, {"noatime"}),
        ("rrelatime", {"relatime"}, {"relatime"}),
        ("rnosymfollow", {"nosymfollow"}, {"nosymfollow"}),
    ],
)
def test_attributes_with_an_r_reach_the_mounts_below(
    option: str, above: set[str], below: set[str], runtime: Runtime, bundle: BundleMaker, source: Path
) -> None:
    made = bundle(*LOOK)
    add_mount(made, "/data", "bind", str(source), "rbind", option)
    mountinfo = run(runtime, made)
    assert above <= options_of(mountinfo, "/data")[0]
    said = options_of(mountinfo, "/data/below")[0]
    assert below <= said
    assert bool(below) or not above & said


@pytest.mark.parametrize(
    ("on", "off", "flag"),
    [("ro", "rrw", "ro"), ("nosuid", "rsuid", "nosuid"), ("nodev", "rdev", "nodev"), ("noexec", "rexec", "noexec")],
)
def test_attributes_of_a_source_are_cleared_below_too(
    on: str, off: str, flag: str, runtime: Runtime, bundle: BundleMaker, source: Path
) -> None:
    made = bundle(*LOOK)
    subprocess.run(["mount", "-o", f"remount,bind,{on}", source / "below"], check=True)
    add_mount(made, "/data", "bind", str(source), "rbind", off)
    assert flag not in options_of(run(runtime, made), "/data/below")[0]


def test_rstrictatime_reaches_the_mounts_below(runtime: Runtime, bundle: BundleMaker, source: Path) -> None:
    made = bundle(*LOOK)
    add_mount(made, "/data", "bind", str(source), "rbind", "rstrictatime")
    assert not {"relatime", "noatime"} & options_of(run(runtime, made), "/data/below")[0]


def test_nosymfollow_keeps_links_from_being_followed(runtime: Runtime, bundle: BundleMaker, tmp_path: Path) -> None:
    made = bundle("cat", "/data/link")
    (tmp_path / "links").mkdir()
    (tmp_path / "links/link").symlink_to("/etc/passwd")
    add_mount(made, "/data", "bind", str(tmp_path / "links"), "bind", "nosymfollow")
    result = attempt(runtime, made)
    assert "symbolic links" in result.errors


def test_remount_changes_the_mount_that_is_there(runtime: Runtime, bundle: BundleMaker, source: Path) -> None:
    made = bundle(*LOOK)
    add_mount(made, "/data", "bind", str(source), "bind")
    add_mount(made, "/data", "", "", "bind", "remount", "ro", "nosuid")
    made.config["mounts"][-1].pop("type")
    made.config["mounts"][-1]["source"] = str(source)
    assert {"ro", "nosuid"} <= seen(runtime, made, "/data")


def test_remount_changes_what_the_file_system_is_told(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle(*LOOK)
    add_mount(made, "/data", "tmpfs", "tmpfs", "size=64k")
    add_mount(made, "/data", "tmpfs", "tmpfs", "remount", "size=128k")
    assert "size=128k" in options_of(run(runtime, made), "/data")[1]


@pytest.mark.parametrize("option", ["sync", "dirsync", "lazytime"])
def test_flags_of_the_file_system_are_set(option: str, runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle(*LOOK)
    add_mount(made, "/data", "tmpfs", "tmpfs", option)
    assert option in options_of(run(runtime, made), "/data")[1]


@pytest.mark.parametrize("option", ["defaults", "silent", "loud", "iversion", "noiversion", "nomand", "async"])
def test_options_without_a_visible_effect_are_accepted(option: str, runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    add_mount(made, "/data", "tmpfs", "tmpfs", option)
    run(runtime, made)


def test_data_goes_to_the_file_system(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "stat -c '%a %u %g' /data; cat /proc/self/mountinfo")
    add_mount(made, "/data", "tmpfs", "tmpfs", "size=64k", "mode=1750", "uid=5", "gid=6")
    said = run(runtime, made)
    assert said.splitlines()[0] == "1750 5 6"
    assert "size=64k" in options_of(said, "/data")[1]


def test_a_tmpfs_has_the_mode_of_the_directory_that_it_covers(
    runtime: Runtime, runc: Runtime, bundle: BundleMaker
) -> None:
    said = []
    for program in (runc, runtime):
        made = bundle("stat", "-c", "%a", "/there", "/missing", "/set")
        for name in ("there", "set"):
            (made.rootfs / name).mkdir()
            (made.rootfs / name).chmod(0o710)
        add_mount(made, "/there", "tmpfs", "tmpfs")
        add_mount(made, "/missing", "tmpfs", "tmpfs")
        add_mount(made, "/set", "tmpfs", "tmpfs", "mode=1770")
        said.append(run(program, made).split())
    assert said[1] == ["710", "1777", "1770"]
    assert said[1][:2] == said[0][:2]  # where a mode was asked for, runc 1.1 overlooks it


def test_data_that_the_file_system_does_not_know_is_named(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    add_mount(made, "/data", "tmpfs", "tmpfs", "nosuchoption=1")
    refused(runtime, made, "mount tmpfs on /data: ", "nosuchoption")


def test_an_unknown_file_system_is_named(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    add_mount(made, "/data", "nosuchfs", "none")
    refused(runtime, made, "/data", "nosuchfs", "no such device")


def test_overlay_is_mounted_with_its_directories(runtime: Runtime, bundle: BundleMaker, tmp_path: Path) -> None:
    made = bundle("sh", "-c", "cat /data/file; echo new > /data/file")
    for name in ("lower", "upper", "work"):
        (tmp_path / name).mkdir()
    (tmp_path / "lower/file").write_text("lower\n")
    layers = [f"{name}dir={tmp_path}/{name}" for name in ("lower", "upper", "work")]
    add_mount(made, "/data", "overlay", "overlay", *layers)
    assert run(runtime, made) == "lower\n"
    assert (tmp_path / "lower/file").read_text() == "lower\n"
    assert (tmp_path / "upper/file").read_text() == "new\n"


def test_a_readonly_tmpfs_takes_mounts_below_it_first(runtime: Runtime, bundle: BundleMaker, source: Path) -> None:
    made = bundle("sh", "-c", "cat /data/below/file; touch /data/x")
    add_mount(made, "/data", "tmpfs", "tmpfs", "ro")
    add_mount(made, "/data/below", "bind", str(source), "bind")
    result = attempt(runtime, made)
    assert result.output == "source\n"
    assert "Read-only file system" in result.errors


def test_tmpfs_copies_up_what_the_image_has(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "cd /data; cat dir/file link; stat -c '%a %u %g' dir/file .; touch new")
    data = made.rootfs / "data"
    (data / "dir").mkdir(parents=True)
    (data / "dir/file").write_text("copied\n")
    (data / "link").symlink_to("dir/file")
    os.chown(data / "dir/file", 5, 6)
    (data / "dir/file").chmod(0o640)
    data.chmod(0o751)
    add_mount(made, "/data", "tmpfs", "tmpfs", "tmpcopyup")
    assert run(runtime, made).splitlines() == ["copied", "copied", "640 5 6", "751 0 0"]
    assert not (data / "new").exists()


def test_tmpcopyup_onto_a_place_that_is_missing_copies_nothing(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("ls", "/new")
    add_mount(made, "/new", "tmpfs", "tmpfs", "tmpcopyup")
    assert run(runtime, made) == ""


# propagation


@pytest.mark.parametrize(
    ("option", "above", "below"),
    [
        ("private", "", ""),
        ("rprivate", "", ""),
        ("shared", "shared", ""),
        ("rshared", "shared", "shared"),
        ("unbindable", "unbindable", ""),
        ("runbindable", "unbindable", "unbindable"),
    ],
)
def test_propagation_is_set_here_or_for_the_tree(
    option: str, above: str, below: str, runtime: Runtime, bundle: BundleMaker, source: Path
) -> None:
    made = bundle(*LOOK)
    subprocess.run(["mount", "--make-private", source / "below"], check=True)  # whatever the machine's own mounts are
    add_mount(made, "/data", "bind", str(source), "rbind", option)
    mountinfo = run(runtime, made)
    assert options_of(mountinfo, "/data")[2].partition(":")[0] == above
    assert options_of(mountinfo, "/data/below")[2].partition(":")[0] == below


@pytest.mark.parametrize(
    ("root", "option", "inwards", "outwards"),
    [("slave", "rslave", True, False), ("shared", "rshared", True, True), ("slave", "rprivate", False, False)],
)
def test_mounts_travel_as_the_propagation_says(
    root: str, option: str, inwards: bool, outwards: bool, runtime: Runtime, bundle: BundleMaker, tmp_path: Path
) -> None:
    volume = tmp_path / "volume"
    (volume / "in").mkdir(parents=True)
    (volume / "out").mkdir()
    subprocess.run(["mount", "--bind", "--make-shared", volume, volume], check=True)
    try:
        made = bundle("sleep", "100")
        made.linux["rootfsPropagation"] = root
        capabilities = ["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]
        made.process["capabilities"] = dict.fromkeys(("bounding", "effective", "permitted"), capabilities)
        add_mount(made, "/data", "bind", str(volume), "rbind", option)
        made.write()
        name = runtime.start(made)
        subprocess.run(["mount", "-t", "tmpfs", "from-outside", volume / "in"], check=True)
        runtime("exec", name, "mount", "-t", "tmpfs", "from-inside", "/data/out")
        inside = runtime("exec", name, *LOOK).output
        with open("/proc/self/mountinfo") as file:
            outside = file.read()
        assert ("from-outside" in inside) == inwards
        assert (f"{volume}/out " in outside) == outwards
        runtime("delete", "--force", name)
    finally:
        subprocess.run(["umount", "-R", volume], check=True)


# id mappings


def owners(runtime: Runtime, bundle: Bundle) -> list[str]:
    """Who owns /data and what is below it, as the container sees it."""
    bundle.process["args"] = ["stat", "-c", "%u:%g", "/data/file", "/data/below/deep"]
    return run(runtime, bundle).split()


MAPPING = [{"containerID": 0, "hostID": 5000, "size": 10}]


def test_idmap_with_mappings_of_its_own(runtime: Runtime, bundle: BundleMaker, source: Path) -> None:
    made = bundle()
    add_mount(made, "/data", "bind", str(source), "rbind", "idmap", uidMappings=MAPPING, gidMappings=MAPPING)
    assert owners(runtime, made) == ["5000:5000", "0:0"]


def test_ridmap_maps_the_mounts_below_as_well(runtime: Runtime, bundle: BundleMaker, source: Path) -> None:
    made = bundle()
    add_mount(made, "/data", "bind", str(source), "rbind", "ridmap", uidMappings=MAPPING, gidMappings=MAPPING)
    assert owners(runtime, made) == ["5000:5000", "5000:5000"]


def test_mappings_without_the_option_mean_idmap(runtime: Runtime, bundle: BundleMaker, source: Path) -> None:
    made = bundle()
    add_mount(made, "/data", "bind", str(source), "rbind", uidMappings=MAPPING, gidMappings=MAPPING)
    assert owners(runtime, made) == ["5000:5000", "0:0"]


def test_idmap_takes_those_of_a_user_namespace_that_is_joined(
    runtime: Runtime, bundle: BundleMaker, source: Path
) -> None:
    first = bundle("sleep", "1000")
    map_ids(first)
    first.write()
    path = f"/proc/{runtime.state(runtime.start(first))['pid']}/ns/user"
    made = bundle()
    map_ids(made)
    namespace(made, "user", path)
    for name in ("uidMappings", "gidMappings"):
        del made.linux[name]
    add_mount(made, "/data", "bind", str(source), "rbind", "ridmap")
    assert owners(runtime, made) == ["0:0", "0:0"]


def test_the_callers_umask_is_not_that_of_places_for_mounts(
    runtime: Runtime, bundle: BundleMaker, source: Path
) -> None:
    made = bundle("stat", "-c", "%a", "/a", "/a/b", "/c", "/made", "/made/too", cwd="/made/too")
    add_mount(made, "/a/b", "bind", str(source), "rbind")
    add_mount(made, "/c/d", "tmpfs", "tmpfs")
    source.chmod(0o755)
    assert run(runtime, made, umask=0o077).split() == ["755"] * 5


def test_idmap_without_mappings_takes_the_containers(runtime: Runtime, bundle: BundleMaker, source: Path) -> None:
    made = bundle()
    map_ids(made)
    add_mount(made, "/data", "bind", str(source), "rbind", "ridmap")
    assert owners(runtime, made) == ["0:0", "0:0"]


def test_without_idmap_a_user_namespace_owns_nothing_of_the_hosts(
    runtime: Runtime, bundle: BundleMaker, source: Path
) -> None:
    made = bundle()
    map_ids(made)
    add_mount(made, "/data", "bind", str(source), "rbind")
    assert owners(runtime, made) == ["65534:65534", "65534:65534"]


def test_files_written_through_an_idmap_belong_to_the_volumes_owner(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path
) -> None:
    made = bundle("touch", "/data/new")
    map_ids(made)
    (tmp_path / "volume").mkdir()
    os.chown(tmp_path / "volume", 1000, 1000)
    mapping = [{"containerID": 1000, "hostID": FIRST_ID, "size": 1}]
    add_mount(
        made, "/data", "bind", str(tmp_path / "volume"), "bind", "idmap", uidMappings=mapping, gidMappings=mapping
    )
    run(runtime, made)
    about = (tmp_path / "volume/new").stat()
    assert (about.st_uid, about.st_gid) == (1000, 1000)


def test_idmap_of_a_new_file_system_is_refused(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    add_mount(made, "/data", "tmpfs", "tmpfs", "idmap", uidMappings=MAPPING, gidMappings=MAPPING)
    refused(runtime, made, "bind mount")


def test_idmap_of_a_file_system_that_has_none_is_refused_by_that_name(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    add_mount(made, "/data", "bind", "/sys/kernel", "bind", "idmap", uidMappings=MAPPING, gidMappings=MAPPING)
    refused(runtime, made, "map ids of mount /sys/kernel on /data: its file system cannot have its ids mapped")


# pseudo file systems


def test_a_procfs_shows_the_containers_processes_only(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "ls /proc | grep -c '^[0-9]'; true")
    assert int(run(runtime, made)) <= 4


def test_mqueue_is_mounted(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("touch", "/dev/mqueue/queue")
    add_mount(made, "/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev")
    run(runtime, made)


def test_each_container_has_terminals_of_its_own(runtime: Runtime, bundle: BundleMaker) -> None:
    assert run(runtime, bundle("ls", "/dev/pts")).split() == ["ptmx"]
