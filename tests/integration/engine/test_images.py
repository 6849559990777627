"""Containers of images: what the image says about them, as root and as an ordinary user."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.integration.engine.conftest import Engine, wait_until
from tests.integration.engine.image_maker import GROUP, PASSWD, base, directory, entry, file, layer, link, make


def wait_gone(engine: Engine) -> None:
    """Wait until nothing of a container is left, which happens after its end was told."""
    wait_until(lambda: not (engine.snapshots() or engine.volumes()), "the end of clearing away")


def run(engine: Engine, *arguments: str, **options: Any) -> str:
    """What a container prints that must succeed."""
    return engine.ok("run", "--rm", *arguments, **options)


def test_a_container_has_the_image_s_files_and_writes_its_own(owner: Engine) -> None:
    assert run(owner, "plain", "sh", "-c", "echo changed > /etc/passwd; cat /etc/passwd") == "changed\n"
    assert run(owner, "plain:latest", "cat", "/etc/passwd").startswith("root:x:0")
    wait_gone(owner)


def test_a_container_that_writes_nothing_has_nothing_in_its_own_layer(owner: Engine) -> None:
    owner.ok("run", "--name", "still", "plain", "ls", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname")
    upper = owner.inspect("still")["GraphDriver"]["Data"]["UpperDir"]
    assert os.listdir(upper) == []
    owner.ok("rm", "still")


def test_a_container_has_its_mount_points_whatever_is_in_the_way(owner: Engine) -> None:
    above = layer(file(".wh.etc"), directory("proc"), file("proc/.wh..wh..opq"), file(".wh.sys"))
    make(owner, "bare:latest", [base(), above], {"Cmd": ["ls", "/etc/hosts", "/sys/kernel"], "Env": ["PATH=/bin"]})
    assert run(owner, "bare").startswith("/etc/hosts\n")


def test_programs_find_out_that_they_are_in_a_container_by_docker_s_file(owner: Engine) -> None:
    assert run(owner, "plain", "ls", "/.dockerenv") == "/.dockerenv\n"


def test_an_upper_layer_hides_replaces_and_adds_to_those_below(owner: Engine) -> None:
    below = base(
        PASSWD, directory("a"), file("a/gone"), file("a/kept"), directory("b"), file("b/gone"), file("c", "old")
    )
    above = layer(file("a/.wh.gone"), directory("b"), file("b/.wh..wh..opq"), file("b/new"), file("c", "new"))
    make(owner, "layers:latest", [below, above])
    assert run(owner, "layers", "sh", "-c", "ls a b; cat c").split() == ["a:", "kept", "b:", "new", "new"]


def test_entrypoint_and_command_are_the_image_s_unless_the_user_says_otherwise(owner: Engine) -> None:
    make(owner, "words:latest", config={"Entrypoint": ["/bin/echo", "E"], "Cmd": ["C"]})
    assert run(owner, "words") == "E C\n"
    assert run(owner, "words", "mine") == "E mine\n"
    assert run(owner, "--entrypoint", "/bin/echo", "words") == "\n"  # the command belonged to the other entrypoint
    assert run(owner, "--entrypoint", "", "words", "/bin/echo", "x") == "x\n"
    result = owner("run", "--rm", "--entrypoint", "", "words")
    assert (result.code, result.err) == (125, "orlop: no command specified\n")


def test_variables_are_the_image_s_with_the_user_s_over_them(owner: Engine) -> None:
    make(
        owner,
        "variables:latest",
        config={"Cmd": ["env"], "Env": ["A=image", "B=image", "C=image", "PATH=/bin", "none", "=x"]},
    )
    out = run(owner, "-e", "B=user", "-e", "C", "variables").splitlines()
    assert "A=image" in out
    assert "B=user" in out
    assert not [each for each in out if each.startswith(("C=", "none", "="))]


def test_a_user_of_the_image_is_looked_up_in_its_files(owner: Engine) -> None:
    make(
        owner,
        "user:latest",
        [base(), layer(PASSWD, GROUP)],
        {"User": "web", "Cmd": ["sh", "-c", "id; echo $HOME"], "Env": ["PATH=/bin"]},
    )
    out = run(owner, "user")
    assert out.startswith("uid=1000(web) gid=1001(web)")
    assert "55(logs)" in out
    assert out.endswith("/srv/web\n")
    assert run(owner, "-u", "0", "user").endswith("/root\n")
    result = owner("run", "--rm", "-u", "nobody-here", "user")
    assert result.code == 125
    assert "unable to find user nobody-here" in result.err
    wait_gone(owner)


def test_a_working_directory_that_the_image_lacks_is_made_for_root(owner: Engine) -> None:
    config = {
        "WorkingDir": "/srv/new",
        "User": "1000",
        "Cmd": ["sh", "-c", "pwd; stat -c %u:%g:%a ."],
        "Env": ["PATH=/bin"],
    }
    make(owner, "workdir:latest", config=config)
    assert run(owner, "workdir") == "/srv/new\n0:0:755\n"
    assert run(owner, "-w", "/tmp", "workdir").startswith("/tmp\n")


def test_a_volume_begins_as_what_the_image_has_there_and_goes_with_rm(owner: Engine) -> None:
    files = (
        directory("data", mode=0o750, uid=7, gid=8),
        file("data/seed", "seed", uid=7, gid=8, mode=0o600),
        link("data/l", "seed"),
    )
    make(
        owner,
        "volume:latest",
        [base(*files)],
        {"Volumes": {"/data": {}, "/empty/one": {}}, "Cmd": ["sh"], "Env": ["PATH=/bin"]},
    )
    script = "stat -c %u:%g:%a /data /data/seed; cat /data/l; grep -c ' /data ' /proc/self/mounts; touch /empty/one/x"
    assert run(owner, "volume", "sh", "-c", script) == "7:8:750\n7:8:600\nseed1\n"
    wait_gone(owner)

    owner.ok("run", "--name", "keeper", "volume", "sh", "-c", "echo more > /data/more")
    mounts = owner.inspect("keeper")["Mounts"]
    assert sorted((each["Type"], each["Destination"]) for each in mounts) == [
        ("volume", "/data"),
        ("volume", "/empty/one"),
    ]
    assert sorted(each["Name"] for each in mounts) == sorted(owner.volumes())
    owner.ok("rm", "keeper")
    assert len(owner.volumes()) == 2  # what a user does not ask to remove stays

    owner.ok("run", "--name", "remover", "volume", "true")
    owner.ok("rm", "-v", "remover")
    assert sorted(owner.volumes()) == sorted(each["Name"] for each in mounts)
    for each in mounts:
        shutil.rmtree(owner.root / "volumes" / each["Name"])


def test_names_of_one_file_stay_names_of_one_file_in_a_volume(owner: Engine) -> None:
    files = (directory("data"), file("data/one", "x"), entry("data/two", tarfile.LNKTYPE, linkname="data/one"))
    make(owner, "twice:latest", [base(*files)], {"Volumes": {"/data": {}}, "Cmd": ["sh"], "Env": ["PATH=/bin"]})
    assert run(owner, "twice", "sh", "-c", "echo y > /data/one; cat /data/two; stat -c %h /data/two").split() == [
        "y",
        "2",
    ]


def test_a_bind_mount_takes_the_place_of_the_image_s_volume(owner: Engine) -> None:
    make(owner, "bound:latest", config={"Volumes": {"/data/": {}}, "Cmd": ["sh"], "Env": ["PATH=/bin"]})
    shared = owner.root.parent / "shared"
    shared.mkdir(exist_ok=True)
    (shared / "there").touch()
    assert run(owner, "-v", f"{shared}:/data", "bound", "ls", "/data") == "there\n"
    wait_gone(owner)


def test_a_volume_that_the_user_gives_no_source_is_one_of_its_own(owner: Engine) -> None:
    assert run(owner, "-v", "/etc", "plain", "sh", "-c", "touch /etc/x; cat /etc/passwd").startswith("root")
    wait_gone(owner)


def test_what_the_image_says_is_told_by_inspect_and_the_user_s_goes_before(owner: Engine) -> None:
    config = {
        "Cmd": ["true"], "Env": ["PATH=/bin"], "Labels": {"a": "image", "b": "image"}, "StopSignal": "SIGUSR1",
        "ExposedPorts": {"80/tcp": {}}, "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5}, "Shell": ["/bin/sh", "-ec"],
        "OnBuild": ["RUN x"],
    }  # fmt: skip
    image = make(owner, "told:latest", config=config)
    owner.ok("run", "--name", "told", "-l", "b=user", "told")
    shown = owner.inspect("told")
    assert shown["Image"] == image
    assert shown["Driver"] == "overlay"
    assert shown["GraphDriver"]["Data"]["UpperDir"].startswith(str(owner.root))
    about = shown["Config"]
    assert about["Image"] == "told"
    assert about["Labels"] == {"a": "image", "b": "user"}
    assert about["StopSignal"] == "SIGUSR1"
    assert about["ExposedPorts"] == {"80/tcp": {}}
    assert about["Healthcheck"] == {"Test": ["CMD", "true"], "Interval": 5}
    assert about["Shell"] == ["/bin/sh", "-ec"]
    assert "OnBuild" not in about
    assert "told" in owner.ok("ps", "-a", "--format", "{{.Image}}").split()
    owner.ok("rm", "told")


def test_a_container_is_stopped_by_the_image_s_signal(owner: Engine) -> None:
    script = "trap 'exit 9' USR1; echo ready; while :; do sleep 0.02; done"
    make(owner, "signal:latest", config={"Cmd": ["sh", "-c", script], "Env": ["PATH=/bin"], "StopSignal": "USR1"})
    owner.ok("run", "-d", "--name", "signal", "signal")
    process = owner.popen("logs", "-f", "signal", stdout=-1)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    owner.ok("stop", "signal")
    assert owner.state("signal")["ExitCode"] == 9
    process.communicate()
    owner.ok("rm", "signal")


def test_a_read_only_container_has_its_mount_points_all_the_same(owner: Engine) -> None:
    script = "touch /x 2>/dev/null || echo refused; pwd; hostname > /dev/null"
    assert run(owner, "--read-only", "-w", "/made/up", "plain", "sh", "-c", script) == "refused\n/made/up\n"


def test_an_image_without_layers_can_be_made_but_has_nothing_to_run(owner: Engine) -> None:
    make(owner, "nothing:latest", [layer()], {"Cmd": ["/x"]})
    result = owner("run", "--rm", "nothing")
    assert result.code == 127
    wait_gone(owner)


def test_an_image_s_id_and_its_beginning_are_names_too(owner: Engine) -> None:
    image = json.loads(owner.ok("inspect", "--type", "image", "plain"))[0]["Id"]
    assert run(owner, image, "echo", "whole") == "whole\n"
    assert run(owner, image.removeprefix("sha256:")[:12], "echo", "part") == "part\n"


def test_scratch_is_no_image_to_run(owner: Engine) -> None:
    result = owner("run", "scratch", "true")
    assert result.code == 125
    assert "'scratch' is a reserved name" in result.err


def test_without_pulling_a_missing_image_is_an_error(owner: Engine) -> None:
    result = owner("run", "--pull", "never", "missing", "true")
    assert (result.code, result.err) == (125, "orlop: No such image: missing\n")


def test_an_image_for_another_platform_is_run_with_a_warning_or_not_at_all(owner: Engine) -> None:
    make(owner, "foreign:latest", architecture="s390x")
    result = owner("run", "--rm", "foreign", "true")
    assert result.code == 0
    assert "platform (linux/s390x) does not match" in result.err
    result = owner("run", "--rm", "--pull", "never", "--platform", "linux/riscv64", "foreign", "true")
    assert result.code == 125
    assert "is for linux/s390x, not for linux/riscv64" in result.err
    assert owner("run", "--rm", "--platform", "linux/s390x", "foreign", "true").err == ""


def test_a_container_outlives_its_image_s_name(owner: Engine) -> None:
    make(owner, "named:latest", config={"Cmd": ["true"], "Env": ["PATH=/bin"]})
    owner.ok("run", "-d", "--name", "still", "named", "sleep", "1000")
    result = owner("rmi", "named")
    assert result.code == 1
    assert "running container still" in result.err
    assert owner.ok("exec", "still", "echo", "here") == "here\n"
    owner.ok("rm", "-f", "still")


def test_nothing_of_a_container_is_mounted_where_others_see_it(owner: Engine) -> None:
    owner.ok("run", "-d", "--name", "quiet", "plain", "sleep", "1000")
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        assert str(owner.root) not in mounts.read()
    assert run(owner, "plain", "sh", "-c", "grep -c ' / overlay' /proc/self/mounts || mount | head -1")
    owner.ok("rm", "-f", "quiet")


def test_many_layers_are_no_obstacle(owner: Engine) -> None:
    layers = [base(PASSWD, GROUP), *(layer(file(f"tmp/file-{number}")) for number in range(40))]
    make(
        owner,
        "many:latest",
        layers,
        {"Cmd": ["sh", "-c", "ls /tmp | wc -l; id -un"], "User": "web", "Env": ["PATH=/bin"]},
    )
    assert run(owner, "many") == "40\nweb\n"


def test_the_driver_that_copies_makes_the_same_containers(owner: Engine) -> None:
    copied = Engine(owner.root.parent / "vfs", Path(owner.rootfs), (*owner.prefix, "env", "ORLOP_STORAGE_DRIVER=vfs"))
    make(
        copied,
        "plain:latest",
        config={"Cmd": ["id", "-un"], "User": "web", "Env": ["PATH=/bin"], "Volumes": {"/data": {}}},
    )
    assert run(copied, "plain") == "web\n"
    copied.ok(
        "run", "--name", "web", "-u", "0", "plain", "sh", "-c", "rm /bin/cat; echo x > /new; chown 5:6 /new; ls /data"
    )
    assert copied.inspect("web")["Driver"] == "vfs"
    assert copied.ok("logs", "web").split() == ["gone", "kept"]
    copied.ok("commit", "web", "changed")
    out = run(copied, "-u", "0", "changed", "sh", "-c", "stat -c %u:%g /new; [ -e /bin/cat ] || echo gone")
    assert out.split() == ["5:6", "gone"]
    copied.ok("rm", "-v", "web")
    copied.close()
    subprocess.run(["rm", "-rf", owner.root.parent / "vfs"], check=True)


@pytest.mark.parametrize("what", ["fifo", "device", "link out", "loop", "directory", "through a link"])
def test_a_hostile_list_of_users_does_no_more_than_fail(owner: Engine, what: str) -> None:
    if what == "device" and owner.prefix:
        pytest.skip("an ordinary user's images have no devices")
    entries = {
        "fifo": [entry("etc/passwd", b"6")],
        "device": [entry("etc/passwd", b"3", devmajor=1, devminor=5)],
        "link out": [link("etc/passwd", "../../../../../../etc/passwd-of-the-host")],
        "loop": [link("etc/passwd", "passwd")],
        "directory": [directory("etc/passwd")],
        "through a link": [link("etc/passwd", "/proc/self/root/etc/passwd")],
    }[what]
    make(owner, "hostile:latest", [base(*entries)], {"User": "daemon", "Cmd": ["true"], "Env": ["PATH=/bin"]})
    result = owner("run", "--rm", "hostile")
    assert result.code == 125
    assert "unable to find user daemon" in result.err
    assert run(owner, "-u", "5:6", "hostile", "echo", "numbers need no list") == "numbers need no list\n"


def test_links_in_an_image_mean_what_they_mean_inside(owner: Engine) -> None:
    passwd = file("users/passwd", "root:x:0:0::/:/bin/sh\nme:x:5:6::/me:/\n")
    above = layer(link("etc", "/config/users"), link("config", "/"), directory("users"), passwd)
    make(owner, "links:latest", [base(), above], {"User": "me", "Cmd": ["id", "-u"], "Env": ["PATH=/bin"]})
    assert run(owner, "links") == "5\n"


@pytest.mark.parametrize("volume", ["../../etc", "/a/../.."])
def test_a_volume_where_none_can_be_is_refused(owner: Engine, volume: str) -> None:
    make(owner, "badvolume:latest", config={"Volumes": {volume: {}}, "Cmd": ["true"], "Env": ["PATH=/bin"]})
    result = owner("run", "--rm", "badvolume")
    assert result.code == 125
    assert f'invalid volume "{volume}"' in result.err
    wait_gone(owner)


def test_a_volume_or_directory_behind_links_stays_in_the_container(owner: Engine) -> None:
    outside = owner.root.parent / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "secret").touch()
    entries = [
        link("out", str(outside)),
        link("up", "../../../../../../" + str(outside)),
        link("data", "/real"),
        directory("real"),
        file("real/x"),
    ]
    config = {
        "Volumes": {"/out/v": {}, "/up": {}, "/data": {}},
        "WorkingDir": "/out/work",
        "Cmd": ["sh"],
        "Env": ["PATH=/bin"],
    }
    make(owner, "behind:latest", [base(*entries)], config)
    out = run(owner, "behind", "sh", "-c", f"ls -A {outside} /up/ /real; pwd -P; touch /out/v/x /up/y")
    assert "secret" not in out
    assert out.split()[-1] == f"{outside}/work"
    assert os.listdir(outside) == ["secret"]
    wait_gone(owner)


def test_a_stop_signal_that_there_is_not_is_refused(owner: Engine) -> None:
    make(owner, "badsignal:latest", config={"StopSignal": "SIGNONE", "Cmd": ["true"]})
    assert 'unknown signal "SIGNONE"' in owner("run", "--rm", "badsignal").err
