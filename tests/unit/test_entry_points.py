"""The programs `orlop` and `orlop-runtime` find their interpreter and their package however they are called."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import orlop

REPOSITORY = Path(__file__).parents[2]
PROGRAMS = ["orlop", "orlop-runtime"]

#: Prints what an entry point arranged for: run in place of the commands' own modules.
REPORT = """
import os, sys
def main(words):
    print(words, sys.flags.isolated, sys.flags.no_site, os.path.realpath(sys.modules["orlop"].__file__))
    return 7
"""


def run(program: Path, *words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(program), *words], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


def copy_sources(target: Path) -> Path:
    """A copy to build from, since building writes beside the sources."""
    target.mkdir()
    shutil.copytree(REPOSITORY / "src", target / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copytree(REPOSITORY / "bin", target / "bin")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, target)
    return target


def report_from(package: Path) -> None:
    """Replace the commands of a copied package by one that reports how it was started."""
    for part in (package / "cli", package / "runtime" / "command"):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        (part / "__init__.py").write_text(REPORT)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    sources = copy_sources(directory / "sources")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", directory, sources], check=True)
    (built,) = directory.glob("orlop-*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel in it."""
    directory = tmp_path_factory.mktemp("environment")
    venv.create(directory, with_pip=False, symlinks=True)
    command = [sys.executable, "-m", "pip", "--python", str(directory / "bin" / "python3"), "install"]
    subprocess.run([*command, "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    return directory


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    sources = copy_sources(tmp_path / "checkout")
    report_from(sources / "src" / "orlop")
    return sources


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_installed_program_says_its_version(environment: Path, program: str) -> None:
    result = run(environment / "bin" / program, "--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert orlop.__version__ in result.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_installed_program_can_be_called_through_links(environment: Path, tmp_path: Path, program: str) -> None:
    (tmp_path / "first").symlink_to(environment / "bin" / program)
    (tmp_path / "second").symlink_to("first")
    result = run(tmp_path / "second", "--version", env={"PATH": "/usr/bin:/bin"})
    assert (result.returncode, result.stderr) == (0, "")


def test_installing_compiles_every_module(environment: Path) -> None:
    package = next(environment.glob("lib/python3.*/site-packages/orlop"))
    modules = list(package.rglob("*.py"))
    compiled = {path.name.partition(".")[0] for path in package.rglob("*.pyc")}
    assert modules
    assert {path.stem for path in modules} <= compiled
    assert (package / "py.typed").exists()


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_checkout_runs_its_own_sources_isolated_and_without_site(checkout: Path, program: str) -> None:
    result = run(checkout / "bin" / program, "a b", "--c")
    assert result.stdout == f"['a b', '--c'] 1 1 {checkout}/src/orlop/__init__.py\n"
    assert result.returncode == 7


@pytest.mark.parametrize("how", ["./bin/orlop", "bin/../bin/orlop"])
def test_a_checkout_runs_by_a_relative_path(checkout: Path, how: str) -> None:
    result = subprocess.run([how], cwd=checkout, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (7, "")


def test_a_program_given_to_sh_by_its_bare_name_finds_its_package(checkout: Path) -> None:
    result = subprocess.run(["sh", "orlop"], cwd=checkout / "bin", capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (7, "")


def test_a_program_beside_no_interpreter_asks_for_the_version_that_has_the_package(
    checkout: Path, tmp_path: Path
) -> None:
    # The layout of `pip install` by Debian's own pip: /usr/local/bin and /usr/local/lib/python3.X/dist-packages.
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = tmp_path / "local" / "lib" / version / "dist-packages"
    packages.mkdir(parents=True)
    shutil.copytree(checkout / "src" / "orlop", packages / "orlop")
    (tmp_path / "local" / "bin").mkdir()
    shutil.copy(checkout / "bin" / "orlop", tmp_path / "local" / "bin")
    interpreters = tmp_path / "interpreters"
    interpreters.mkdir()
    (interpreters / version).symlink_to(sys.executable)
    wrong = interpreters / "python3"
    wrong.write_text("#!/bin/sh\nexit 99\n")
    wrong.chmod(0o755)

    result = run(tmp_path / "local" / "bin" / "orlop", env={"PATH": f"{interpreters}:/usr/bin:/bin"})
    assert result.stdout == f"[] 1 1 {packages}/orlop/__init__.py\n"
    assert result.returncode == 7


def test_output_that_cannot_be_written_is_an_error(checkout: Path) -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [checkout / "bin" / "orlop"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert result.returncode == 120
    assert "No space left on device" in result.stderr


def test_the_clients_are_installed_as_programs(environment: Path) -> None:
    package = next(environment.glob("lib/python3.*/site-packages/orlop"))
    for machine in ("x86_64", "aarch64"):
        client = package / "client" / machine / "orlop"
        assert client.read_bytes() == (REPOSITORY / "src/orlop/client" / machine / "orlop").read_bytes()
        assert client.stat().st_mode & 0o555 == 0o555
