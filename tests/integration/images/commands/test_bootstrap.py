"""``orlop image bootstrap``: what mmdebstrap is told, and what becomes of its archive.

A real one takes half a minute and a mirror. So a program of the same name says what it was told and gives an archive.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.conftest import wait_until
from tests.integration.engine.image_maker import GROUP, PASSWD, base

if TYPE_CHECKING:
    from tests.integration.images.commands.conftest import ImageEngine

PROGRAM = """#!/bin/sh
echo "$@" > "$HOME/told"
cat "$HOME/archive"
if [ -e "$HOME/stuck" ]; then echo $$ > "$HOME/pid"; exec sleep 1000; fi
if [ -e "$HOME/broken" ]; then echo "E: no mirror knows the release" >&2; exit 25; fi
"""


@pytest.fixture
def maker(engine: ImageEngine) -> ImageEngine:
    """An engine that finds the program."""
    (engine.home / "bin").mkdir()
    (engine.home / "bin/mmdebstrap").write_text(PROGRAM)
    (engine.home / "bin/mmdebstrap").chmod(0o755)
    (engine.home / "archive").write_bytes(base(PASSWD, GROUP))
    engine.variables["PATH"] = f"{engine.home}/bin:{engine.variables['PATH']}"
    return engine


def told(engine: ImageEngine) -> list[str]:
    return (engine.home / "told").read_text().split()


def test_a_bootstrapped_image_runs_under_its_name(maker: ImageEngine) -> None:
    made = maker.ok("image", "bootstrap", "debian:sarge", "--include", "nginx,curl", "--include", "vim").strip()
    assert maker.image("debian:sarge")["Id"] == made
    assert maker.image("debian:sarge")["Config"]["Cmd"] == ["bash"]
    assert maker.ok("run", "--rm", "debian:sarge", "cat", "/etc/group").startswith("root")
    words = told(maker)
    assert {"--variant=minbase", "--format=tar", "--include=nginx,curl,vim"} <= set(words)
    assert words[-2:] == ["sarge", "-"]  # not the machine's own sources, which are of another release


def test_the_machine_s_own_sources_are_used_for_its_own_release(maker: ImageEngine) -> None:
    release = dict(line.partition("=")[::2] for line in Path("/etc/os-release").read_text().splitlines())
    if release["ID"] not in ("debian", "ubuntu") or not Path("/etc/apt").exists():
        pytest.skip("this machine's packages are not Debian's or Ubuntu's")
    maker.ok("image", "bootstrap", f"{release['ID']}:{release['VERSION_CODENAME']}")
    assert told(maker)[-1].startswith("/etc/apt/sources.list")


def test_mirror_platform_variant_and_name_may_be_others(maker: ImageEngine) -> None:
    options = [
        "--mirror",
        "http://mirror.example/debian",
        "--platform",
        "linux/386",
        "--variant",
        "apt",
        "-t",
        "mine:1",
    ]
    maker.ok("image", "bootstrap", *options, "debian:sarge")
    assert {"--variant=apt", "--architectures=i386", "http://mirror.example/debian"} <= set(told(maker))
    assert maker.images() == ["mine:1"]
    assert maker.image("mine:1")["Architecture"] == "386"


def test_a_failed_bootstrap_says_why_and_leaves_nothing(maker: ImageEngine) -> None:
    (maker.home / "broken").touch()
    assert maker.fails("image", "bootstrap", "debian:sarge") == (
        "mmdebstrap failed with status 25: E: no mirror knows the release"
    )
    (maker.home / "archive").write_bytes(b"")
    assert "no mirror knows" in maker.fails("image", "bootstrap", "debian:sarge")
    assert maker.leftovers() == []
    for name in ("fedora:40", "debian"):
        assert "known are debian and ubuntu" in maker.fails("image", "bootstrap", name)
    assert "digest" in maker.fails("image", "bootstrap", "-t", f"x@sha256:{'0' * 64}", "debian:sarge")
    maker.variables["PATH"] = "/nowhere"
    done = subprocess.run(
        ["/bin/sh", *maker.command("image", "bootstrap", "debian:sarge")],
        capture_output=True, check=False, env={**maker.variables, "PATH": f"{maker.home}/nothing"},
    )  # fmt: skip
    assert b"apt install mmdebstrap" in done.stderr


def test_an_interrupted_bootstrap_ends_the_program_and_leaves_nothing(maker: ImageEngine) -> None:
    (maker.home / "stuck").touch()
    process = maker.popen("image", "bootstrap", "debian:sarge", env=maker.variables, stdout=subprocess.PIPE)
    wait_until(lambda: (maker.home / "pid").exists() and (maker.home / "pid").read_text().strip(), "the program")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not os.path.exists(f"/proc/{(maker.home / 'pid').read_text().strip()}")
    assert maker.leftovers() == []
