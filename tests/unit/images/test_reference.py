from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orlop.errors import InvalidReference
from orlop.images.reference import Reference, is_path, parse

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("debian", "docker.io/library/debian"),
        ("debian:12", "docker.io/library/debian:12"),
        ("docker.io/debian", "docker.io/library/debian"),
        ("index.docker.io/debian", "docker.io/library/debian"),
        ("index.docker.io/library/debian", "docker.io/library/debian"),
        ("user/app", "docker.io/user/app"),
        ("library/debian", "docker.io/library/debian"),
        ("localhost/app", "localhost/app"),
        ("localhost:5000/app", "localhost:5000/app"),
        ("localhost:5000/app:v1.0-rc", "localhost:5000/app:v1.0-rc"),
        ("example.com/a/b/c", "example.com/a/b/c"),
        ("example.com:443/a", "example.com:443/a"),
        ("[::1]:5000/a:1", "[::1]:5000/a:1"),
        ("[fe80::1]/a", "[fe80::1]/a"),
        ("127.0.0.1/a", "127.0.0.1/a"),
        ("UPPER/app", "UPPER/app"),
        ("my-host/app", "docker.io/my-host/app"),
        ("a__b/c-d--e.f_g", "docker.io/a__b/c-d--e.f_g"),
        (f"debian@{DIGEST}", f"docker.io/library/debian@{DIGEST}"),
        (f"debian:12@{DIGEST}", f"docker.io/library/debian:12@{DIGEST}"),
        ("localhost:5000", "docker.io/library/localhost:5000"),
        ("debian:_x", "docker.io/library/debian:_x"),
        ("debian:5000", "docker.io/library/debian:5000"),
        ("debian@sha512:" + "0" * 128, "docker.io/library/debian@sha512:" + "0" * 128),
    ],
)
def test_a_name_is_completed_as_docker_completes_it(text: str, canonical: str) -> None:
    assert str(parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "familiar"),
    [
        ("docker.io/library/debian:12", "debian:12"),
        ("docker.io/user/app", "user/app"),
        ("docker.io/library/a/b", "library/a/b"),
        ("example.com/library/debian", "example.com/library/debian"),
        ("docker.io/localhost/app", "docker.io/localhost/app"),
        ("docker.io/a.b/app", "docker.io/a.b/app"),
        (f"docker.io/library/debian@{DIGEST}", f"debian@{DIGEST}"),
    ],
)
def test_a_familiar_name_is_what_docker_shows_and_means_the_same_again(text: str, familiar: str) -> None:
    reference = parse(text)
    assert reference.familiar == familiar
    assert parse(familiar) == reference


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":tag",
        "@" + DIGEST,
        "debian:",
        "debian@",
        "debian@sha256:abc",
        "debian@md5:" + "a" * 32,
        f"debian@{DIGEST.upper()}",
        f"debian@{DIGEST}@{DIGEST}",
        "debian:a b",
        "debian:.a",
        "debian:-a",
        "debian:" + "a" * 129,
        "deb ian",
        "debian\n",
        "debian\r\nHost: evil",
        "a//b",
        "/a",
        "a/",
        "a/../b",
        "a/./b",
        "-a",
        "a-",
        "a..b",
        "a___b",
        "a._b",
        "a-.b",
        "a/b?c=d",
        "a/b#c",
        "a/b%2e",
        "bücher",
        "example.com:port/a",
        "example.com:99999/a",
        "example.com:/a",
        "-example.com/a",
        "example-.com/a",
        "example..com/a",
        "user@example.com/a",
        "https://example.com/a",
        "[::1/a",
        "[x]/a",
        "[::1]x/a",
        "[::1]:x/a",
        "localhost:5000/",
        "a" * 300,
        "example.com/" + "a" * 256,
        "a." * 130 + "b/c",
    ],
)
def test_what_breaks_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(InvalidReference):
        parse(text)


def test_an_upper_case_repository_is_told_to_be_lower_case() -> None:
    with pytest.raises(InvalidReference, match='^invalid reference format: repository name "library/Debian" must be'):
        parse("Debian")


def test_an_id_is_not_taken_for_a_name() -> None:
    with pytest.raises(InvalidReference, match="64 hexadecimal digits are an ID"):
        parse("ab" * 32)
    assert parse("ab" * 31).path == "library/" + "ab" * 31


def test_the_message_of_a_bad_name_cannot_move_the_terminals_cursor() -> None:
    with pytest.raises(InvalidReference) as caught:
        parse("a\x1b[2Jb")
    assert "\x1b" not in str(caught.value)


def test_only_a_name_without_tag_and_digest_gets_the_default_tag() -> None:
    assert str(parse("debian").with_default_tag()) == "docker.io/library/debian:latest"
    assert str(parse("debian:12").with_default_tag()) == "docker.io/library/debian:12"
    assert str(parse(f"debian@{DIGEST}").with_default_tag()) == f"docker.io/library/debian@{DIGEST}"


def test_a_reference_is_pinned_and_tagged_and_equal_by_value() -> None:
    reference = parse("debian:12")
    assert str(reference.pinned(DIGEST)) == f"docker.io/library/debian@{DIGEST}"
    assert reference.tagged("13") == parse("debian:13")
    assert {reference, parse("docker.io/library/debian:12")} == {reference}
    with pytest.raises(InvalidReference):
        reference.tagged("a/b")
    with pytest.raises(InvalidReference):
        reference.pinned("sha256:1")


@given(st.text(alphabet="aZ0._-/:@[]%? \n\x00é", max_size=40))
def test_any_text_is_read_or_refused_and_what_is_read_is_safe_in_a_url(text: str) -> None:
    try:
        reference = parse(text)
    except InvalidReference:
        return
    assert parse(str(reference)) == reference
    assert parse(reference.familiar) == reference
    assert is_path(reference.path)
    assert not set("?#%@\\ \n\x00") & set(reference.name)
    assert ".." not in reference.path


def test_references_of_parts_print_like_those_that_were_read() -> None:
    assert repr(Reference("docker.io", "library/debian", "12")) == "Reference('docker.io/library/debian:12')"
