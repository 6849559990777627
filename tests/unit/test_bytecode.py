"""The file of byte code: what a command imported is there for the next one, and is never older than its source."""

from __future__ import annotations

import marshal
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PROBE = """
import sys
sys.path.append(sys.argv[1])
from orlop import bytecode
collection = bytecode.use("probe")
import orlop.errors, orlop.runtime.spec.process
print(type(orlop.errors.__spec__.loader).__name__, orlop.errors.__file__, hasattr(orlop.errors, "NEW"))
collection.keep()
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    shutil.copytree(REPOSITORY / "src/orlop", tmp_path / "orlop", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def probe(package: Path) -> list[str]:
    command = [sys.executable, "-IS", "-c", PROBE, str(package)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def collection(package: Path) -> Path:
    return next((package / "orlop/__pycache__").glob("*.collection"))


def test_what_one_command_imported_the_next_one_finds(package: Path) -> None:
    assert probe(package)[0] == "SourceFileLoader"
    assert probe(package) == ["Collection", str(package / "orlop/errors.py"), "False"]


AHEAD = PROBE.replace("import orlop.errors", "import orlop.runtime.create, orlop.errors").replace(
    "collection.keep()", "collection.keep(); print(*sys.modules)"
)


def test_what_a_module_imports_is_loaded_before_it_and_the_same_as_ever(package: Path) -> None:
    ordinary, *others = (
        subprocess.run(
            [sys.executable, "-IS", "-c", AHEAD, str(package)], check=True, capture_output=True, text=True
        ).stdout.split()[3:]
        for _ in range(3)
    )
    assert [sorted(each) for each in others] == [sorted(ordinary)] * 2
    assert others[1].index("orlop.runtime.create") > others[1].index("orlop.runtime.creation")


def test_a_module_that_imports_something_else_by_now_gets_that(package: Path) -> None:
    for _ in range(3):
        probe(package)
    with open(package / "orlop/runtime/spec/process.py", "a") as file:
        file.write("from orlop import clock\nNEW = clock.now()\n")
    for _ in range(3):
        assert probe(package)[0] == "Collection"


def test_a_file_that_is_replaced_under_a_command_is_not_read_by_the_old_table(package: Path) -> None:
    probe(package)
    replaced = PROBE.replace(
        "import orlop.errors", "open(sys.argv[2], 'r+b').write(b'x' * 100000)\nimport orlop.errors"
    )
    command = [sys.executable, "-IS", "-c", replaced, str(package), str(collection(package))]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0] == "SourceFileLoader"


def test_a_changed_source_is_read_again_and_kept(package: Path) -> None:
    probe(package)
    with open(package / "orlop/errors.py", "a") as file:
        file.write("NEW = True\n")
    assert probe(package)[::2] == ["SourceFileLoader", "True"]
    assert probe(package)[::2] == ["Collection", "True"]


def test_a_source_that_is_gone_is_not_imported(package: Path) -> None:
    probe(package)
    os.unlink(package / "orlop/runtime/spec/process.py")
    shutil.rmtree(package / "orlop/runtime/spec/__pycache__")
    with pytest.raises(subprocess.CalledProcessError):
        probe(package)


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_a_file_that_is_cut_off_is_written_anew(package: Path, length: int) -> None:
    probe(package)
    probe(package)
    whole = collection(package).read_bytes()
    collection(package).write_bytes(whole[:length])
    assert probe(package)[0] == "SourceFileLoader"
    assert probe(package)[0] == "Collection"
    assert len(collection(package).read_bytes()) == len(whole)


def test_a_file_of_another_kind_is_written_anew(package: Path) -> None:
    probe(package)
    other = marshal.dumps({"": b"", "orlop.errors": 1})
    collection(package).write_bytes(len(other).to_bytes(8, "little") + other)
    assert probe(package)[0] == "SourceFileLoader"
    assert probe(package)[0] == "Collection"


def test_nothing_is_kept_when_no_byte_code_is_to_be_written(package: Path) -> None:
    command = [sys.executable, "-ISB", "-c", PROBE, str(package)]
    subprocess.run(command, check=True, capture_output=True)
    assert not list(package.glob("orlop/__pycache__/*.collection"))
