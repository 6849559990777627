"""BuildKit's checks, by their rules."""

from __future__ import annotations

import pytest

from orlop.build.dockerfile import lint, parser
from orlop.errors import InvalidDockerfile


def check(text: str, *ignored: str) -> list[tuple[str, int]]:
    found = lint.check(parser.parse(text.encode()), None, ignored.__contains__)
    return [(each.rule, each.span.first) for each in found]


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        ("FROM a AS Bb", "StageNameCasing", 1),
        ("FROM a as b", "FromAsCasing", 1),
        ("from a AS b", "FromAsCasing", 1),
        ("FROM a\nRUN x \\\n\n y", "NoEmptyContinuation", 3),
        ("FROM a\nrun x\nRUN y", "ConsistentInstructionCasing", 2),
        ("FROM a\nRun x", "ConsistentInstructionCasing", 2),
        ("from a\nrun b\nRUN c", "ConsistentInstructionCasing", 3),
        ("FROM a AS b\nFROM c AS b", "DuplicateStageName", 2),
        ("FROM a AS scratch", "ReservedStageName", 1),
        ("FROM a\nCMD x", "JSONArgsRecommended", 2),
        ("FROM a\nENTRYPOINT x", "JSONArgsRecommended", 2),
        ("FROM a\nMAINTAINER x", "MaintainerDeprecated", 2),
        ('FROM a\nCMD ["x"]\nCMD ["y"]', "MultipleInstructionsDisallowed", 2),
        ("FROM a\nENV x y", "LegacyKeyValueFormat", 2),
        ("FROM a\nLABEL x y", "LegacyKeyValueFormat", 2),
        ("FROM --platform=$TARGETPLATFORM a", "RedundantTargetPlatform", 1),
        ("FROM --platform=linux/amd64 a", "FromPlatformFlagConstDisallowed", 1),
        ("FROM a\nEXPOSE 80/TCP", "ExposeProtoCasing", 2),
        ("FROM a\nEXPOSE 127.0.0.1:80:80", "ExposeInvalidFormat", 2),
        ("# check=experimental=CopyIgnoredFile\nFROM a\nCOPY ./out /x", "CopyIgnoredFile", 3),
        ("# check=experimental=all\n# of it\nFROM a AS b", "InvalidDefinitionDescription", 3),
    ],
)
def test_a_rule_finds_what_it_is_for(text: str, rule: str, line: int) -> None:
    assert check(text, "out") == [(rule, line)]


def test_findings_come_in_the_order_of_their_lines() -> None:
    found = check("FROM a as B\nCMD x\nMAINTAINER y\nCMD x\nENTRYPOINT z\n")
    assert found == [
        *(
            ("FromAsCasing", 1),
            ("StageNameCasing", 1),
            ("JSONArgsRecommended", 2),
            ("MultipleInstructionsDisallowed", 2),
        ),
        *(("MaintainerDeprecated", 3), ("JSONArgsRecommended", 4), ("JSONArgsRecommended", 5)),
    ]


def test_a_file_as_it_should_be_has_no_findings() -> None:
    text = (
        "# syntax=docker/dockerfile:1\n# describes nothing\nARG X=1\nFROM a AS b\nRUN x \\\n # c\n  y\nENV a=b\n"
        'EXPOSE 80/tcp\nCOPY --from=b out /x\nCMD ["x"]\nENTRYPOINT ["x"]\n'
    )
    assert check(text, "out") == []


@pytest.mark.parametrize(
    "directive", ["skip=all", "skip=StageNameCasing,FromAsCasing", "error=true;skip=FromAsCasing, StageNameCasing"]
)
def test_rules_that_are_skipped_find_nothing(directive: str) -> None:
    assert check(f"# check={directive}\nFROM a as Bb") == []


def test_the_directive_can_make_findings_errors() -> None:
    assert lint.of(parser.parse(b"# check=error=true\nFROM a")).is_error


def test_a_directive_that_is_none_is_told() -> None:
    with pytest.raises(InvalidDockerfile, match="Dockerfile:1: invalid check 'skpi=all'"):
        check("# check=skpi=all\nFROM a")


@pytest.mark.parametrize("name", ["SECRET", "API_KEY", "key", "MY_PASSWORD", "GITHUB_TOKEN", "x_credentials_y", "AUTH"])
def test_names_of_secrets_are_known(name: str) -> None:
    assert lint.is_secret(name)


@pytest.mark.parametrize("name", ["KEYBOARD", "MONKEY", "PUBLIC_KEY", "TOKENIZER", "PATH", "AUTHOR"])
def test_names_of_other_things_are_no_secrets(name: str) -> None:
    assert not lint.is_secret(name)
