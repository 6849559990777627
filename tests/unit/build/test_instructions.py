"""What each instruction of a Dockerfile says, and what is said of those that cannot be."""

from __future__ import annotations

import pytest

from orlop.build.dockerfile import instructions, parser, run_mounts
from orlop.build.dockerfile.instructions import Command, Pair
from orlop.errors import InvalidArgument, InvalidDockerfile


def one(text: str) -> instructions.Instruction:
    return parser.parse(f"FROM a\n{text}\n".encode()).stages[0].instructions[0]


def test_from_has_an_image_a_platform_and_a_name() -> None:
    base = parser.parse(b"FROM --platform=linux/arm64 debian:12 AS Build-1.x").stages[0].base
    assert (base.image, base.platform, base.stage) == ("debian:12", "linux/arm64", "build-1.x")


def test_pairs_keep_their_quotes_until_variables_are_known() -> None:
    made = one("ENV A=1 B=\"x y\" C=x\\ y D='$A'")
    assert isinstance(made, instructions.Env)
    assert made.pairs == (Pair("A", "1"), Pair("B", '"x y"'), Pair("C", "x\\ y"), Pair("D", "'$A'"))
    assert not made.is_legacy


def test_the_old_form_of_a_pair_is_everything_after_the_name() -> None:
    made = one("ENV ONE TWO= THREE=world")
    assert isinstance(made, instructions.Env)
    assert (made.pairs, made.is_legacy) == ((Pair("ONE", "TWO= THREE=world"),), True)


def test_arguments_have_a_default_or_none() -> None:
    made = one("ARG a b= c=d")
    assert isinstance(made, instructions.Arg)
    assert made.pairs == (Pair("a", None), Pair("b", ""), Pair("c", "d"))


@pytest.mark.parametrize(
    ("rest", "command"),
    [
        ("a b", Command((), "a b")),
        ('["a", "b c"]', Command(("a", "b c"))),
        ("['a']", Command((), "['a']")),
        ('["a"', Command((), '["a"')),
        ('[ "$x" ] && y', Command((), '[ "$x" ] && y')),
        ('["\\u0041"]', Command(("A",))),
    ],
)
def test_a_command_is_an_array_or_a_line(rest: str, command: Command) -> None:
    made = one(f"RUN {rest}")
    assert isinstance(made, instructions.Run)
    assert made.command == command


def test_copy_has_all_its_flags() -> None:
    made = one("COPY --from=x --chown=1:2 --chmod=0644 --link --parents --exclude=*.o --exclude=y a b/ c/")
    assert isinstance(made, instructions.Copy)
    assert (made.sources, made.target, made.from_, made.owner, made.mode) == (("a", "b/"), "c/", "x", "1:2", "0644")
    assert (made.link, made.parents, made.exclude) == (True, True, ("*.o", "y"))


def test_copy_takes_an_array_for_names_with_blanks() -> None:
    made = one('COPY ["a b", "c d/"]')
    assert isinstance(made, instructions.Copy)
    assert (made.sources, made.target) == (("a b",), "c d/")


def test_add_has_flags_of_its_own() -> None:
    made = one("ADD --checksum=sha256:00 --keep-git-dir=false --unpack=true https://x/y /z")
    assert isinstance(made, instructions.Add)
    assert (made.checksum, made.keep_git_dir, made.unpack) == ("sha256:00", False, True)


def test_a_health_check_has_durations_in_nanoseconds() -> None:
    made = one('HEALTHCHECK --interval=1m30s --retries=3 CMD ["x", "y"]')
    assert isinstance(made, instructions.HealthCheck)
    assert (made.interval, made.retries, made.command) == (90_000_000_000, 3, Command(("x", "y")))
    assert isinstance(one("HEALTHCHECK \t CMD\tx"), instructions.HealthCheck)
    none = one("HEALTHCHECK none")
    assert isinstance(none, instructions.HealthCheck)
    assert none.command is None


