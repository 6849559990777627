"""Where the plugins of the API's server are looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orlop.api import plugin
from orlop.errors import OrlopError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(plugin, "_SOCKETS", (f"{tmp_path}/run",))
    monkeypatch.setattr(plugin, "_DESCRIPTIONS", (f"{tmp_path}/etc", f"{tmp_path}/lib"))
    for each in ("run", "etc", "lib"):
        (tmp_path / each).mkdir()
    return tmp_path


def test_a_path_is_the_socket_itself(places: Path) -> None:
    assert plugin._find("/any/where") == "/any/where"


def test_a_name_is_a_socket_before_it_is_a_description(places: Path) -> None:
    (places / "lib" / "guard.spec").write_text("unix:///srv/lib.sock\n")
    assert plugin._find("guard") == "/srv/lib.sock"
    (places / "etc" / "guard.spec").write_text("unix:///srv/etc.sock")
    assert plugin._find("guard") == "/srv/etc.sock"
    (places / "run" / "guard.sock").write_text("")
    assert plugin._find("guard") == f"{places}/run/guard.sock"


def test_what_cannot_be_found_or_spoken_to_is_said(places: Path) -> None:
    with pytest.raises(OrlopError, match="neither in"):
        plugin._find("guard")
    (places / "etc" / "guard.spec").write_text("tcp://10.0.0.1:80")
    with pytest.raises(OrlopError, match="only plugins at unix"):
        plugin._find("guard")
