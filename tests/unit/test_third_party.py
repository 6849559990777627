"""Packages of others are found by programs that were started without `site`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"

MANY_THREADS = """
import sys, threading
sys.path.insert(0, sys.argv[1])
sys.setswitchinterval(1e-6)
from orlop import third_party
start = threading.Barrier(8)
found = []

def find():
    start.wait()
    found.append(third_party.find("urllib3"))

threads = [threading.Thread(target=find) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sum(each is None for each in found))
"""

ABSENT = """
import sys
sys.path.insert(0, sys.argv[1])
from orlop import third_party
try:
    third_party.load("no_such_package.part", "testing")
except Exception as error:
    print(type(error).__name__, error)
"""


def run(program: str) -> str:
    command = [sys.executable, "-IS", "-c", program, str(SOURCE)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.parametrize("_attempt", range(3))
def test_every_thread_that_asks_at_once_gets_it(_attempt: int) -> None:
    assert run(MANY_THREADS) == "0\n"


def test_what_is_not_installed_is_named_with_what_it_is_for() -> None:
    assert run(ABSENT) == (
        "Unsupported testing needs the Python package no_such_package: install it with 'pip install no_such_package'\n"
    )
