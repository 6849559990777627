"""``--ssh`` with files of keys: an agent that lives as long as the build."""

from __future__ import annotations

import socket
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from orlop.engine.building.key_agent import KeyAgent
from orlop.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_ASK, _ANSWER = 11, 12  # SSH_AGENTC_REQUEST_IDENTITIES, SSH_AGENT_IDENTITIES_ANSWER (RFC draft-miller-ssh-agent)


@pytest.fixture
def key(tmp_path: Path, needs: Callable[[str], None]) -> Callable[[str], str]:
    """Makes a key with a passphrase, or an empty one, that everybody may read."""
    needs("ssh-keygen")

    def make(passphrase: str) -> str:
        path = tmp_path / f"key-{passphrase}"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", path], check=True)
        path.chmod(0o644)
        return str(path)

    return make


def test_an_agent_has_the_keys_and_ends_with_the_build(tmp_path: Path, key: Callable[[str], str]) -> None:
    with socket.socket(socket.AF_UNIX) as asked:
        asked.settimeout(20)
        with KeyAgent(str(tmp_path), "agent", [key("")]) as path:
            asked.connect(path)
            asked.sendall(struct.pack(">IB", 1, _ASK))
            assert struct.unpack_from(">BI", asked.recv(4096), 4) == (_ANSWER, 1)
        assert asked.recv(1) == b""


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked(tmp_path: Path, key: Callable[[str], str]) -> None:
    with pytest.raises(InvalidArgument, match="it is no private key, or has a passphrase"):
        KeyAgent(str(tmp_path), "agent", [key("hidden")]).__enter__()
