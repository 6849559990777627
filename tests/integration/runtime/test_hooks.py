"""``hooks``: when each runs, in which namespaces, with what on its standard input, and what its failure means."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import unique_name
from tests.integration.runtime.containers import attempt, groups_of, run, until

if TYPE_CHECKING:
    from tests.integration.conftest import Bundle, BundleMaker, Result, Runtime

ALL = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
#: Which run in the runtime's namespaces; the others in the container's.
OUTSIDE = ("prestart", "createRuntime", "poststart", "poststop")


def hook(script: str, **more: Any) -> dict[str, Any]:
    return {"path": "/bin/sh", "args": ["sh", "-c", script], **more}


def telling(bundle: Bundle, *names: str) -> Path:
    """Have hooks note their name, in the host's file or, for startContainer, the container's; returns the former."""
    told = bundle.path / "told"
    told.touch()
    inside = bundle.rootfs / "told"
    os.link(told, inside)
    hooks = bundle.config.setdefault("hooks", {})
    for name in names:
        file = "/told" if name == "startContainer" else told
        hooks.setdefault(name, []).append(hook(f"echo {name} >> {file}"))
    return told


def left_behind(runtime: Runtime, bundle: Bundle, name: str) -> list[object]:
    """What a container that could not be made has left: processes, cgroups, state, mounts."""
    found: list[object] = [*groups_of(bundle.linux["cgroupsPath"].strip("/"))]
    if (runtime.root / name).exists():
        found.append(runtime.root / name)
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(bundle.path) in line]
    return found


# when


def test_hooks_run_in_the_specifications_order(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "echo program >> /told; exec sleep 100")
    told = telling(made, *ALL)
    made.write()
    name = runtime.create(made)
    assert told.read_text().split() == ["prestart", "createRuntime", "createContainer"]
    runtime("start", name)
    until(lambda: "program" in told.read_text() and "poststart" in told.read_text())
    noted = told.read_text().split()
    assert noted[:4] == ["prestart", "createRuntime", "createContainer", "startContainer"]
    assert sorted(noted[4:]) == ["poststart", "program"]
    runtime("delete", "--force", name)
    assert told.read_text().split()[6:] == ["poststop"]


def test_hooks_of_one_kind_run_in_their_order(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    told = made.path / "told"
    made.config["hooks"] = {"createRuntime": [hook(f"echo {number} >> {told}") for number in range(5)]}
    run(runtime, made)
    assert told.read_text().split() == ["0", "1", "2", "3", "4"]


# how


def test_a_hook_gets_its_own_arguments_and_environment_alone(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    told = made.path / "told"
    script = f'echo "$0:$1:$2" >> {told}; /usr/bin/env >> {told}'
    entry = {"path": "/bin/sh", "args": ["name", "-c", script, "zero", "one", ""], "env": ["A=1", "B="]}
    made.config["hooks"] = {"createRuntime": [entry]}
    run(runtime, made, env={**os.environ, "LEAK": "1"})
    lines = told.read_text().splitlines()
    assert lines[0] == "zero:one:"
    assert {line for line in lines[1:] if line[:2] not in ("_=", "PW", "SH")} == {"A=1", "B="}


def test_a_hook_without_arguments_is_told_its_path(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    script = made.path / "hook"
    script.write_text(f'#!/bin/sh\necho "$0 $#" > {made.path}/told\n')
    script.chmod(0o755)
    made.config["hooks"] = {"createRuntime": [{"path": str(script)}]}
    run(runtime, made)
    assert (made.path / "told").read_text() == f"{script} 0\n"


def test_a_timeout_may_be_longer_than_the_kernel_waits(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("echo", "ran")
    made.config["hooks"] = {"createRuntime": [hook("true", timeout=(1 << 31) - 1)]}
    assert run(runtime, made) == "ran\n"


def test_hooks_begin_in_the_bundle_and_in_the_root(runtime: Runtime, bundle: BundleMaker, tmp_path: Path) -> None:
    made = bundle("sleep", "100", cwd="/etc")
    told = tmp_path / "told"
    for name in ALL:
        where = "/told" if name == "startContainer" else told
        made.config.setdefault("hooks", {})[name] = [hook(f"echo {name} $(pwd) >> {where}", env=["PATH=/bin"])]
    run(runtime, made, "--detach", cwd="/tmp")
    [name] = runtime("list", "-q").output.split()
    runtime("delete", "--force", name)
    begun = dict(line.split() for line in (told.read_text() + (made.rootfs / "told").read_text()).splitlines())
    assert begun == {
        **dict.fromkeys(OUTSIDE, str(made.path)),
        "createContainer": str(made.rootfs),
        "startContainer": "/etc",
    }


def test_hooks_run_in_the_namespaces_they_belong_to(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "100")
    told = made.path / "told"
    os.mkfifo(made.rootfs / "fifo")  # so that nobody confuses the two file systems
    here = os.readlink("/proc/self/ns/mnt")
    for name in ALL:
        where = "/told" if name == "startContainer" else told
        script = f"echo {name} $(readlink /proc/self/ns/mnt) $(readlink /proc/self/ns/uts) >> {where}"
        made.config.setdefault("hooks", {})[name] = [hook(script, env=["PATH=/bin:/usr/bin"])]
    made.write()
    name = runtime.start(made)
    pid = runtime.state(name)["pid"]
    inside = [os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("mnt", "uts")]
    runtime("delete", "--force", name)
    noted = {line.split()[0]: line.split()[1:] for line in told.read_text().splitlines()}
    for outside in OUTSIDE:
        assert noted[outside] == [here, os.readlink("/proc/self/ns/uts")]
    assert noted["createContainer"] == inside
    assert (made.rootfs / "told").read_text().split()[1:] == inside


def test_create_container_hooks_see_the_hosts_files_and_the_containers_mounts(
    runtime: Runtime, bundle: BundleMaker
) -> None:
    made = bundle("cat", "/tmp/file")
    script = (
        f"test -f {made.path}/config.json && test -c {made.rootfs}/dev/null && echo hooked > {made.rootfs}/tmp/file"
    )
    made.config["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"})
    made.config["hooks"] = {"createContainer": [hook(script)]}
    assert run(runtime, made) == "hooked\n"
    assert not (made.rootfs / "tmp/file").exists()


def test_create_runtime_hooks_find_the_container_in_its_namespaces(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("ip", "link", "show", "hooked0")
    (made.rootfs / "bin/ip").symlink_to("busybox")
    name = f"h{os.getpid() % 100000}"
    script = (
        "pid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/'); set -e; "
        f"ip link add {name} type veth peer name hooked0 netns $pid; ip link delete {name} || true"
    )
    script = script.replace(f"; ip link delete {name} || true", "")
    made.config["hooks"] = {"createRuntime": [hook(script, env=["PATH=/usr/sbin:/sbin:/usr/bin:/bin"])]}
    assert "hooked0" in run(runtime, made)


def test_start_container_hooks_are_the_containers_programs(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("cat", "/said")
    tool = made.rootfs / "bin/tool"
    tool.write_text("#!/bin/sh\necho from inside > /said\n")
    tool.chmod(0o755)
    made.config["hooks"] = {"startContainer": [{"path": "/bin/tool"}]}
    assert run(runtime, made) == "from inside\n"


@pytest.mark.parametrize("kind", ALL)
def test_the_state_is_on_standard_input(kind: str, runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "100")
    told = made.path / "told"
    told.touch()
    os.link(told, made.rootfs / "told")
    made.config["annotations"] = {"org.example.key": "value"}
    file = "/told" if kind == "startContainer" else told
    made.config["hooks"] = {kind: [hook(f"cat > {file}", env=["PATH=/bin:/usr/bin"])]}
    made.write()
    name = runtime.start(made)
    pid = runtime.state(name)["pid"]
    runtime("delete", "--force", name)
    state = json.loads(told.read_text())
    statuses = {"startContainer": "created", "poststart": "running", "poststop": "stopped"}
    assert state["status"] == statuses.get(kind, "creating")
    assert state["ociVersion"] == made.config["ociVersion"]
    assert state["id"] == name
    assert state["bundle"] == str(made.path)
    assert state["annotations"] == {"org.example.key": "value"}
    assert state.get("pid", 0) == (0 if kind == "poststop" else pid)


def test_a_large_state_arrives_whole(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "wc -c < /told")
    made.config["annotations"] = {f"org.example.{number}": "x" * 1000 for number in range(250)}
    made.config["hooks"] = {"startContainer": [hook("cat > /told")]}
    assert int(run(runtime, made)) > 250_000


def test_a_hook_that_does_not_read_its_input_is_fine(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    made.config["hooks"] = {"createRuntime": [{"path": "/bin/true"}]}
    run(runtime, made)


def test_a_hook_has_no_descriptors_of_the_runtimes(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    told = made.path / "told"
    os.link(told, made.rootfs / "told") if told.exists() else told.touch()
    made.config["hooks"] = {
        "createRuntime": [hook(f"ls /proc/self/fd >> {told}")],
        "createContainer": [hook(f"ls /proc/self/fd >> {told}")],
    }
    run(runtime, made)
    assert set(told.read_text().split()) == {"0", "1", "2", "3"}  # 3 is ls's own


def test_what_a_hook_leaves_running_does_not_hold_the_container_up(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("true")
    made.config["hooks"] = {"createRuntime": [hook("sleep 3 & exit 0")]}
    before = time.monotonic()
    run(runtime, made)
    assert time.monotonic() - before < 2.5


# failures


def failing(runtime: Runtime, bundle: Bundle, kind: str, entry: dict[str, Any]) -> tuple[Result, str]:
    """Run a container of which one hook fails."""
    bundle.config.setdefault("hooks", {})[kind] = [entry]
    bundle.write()
    name = unique_name()
    return runtime.call("run", "--bundle", str(bundle.path), name), name


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"])
def test_a_failing_hook_fails_the_run_and_leaves_nothing(kind: str, runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sh", "-c", "touch /ran; sleep 100")
    result, name = failing(runtime, made, kind, hook("echo what is wrong >&2; exit 3"))
    assert result.status == 1
    assert f"{kind} hook #0 /bin/sh: exit status 3: what is wrong" in result.errors
    assert left_behind(runtime, made, name) == []
    assert (made.rootfs / "ran").exists() <= (kind == "poststart")


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer"])
def test_a_failing_hook_fails_the_create_and_leaves_nothing(kind: str, runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "100")
    made.config["hooks"] = {kind: [hook("exit 3"), hook(f"touch {made.path}/next")]}
    made.write()
    name = unique_name()
    result = runtime.call("create", "--bundle", str(made.path), name)
    assert result.status == 1
    assert left_behind(runtime, made, name) == []
    assert not (made.path / "next").exists()


@pytest.mark.parametrize("kind", ["startContainer", "poststart"])
def test_a_failing_hook_fails_the_start_and_stops_the_container(
    kind: str, runtime: Runtime, bundle: BundleMaker
) -> None:
    made = bundle("sleep", "100")
    made.config["hooks"] = {kind: [hook("exit 3")]}
    made.write()
    name = runtime.create(made)
    assert runtime.call("start", name).status == 1
    until(lambda: runtime.state(name)["status"] == "stopped")
    runtime("delete", name)


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer"])
def test_poststop_hooks_run_after_another_hook_failed_as_with_runc(
    kind: str, runtime: Runtime, runc: Runtime, bundle: BundleMaker
) -> None:
    ran = []
    for program in (runc, runtime):
        made = bundle("sleep", "100")
        made.config["hooks"] = {"poststop": [hook(f"touch {made.path}/poststop")]}
        failing(program, made, kind, hook("exit 3"))
        ran.append((made.path / "poststop").exists())
    assert ran[1] == ran[0]


@pytest.mark.parametrize("kind", ["startContainer", "poststart"])
def test_poststop_hooks_run_after_the_start_failed(kind: str, runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "100")
    made.config["hooks"] = {"poststop": [hook(f"touch {made.path}/poststop")]}
    failing(runtime, made, kind, hook("exit 3"))
    assert (made.path / "poststop").exists()


def test_a_failing_poststop_hook_is_told_beside_the_first_failure(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "100")
    made.config["hooks"] = {"poststop": [hook("exit 4")]}
    result, _ = failing(runtime, made, "createRuntime", hook("exit 3"))
    assert "createRuntime hook #0 /bin/sh: exit status 3; poststop hook #0 /bin/sh: exit status 4" in result.errors


def test_a_failing_poststop_hook_stops_neither_the_others_nor_the_deletion(
    runtime: Runtime, bundle: BundleMaker
) -> None:
    made = bundle("true")
    made.config["hooks"] = {"poststop": [hook("exit 3"), hook(f"touch {made.path}/next")]}
    result = attempt(runtime, made)
    assert result.status == 0
    assert (made.path / "next").exists()
    assert runtime("list", "-q").output == ""


@pytest.mark.parametrize("kind", ["createRuntime", "createContainer", "startContainer", "poststart"])
def test_a_hook_is_killed_after_its_timeout(kind: str, runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("sleep", "100")
    before = time.monotonic()
    result, name = failing(runtime, made, kind, hook("sleep 50", timeout=1, env=["PATH=/bin"]))
    assert 1 <= time.monotonic() - before < 10
    assert f"{kind} hook #0 /bin/sh: killed after its timeout of 1 s" in result.errors
    assert left_behind(runtime, made, name) == []


@pytest.mark.parametrize(
    ("path", "words"), [("/no/such/hook", "no such file or directory"), ("/etc", "permission denied")]
)
def test_a_hook_that_cannot_be_run_is_named(path: str, words: str, runtime: Runtime, bundle: BundleMaker) -> None:
    result, _ = failing(runtime, bundle("true"), "createRuntime", {"path": path})
    assert f"createRuntime hook #0 {path}: {words}" in result.errors


def test_a_hook_that_dies_by_a_signal_has_failed(runtime: Runtime, bundle: BundleMaker) -> None:
    result, _ = failing(runtime, bundle("true"), "createRuntime", hook("kill -9 $$"))
    assert "killed by signal 9" in result.errors


def test_a_relative_path_is_refused(runtime: Runtime, bundle: BundleMaker) -> None:
    result, _ = failing(runtime, bundle("true"), "prestart", {"path": "bin/sh"})
    assert "hooks.prestart[0].path" in result.errors
