from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orlop.errors import InvalidArgument
from orlop.options import (
    Option,
    Parser,
    boolean,
    duration,
    integer,
    limit,
    natural,
    one_of,
    size,
)

OPTIONS = (
    Option("-d, --detach", "Run in the background"),
    Option("-i, --interactive", "Keep standard input open"),
    Option("-t, --tty", "Allocate a terminal"),
    Option("-e, --env", "Set environment variables", value="list", many=True),
    Option("-m, --memory", "Memory limit", value="bytes", read=size),
    Option(
        "--network",
        "Network to use",
        value="name",
        read=one_of("none", "host"),
        default="none",
    ),
    Option("--secret", "Not shown", hidden=True),
)
RUN = Parser(
    "orlop run",
    "IMAGE [COMMAND]",
    "Run a container",
    OPTIONS,
    at_least=1,
    intermixed=False,
)
STOP = Parser("orlop stop", "NAME", "Stop", OPTIONS, at_least=1, at_most=1)


def refusal(parser: Parser, *words: str) -> str:
    with pytest.raises(InvalidArgument) as caught:
        parser.parse(words)
    return str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        ["--env", "A=1"],
        ["--env=A=1"],
        ["-e", "A=1"],
        ["-eA=1"],
        ["-e=A=1"],
        ["-ite", "A=1"],
        ["-iteA=1"],
    ],
)
def test_a_value_is_taken_in_every_form(words: list[str]) -> None:
    assert RUN.parse([*words, "image"])["env"] == ["A=1"]


def test_short_flags_can_be_clustered() -> None:
    said = RUN.parse(["-it", "image"])
    assert (said["interactive"], said["tty"], said["detach"]) == (True, True, False)


def test_a_boolean_can_be_taken_back() -> None:
    assert RUN.parse(["-d", "--detach=false", "image"])["detach"] is False
    assert RUN.parse(["-d=0", "image"])["detach"] is False


def test_the_last_of_two_uses_counts() -> None:
    assert RUN.parse(["-m", "1k", "-m", "2k", "image"])["memory"] == 2048


def test_collecting_options_keep_their_order_and_their_commas() -> None:
    assert RUN.parse(["-e", "B=1,2", "--env", "A=", "image"])["env"] == ["B=1,2", "A="]


def test_defaults_hold_until_the_option_is_given() -> None:
    said = RUN.parse(["image"])
    assert (said["network"], said["env"], said["memory"], said["detach"]) == (
        "none",
        [],
        None,
        False,
    )
    assert not said.given("network")
    assert RUN.parse(["--network", "none", "image"]).given("network")


def test_an_unknown_key_is_a_programming_error() -> None:
    with pytest.raises(KeyError):
        RUN.parse(["image"])["nothing"]


def test_the_first_argument_ends_the_options_of_a_command_that_runs_another() -> None:
    assert RUN.parse(["-d", "image", "ls", "-l", "--env"]).arguments == [
        "image",
        "ls",
        "-l",
        "--env",
    ]


def test_options_may_follow_arguments_elsewhere() -> None:
    said = STOP.parse(["web", "-d"])
    assert said.arguments == ["web"]
    assert said["detach"] is True


def test_two_dashes_end_the_options() -> None:
    assert STOP.parse(["--", "-d"]).arguments == ["-d"]


def test_a_lone_dash_is_an_argument() -> None:
    assert STOP.parse(["-"]).arguments == ["-"]


def test_help_wins_over_what_follows_it() -> None:
    assert RUN.parse(["--help", "--nonsense"]).wants_help
    assert RUN.parse(["-h"]).wants_help


def test_help_after_the_image_is_the_commands_own() -> None:
    assert not RUN.parse(["image", "--help"]).wants_help


def test_a_table_may_use_h_for_itself() -> None:
    parser = Parser("p", "", "", (Option("-h, --hostname", "Name", value="string"),))
    assert parser.parse(["-h", "box"])["hostname"] == "box"
    assert "    --help" in parser.help()


def test_one_dash_serves_for_long_names_where_the_table_says_so() -> None:
    parser = Parser("p", "", "", OPTIONS, single_dash=True)
    assert parser.parse(["-memory", "1k"])["memory"] == 1024
    assert parser.parse(["-env=A=1"])["env"] == ["A=1"]
    assert parser.parse(["-it"])["tty"] is True


def test_mistakes_name_the_flag_and_the_way_to_the_help() -> None:
    assert refusal(RUN, "--nonsense", "x") == "unknown flag: --nonsense; see 'orlop run --help'"
    assert refusal(RUN, "--detatch", "x") == "unknown flag: --detatch (did you mean --detach?); see 'orlop run --help'"
    assert refusal(RUN, "-ix", "x") == "unknown flag: -x in -ix; see 'orlop run --help'"
    assert refusal(RUN, "-m") == "flag needs a value: -m; see 'orlop run --help'"
    assert refusal(RUN, "--memory=lots", "x").startswith('invalid value "lots" for --memory: must be a size')
    assert refusal(RUN, "--network", "x", "i").startswith('invalid value "x" for --network: must be one of none, host')
    assert refusal(RUN, "--detach=perhaps", "x").startswith('invalid value "perhaps" for --detach')
    assert refusal(RUN) == "'orlop run' takes at least 1 argument, 0 given; see 'orlop run --help'"
    assert refusal(STOP, "a", "b") == "'orlop stop' takes exactly 1 argument, 2 given; see 'orlop stop --help'"


