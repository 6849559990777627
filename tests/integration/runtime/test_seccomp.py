"""``linux.seccomp`` in a container: what a filtered call answers, and agents that answer it."""

from __future__ import annotations

import array
import fcntl
import json
import os
import platform
import socket
import struct
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.runtime.containers import attempt, fields, refused, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.conftest import Bundle, BundleMaker, Runtime

RECEIVE = 0xC0502100
SEND = 0xC0182101
CONTINUE = 1


def filtered(bundle: Bundle, *names: str, action: str = "SCMP_ACT_ERRNO", **more: Any) -> Bundle:
    """Give the bundle a filter that does ``action`` on these calls and allows the others."""
    rule: dict[str, Any] = {"names": list(names), "action": action}
    for key in ("errnoRet", "args"):
        if key in more:
            rule[key] = more.pop(key)
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule], **more}
    return bundle


# actions


def test_a_forbidden_call_is_not_permitted(runtime: Runtime, bundle: BundleMaker) -> None:
    made = filtered(bundle("mkdir", "/new"), "mkdir", "mkdirat")
    assert "Operation not permitted" in attempt(runtime, made).errors
    assert not (made.rootfs / "new").exists()


def test_a_name_that_no_call_has_is_said_and_ignored(runtime: Runtime, bundle: BundleMaker) -> None:
    made = filtered(bundle("true"), "mkdri", "mkdir", "arm_fadvise64_64")
    result = attempt(runtime, made)
    assert result.status == 0
    assert "level=warning" in result.errors
    assert "'mkdri' is no system call" in result.errors
    assert "arm_fadvise64_64" not in result.errors


def test_the_errno_is_the_configured_one(runtime: Runtime, bundle: BundleMaker) -> None:
    made = filtered(bundle("mkdir", "/new"), "mkdir", "mkdirat", errnoRet=28)
    assert "No space left on device" in attempt(runtime, made).errors


@pytest.mark.parametrize("action", ["SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP"])
def test_a_deadly_call_ends_the_process_by_sigsys(action: str, runtime: Runtime, bundle: BundleMaker) -> None:
    # From a child, because the first process of a pid namespace is spared signals that it has no handler for.
    made = filtered(bundle("sh", "-c", "mkdir /new; echo $?; true"), "mkdir", "mkdirat", action=action)
    assert run(runtime, made).strip() == str(128 + 31)


def test_arguments_decide(runtime: Runtime, bundle: BundleMaker) -> None:
    condition = [{"index": 1, "value": 9, "op": "SCMP_CMP_EQ"}]
    script = "sleep 100 & kill -9 $! && echo sent || echo refused; kill -15 $! && echo sent"
    made = filtered(bundle("sh", "-c", script), "kill", args=condition)
    assert attempt(runtime, made).output.split() == ["refused", "sent"]


@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_the_filter_is_there_with_and_without_new_privileges(
    no_new_privileges: bool, runtime: Runtime, bundle: BundleMaker
) -> None:
    made = filtered(bundle("cat", "/proc/self/status", noNewPrivileges=no_new_privileges), "reboot")
    status = fields(run(runtime, made))
    assert (status["Seccomp"], status["Seccomp_filters"]) == ("2", "1")
    assert status["NoNewPrivs"] == str(int(no_new_privileges))


def test_an_ordinary_user_without_capabilities_is_filtered_too(runtime: Runtime, bundle: BundleMaker) -> None:
    for no_new_privileges in (True, False):
        made = bundle(
            "cat",
            "/proc/self/status",
            noNewPrivileges=no_new_privileges,
            user={"uid": 1000, "gid": 1000},
            capabilities={},
        )
        assert fields(run(runtime, filtered(made, "reboot")))["Seccomp"] == "2"


def test_exec_is_filtered_as_well(runtime: Runtime, bundle: BundleMaker) -> None:
    made = filtered(bundle("sleep", "100"), "mkdir", "mkdirat")
    made.write()
    result = runtime.call("exec", runtime.start(made), "mkdir", "/new")
    assert "Operation not permitted" in result.errors


@pytest.mark.parametrize(
    "flag", ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]
)
def test_flags_are_accepted(flag: str, runtime: Runtime, bundle: BundleMaker) -> None:
    made = filtered(bundle("cat", "/proc/self/status"), "reboot", flags=[flag])
    assert fields(run(runtime, made))["Seccomp"] == "2"


