"""What goes from one network namespace to an address: as much as possible, and one byte back and forth."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.engines import program

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The ports at which containers serve the two.
MUCH, LITTLE = 5201, 5202

_SECONDS = 2
_ROUND_TRIPS = 3000
_ECHO = f"""
import socket
listener = socket.create_server(("0.0.0.0", {LITTLE}))
print(flush=True)
while True:
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while byte := connection.recv(1):
        connection.send(byte)
"""
_ASK = """
import socket, sys, time
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
times = []
for _ in range(int(sys.argv[3])):
    begun = time.perf_counter()
    connection.send(b"x")
    connection.recv(1)
    times.append(time.perf_counter() - begun)
print(sorted(times)[len(times) // 2])
"""


_LOOK_UP = """
import socket, sys, time
labels = b"".join(bytes([len(label)]) + label.encode() for label in sys.argv[1].split("."))
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.connect(("127.0.0.11", 53))
asking.settimeout(10)
times = []
for number in range(int(sys.argv[2])):
    begun = time.perf_counter()
    asking.send(number.to_bytes(2, "big") + bytes.fromhex("01000001000000000000") + labels + bytes.fromhex("0000010001"))
    answer = asking.recv(512)
    times.append(time.perf_counter() - begun)
    assert answer[3] & 15 == 0 and answer[7] == 1
print(sorted(times)[len(times) // 2])
"""
_QUESTIONS = 1000


def inside(pid: int, *words: str) -> list[str]:
    """The command that runs ``words`` on the network of a process."""
    return ["nsenter", f"--net=/proc/{pid}/ns/net", *words]


@contextmanager
def served(pid: int) -> Iterator[None]:
    """Have a container serve at both ports."""
    much = subprocess.Popen(
        inside(pid, program("iperf3"), "-s", "-p", str(MUCH), "--forceflush"), stdout=subprocess.PIPE
    )
    little = subprocess.Popen(inside(pid, sys.executable, "-c", _ECHO), stdout=subprocess.PIPE)
    try:
        assert much.stdout
        assert little.stdout
        while b"listening" not in (line := much.stdout.readline()):
            assert line
        little.stdout.readline()
        yield
    finally:
        for each in (much, little):
            each.kill()
            each.communicate()


def throughput(pid: int, address: str, port: int = MUCH) -> float:
    """How many bits a second one TCP connection from there carries to a server's port."""
    words = [program("iperf3"), "-c", address, "-p", str(port), "-t", str(_SECONDS), "-J"]
    done = subprocess.run(inside(pid, *words), check=True, capture_output=True)
    return float(json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"])


def latency(pid: int, address: str, port: int = LITTLE) -> float:
    """The median of the seconds that one byte takes there and back."""
    words = [sys.executable, "-c", _ASK, address, str(port), str(_ROUND_TRIPS)]
    done = subprocess.run(inside(pid, *words), check=True, capture_output=True)
    return float(done.stdout)


def look_up(pid: int, name: str) -> float:
    """Seconds from asking for another container's name to its address, the median of many."""
    words = inside(pid, sys.executable, "-c", _LOOK_UP, name, str(_QUESTIONS))
    return float(subprocess.run(words, check=True, capture_output=True, timeout=60).stdout)