def test_a_trigger_is_kept_as_it_is_written() -> None:
    made = one("ONBUILD COPY --link a  b")
    assert isinstance(made, instructions.OnBuild)
    assert made.trigger == "COPY --link a  b"
    assert isinstance(made.instruction, instructions.Copy)
    assert made.instruction.link


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("RNU x", "unknown instruction RNU (did you mean RUN?)"),
        ("COYP a b", "unknown instruction COYP (did you mean COPY?)"),
        ("WHATEVER", "unknown instruction WHATEVER: expected one of ADD, ARG, CMD"),
        ("COPY a", "COPY requires at least two arguments"),
        ("COPY --form=x a b", "unknown flag --form of COPY (did you mean --from?)"),
        ("COPY --from a b", "flag --from of COPY has no value"),
        ("COPY --link=maybe a b", "invalid value 'maybe' of --link"),
        ("COPY --chown=1 --chown=2 a b", "flag --chown of COPY is given twice"),
        ("COPY --from=x <<E /y\nE", "COPY --from has a here-document"),
        ("COPY a <<E\nE", "cannot have a here-document as its destination"),
        ("ADD --checksum=x a b c", "--checksum can only be given for one source"),
        ("CMD --x y", "unknown flag --x of CMD: it has none"),
        ("ENV", "ENV requires at least one argument: expected ENV name=value"),
        ("USER", "USER requires at least one argument: expected USER user[:group]"),
        ("HEALTHCHECK NOEN", "unknown type 'NOEN' of HEALTHCHECK (did you mean NONE?)"),
        ("ENV a", "ENV must have two arguments: expected ENV a=value"),
        ("ENV a=b c", "can't find = in 'c'"),
        ("ENV =b", "names of ENV can not be blank"),
        ("ARG =b", "names of ARG can not be blank"),
        ("RUN", "RUN requires at least one argument"),
        ("RUN []", "RUN requires at least one argument"),
        ("RUN [1]", "only strings may be in the array"),
        ("RUN --network=hots x", "invalid --network 'hots' (did you mean host?)"),
        ("RUN --mount=type=cahce,target=/x y", "unknown type 'cahce' of --mount (did you mean cache?)"),
        ("RUN --mount=type=cache,traget=/x y", "unexpected key 'traget' of --mount=type=cache (did you mean target?)"),
        ("RUN --mount=type=cache x", "--mount=type=cache needs a target"),
        ("RUN --mount=type=secret x", "--mount=type=secret needs an id"),
        (
            "RUN --mount=type=cache,target=/x,sharing=loked y",
            "invalid sharing 'loked' of --mount (did you mean locked?)",
        ),
        ("RUN --mount=type=cache,target=/x,mode=9 y", "must be an octal mode"),
        ("SHELL /bin/sh", "SHELL requires the arguments to be in JSON form"),
        ("VOLUME []", "VOLUME requires at least one path"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK x", "unknown type 'x' of HEALTHCHECK: expected CMD or NONE"),
        ("HEALTHCHECK --interval=1 CMD x", "invalid --interval '1' of HEALTHCHECK"),
        ("HEALTHCHECK --interval=1us CMD x", "expected 1ms or more"),
        ("ONBUILD FROM a", "FROM isn't allowed as an ONBUILD trigger"),
        ("ONBUILD ONBUILD RUN a", "ONBUILD isn't allowed as an ONBUILD trigger"),
        ("ONBUILD RNU a", "unknown instruction RNU after ONBUILD (did you mean RUN?)"),
        ("FROM", "FROM requires at least one argument"),
        ("FROM a b", "FROM requires either one or three arguments"),
        ("FROM a AS 1", "invalid name for a build stage: '1'"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(InvalidDockerfile) as caught:
        one(f"\n{text}")
    assert str(caught.value).startswith("Dockerfile:3: ")
    assert message in str(caught.value)


def test_an_error_shows_the_instruction_underlined() -> None:
    with pytest.raises(InvalidDockerfile) as caught:
        parser.parse(b"FROM a\nENV a=b\nRNU x \\\n  y\nCMD z\n")
    assert caught.value.line == 3
    assert caught.value.excerpt == ("1 | FROM a\n2 | ENV a=b\n3 | RNU x \\\n  | ^^^^^^^\n4 |   y\n  |   ^\n5 | CMD z")


def test_an_excerpt_has_nothing_that_a_terminal_obeys() -> None:
    with pytest.raises(InvalidDockerfile) as caught:
        parser.parse(b"FROM a\nX\x1b[2J\x07 y")
    assert "\x1b" not in caught.value.excerpt


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "has no instructions"), ("RUN x", "before the first stage"), ("ARG a", "has no build stage")],
)
def test_a_file_needs_a_stage(text: str, message: str) -> None:
    with pytest.raises(InvalidDockerfile, match=message):
        parser.parse(text.encode())


def test_stages_are_found_by_name_and_number_and_the_last_of_a_name_counts() -> None:
    file = parser.parse(b"FROM a AS x\nFROM b AS X\nFROM c")
    found = [file.find(name) for name in ("x", "0", "2", "3", "y")]
    assert [each.number if each else None for each in found] == [1, 0, 2, None, None]
    assert file.find("2", before=2) is None


def test_a_mount_of_each_type() -> None:
    bind = run_mounts.parse("target=/x")
    assert (bind.type, bind.readonly) == ("bind", True)
    cache = run_mounts.parse("type=cache,dst=/y,id=i,sharing=locked,mode=0700,uid=5")
    assert (cache.target, cache.id, cache.sharing, cache.mode, cache.uid, cache.readonly) == (
        "/y",
        "i",
        "locked",
        0o700,
        5,
        False,
    )
    assert run_mounts.parse("type=tmpfs,target=/z,size=1m").size == 1 << 20
    assert run_mounts.parse("type=secret,id=a").target == "/run/secrets/a"
    assert run_mounts.parse("type=secret,id=a,env=A").target == ""
    assert run_mounts.parse("type=secret,target=/q/b").id == "b"
    assert run_mounts.parse("type=ssh,required").required


def test_variables_in_a_mount_are_replaced_later() -> None:
    text = "type=cache,target=/x,id=$I,sharing=$S"
    assert run_mounts.parse(text).id == "$I"
    values = {"$I": "i", "$S": "private"}
    assert run_mounts.parse(text, lambda value: values.get(value, value)).sharing == "private"
    with pytest.raises(InvalidArgument, match="invalid sharing"):
        run_mounts.parse(text, lambda value: value)
