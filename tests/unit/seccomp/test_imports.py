"""A filter is made on the way to a container's start: what that imports is paid each time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[3] / "src"
HEAVY = {"typing", "re", "json", "enum", "dataclasses", "socket", "struct", "collections", "functools", "hashlib"}
PROBE = """
import sys
sys.path.insert(0, sys.argv[1])
from orlop.linux import seccomp
from orlop.linux.seccomp.cache import Cache
from orlop.engine import seccomp_profile
before = set(sys.modules)
Cache().compile(seccomp_profile.default(["CAP_CHOWN"]))
print("|".join(before), "|".join(sys.modules), sep="\\n")
"""


def test_a_default_filter_is_made_without_heavy_imports_and_foreign_tables() -> None:
    done = subprocess.run([sys.executable, "-I", "-S", "-c", PROBE, SOURCE], check=True, capture_output=True, text=True)
    before, after = (set(line.split("|")) for line in done.stdout.splitlines())
    assert not HEAVY & after
    assert "ctypes" not in after
    assert "orlop.linux.seccomp.compiler" not in before, "a kept filter needs no compiler"
    tables = {name.rpartition(".")[2] for name in after if name.startswith("orlop.linux.seccomp.numbers.")}
    assert len(tables) <= 3
    assert "every_name" not in tables
