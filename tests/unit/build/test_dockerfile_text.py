"""How a Dockerfile's lines become statements."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orlop.build.dockerfile import parser, statements
from orlop.build.dockerfile.instructions import Copy, OnBuild, Run
from orlop.errors import InvalidDockerfile


def read(text: str) -> list[tuple[str, tuple[str, ...], str]]:
    split = statements.split(text.encode(), "Dockerfile").statements
    return [(each.keyword, each.flags, each.rest) for each in split]


def spans(text: str) -> list[tuple[int, int]]:
    return [(each.span.first, each.span.last) for each in statements.split(text.encode(), "Dockerfile").statements]


def test_a_line_has_a_keyword_flags_and_a_rest() -> None:
    assert read("copy --from=a --link  b c\n") == [("copy", ("--from=a", "--link"), "b c")]


def test_a_backslash_at_the_end_joins_lines_and_keeps_their_blanks() -> None:
    assert read("RUN a \\\n    b\\\nc") == [("RUN", (), "a     bc")]


def test_blanks_after_the_continuation_character_do_not_count() -> None:
    assert read("RUN a \\ \t\nb") == [("RUN", (), "a b")]


def test_two_backslashes_at_the_end_are_no_continuation() -> None:
    assert read("RUN a \\\\\nRUN b") == [("RUN", (), "a \\\\"), ("RUN", (), "b")]


def test_comments_between_continued_lines_go() -> None:
    assert read("RUN a \\\n  # no\n# nor this\n b\n") == [("RUN", (), "a  b")]


def test_an_empty_line_in_a_continuation_is_noted_with_its_number() -> None:
    text = statements.split(b"RUN a \\\n\n\n b\n", "Dockerfile")
    assert [each.first for each in text.empty_continuations] == [2]
    assert text.statements[0].rest == "a  b"


def test_an_instruction_knows_the_lines_that_it_stands_on() -> None:
    assert spans("\n# x\nFROM a\nRUN b \\\n # c\n d\n\nRUN <<E\nx\nE\nUSER u") == [(3, 3), (4, 6), (8, 10), (11, 11)]


def test_carriage_returns_and_a_byte_order_mark_do_not_count() -> None:
    assert read("\ufeffFROM a\r\nRUN b \\\r\n  c\r\n") == [("FROM", (), "a"), ("RUN", (), "b   c")]


def test_leading_blanks_of_instructions_and_comments_do_not_count() -> None:
    assert read("  # c\n\t FROM a\n") == [("FROM", (), "a")]


def test_a_hash_inside_a_line_is_no_comment() -> None:
    assert read("RUN a # b") == [("RUN", (), "a # b")]


def test_the_escape_directive_changes_what_continues_lines() -> None:
    assert read("# escape=`\nRUN c:\\ `\n d") == [("RUN", (), "c:\\  d")]


@pytest.mark.parametrize("text", ["\n# escape=`\nRUN a \\\nb", "# c\n# escape=`\nRUN a \\\nb", "FROM x\n# escape=`\n"])
def test_a_directive_after_anything_else_is_a_comment(text: str) -> None:
    assert statements.split(text.encode(), "Dockerfile").directives.escape == "\\"


def test_directives_are_read_whatever_their_case_and_blanks() -> None:
    text = statements.split(b"#  Syntax = docker/dockerfile:1 \n#check=skip=all;error=true\nFROM a", "D")
    assert (text.directives.syntax, text.directives.check) == ("docker/dockerfile:1", "skip=all;error=true")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# escape=`\n# escape=`\nFROM a", "D:2: only one escape parser directive can be used"),
        ("# escape=x\nFROM a", "D:1: invalid escape 'x': expected"),
        ("FROM a\nRUN <<E\nx\n", "D:2: unterminated heredoc: expected a line with E alone"),
        ("FROM a\nRUN \0", "D:2: has a NUL byte"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(InvalidDockerfile, match=message):
        statements.split(text.encode(), "D")


def test_flags_lose_their_quotes_and_end_at_two_dashes() -> None:
    assert read("RUN --mount=type=bind,target='/a b' -- --x") == [("RUN", ("--mount=type=bind,target=/a b",), "--x")]


def documents(text: str) -> list[tuple[str, bool, str]]:
    (stage,) = parser.parse(f"FROM a\n{text}".encode()).stages
    instruction = stage.instructions[0]
    if isinstance(instruction, OnBuild):
        instruction = instruction.instruction
    found = instruction.command.documents if isinstance(instruction, Run) else ()
    found = instruction.documents if isinstance(instruction, Copy) else found
    return [(each.name, each.expand, each.text) for each in found]


def test_a_here_document_is_everything_up_to_its_word() -> None:
    assert documents("RUN <<EOF\n a\n\n# b \\\nEOF \nEOF\n") == [("EOF", True, " a\n\n# b \\\nEOF \n")]


def test_several_here_documents_follow_each_other() -> None:
    assert documents("COPY <<a <<b /x/\n1\na\n2\nb\n") == [("a", True, "1\n"), ("b", True, "2\n")]


def test_quotes_around_the_word_keep_variables() -> None:
    assert documents("COPY <<'a' <<\"b\" <<c /x/\na\nb\nc\n") == [("a", False, ""), ("b", False, ""), ("c", True, "")]


def test_a_dash_takes_the_tabs_away() -> None:
    assert documents("RUN <<-E\n\ta\n\t\tb\n\tE\n") == [("E", True, "a\nb\n")]


@pytest.mark.parametrize(
    "line",
    ["RUN cat <<<x", "RUN echo $((1<<E))", 'RUN echo "a <<E"', "RUN it's <<E", 'RUN ["<<E"]', "CMD <<E", "RUN a\\ <<"],
)
def test_what_only_looks_like_a_here_document_is_none(line: str) -> None:
    assert documents(line) == []


def test_onbuild_has_the_here_documents_of_what_it_triggers() -> None:
    assert documents("ONBUILD RUN <<E\nx\nE\n") == [("E", True, "x\n")]


@given(
    st.lists(
        st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\#<`"), min_size=1),
        min_size=1,
        max_size=8,
    )
)
def test_words_come_back_however_they_are_spread_over_lines(words: list[str]) -> None:
    assert read("X " + " \\\n".join(words)) == read("X " + " ".join(words))


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        parser.parse(b"FROM a\n" + data)
    except InvalidDockerfile as error:
        assert error.line >= 1
        assert error.excerpt
