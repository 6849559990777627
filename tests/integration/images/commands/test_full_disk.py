"""What comes of a load, an import and a pull for which the disk has no space."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine.image_maker import GROUP, PASSWD, base
from tests.integration.images.commands.archives import docker_archive, small
from tests.integration.images.commands.conftest import ImageEngine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOT = base(PASSWD, GROUP)  # takes two megabytes, and as much again when it is unpacked


@pytest.fixture(params=["1m", "3m"], ids=["for the blob", "for the files"])
def cramped(request: pytest.FixtureRequest, tmp_path: Path, rootfs: Path) -> Iterator[ImageEngine]:
    """An engine on a file system that has not the space for what comes."""
    place = tmp_path / "cramped"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={request.param}", "tmpfs", place], check=True)
    try:
        made = ImageEngine(tmp_path, rootfs)
        made.root = place / "root"
        yield made
    finally:
        subprocess.run(["umount", place], check=True)


def test_what_has_no_space_is_refused_and_gives_back_all_that_it_took(
    cramped: ImageEngine, engine: ImageEngine, place: str
) -> None:
    engine.load(docker_archive(f"{place}:1", [ROOT]))
    engine.ok("push", f"{place}:1")
    for said in (
        cramped("load", given=docker_archive("app:1", [ROOT])),
        cramped("import", "-", given=ROOT),
        cramped("pull", "-q", f"{place}:1"),
    ):
        assert said.code == 1
        assert said.err.count("\n") == 1
        assert "space" in said.err or "left" in said.err, said
        assert cramped.leftovers() == []
    cramped.load(docker_archive("small:1", [small()]))
    cramped.is_sound()
