"""Reading a bundle's config.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orlop.errors import InvalidConfig, NotFound
from orlop.runtime.spec import load

if TYPE_CHECKING:
    from pathlib import Path


def test_a_configuration_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"ociVersion": "1.0.2", "hostname": "b\\u00f6x \\ud83d\\udc33"}')
    assert load(str(tmp_path)) == {"ociVersion": "1.0.2", "hostname": "böx 🐳"}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        load(str(tmp_path))
    assert str(caught.value) == f"no container configuration at {tmp_path}/config.json"


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    with pytest.raises(InvalidConfig) as caught:
        load(str(tmp_path))
    assert str(caught.value) == f"cannot read {tmp_path}/config.json: Is a directory"


@pytest.mark.parametrize(
    "text", [b"", b"{", b'{"a": NaN}', b"{} {}", b'{"a": "\xff"}', b'{"a": "\\ud800"}', b'{"\\uDfff": 1}']
)
def test_what_is_not_json_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "config.json").write_bytes(text)
    with pytest.raises(InvalidConfig) as caught:
        load(str(tmp_path))
    assert str(caught.value).startswith(f"{tmp_path}/config.json is not JSON: ")


@pytest.mark.parametrize("text", ["[]", "null", '"x"', "1"])
def test_what_is_not_an_object_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InvalidConfig) as caught:
        load(str(tmp_path))
    assert str(caught.value) == f"{tmp_path}/config.json must hold an object"


def test_a_file_of_absurd_size_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate((32 << 20) + 1)
    with pytest.raises(InvalidConfig) as caught:
        load(str(tmp_path))
    assert str(caught.value) == f"{tmp_path}/config.json is larger than 32 MiB"
