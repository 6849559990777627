"""Volumes whose content is hostile: parts of them are mounted while a container exchanges directories for links.

CVE-2017-1002101 and CVE-2021-25741 were such races in Kubernetes, CVE-2021-30465 one in runc.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import busybox_root
from tests.integration.engine.conftest import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 12


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    if os.geteuid() != 0:
        pytest.skip("needs root: containers are made for real")
    rootfs = tmp_path / "rootfs"
    rootfs.mkdir(mode=0o755)
    busybox_root(rootfs)
    made = Engine(tmp_path, rootfs)
    yield made
    made.close()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory of the host's with a secret in it."""
    made = tmp_path / "outside"
    made.mkdir()
    (made / "secret").write_text("the host's")
    return made


def volume(engine: Engine, name: str) -> Path:
    engine.ok("volume", "create", name)
    return Path(engine.ok("volume", "inspect", "-f", "{{.Mountpoint}}", name).strip())


def test_cve_2021_25741_a_part_of_a_volume_is_never_a_directory_of_the_host(engine: Engine, outside: Path) -> None:
    data = volume(engine, "hostile")
    (data / "part").mkdir()
    (data / "part/inside").touch()
    (data / "link").symlink_to(outside)
    over = threading.Event()

    def exchange() -> None:
        while not over.is_set():
            for source, target in (("part", "aside"), ("link", "part"), ("part", "link"), ("aside", "part")):
                os.rename(data / source, data / target)

    attacker = threading.Thread(target=exchange)
    attacker.start()
    try:
        seen = set()
        for _ in range(ROUNDS):
            result = engine.run("--mount", "type=volume,src=hostile,dst=/p,volume-subpath=part", "ls", "/p")
            seen.add(result.out)
            assert "secret" not in result.out
            assert result.code in (0, 125)
    finally:
        over.set()
        attacker.join()
    assert seen <= {"inside\n", ""}


@pytest.mark.parametrize("target", ["{outside}", "../../../../../../../..{outside}", "/proc/1/root{outside}"])
def test_no_link_in_a_volume_leads_out_of_it(engine: Engine, outside: Path, target: str) -> None:
    data = volume(engine, "hostile")
    (data / "link").symlink_to(target.format(outside=outside))
    result = engine.run("--mount", "type=volume,src=hostile,dst=/p,volume-subpath=link", "ls", "/p")
    assert (result.code, result.out) == (125, "")
    assert "no such file or directory" in result.err


def test_an_image_s_link_is_no_way_out_when_a_volume_is_filled(engine: Engine, outside: Path) -> None:
    (Path(engine.rootfs) / "data").symlink_to(outside)
    result = engine.run("-v", "filled:/data", "ls", "-A", "/data/")
    assert "secret" not in result.out
    assert sorted(os.listdir(outside)) == ["secret"]
    mountpoint = engine.ok("volume", "inspect", "-f", "{{.Mountpoint}}", "filled").strip()
    assert os.listdir(mountpoint) == []


def test_a_label_or_name_of_a_volume_is_only_data(engine: Engine) -> None:
    engine.ok("volume", "create", "--label", "a=\x1b[31m\n{{.Name}}", "plain")
    assert engine.ok("volume", "ls", "--format", "{{.Name}}") == "plain\n"
    for name in ("../../etc", "a/../../b", "-rf", "a\nb"):
        result = engine("volume", "rm", "--", name)
        assert (result.code, "no such volume" in result.err) == (1, True)
        assert engine("volume", "create", "--", name).code == 1
