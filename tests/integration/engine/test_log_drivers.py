"""Where output is kept: every driver, its rotation, and how it is read."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orlop.engine import log_drivers
from tests.integration.engine.conftest import wait_until

if TYPE_CHECKING:
    from tests.integration.engine.conftest import Engine

COUNT = "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo line $i; done; echo bad >&2; printf unfinished"
LINES = [f"line {number}" for number in range(1, 401)]


def files(engine: Engine, name: str) -> list[Path]:
    """The files of a container's log."""
    directory = engine.root / "containers" / engine.inspect(name)["Id"]
    return sorted([*directory.glob("json.log*"), *directory.glob("local-logs/*")])


@pytest.mark.parametrize("driver", ["json-file", "local"])
@pytest.mark.parametrize("mode", ["blocking", "non-blocking"])
def test_a_log_is_read_as_it_was_written(shared: Engine, driver: str, mode: str) -> None:
    name = f"{driver}-{mode}"
    shared(
        "run",
        "--name",
        name,
        "--log-driver",
        driver,
        "--log-opt",
        f"mode={mode}",
        "--rootfs",
        "ROOTFS",
        "sh",
        "-c",
        COUNT,
    )
    result = shared("logs", name)
    assert (result.out.splitlines(), result.err) == ([*LINES, "unfinished"], "bad\n")
    assert shared("logs", "--tail", "3", name).out.splitlines() == ["line 400", "unfinished"]
    assert len(files(shared, name)) == 1


@pytest.mark.parametrize("driver", ["json-file", "local"])
@pytest.mark.parametrize("compress", ["true", "false"])
def test_every_file_s_log_is_rotated_and_read_across_its_files(shared: Engine, driver: str, compress: str) -> None:
    name = f"{driver}-{compress}"
    options = ("--log-opt", "max-size=4k", "--log-opt", "max-file=3", "--log-opt", f"compress={compress}")
    shared("run", "--name", name, "--log-driver", driver, *options, "--rootfs", "ROOTFS", "sh", "-c", COUNT)
    kept = files(shared, name)
    assert len(kept) == 3
    assert all(file.stat().st_size <= 4096 for file in kept)
    assert [file.name.endswith(".gz") for file in kept] == [False, compress == "true", compress == "true"]
    lines = shared("logs", name).out.splitlines()
    assert lines[-1] == "unfinished"
    assert lines[:-1] == LINES[-len(lines) + 1 :]
    assert shared("logs", "-n", "60", name).out.splitlines() == [*LINES[-58:], "unfinished"]


