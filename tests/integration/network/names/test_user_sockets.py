"""An ordinary user's container has sockets for names, too."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.network.names import conftest

_REPOSITORY = Path(__file__).parents[4]
#: Opens the sockets for the process that is its argument, answers one question at them, and ends.
_ANSWER = """
import socket, sys
sys.path.insert(0, sys.argv[1])
from orlop.engine import user_sockets
udp, tcp = (socket.socket(fileno=each) for each in user_sockets.open_for(int(sys.argv[2])))
print("open", flush=True)
udp.setblocking(True)
question, source = udp.recvfrom(512)
udp.sendto(question[:2] + b"\\x81\\x83" + question[4:12] + question[12:], source)
"""


@pytest.mark.parametrize("user", [0, 54321])
def test_they_are_opened_in_namespaces_of_the_container_s_own(user: int) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to be another user")
    if user and not os.access(sys.executable, os.X_OK, effective_ids=False):
        pytest.skip("the interpreter is out of the user's reach")
    become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
    unshare = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c"]
    box = subprocess.Popen(
        [*become, *unshare, "ip link set lo up && echo up && exec sleep 1000"], stdout=subprocess.PIPE
    )
    try:
        assert box.stdout
        if box.stdout.readline() != b"up\n":
            pytest.skip("this machine lets its users make no namespaces")
        command = [*become, sys.executable, "-c", _ANSWER, str(_REPOSITORY / "src"), str(box.pid)]
        answering = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert answering.stdout
        assert answering.stderr
        if answering.stdout.readline() != b"open\n":
            error = answering.stderr.read().decode()
            if "Permission denied" in error and "/src" in error:
                pytest.skip("the checkout is out of the user's reach")
            raise AssertionError(error)
        enter = ["nsenter", f"--target={box.pid}", "--user", "--net", "--preserve-credentials"]
        dig = [*enter, str(shutil.which("dig")), "@127.0.0.11", "+noedns", "example.org"]
        asked = subprocess.run(dig, capture_output=True, text=True, timeout=conftest.PATIENCE, check=True)
        assert "status: NXDOMAIN" in asked.stdout
        assert "127.0.0.11#53" in asked.stdout
        assert answering.wait(conftest.PATIENCE) == 0
        answering.communicate()
    finally:
        box.kill()
        box.communicate()
