"""Building as an ordinary user."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.integration.engine import ordinary_user
from tests.integration.engine.conftest import rootfs

if TYPE_CHECKING:
    from pathlib import Path

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
        failed = engine("build", "-", given=b"FROM base\nRUN exit 9\n")
        assert failed.code == 9
        engine.ok("builder", "prune", "-f")
