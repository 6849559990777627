"""What a Dockerfile offers to whoever builds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orlop.build import outline
from orlop.build.dockerfile import parser
from orlop.build.graph import Base, Planner, Wishes
from orlop.images.config import ImageConfig

if TYPE_CHECKING:
    from orlop.images.platform import Platform

TEXT = b"""\
# VERSION says which
ARG VERSION=1
# base is below
FROM image:$VERSION AS base
ARG VERSION
# not a description
ARG FURTHER
RUN --mount=type=secret,id=key,required=true --mount=type=cache,target=/c true
FROM base AS unused
RUN --mount=type=secret,id=other true
FROM base
RUN --mount=type=ssh --mount=type=secret,id=key true
"""


class Nowhere:
    """Images that are empty."""

    def find(self, name: str, wanted: Platform) -> Base:
        """See the protocol."""
        return Base(name, ImageConfig(wanted), None)


def outlined(target: str = "", **arguments: str) -> outline.Outline:
    dockerfile = parser.parse(TEXT)
    graph = Planner(dockerfile, Wishes(target, arguments), Nowhere()).plan()
    return outline.outline(dockerfile, graph)


def test_the_targets_are_the_stages_that_have_a_name_and_the_last() -> None:
    found = outline.targets(parser.parse(TEXT))
    assert outline.targets_as_table(found) == ("TARGET      DESCRIPTION\nbase        is below\nunused\n(default)\n")
    assert outline.targets_as_json(found) == {
        "targets": [
            {"name": "base", "description": "is below", "base": "image:$VERSION"},
            {"name": "unused", "base": "base"},
            {"default": True, "base": "base"},
        ]
    }


def test_an_outline_is_what_a_target_takes() -> None:
    assert outline.outline_as_json(outlined(FURTHER="given")) == {
        "args": [
            {"name": "VERSION", "description": "says which", "value": "1"},
            {"name": "FURTHER", "value": "given"},
        ],
        "secrets": [{"name": "key", "required": True}],
        "ssh": [{"name": "default"}],
        "cache": [{"ID": "/c"}],
    }
    assert "SECRET   REQUIRED\nkey      true\nother\n" in outline.outline_as_table(outlined("unused"))
    assert outline.outline_as_table(outlined("base")).startswith("TARGET:        base\nDESCRIPTION:   is below\n")
