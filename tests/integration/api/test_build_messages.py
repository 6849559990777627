"""What a build tells its client: each instruction, and what was there from before."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.integration.api.served import Served


def build(served: Served, dockerfile: str, query: str = "") -> list[Any]:
    """The messages of a build."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as context:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(dockerfile)
        context.addfile(entry, io.BytesIO(dockerfile.encode()))
    answer = served("POST", f"/build?{query}", data.getvalue(), {"Content-Type": "application/x-tar"})
    assert answer.status == 200, answer
    return [message.get("stream") or message for message in map(json.loads, answer.body.splitlines())]


def test_every_instruction_is_told_of_and_counted_when_it_was_there_before(served: Served) -> None:
    text = "FROM plain\nENV A=b\nRUN touch one\nCMD x\n"
    steps = ["Step 1/4 : FROM plain\n", "Step 2/4 : ENV A=b\n", "Step 3/4 : RUN touch one\n", "Step 4/4 : CMD x\n"]
    told = build(served, text, "t=counted&networkmode=none")
    assert told[:4] == steps
    assert build(served, text, "networkmode=none").count(" ---> Using cache\n") == 3
    # Only what the named images have in common with the build may be taken from before.
    assert " ---> Using cache\n" not in build(served, text, 'networkmode=none&cachefrom=["nosuch"]')
    assert " ---> Using cache\n" in build(served, text, 'networkmode=none&cachefrom=["nosuch","counted"]')
    assert served("DELETE", "/images/counted").status == 200


def test_stages_are_told_of_in_the_dockerfile_s_order(served: Served) -> None:
    told = build(served, "FROM plain AS one\nFROM one\nENV A=b\nFROM one AS two\nCOPY --from=1 /bin/busybox /copy\n")
    assert [each for each in told if str(each).startswith("Step")] == [
        "Step 1/5 : FROM plain AS one\n",
        "Step 2/5 : FROM one\n",
        "Step 3/5 : ENV A=b\n",
        "Step 4/5 : FROM one AS two\n",
        "Step 5/5 : COPY --from=1 /bin/busybox /copy\n",
    ]


def test_a_step_that_fails_is_told_of_as_docker_does(served: Served) -> None:
    words = "The command '/bin/sh -c exit 3' returned a non-zero code: 3"
    told = build(served, "FROM plain\nRUN exit 3\n", "networkmode=none")
    assert told[-1] == {"errorDetail": {"code": 3, "message": words}, "error": words}
