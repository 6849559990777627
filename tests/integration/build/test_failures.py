"""What is told when a build fails, what is left then, and what nobody is to know."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import wait_until

if TYPE_CHECKING:
    from tests.integration.build.conftest import Builder

SECRET = "xyzzy-plugh-4711"


def test_a_step_that_fails_is_shown_with_its_output_its_place_and_its_status(builder: Builder) -> None:
    result = builder.build(
        builder.context("FROM base\nRUN echo fine\nRUN echo before; echo wrong >&2; exit 7\nRUN echo never\n")
    )
    assert result.code == 7
    end = result.err.partition("------\n")[2]
    assert end.startswith(" > [stage-0 2/3] RUN echo before; echo wrong >&2; exit 7:\nbefore\nwrong\n------\n")
    assert "3 | RUN echo before; echo wrong >&2; exit 7\n  | ^^^^" in end
    assert "did not complete successfully: exit code: 7" in end
    assert "never" not in result.err.partition("#3")[2].partition("------")[0]


def test_a_mistake_in_the_file_is_shown_and_nothing_is_run(builder: Builder) -> None:
    result = builder.build(builder.context("FROM base\nRUN touch /x\nCOYP a b\n"))
    assert result.code == 1
    assert "3 | COYP a b\n  | ^^^^^^^^" in result.err
    assert "orlop: Dockerfile:3: unknown instruction COYP (did you mean COPY?)" in result.err
    assert "#1" not in result.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM base\nCOPY none /x\n", "/none is not in the build context: no such file or directory"),
        ("FROM base\nCOPY ignored /x\n", "/ignored is not in the build context: .dockerignore leaves it out"),
        ('FROM base\nRUN ["none"]\n', "none"),
        ("FROM base\nUSER nobody\nRUN true\n", "unable to find user nobody"),
        ("FROM base\nRUN --mount=type=secret,id=k,required true\n", "secret k is required and was not given"),
        ("FROM base\nRUN --mount=type=ssh,required true\n", "the ssh agent default is required and was not given"),
        (
            "FROM base\nRUN --mount=type=bind,from=base,source=/none,target=/x true\n",
            "/none of --mount cannot be found",
        ),
        ("FROM base\nCOPY f /etc/passwd/x\n", "something on the way to it is no directory"),
        ("FROM base\nADD https://127.0.0.1:1/x /x\n", "cannot download https://127.0.0.1:1/x"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(builder: Builder, text: str, message: str) -> None:
    context = builder.context(text, f="", ignored="")
    (context / ".dockerignore").write_text("ignored\n")
    result = builder.build(context)
    assert result.code != 0
    assert message in result.err
    assert "Traceback" not in result.err


def test_arguments_that_cannot_be_are_told(builder: Builder) -> None:
    context = builder.context("FROM base\n")
    for arguments in (
        ["--secret", "id=x,src=/none"], ["--secret", "src=/none"], ["--build-arg", "=x"], ["--output", "type=what"],
        ["--platform", "what/ever/x/y"], ["--ssh", "default=/none"], ["-t", "UPPER"], ["--allow", "everything"],
        ["--build-context", "x"], ["--ulimit", "what"], ["-f", "none"], ["--build-arg", "SOURCE_DATE_EPOCH=x"],
    ):  # fmt: skip
        result = builder.build(context, *arguments)
        assert (result.code != 0, "Traceback" in result.err) == (True, False), result
    assert builder.build("/none").err == "orlop: the context /none does not exist\n"


def test_a_build_that_is_killed_leaves_nothing_but_cache(builder: Builder) -> None:
    context = builder.context("FROM base\nRUN echo done >/d\nRUN echo hanging; exec sleep 1000\n")
    process = builder.popen(
        "build", "--progress", "plain", str(context), stderr=subprocess.PIPE, start_new_session=True
    )
    assert process.stderr is not None
    while b"hanging\n" not in (line := process.stderr.readline()) or b"RUN" in line:
        assert line
    running = os.listdir(builder.run_root / "building")
    assert len(running) == 1
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()
    wait_until(lambda: not os.listdir(builder.run_root / "building"), "the end of the step")
    wait_until(lambda: not builder.runtime_state(), "the end of its container")
    builder.ok("images")
    result = builder.build(builder.context("FROM base\nRUN echo done >/d\n"))
    assert "CACHED" in result.err
    assert os.listdir(builder.root / "build/under-way") == []
    assert [name for name in builder.snapshots() if name.startswith("lease-")] == []


@pytest.mark.parametrize("half_cleared", [False, True])
def test_what_a_step_and_its_build_left_when_both_were_killed_goes_with_the_next_command(
    builder: Builder, half_cleared: bool
) -> None:
    context = builder.context("FROM base\nRUN --network=none echo hanging; exec sleep 1001\n")
    process = builder.popen("build", "--progress", "plain", str(context), stderr=subprocess.PIPE)
    assert process.stderr is not None
    while b"hanging\n" not in (line := process.stderr.readline()) or b"RUN" in line:
        assert line
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(process.pid, signal.SIGSTOP)
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert len(builder.runtime_state()) == 1
    if half_cleared:
        shutil.rmtree(builder.run_root / "building" / os.listdir(builder.run_root / "building")[0])
    builder.ok("ps")
    assert builder.runtime_state() == []
    assert os.listdir(builder.run_root / "building") == []


def test_an_interrupt_ends_the_steps(builder: Builder) -> None:
    context = builder.context("FROM base\nRUN echo hanging; exec sleep 1002\n")
    # Whoever runs tests in the background has interrupts ignored, which children would inherit.
    process = builder.popen(
        "build", "--progress", "plain", str(context), stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert process.stderr is not None
    while b"hanging\n" not in (line := process.stderr.readline()) or b"RUN" in line:
        assert line
    process.send_signal(signal.SIGINT)
    process.stderr.read()
    assert process.wait(60) != 0
    process.stderr.close()
    assert builder.runtime_state() == []
    assert os.listdir(builder.run_root / "building") == []


def test_a_failing_step_ends_those_beside_it(builder: Builder) -> None:
    context = builder.context(
        "FROM base AS a\nRUN exec sleep 1003\nFROM base AS b\nRUN sleep 0.2; exit 3\nFROM scratch\n"
        "COPY --from=a /x /\nCOPY --from=b /x /\n"
    )
    assert builder.build(context, "--parallel", "2").code == 3
    assert builder.runtime_state() == []


def test_secrets_are_nowhere_but_where_they_are_asked_for(builder: Builder, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    text = (
        "FROM base\nRUN --mount=type=secret,id=a,mode=0440,uid=1000 --mount=type=secret,id=b,env=TOKEN"
        ' stat -c %a:%u /run/secrets/a >/mode; test "$(cat /run/secrets/a)" = "$TOKEN" && ! test -e /run/secrets/b\n'
        "RUN env >/env; ! test -e /run/secrets\nCOPY Dockerfile /\n"
    )
    arguments = ["--secret", f"id=a,src={tmp_path}/secret", "--secret", "id=b,env=B", "-t", "secretive"]
    context = builder.context(text)
    result = builder.build(context, *arguments, env={**os.environ, "B": SECRET})
    assert result.code == 0, result
    image = result.out.strip()
    assert builder.output(image, "cat", "/mode") == "440:1000\n"
    assert SECRET not in builder.output(image, "cat", "/env") + result.err + result.out
    assert SECRET.encode() not in builder.everything_under()
    assert builder.entries(image) == [["mode"], ["env"], ["Dockerfile"]]
    (tmp_path / "secret").write_text("another")
    again = builder.build(context, *arguments, env={**os.environ, "B": "another"})
    assert again.err.count("CACHED") == 3


def test_proxies_and_agents_are_in_no_history_and_no_key(builder: Builder, tmp_path: Path) -> None:
    path = str(tmp_path / "agent")
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(path)
        text = 'FROM base\nRUN --mount=type=ssh test -S "$SSH_AUTH_SOCK" && test -n "$HTTP_PROXY" && echo x >/x\nRUN test -z "$SSH_AUTH_SOCK"\n'
        context = builder.context(text)
        result = builder.build(context, "--ssh", f"default={path}", "--build-arg", f"HTTP_PROXY=http://{SECRET}@h")
        assert result.code == 0, result
        assert SECRET.encode() not in builder.everything_under()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
        again = builder.build(context, "--build-arg", "HTTP_PROXY=other", "--ssh", f"default={tmp_path}/key")
        assert again.err.count("CACHED") == 2
        # The step finds an agent of the build's own where it has to be done.
        assert (
            builder.build(context, "--no-cache", "--ssh", f"default={tmp_path}/key", "--build-arg=HTTP_PROXY=x").code
            == 0
        )
    assert builder.entries(result.out.strip()) == [["x"]]


def test_a_bind_mount_of_the_context_shows_no_ignored_file_and_changes_nothing(builder: Builder) -> None:
    context = builder.context(
        "FROM base\nRUN --mount=target=/c,rw ls /c >/l; echo changed >/c/f; rm /c/Dockerfile\n",
        f="as it was",
        hidden="x",
    )
    (context / ".dockerignore").write_text("hidden\n.dockerignore\n")
    image = builder.build(context).out.strip()
    assert builder.output(image, "cat", "/l") == "Dockerfile\nf\n"
    assert sorted(os.listdir(context)) == [".dockerignore", "Dockerfile", "f", "hidden"]
    assert (context / "f").read_text() == "as it was"


def test_links_in_a_context_lead_nowhere_outside_of_it(builder: Builder, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("outside")
    context = builder.context("FROM base\nCOPY link /x\n")
    (context / "link").symlink_to(tmp_path / "outside")
    result = builder.build(context)
    assert result.code != 0
    assert "/link is not in the build context" in result.err
    (context / "Dockerfile").write_text("FROM base\nRUN --mount=source=link,target=/m cat /m/outside /m\n")
    assert builder.build(context).code != 0


def test_checks_are_warnings_and_can_be_all_that_is_done(builder: Builder) -> None:
    text = "FROM base as x\nENV API_TOKEN=1\nWORKDIR rel\nRUN echo hi >/checked\nLABEL a=$NOPE\nCMD run\n"
    context = builder.context(text)
    checked = builder("build", "--check", str(context))
    assert checked.code == 1
    rules = [line.removeprefix("WARNING: ") for line in checked.out.splitlines() if line.startswith("WARNING: ")]
    assert rules == [
        "FromAsCasing",
        "SecretsUsedInArgOrEnv",
        "WorkdirRelativePath",
        "UndefinedVar",
        "JSONArgsRecommended",
    ]
    assert "Check complete, 5 warnings found." in checked.out
    result = builder.build(context)
    assert result.code == 0
    assert " 5 warnings found:" in result.err
    (context / "Dockerfile").write_text(f"# check=error=true\n{text}")
    assert "FromAsCasing: 'as' and 'FROM' keywords' casing do not match" in builder.build(context).err
    (context / "Dockerfile").write_text("# check=skip=all\nFROM base as x\n")
    assert builder("build", "--check", str(context)).out == "Check complete, no warnings found.\n"
    (context / "Dockerfile").write_text("FROM base as x\nUSER a\nWORKDIR $NONE\n")
    refused = builder("build", "--check", str(context))
    assert ("WARNING: FromAsCasing" in refused.out, "3: WORKDIR is empty" in refused.err) == (True, True), refused


def test_progress_for_programs_is_an_object_a_line(builder: Builder) -> None:
    import json

    context = builder.context("FROM base\nRUN echo json\n")
    result = builder("build", "--progress", "rawjson", "--no-cache", str(context))
    events = [json.loads(line) for line in result.err.splitlines()]
    assert [(each["event"], each["step"]) for each in events] == [("started", 1), ("output", 1), ("finished", 1)]
    assert events[1]["data"] == "json\n"