def test_speculation_is_allowed_only_when_asked_for(runtime: Runtime, bundle: BundleMaker) -> None:
    made = bundle("grep", "Speculation_Store_Bypass", "/proc/self/status")
    without = run(runtime, filtered(made, "reboot"))
    given = run(runtime, filtered(made, "reboot", flags=["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]))
    if "vulnerable" not in without + given and "mitigated" not in without + given:
        pytest.skip("this processor has nothing to switch")
    assert "force mitigated" not in given


def test_an_unknown_flag_is_refused(runtime: Runtime, bundle: BundleMaker) -> None:
    refused(runtime, filtered(bundle("true"), "reboot", flags=["SECCOMP_FILTER_FLAG_FLY"]), "SECCOMP_FILTER_FLAG_FLY")


def test_an_unknown_action_is_refused(runtime: Runtime, bundle: BundleMaker) -> None:
    refused(runtime, filtered(bundle("true"), "reboot", action="SCMP_ACT_FLY"), "SCMP_ACT_FLY")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="32-bit programs of x86")
def test_calls_of_another_architecture_are_filtered_by_their_own_numbers(runtime: Runtime, bundle: BundleMaker) -> None:
    made = filtered(
        bundle("cat", "/proc/self/status"),
        "reboot",
        architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    )
    assert fields(run(runtime, made))["Seccomp"] == "2"


# SCMP_ACT_NOTIFY


class Agent:
    """Listens as a seccomp agent, takes one container's listener and answers its calls in a thread."""

    def __init__(self, path: Path, errno: int) -> None:
        self.path = path
        self.message: dict[str, Any] = {}
        self.calls: list[int] = []
        self._errno = errno
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            descriptors = array.array("i")
            with connection:
                data, ancillary, _, _ = connection.recvmsg(1 << 16, socket.CMSG_SPACE(4))
                for _, _, packed in ancillary:
                    descriptors.frombytes(packed)
                while not self._is_whole(data):  # not to the end: the container may be asking us about its close
                    data += connection.recv(1 << 16)
                threading.Thread(target=self._answer, args=descriptors, daemon=True).start()

    def _is_whole(self, data: bytes) -> bool:
        try:
            self.message = json.loads(data)
        except ValueError:
            return False
        return True

    def _answer(self, listener: int) -> None:
        """Refuse or wave through every call until the last process with the filter has ended."""
        while True:
            request = bytearray(80)
            try:
                fcntl.ioctl(listener, RECEIVE, request)
            except OSError:
                os.close(listener)
                return
            identifier = struct.unpack_from("=Q", request)[0]
            self.calls.append(struct.unpack_from("=i", request, 16)[0])
            flags = 0 if self._errno else CONTINUE
            answer = struct.pack("=QqiI", identifier, 0, -self._errno, flags)
            try:
                fcntl.ioctl(listener, SEND, answer)
            except OSError:
                continue


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    made = Agent(tmp_path / "agent.sock", errno=122)
    yield made
    made.close()


def test_an_agent_answers_the_calls(runtime: Runtime, bundle: BundleMaker, agent: Agent) -> None:
    made = filtered(bundle("mkdir", "/new"), "mkdir", "mkdirat", action="SCMP_ACT_NOTIFY", listenerPath=str(agent.path))
    assert "Disk quota exceeded" in attempt(runtime, made).errors
    assert len(agent.calls) == 1


def test_the_agent_is_told_about_the_container(runtime: Runtime, bundle: BundleMaker, agent: Agent) -> None:
    made = filtered(
        bundle("sleep", "100"),
        "mkdir",
        "mkdirat",
        action="SCMP_ACT_NOTIFY",
        listenerPath=str(agent.path),
        listenerMetadata="some text",
    )
    made.config["annotations"] = {"org.example.key": "value"}
    made.write()
    name = runtime.start(made)
    pid = runtime.state(name)["pid"]
    assert runtime.call("exec", name, "mkdir", "/new").status == 1
    # The second message, that of the exec: the container's state with the process that was added.
    assert agent.message["metadata"] == "some text"
    assert agent.message["fds"] == ["seccompFd"]
    assert agent.message["ociVersion"][0] == "1"
    assert agent.message["pid"] != pid
    state = agent.message["state"]
    assert (state["id"], state["status"], state["bundle"]) == (name, "running", str(made.path))
    assert state["annotations"] == {"org.example.key": "value"}
    runtime("delete", "--force", name)


def test_the_state_at_the_start_names_init(runtime: Runtime, bundle: BundleMaker, agent: Agent) -> None:
    made = filtered(bundle("mkdir", "/new"), "mkdir", "mkdirat", action="SCMP_ACT_NOTIFY", listenerPath=str(agent.path))
    made.write()
    name = runtime.create(made)
    pid = runtime.state(name)["pid"]
    runtime("start", name)
    runtime("delete", "--force", name)
    assert agent.message["pid"] == agent.message["state"]["pid"] == pid
    assert agent.message["state"]["status"] in ("created", "creating", "running")
    assert "metadata" not in agent.message


def test_calls_that_the_runtime_makes_itself_may_be_notified(
    runtime: Runtime, bundle: BundleMaker, tmp_path: Path
) -> None:
    agent = Agent(tmp_path / "agent.sock", errno=0)
    try:
        made = filtered(
            bundle("echo", "through"),
            "execve",
            "close",
            "capset",
            "prctl",
            action="SCMP_ACT_NOTIFY",
            listenerPath=str(agent.path),
        )
        result = attempt(runtime, made, timeout=20)
        assert result.output == "through\n", result
    finally:
        agent.close()


def test_an_agent_that_is_not_there_is_named(runtime: Runtime, bundle: BundleMaker, tmp_path: Path) -> None:
    made = filtered(bundle("true"), "mkdir", action="SCMP_ACT_NOTIFY", listenerPath=str(tmp_path / "nobody"))
    refused(runtime, made, f"connect to seccomp agent {tmp_path}/nobody: ", "no such file or directory")


def test_notify_without_an_agent_is_refused(runtime: Runtime, bundle: BundleMaker) -> None:
    refused(runtime, filtered(bundle("true"), "mkdir", action="SCMP_ACT_NOTIFY"), "listenerPath")


def test_what_no_container_may_have_is_not_left_over(runtime: Runtime, bundle: BundleMaker, agent: Agent) -> None:
    made = filtered(bundle("ls", "/proc/self/fd"), "mkdir", action="SCMP_ACT_NOTIFY", listenerPath=str(agent.path))
    assert run(runtime, made).split() == ["0", "1", "2", "3"]


def test_an_agent_cannot_be_asked_about_write(runtime: Runtime, bundle: BundleMaker, agent: Agent) -> None:
    made = filtered(bundle("true"), "write", action="SCMP_ACT_NOTIFY", listenerPath=str(agent.path))
    refused(runtime, made, "SCMP_ACT_NOTIFY cannot be used for write")
