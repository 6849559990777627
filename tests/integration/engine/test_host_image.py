"""The built-in image ``host``: everything of the machine can be read, nothing of it is written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from tests.integration.engine.conftest import Engine


def test_the_machine_s_programs_run(shared: Engine) -> None:
    result = shared("run", "--rm", "host", "sh", "-c", "cat /etc/debian_version; id -u")
    assert (result.code, result.out.split()) == (0, [Path("/etc/debian_version").read_text().strip(), "0"])


def test_what_is_written_inside_stays_inside(shared: Engine) -> None:
    marker = f"orlop-test-{os.getpid()}"
    script = (
        f"for d in /etc /usr/lib /root /var/lib /tmp /; do echo x > $d/{marker} && cat $d/{marker}; done; "
        "rm -r /usr/share/doc && test ! -e /usr/share/doc && rm /etc/debian_version"
    )
    result = shared("run", "--rm", "host", "sh", "-c", script)
    assert (result.code, result.out) == (0, "x\n" * 6)
    for directory in ("/etc", "/usr/lib", "/root", "/var/lib", "/tmp", "/"):
        assert not Path(directory, marker).exists()
    assert Path("/usr/share/doc").exists()
    assert Path("/etc/debian_version").exists()


def test_the_machine_s_run_tmp_and_kernel_directories_are_not_shown(shared: Engine) -> None:
    Path("/run/orlop-test-secret").mkdir(exist_ok=True)
    try:
        out = shared("run", "--rm", "host", "sh", "-c", "ls -A /run /tmp; ls /dev; ls /proc | grep -c '^[0-9]'").out
    finally:
        Path("/run/orlop-test-secret").rmdir()
    assert "orlop-test-secret" not in out
    assert "pytest" not in out
    assert "kmsg" not in out


def test_orlop_s_own_state_is_not_shown(rootfs: Path, request: pytest.FixtureRequest) -> None:
    from tests.integration.engine.conftest import Engine

    directory = Path(f"/var/tmp/orlop-test-{os.getpid()}")
    directory.mkdir()
    engine = Engine(directory, rootfs)
    try:
        script = f"ls {directory} && ls {engine.root}; test ! -e {engine.run_root} && echo hidden"
        result = engine("run", "--rm", "host", "sh", "-c", script)
        assert result.out == "hidden\n"
        assert str(engine.root) in result.err
    finally:
        engine.close()
        import shutil

        shutil.rmtree(directory)


def test_nothing_is_mounted_outside_the_container(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "web", "host", "sleep", "1000")
    assert str(engine.root) not in Path("/proc/self/mountinfo").read_text()
    upper = Path(engine.inspect("web")["LogPath"]).parent / "upper"
    engine.ok("exec", "web", "sh", "-c", "echo x > /etc/made-inside")
    assert list(upper.glob("*/made-inside"))
    engine.ok("rm", "-f", "web")
    assert not upper.exists()


def test_a_read_only_view_cannot_be_written(shared: Engine) -> None:
    result = shared("run", "--rm", "--read-only", "host", "sh", "-c", "touch /new 2>/dev/null || echo refused")
    assert result.out == "refused\n"
