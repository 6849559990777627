from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orlop.errors import InvalidArgument
from orlop.images import layer_limits

if TYPE_CHECKING:
    from pathlib import Path


def test_the_users_limits_count_before_the_systems_and_those_before_the_usual_ones(tmp_path: Path) -> None:
    (tmp_path / "system.toml").write_text('[layers]\nmax_entries = 10\nmax_size = "1g"\n')
    (tmp_path / "orlop").mkdir()
    (tmp_path / "orlop/config.toml").write_text("[layers]\nmax_entries = 20\n[registry.a]\ninsecure = true\n")
    found = layer_limits.configured({"XDG_CONFIG_HOME": str(tmp_path)}, str(tmp_path / "system.toml"))
    assert (found.entries, found.size, found.ratio) == (20, 1 << 30, 200)


@pytest.mark.parametrize(
    "text",
    ["layers = 1", "[layers]\nmax = 1", "[layers]\nmax_size = 'much'", "[layers]\nmax_entries = 0",
     "[layers]\nmax_ratio = true", "[layers]\nmax_entries = '1g'", "[layers"],
)  # fmt: skip
def test_what_means_nothing_is_refused_by_the_files_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "system.toml").write_text(text)
    with pytest.raises(InvalidArgument, match=r"system\.toml"):
        layer_limits.configured({}, str(tmp_path / "system.toml"))
