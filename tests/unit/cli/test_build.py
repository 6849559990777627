"""What `orlop build` reads of its options."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from orlop.build.attested import Attested
from orlop.cli import build
from orlop.errors import InvalidArgument, Unsupported

if TYPE_CHECKING:
    from orlop.engine.building.request import BuildRequest


def asked(*options: str) -> BuildRequest:
    return build.read(build.PARSER.parse([*options, "."]))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], Attested()),
        (["--sbom=true"], Attested(sbom=True)),
        (["--provenance=true"], Attested(provenance="min")),
        (["--provenance=mode=max,version=v1"], Attested(provenance="max", version="v1")),
        (["--provenance=1", "--provenance=false"], Attested()),
        (["--attest=type=sbom", "--attest=type=provenance,mode=max"], Attested(sbom=True, provenance="max")),
        (["--attest=type=provenance,disabled=true"], Attested()),
        (
            ["--attest=type=provenance,reproducible=true,builder-id=x"],
            Attested(provenance="min", reproducible=True, builder="x"),
        ),
    ],
)
def test_attestations_are_wanted_in_long_and_in_short(options: list[str], expected: Attested) -> None:
    assert asked(*options).attested == expected


def test_annotations_are_for_what_they_say() -> None:
    request = asked(
        "--sbom=1", "--annotation=a=1", "--annotation=index,manifest[linux/amd64]:b=2", "--annotation=x:y=3",
        "--annotation=manifest-descriptor:c=4",
    )  # fmt: skip
    assert request.annotations == {"a": "1", "x:y": "3"}
    assert request.platform_annotations == {"linux/amd64": {"b": "2"}}
    assert request.index_annotations == {"b": "2"}
    assert request.entry_annotations == {"c": "4"}


def test_an_output_names_the_image_and_has_it_pushed() -> None:
    request = asked('--output=type=registry,"name=a:1,b:2"', "-tc:3")
    assert request.tags == ["c:3", "a:1", "b:2"]
    assert [(each.kind, each.push) for each in request.outputs] == [("image", True)]


def test_a_secret_comes_from_the_environment_by_either_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "value")
    for text in ("id=key,env=API_KEY", "type=env,id=key,src=API_KEY", "type=env,id=API_KEY", "id=API_KEY"):
        assert list(asked(f"--secret={text}").secrets.values()) == [b"value"]


def test_an_archive_of_docker_s_that_goes_nowhere_is_the_image_in_the_store() -> None:
    request = asked("--platform=linux/amd64,linux/arm64,linux/amd64", "--annotation=index:a=b")
    assert [str(each) for each in request.platforms] == ["linux/amd64", "linux/arm64"]
    request = asked("--output=type=docker", "--platform=local")
    assert [each.kind for each in request.outputs] == ["image"]
    assert asked("--output=type=docker,dest=a.tar").outputs[0].kind == "docker"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--provenance=mode=most"], "mode 'most': expected min or max"),
        (["--provenance=yes-please"], "expected true, false, or mode=min|max"),
        (["--attest=type=provenence"], "(did you mean provenance?)"),
        (["--attest=type=sbom,generator=some/image"], "names a generator, and none is run"),
        (["--sbom=generater=x"], "(did you mean generator?)"),
        (["--annotation=index:a=b"], "has no index to annotate, unless it has attestations"),
        (["--allow=network.hots"], "invalid entitlement 'network.hots' (did you mean network.host?)"),
        (["--cache-to=type=regstry,ref=a"], "unknown type 'regstry' (did you mean registry?)"),
        (["--cache-to=type=gha"], "caches of type gha are not supported"),
        (["--cache-from=type=local"], "expected a directory"),
        (["--cache-to=type=local,dest=x,mode=mxa"], "unknown mode 'mxa' (did you mean max?)"),
        (["--cache-to=type=registry,ref=UPPER"], "invalid --cache-to"),
        (["--output=type=regstry"], "(did you mean registry?)"),
        (["--output=type=image,nam=x"], "unknown key 'nam' (did you mean name?)"),
        (["--output=type=oci,dest=x,compression=zstd"], "compression=zstd is not supported"),
    ],
)
def test_what_cannot_be_is_said(options: list[str], message: str) -> None:
    with pytest.raises((InvalidArgument, Unsupported), match=re.escape(message)):
        asked(*options)
