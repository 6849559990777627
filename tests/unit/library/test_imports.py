"""Importing orlop costs almost nothing, and what it offers is imported when it is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orlop

SOURCE = Path(__file__).parents[3] / "src"

#: What a program that only runs containers does not load.
HEAVY = (
    "asyncio",
    "concurrent",
    "contextlib",
    "dataclasses",
    "inspect",
    "logging",
    "re",
    "socket",
    "subprocess",
    "typing",
)


def modules_after(code: str, *, site: bool = False) -> set[str]:
    """The modules that an interpreter has loaded after ``code``, and did not have before."""
    program = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r}); before = set(sys.modules)\n"
        f"{code}\nprint(*sorted(set(sys.modules) - before), sep='\\n')"
    )
    flags = ["-I"] if site else ["-I", "-S"]
    done = subprocess.run([sys.executable, *flags, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_orlop_imports_nothing_else() -> None:
    assert modules_after("import orlop") <= {"__future__", "orlop"}


def test_the_engine_imports_nothing_dear() -> None:
    loaded = modules_after("import orlop; orlop.Engine")
    assert "orlop.library.engine" in loaded
    assert {name for name in loaded if name.partition(".")[0] in HEAVY} == set()
    unasked = {name for name in loaded if name.startswith(("orlop.images", "orlop.storage", "orlop.cli"))}
    assert unasked <= {"orlop.storage", "orlop.storage.directory_lock"}  # which takes no more than flock does


def test_the_plugin_imports_nothing_of_orlop_that_no_test_asks_for() -> None:
    loaded = modules_after("import pytest\nbefore |= set(sys.modules)\nimport orlop.pytest_plugin", site=True)
    assert {name for name in loaded if name.startswith("orlop")} == {"orlop", "orlop.pytest_plugin"}


def test_every_public_name_is_there() -> None:
    for name in orlop.__all__:
        assert getattr(orlop, name) is not None
    assert set(orlop.__all__) <= set(dir(orlop))


def test_a_name_that_is_not_public_is_said_to_be_missing() -> None:
    code = "import orlop\ntry:\n    orlop.Motor\nexcept AttributeError as error:\n    print(repr(str(error)))"
    assert "'orlop'" in modules_after(code)
