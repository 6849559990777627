"""Building as an ordinary user."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

from tests.integration.engine import ordinary_user
from tests.integration.engine.conftest import comm, rootfs, wait_until
from tests.integration.engine.warm_engine import CLIENT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.engine.conftest import Engine

__all__ = ["rootfs"]


def test_an_ordinary_user_builds_as_root_does(rootfs: Path, tmp_path: Path) -> None:
    with ordinary_user.make_engine("build", ranges=True) as engine:
        archive = subprocess.run(["tar", "-C", str(rootfs), "-c", "."], capture_output=True, check=True).stdout
        engine.ok("import", "-", "base", given=archive)
        text = (
            "FROM base AS one\nRUN echo 1 >/f && chown 1000:1000 /f && mkdir /d && id -u >/d/id\n"
            "FROM base\nWORKDIR /w\nCOPY --from=one /f /d/id ./\nCOPY --chown=user <<E /doc\nhi\nE\n"
            "RUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t echo x >/c/x && stat -c %u /w/f /doc >/o\n"
            'RUN grep -c . /proc/self/uid_map >/m; ! mount -t tmpfs x /t\nUSER user\nCMD ["cat", "/o"]\n'
        )
        result = engine("build", "-", "-t", "mine", given=text.encode())
        assert result.code == 0, result
        assert engine.ok("run", "--rm", "mine") == "1000\n1000\n"
        again = engine("build", "--progress", "plain", "-", given=text.encode())
        assert again.out == result.out
        assert again.err.count("CACHED") == 6
        cache = f"type=local,dest={engine.root.parent}/cache,mode=max"
        attested = engine(
            "build", "-", "--sbom=true", "--provenance=true", "-t", "mine", "--cache-to", cache, given=text.encode()
        )
        assert attested.out == result.out, attested
        assert '"Kind":"attestation"' in engine.ok("image", "inspect", "--format", "{{json .Manifests}}", "mine")
        engine.ok("builder", "prune", "-f")
        engine.ok("rmi", "mine")
        again = engine(
            "build",
            "-",
            "-t",
            "mine",
            "--cache-from",
            f"type=local,src={engine.root.parent}/cache",
            given=text.encode(),
        )
        assert again.out == result.out
        assert again.err.count("CACHED") == 6, again
        assert engine.ok("run", "--rm", "mine") == "1000\n1000\n"
        failed = engine("build", "-", given=b"FROM base\nRUN exit 9\n")
        assert failed.code == 9
        engine.ok("builder", "prune", "-f")


def _building(engine: Engine) -> list[int]:
    """The processes that carry out a build, each of which leads a group."""
    return [pid for pid in engine.processes("orlop-build") if comm(pid) == "orlop-build" and os.getpgid(pid) == pid]


def test_an_ordinary_user_s_second_build_is_carried_out_by_what_the_first_one_left_behind(rootfs: Path) -> None:
    with ordinary_user.make_engine("warm-build", ranges=True) as engine:
        archive = subprocess.run(["tar", "-C", str(rootfs), "-c", "."], capture_output=True, check=True).stdout
        places = (f"XDG_RUNTIME_DIR={engine.run_root.parent}", f"XDG_DATA_HOME={engine.root.parent}")
        named, engine.run_root = engine.run_root, engine.run_root.parent / "orlop"
        orlop = [*engine.prefix, *places, engine.program]
        subprocess.run([*orlop, "import", "-", "base"], input=archive, check=True, timeout=60, capture_output=True)
        build = [*orlop, "build", "-q", "-"]
        text = b"FROM base\nRUN id -u >/id\n"
        first = subprocess.run(build, input=text, check=True, timeout=60, capture_output=True, cwd="/").stdout
        wait_until((engine.run_root / f"builds-{os.uname().machine}.sock").exists, "the user's builder")
        with subprocess.Popen(build, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/") as process:
            wait_until(lambda: _building(engine), "the builder's child that waits for the Dockerfile")
            assert os.readlink(f"/proc/{process.pid}/exe") == str(CLIENT)
            assert process.communicate(text, timeout=60)[0] == first
        assert process.returncode == 0
        for pid in engine.processes():
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not engine.processes(), "the builder's end")
        engine.run_root = named
