"""Variables in the words of a Dockerfile."""

from __future__ import annotations

import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orlop.build.dockerfile import expansion, pattern
from orlop.errors import InvalidArgument

VARIABLES = {"x": "foobarbaz", "empty": "", "blanks": "a  b", "p": "b*"}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a", "a"),
        ("$x", "foobarbaz"),
        ("${x}_", "foobarbaz_"),
        ("$x_", ""),
        ("'$x'", "$x"),
        ('"$x"', "foobarbaz"),
        ("\\$x", "$x"),
        ("\\${x}", "${x}"),
        ("$", "$"),
        ("a$ b", "a$ b"),
        ('"a \\"b\\" \\c"', 'a "b" \\c'),
        ("'a'\"b\"c", "abc"),
        ("$1$@", ""),
        ("${none:-w}", "w"),
        ("${empty:-w}", "w"),
        ("${empty-w}", ""),
        ("${none-w}", "w"),
        ("${x:-w}", "foobarbaz"),
        ("${x:+w}", "w"),
        ("${empty:+w}", ""),
        ("${empty+w}", "w"),
        ("${none+w}", ""),
        ("${none:-${empty:-$x}}", "foobarbaz"),
        ("${none:-'a}b'}", "a}b"),
        ("${x:?no}", "foobarbaz"),
        ("${x#f*b}", "arbaz"),
        ("${x##f*b}", "az"),
        ("${x%b*}", "foobar"),
        ("${x%%b*}", "foo"),
        ("${x%%$p}", "foo"),
        ("${x/ba/fo}", "fooforbaz"),
        ("${x//ba/fo}", "fooforfoz"),
        ("${x//b?r/}", "foobaz"),
        ("${x/a*/}", "foob"),
        ("${x/none/y}", "foobarbaz"),
        ("${x#}", "foobarbaz"),
        ("${x//o}", "fbarbaz"),
        ("${none#a}", ""),
    ],
)
def test_a_word_becomes(text: str, meant: str) -> None:
    assert expansion.word(text, VARIABLES)[0] == meant


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("'a", "expected a closing single quote"),
        ('"a', "expected a closing double quote"),
        ("${x", "expected }"),
        ("${x:-a", "expected }"),
        ("${", "expected a variable's name"),
        ("${}", "expected a variable's name"),
        ("${x:=a}", "unsupported modifier := "),
        ("${x^}", "unsupported modifier ^"),
        ("${none?}", "none: is not allowed to be unset"),
        ("${empty:?}", "empty: is not allowed to be empty"),
        ("${none:?say $x}", "none: say foobarbaz"),
        ("${a:-" * 200 + "}" * 200, "nested more than 100 deep"),
    ],
)
def test_what_is_wrong_is_told(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        expansion.word(text, VARIABLES)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "meant"),
    [("$x 'a' \"b\"\n", "foobarbaz 'a' \"b\"\n"), ("\\$x \\n \\\\", "$x \\n \\"), ("${none:-'q'}", "q")],
)
def test_a_here_document_keeps_its_quotes(text: str, meant: str) -> None:
    assert expansion.document(text, VARIABLES)[0] == meant


def test_the_escape_character_is_the_files() -> None:
    assert expansion.word("c:\\$x `$x", {"x": "1"}, "`")[0] == "c:\\1 $x"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a b", ["a", "b"]),
        ("$blanks c", ["a", "b", "c"]),
        ('"$blanks" c', ["a  b", "c"]),
        ("'' b", ["", "b"]),
        ("$empty b", ["b"]),
        ("a\\ b", ["a b"]),
        ("x$blanks'y'", ["xa", "by"]),
        ("  ", []),
    ],
)
def test_words_are_split_at_blanks_that_are_not_quoted(text: str, meant: list[str]) -> None:
    assert expansion.words(text, VARIABLES).words == meant


def test_variables_without_a_value_are_told_but_for_those_with_another_word() -> None:
    assert expansion.words("$a ${b} ${c:-x} ${d#x} $a '$e' $x", VARIABLES).undefined == ["a", "b", "d"]


def test_values_that_double_with_every_line_end_soon() -> None:
    variables = {"a": "x" * 100}
    for _ in range(13):
        variables["a"] = expansion.word("$a$a", variables)[0]
    with pytest.raises(InvalidArgument, match="more than 1048576 characters"):
        expansion.word("$a$a", variables)


@pytest.mark.parametrize("text", ["a" * 400_000, "'a' " * 100_000, "${x:-" * 50 + "'" * 2000 + "}" * 50, "$x" * 20_000])
def test_long_words_take_no_long_time(text: str) -> None:
    start = time.process_time()
    expansion.words(text, VARIABLES)
    assert time.process_time() - start < 5


@pytest.mark.parametrize("text", ["*a" * 50 + "b", "?*" * 50 + "b", "*" * 1000])
def test_no_pattern_takes_long(text: str) -> None:
    start = time.process_time()
    for longest in (False, True):
        pattern.without_prefix("a" * 20_000, text, longest=longest)
        pattern.without_suffix("a" * 20_000, text, longest=longest)
        pattern.replaced("a" * 20_000, text, "", every=longest)
    assert time.process_time() - start < 5


LETTERS = st.text("ab/", max_size=8)
PATTERNS = st.text("ab*?", max_size=5)


@given(st.lists(st.tuples(LETTERS, PATTERNS), min_size=50, max_size=50))
def _cut_as_a_shell_does(cases: list[tuple[str, str]]) -> None:
    script = []
    ours = []
    for value, glob in cases:
        script.append(
            f'x=\'{value}\'; printf \'%s\\n\' "${{x#{glob}}}" "${{x##{glob}}}" "${{x%{glob}}}" "${{x%%{glob}}}"'
        )
        ours += [pattern.without_prefix(value, glob, longest=longest) for longest in (False, True)]
        ours += [pattern.without_suffix(value, glob, longest=longest) for longest in (False, True)]
    shell = subprocess.run(["bash", "-c", "\n".join(script)], capture_output=True, text=True, check=True)
    assert shell.stdout.split("\n")[:-1] == ours


def test_patterns_cut_what_a_shell_cuts() -> None:
    from hypothesis import settings

    settings(max_examples=8, deadline=None)(_cut_as_a_shell_does)()


@given(st.text(max_size=40))
def test_single_quotes_keep_everything(text: str) -> None:
    kept = text.replace("'", "")
    assert expansion.word(f"'{kept}'", {})[0] == kept


@given(st.text(st.sampled_from("ab$'\"\\{}:-?+#%/* "), max_size=30))
def test_any_text_has_a_meaning_or_an_error(text: str) -> None:
    try:
        expansion.words(text, VARIABLES)
    except InvalidArgument as error:
        assert str(error)
