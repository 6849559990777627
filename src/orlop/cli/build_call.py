"""``orlop build --call``: what a Dockerfile is asked instead of being built."""

from __future__ import annotations

import sys

from orlop.build.dockerfile.problem import suggestion
from orlop.errors import InvalidArgument, InvalidDockerfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orlop.engine.building.checking import Checked
    from orlop.engine.building.request import BuildRequest
    from orlop.engine.location import Location

_METHODS = ("check", "outline", "targets", "subrequests.describe")
#: What ``subrequests.describe`` tells of the methods that BuildKit calls so.
_DESCRIBED = """\
NAME                   VERSION   DESCRIPTION
outline                1.0.0     List all parameters current build target supports
targets                1.0.0     List all targets current build supports
check                  1.0.0     Lint a Dockerfile
subrequests.describe   1.0.0     List available subrequest types
"""


def run(location: Location, request: BuildRequest, text: str) -> int:
    """Do what ``METHOD[,format=json]`` says; the exit status.

    Raises:
        InvalidArgument: it is none.
    """
    method, as_json = _method(text)
    if method == "check":
        return _check(location, request, as_json=as_json)
    if method == "subrequests.describe":
        sys.stdout.write(_DESCRIBED)
        return 0
    return _call(location, request, method, as_json=as_json)


def _method(text: str) -> tuple[str, bool]:
    method, *fields = text.split(",")
    if method not in _METHODS:
        raise InvalidArgument(
            f"invalid --call '{text}'{suggestion(method, _METHODS)}: expected build, {', '.join(_METHODS)}"
        )
    for field in fields:
        if field not in ("format=json", "format=text", "ignorestatus=true", "ignorestatus"):
            raise InvalidArgument(f"invalid --call '{text}': unknown '{field}': expected format=json")
    return method, "format=json" in fields


def _call(location: Location, request: BuildRequest, method: str, *, as_json: bool) -> int:
    """Tell what a Dockerfile offers, and build nothing."""
    from orlop import json_text
    from orlop.build import outline
    from orlop.engine.building import checking

    try:
        found = checking.call(location, request, method)
    except InvalidDockerfile as error:
        sys.stderr.write(f"{error.excerpt}\n")
        raise
    if isinstance(found, list):
        text = json_text.dumps(outline.targets_as_json(found)) + "\n" if as_json else outline.targets_as_table(found)
    else:
        text = json_text.dumps(outline.outline_as_json(found)) + "\n" if as_json else outline.outline_as_table(found)
    sys.stdout.write(text)
    return 0


def _check(location: Location, request: BuildRequest, *, as_json: bool) -> int:
    """Tell what the checks find, and build nothing."""
    from orlop.engine.building import checking

    try:
        found = checking.check(location, request)
    except InvalidDockerfile as error:
        sys.stdout.write(f"{error.excerpt}\n")
        raise
    if as_json:
        sys.stdout.write(_checked_as_json(found) + "\n")
        return 1 if found.findings or found.problem is not None else 0
    for each in found.findings:
        source = found.dockerfile.source
        sys.stdout.write(f"WARNING: {each.rule}\n{each.message}\n{source.name}:{each.span.first}\n")
        sys.stdout.write(f"{source.excerpt(each.span)}\n\n")
    if found.problem is not None:
        sys.stdout.write(f"{found.problem.excerpt}\n")
        raise found.problem
    count = len(found.findings)
    told = f"{count} warning{'s' if count > 1 else ''} found" if count else "no warnings found"
    sys.stdout.write(f"Check complete, {told}.\n")
    return 1 if count else 0


def _checked_as_json(found: Checked) -> str:
    """What the checks find, as BuildKit writes it down for programs."""
    from orlop import json_text

    source = found.dockerfile.source
    warnings = [
        {
            "ruleName": each.rule,
            "description": each.description,
            "detail": each.message,
            "location": _location(each.span.first, each.span.last),
        }
        for each in found.findings
    ]
    data = "\n".join(source.lines) + "\n"
    made: dict[str, Any] = {
        "warnings": warnings,
        "sources": [{"filename": source.name, "language": "Dockerfile", "data": _in_base64(data)}],
    }
    if found.problem is not None:
        line = found.problem.line
        made["buildError"] = {"message": str(found.problem), "location": _location(line, line)}
    return json_text.dumps(made)


def _location(first: int, last: int) -> dict[str, Any]:
    return {"ranges": [{"start": {"line": first}, "end": {"line": last}}]}


def _in_base64(text: str) -> str:
    import binascii

    return binascii.b2a_base64(text.encode("utf-8", "surrogateescape"), newline=False).decode()
