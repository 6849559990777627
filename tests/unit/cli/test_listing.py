from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from orlop.cli import listing
from orlop.cli.gotemplate.values import Method
from orlop.errors import InvalidArgument
from tests.unit.test_hot_path_imports import ALLOWED, loaded_by_importing

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS = (("IMAGE ID", "ID"), ("REPOSITORY", "Name"), ("SIZE", "Size"))
RAW = (("image_id", "ID"), ("name", "Name"))
ROWS: list[dict[str, Any]] = [
    {"ID": "0123456789ab", "Name": "debian", "Size": "124MB", "CreatedAt": "today"},
    {"ID": "ba9876543210", "Name": "a-longer-name/of-an-image", "Size": "", "CreatedAt": "yesterday"},
]


def shown(format_: str, rows: list[dict[str, Any]] = ROWS, **options: Any) -> str:
    out = io.StringIO()
    listing.show(format_, rows, COLUMNS, out=out, **options)
    return out.getvalue()


@pytest.mark.parametrize("format_", ["", "table", " table "])
def test_a_table_has_columns_as_wide_as_they_need_and_three_spaces(format_: str) -> None:
    assert shown(format_) == (
        "IMAGE ID       REPOSITORY                  SIZE\n"
        "0123456789ab   debian                      124MB\n"
        "ba9876543210   a-longer-name/of-an-image   \n"
    )


def test_a_narrow_column_is_ten_wide_and_an_empty_table_is_its_header() -> None:
    assert shown("table", [{"ID": "1", "Name": "2", "Size": "3"}]).splitlines()[1] == "1          2            3"
    assert shown("table", []) == "IMAGE ID   REPOSITORY   SIZE\n"


def test_a_table_of_the_user_s_has_the_headers_of_its_fields() -> None:
    assert shown(r"table {{.Name}}\t{{upper .Size}}\t{{.CreatedAt}}") == (
        "REPOSITORY                  SIZE      CREATED AT\n"
        "debian                      124MB     today\n"
        "a-longer-name/of-an-image             yesterday\n"
    )
    assert shown("table {{.CreatedAt}}", headers={"CreatedAt": "WHEN"}).splitlines()[0] == "WHEN"
    assert shown("table {{.ID}}", []) == "IMAGE ID\n"


def test_a_label_s_header_is_the_last_part_of_its_key() -> None:
    rows = [{"Label": Method({"com.example.the-key": "x"}.get)}]
    assert shown('table {{.Label "com.example.the-key"}}', rows) == "the key\nx\n"


def test_wide_characters_and_accents_keep_columns_together() -> None:
    lines = listing.aligned([["日本語のラベル", "|"], ["e\u0301" * 20, "|"], ["plain", "|"]]).splitlines()
    assert [line.index("|") for line in lines] == [7 + 9, 40 + 3, 23]


def test_a_line_without_a_cell_ends_a_column() -> None:
    assert listing.aligned([["a", "b"], ["alone"], ["a long first cell", "b"]]) == (
        "a         b\nalone\na long first cell   b\n"
    )


def test_what_would_move_the_cursor_is_shown_as_an_escape() -> None:
    row = {"ID": "1\x1b[2J", "Name": "a\tb\n", "Size": ""}
    assert shown("table", [row]).splitlines()[1] == "1\\x1b[2J   a\\tb\\n       "


def test_json_is_one_object_a_line() -> None:
    assert [json.loads(line) for line in shown("json").splitlines()] == ROWS


def test_json_has_its_members_in_order_and_is_escaped_as_docker_s_is() -> None:
    row = {"Names": "a", "Digest": "<none>", "Ports": "80->90 & more"}
    text = '{"Digest":"\\u003cnone\\u003e","Names":"a","Ports":"80-\\u003e90 \\u0026 more"}'
    assert shown("json", [row]) == shown("{{json .}}", [row]) == text + "\n"
    assert shown("{{json .Ports}}", [row]) == '"80->90 & more"\n'


def test_a_template_is_applied_to_each_row_and_knows_tabs_and_new_lines() -> None:
    assert shown(r"{{.Name}}\t{{.Size}}\n") == "debian\t124MB\n\na-longer-name/of-an-image\t\n\n"


def test_rows_are_printed_before_the_next_one_is_asked_for() -> None:
    out = io.StringIO()
    printed = []

    def rows() -> Iterator[dict[str, Any]]:
        for row in ROWS:
            printed.append(out.getvalue())
            yield row

    listing.show("{{.Name}}", rows(), COLUMNS, out=out)
    assert printed == ["", "debian\n"]


def test_quiet_shows_one_field_whatever_the_format(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown("table", quiet="ID") == "0123456789ab\nba9876543210\n"
    assert capsys.readouterr().err == ""
    assert shown("{{.Name}}", quiet="ID") == "0123456789ab\nba9876543210\n"
    assert "Ignoring custom format" in capsys.readouterr().err


def test_raw_is_a_line_for_each_field() -> None:
    assert shown("raw", ROWS[:1], raw=RAW) == "image_id: 0123456789ab\nname: debian\n\n"
    assert shown("raw", ROWS[:1], raw=RAW, quiet="ID") == "image_id: 0123456789ab\n"


@pytest.mark.parametrize("format_", ["{{.Nme}}", r"table {{.ID}}\t{{.Nme}}"])
def test_an_unknown_field_is_refused_before_anything_is_printed(format_: str) -> None:
    out = io.StringIO()
    column = format_.index(".Nme") + 1
    with pytest.raises(InvalidArgument, match=f"column {column}: there is no field .Nme; did you mean .Name"):
        listing.show(format_, ROWS, COLUMNS, out=out)
    assert out.getvalue() == ""


@pytest.mark.parametrize("module", ["orlop.filters", "orlop.cli.listing", "orlop.cli.ps", "orlop.cli.template"])
def test_listing_imports_no_more_than_starting_a_container_does(module: str) -> None:
    assert {name for name in loaded_by_importing(module) if name.partition(".")[0] != "orlop"} <= ALLOWED
