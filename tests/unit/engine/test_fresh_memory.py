"""Memory of a process whose children share it: what they allocate lies together, whatever holes there were."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[3] / "src"

PROBE = """
import sys
sys.path.append(sys.argv[1])
from orlop.engine import fresh_memory
holes = [bytes(size) for size in range(20, 470) for _ in range(8)]
del holes[::3]
fresh_memory.begin()
for size in (100, 200, 450):
    blocks = [id(block) for block in [bytes(size) for _ in range(10)]]
    steps = {after - before for before, after in zip(blocks, blocks[1:])}
    print(len(steps), 0 <= steps.pop() - size - bytes().__sizeof__() < 16)
print(sum(map(len, fresh_memory._filling)) < 1 << 20)
"""


def test_new_objects_lie_one_after_the_other() -> None:
    command = [sys.executable, "-IS", "-c", PROBE, str(SOURCE)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert said == ["1 True"] * 3 + ["True"]