def test_a_hidden_option_is_neither_shown_nor_suggested() -> None:
    assert RUN.parse(["--secret", "image"])["secret"] is True
    assert "secret" not in RUN.help()
    assert "did you mean" not in refusal(RUN, "--secrett", "x")


def test_the_help_is_made_from_the_table() -> None:
    assert RUN.help() == (
        "Usage:  orlop run [OPTIONS] IMAGE [COMMAND]\n"
        "\n"
        "Run a container\n"
        "\n"
        "Options:\n"
        "  -d, --detach        Run in the background\n"
        "  -i, --interactive   Keep standard input open\n"
        "  -t, --tty           Allocate a terminal\n"
        "  -e, --env list      Set environment variables\n"
        "  -m, --memory bytes  Memory limit\n"
        "      --network name  Network to use (default none)\n"
        "  -h, --help          Print this help\n"
    )


def test_sections_come_before_the_options() -> None:
    parser = Parser(
        "orlop",
        "COMMAND",
        "Containers",
        sections=(("Commands", (("ps", "List"), ("run", "Run"))),),
    )
    assert "Commands:\n  ps   List\n  run  Run\n\nOptions:\n" in parser.help()


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("4096", 4096),
        ("1b", 1),
        ("1k", 1024),
        ("2KB", 2048),
        ("1.5g", 3 << 29),
        ("2GiB", 2 << 30),
        ("1 m", 1 << 20),
    ],
)
def test_sizes_are_in_powers_of_1024(text: str, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize(
    "text",
    ["", "m", "-1", "1x", "1.", ".5m", "1e3", "٣", "1_000", "9" * 30, "1ibb", "kib"],
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="size|63 bits"):
        size(text)


def test_a_limit_may_be_unlimited() -> None:
    assert (limit("-1"), limit("1k")) == (-1, 1024)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("5s", 5 * 10**9),
        ("1m30s", 90 * 10**9),
        ("1.5h", 5400 * 10**9),
        ("100ms", 10**8),
        ("7ns", 7),
    ],
)
def test_durations_are_nanoseconds(text: str, count: int) -> None:
    assert duration(text) == count


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-5s", "1.2.3s", "1d", "9" * 30 + "h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration(text)


def test_numbers_are_plain_decimal() -> None:
    assert (natural("20"), integer("-20"), integer("+3")) == (20, -20, 3)
    for text in ("", "-", "1_0", " 1", "0x10", "٣", "9" * 5000):
        with pytest.raises(ValueError, match="whole number"):
            integer(text)


def test_booleans_have_the_spellings_of_go() -> None:
    assert [boolean(word) for word in ("1", "t", "TRUE", "0", "f", "False")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    with pytest.raises(ValueError, match="true or false"):
        boolean("yes")


WORDS = st.lists(
    st.one_of(
        st.text(max_size=12),
        st.sampled_from(
            [
                "-",
                "--",
                "-it",
                "--env",
                "--memory",
                "-e=",
                "-m=1",
                "--detach=x",
                "--=",
                "-=",
                "--help",
            ]
        ),
        st.text(alphabet="-=itdem1k.", max_size=8),
    ),
    max_size=6,
)


@given(WORDS, st.booleans(), st.booleans())
def test_any_command_line_is_read_or_refused(words: list[str], intermixed: bool, single_dash: bool) -> None:
    parser = Parser("p", "", "", OPTIONS, at_most=3, intermixed=intermixed, single_dash=single_dash)
    try:
        said = parser.parse(words)
    except InvalidArgument as error:
        assert str(error)
    else:
        assert said.wants_help or len(said.arguments) <= 3


@given(
    st.one_of(
        st.text(),
        st.from_regex(r"[0-9.]*(ns|us|ms|[smhkgtpKMG]|ib|b)*", fullmatch=True),
    )
)
def test_readers_answer_or_raise_value_error(text: str) -> None:
    for read in (boolean, natural, integer, size, limit, duration):
        try:
            read(text)
        except ValueError as error:
            assert str(error)


def test_further_options_are_asked_for_when_one_of_them_is_used() -> None:
    asked = []

    def further() -> tuple[Option, ...]:
        asked.append(True)
        return (Option("-c, --shares", "Rarely used", value="int", read=natural), Option("--rare", "Also"))

    parser = Parser("orlop run", "IMAGE", "Run a container", OPTIONS, further=further)
    said = parser.parse(["-it", "--env=A=1", "image"])
    assert not asked
    assert not said.has_further
    said = parser.parse(["-itc3", "--rare", "--memory=1k", "image"])
    assert (said["shares"], said["rare"], said["memory"], said["tty"]) == (3, True, 1024, True)
    assert len(asked) == 1
    with pytest.raises(InvalidArgument, match="did you mean --rare"):
        parser.parse(["--raer"])
    assert "--shares int" in parser.help()