@pytest.mark.parametrize("driver", ["json-file", "local"])
@pytest.mark.parametrize("compress", ["true", "false"])
def test_a_follower_misses_nothing_when_files_are_replaced(engine: Engine, driver: str, compress: str) -> None:
    options = ("--log-driver", driver, "--log-opt", "max-size=2k", "--log-opt", "max-file=50")
    script = f"read go; {COUNT}"
    engine.detached("web", "-i", *options, "--log-opt", f"compress={compress}", "sh", "-c", script)
    follower = engine.popen("logs", "-f", "web", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    engine("attach", "web", given=b"go\n")
    out, _ = follower.communicate(timeout=30)
    assert out.decode().splitlines() == [*LINES, "unfinished"]


def test_a_time_limits_what_is_shown(engine: Engine) -> None:
    engine(
        "run", "--name", "web", "--rootfs", "ROOTFS", "sh", "-c", "echo one; sleep 0.3; echo two; sleep 0.3; echo three"
    )
    lines = [line.split(" ", 1) for line in engine.ok("logs", "-t", "web").splitlines()]
    assert [text for _, text in lines] == ["one", "two", "three"]
    moments = [moment for moment, _ in lines]
    assert engine.ok("logs", "--since", moments[1], "web") == "two\nthree\n"
    assert engine.ok("logs", "--until", moments[1], "web") == "one\ntwo\n"
    assert engine.ok("logs", "--since", moments[1], "--until", moments[1], "web") == "two\n"
    assert engine.ok("logs", "--since", "1h", "--tail", "2", "web") == "two\nthree\n"
    assert engine.ok("logs", "--until", "1h", "web") == ""
    assert engine.ok("logs", "-f", "--until", "0s", "web") == "one\ntwo\nthree\n"
    assert engine("logs", "--since", "yesterday", "web").code == 1


def test_records_tell_what_the_options_ask_for(engine: Engine) -> None:
    engine(
        "run", "--name", "web", "-l", "tier=front", "-l", "other=x", "-e", "STAGE=test",
        "--log-opt", "labels=tier", "--log-opt", "env-regex=^STA", "--log-opt", "tag={{.Name}}/{{ .ImageName }}",
        "--rootfs", "ROOTFS", "echo", "said <&>",
    )  # fmt: skip
    text = files(engine, "web")[0].read_text()
    assert r'"log":"said \u003c\u0026\u003e\n","stream":"stdout","attrs":{' in text  # as Go writes it
    record = json.loads(text)
    assert record["attrs"] == {"tier": "front", "STAGE": "test", "tag": f"web/{engine.rootfs}"}
    assert engine.ok("logs", "--details", "web").startswith("STAGE=test,tag=web%2F")


def test_nothing_is_kept_where_that_is_wanted(engine: Engine) -> None:
    result = engine("run", "--name", "web", "--log-driver", "none", "--rootfs", "ROOTFS", "echo", "said")
    assert result.out == "said\n"
    assert files(engine, "web") == []
    refused = engine("logs", "web")
    assert refused.code == 1
    assert "its log driver is none" in refused.err


def test_lines_go_to_a_syslog_daemon_and_can_be_read_here(engine: Engine, tmp_path: Path) -> None:
    daemon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    daemon.bind(str(tmp_path / "log"))
    daemon.settimeout(20)
    options = ("--log-opt", f"syslog-address=unixgram://{tmp_path}/log", "--log-opt", "syslog-facility=local3")
    script = "echo said; echo bad >&2"
    engine("run", "--name", "web", "--log-driver", "syslog", *options, "--log-opt", "tag={{.Name}}", "--rootfs", "ROOTFS",
           "sh", "-c", script)  # fmt: skip
    first, second = sorted([daemon.recv(4096), daemon.recv(4096)])
    daemon.close()
    assert first.startswith(b"<155>")  # local3, an error
    assert first.endswith(b": bad")
    assert second.startswith(b"<158>")
    assert b" web[" in second
    result = engine("logs", "web")
    assert (result.out, result.err) == ("said\n", "bad\n")


def test_lines_reach_a_daemon_over_tcp_in_the_new_format(engine: Engine) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    got: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            while data := connection.recv(65536):
                got.append(data)

    thread = threading.Thread(target=serve)
    thread.start()
    address = f"syslog-address=tcp://127.0.0.1:{listener.getsockname()[1]}"
    engine("run", "--log-driver", "syslog", "--log-opt", address, "--log-opt", "syslog-format=rfc5424micro", "--log-opt",
           "cache-disabled=true", "--name", "web", "--rootfs", "ROOTFS", "echo", "said")  # fmt: skip
    thread.join(timeout=60)
    listener.close()
    words = b"".join(got).decode().split()
    assert words[0] == "<30>1"
    assert words[-1] == "said"
    assert engine("logs", "web").code == 1


def test_a_log_that_nobody_takes_stops_the_container_only_where_it_is_to(engine: Engine, tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(tmp_path / "log"))
    listener.listen()
    options = (
        "--log-driver",
        "syslog",
        "--log-opt",
        f"syslog-address=unix://{tmp_path}/log",
        "--log-opt",
        "cache-disabled=true",
    )
    script = "i=0; while [ $i -lt 1000 ]; do i=$((i+1)); printf '%01000d\\n' $i; done; exit 3"
    free = ("--log-opt", "mode=non-blocking", "--log-opt", "max-buffer-size=128k")
    engine.detached("free", *options, *free, "sh", "-c", script)
    assert engine.ok("wait", "free") == "3\n"
    container_id = engine.detached("held", *options, "sh", "-c", script)
    log_process = wait_until(lambda: engine.processes("orlop-log"))
    wait_until(lambda: all(Path(f"/proc/{pid}/wchan").read_text() or True for pid in log_process))
    assert engine.state("held")["Status"] == "running"
    os.kill(engine.monitor(container_id), 0)
    listener.close()  # whoever was waiting is told that nobody takes it any more
    assert engine.ok("wait", "held") == "3\n"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--log-driver", "bogus"), "unknown log driver"),
        (("--log-opt", "bogus=1"), "unknown log opt 'bogus'"),
        (("--log-opt", "max-file=0"), "must be at least 1"),
        (("--log-opt", "max-size=x"), "invalid log opt max-size=x"),
        (("--log-opt", "tag={{.Nothing}}"), "can only have the fields"),
        (("--log-opt", "mode=sometimes"), "must be blocking or non-blocking"),
        (("--log-opt", "max-buffer-size=1m"), "only for mode=non-blocking"),
        (("--log-driver", "local", "--log-opt", "labels=a"), "unknown log opt 'labels'"),
        (("--log-driver", "syslog", "--log-opt", "syslog-address=tcp://"), "invalid log opt syslog-address"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(
    shared: Engine, options: tuple[str, ...], reason: str
) -> None:
    before = shared.containers()
    result = shared("run", "--name", "never", *options, "--rootfs", "ROOTFS", "true")
    assert result.code == 125
    assert reason in result.err
    assert shared.containers() == before


@pytest.mark.skipif(os.path.exists(log_drivers.JOURNAL), reason="this machine has a journal")
def test_a_journal_that_is_not_there_is_named(shared: Engine) -> None:
    result = shared("run", "--log-driver", "journald", "--rootfs", "ROOTFS", "true")
    assert result.code == 125
    assert f"there is no {log_drivers.JOURNAL}: use json-file or local" in result.err


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_a_monitor_takes_no_more_memory_the_more_is_logged(shared: Engine, driver: str) -> None:
    write = (
        "yes 'a line of \"text\" with a colour: \033[32mgreen\033[0m' | dd bs=64k count=$1 iflag=fullblock 2>/dev/null"
    )
    script = f"while read count; do set -- $count; {write}; echo written >&2; done"
    client = shared.popen(
        *("run", "--rm", "-i", "--name", driver, "-a", "stdin", "-a", "stderr", "--log-driver", driver),
        *("--rootfs", "ROOTFS", "sh", "-c", script),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert client.stdin is not None
    assert client.stderr is not None
    peaks = []
    for count in (32, 480):  # 2 MiB and 30 more
        client.stdin.write(b"%d\n" % count)
        client.stdin.flush()
        assert client.stderr.readline() == b"written\n"
        monitor = shared.monitor(shared.inspect(driver)["Id"])
        status = Path(f"/proc/{monitor}/status").read_text()
        peaks.append(int(status.partition("VmHWM:")[2].split()[0]))
    client.communicate()
    assert client.returncode == 0
    assert peaks[1] - peaks[0] < 1024  # kB: what is kept of 30 MiB would be far more
