"""What of a Dockerfile is done, in which order, and with which values."""

from __future__ import annotations

import time
from typing import Any

import pytest

from orlop.build import graph, steps
from orlop.build.dockerfile import parser
from orlop.errors import InvalidDockerfile, NotFound, OrlopError
from orlop.images import platform
from orlop.images.config import ImageConfig

AMD64 = platform.parse("linux/amd64")


class Images:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.made = ImageConfig(AMD64)
        self.made.config.env = ["PATH=/bin", "BASE=yes"]

    def find(self, name: str, wanted: platform.Platform) -> graph.Base:
        self.asked.append((name, str(wanted)))
        if name.startswith("missing") or name == "biulder":
            raise NotFound(f"no such image: {name}")
        return graph.Base(name, self.made, None)


def plan(text: str, images: Images | None = None, **wishes: Any) -> graph.Graph:
    meant = graph.Wishes(platform=AMD64, **wishes)
    return graph.Planner(parser.parse(text.encode()), meant, images or Images()).plan()


def runs(text: str, **wishes: Any) -> list[str]:
    nodes = plan(text, **wishes).nodes
    return [node.step.arguments[-1] for node in nodes if isinstance(node.step, steps.Run)]


def test_only_what_the_target_needs_is_in_the_graph() -> None:
    text = "FROM a AS one\nRUN 1\nFROM b AS two\nRUN 2\nFROM c AS three\nRUN 3\nFROM one\nCOPY --from=three x y\n"
    images = Images()
    made = plan(text, images)
    assert [node.stage for node in made.nodes] == ["one", "three", "stage-3"]
    assert sorted(name for name, _ in images.asked) == ["a", "c"]


def test_steps_that_do_not_need_each_other_are_not_connected() -> None:
    text = "FROM a AS one\nRUN 1\nFROM a AS two\nRUN 2\nFROM scratch\nCOPY --from=one x y\nCOPY --from=two x z\n"
    by_text = {node.step.text: node for node in plan(text).nodes}
    assert by_text["RUN 1"].needs == by_text["RUN 2"].needs == []
    assert by_text["COPY --from=one x y"].needs == [by_text["RUN 1"]]
    assert by_text["COPY --from=two x z"].needs == [by_text["COPY --from=one x y"], by_text["RUN 2"]]


def test_a_target_is_a_stage_by_name_or_number() -> None:
    text = "FROM a AS One\nRUN 1\nFROM a\nRUN 2\n"
    assert runs(text, target="one") == runs(text, target="0") == ["1"]
    assert runs(text) == ["2"]


def test_a_misspelt_target_is_told_what_there_is() -> None:
    with pytest.raises(OrlopError, match=r"'biulder' is not in Dockerfile \(did you mean builder\?\)"):
        plan("FROM a AS builder\n", target="biulder")


def test_a_misspelt_stage_gets_a_suggestion() -> None:
    with pytest.raises(InvalidDockerfile, match=r"Dockerfile:2: no such image: biulder \(did you mean builder\?\)"):
        plan("FROM a AS builder\nFROM biulder\n")


def test_arguments_before_from_count_for_from_and_where_they_are_declared() -> None:
    text = 'ARG V=1\nARG W=$V.2\nFROM a:$W\nENV A="$V" B="${W}"\nARG W\nENV C="$W"\n'
    images = Images()
    made = plan(text, images)
    assert images.asked[0][0] == "a:1.2"
    assert made.target.state.config.env[2:] == ["A=", "B=", "C=1.2"]


def test_what_the_user_gives_wins_and_the_environment_hides_arguments() -> None:
    text = "FROM a\nARG X=1 Y=2\nENV Y=3\nLABEL x=$X y=$Y\n"
    assert plan(text, arguments={"X": "9", "Y": "9"}).target.state.config.labels == {"x": "9", "y": "3"}


def test_variables_of_one_instruction_are_those_before_it() -> None:
    env = plan("FROM a\nENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc\n").target.state.config.env
    assert env[2:] == ["abc=bye", "def=hello", "ghi=bye"]


def test_an_argument_does_not_leave_its_stage() -> None:
    text = "FROM a AS one\nARG X=1\nENV Z=1\nFROM one\nENV Y=[$X$Z]\n"
    assert plan(text).target.state.config.env[-1] == "Y=[1]"


def test_platform_arguments_are_there_and_have_to_be_declared_in_a_stage() -> None:
    text = "FROM --platform=$BUILDPLATFORM a\nENV A=[$TARGETARCH]\nARG TARGETARCH\nENV B=$TARGETARCH\n"
    env = plan(text).target.state.config.env
    assert env[2:] == ["A=[]", "B=amd64"]


def test_a_run_has_the_environment_and_the_arguments_and_secret_proxies_apart() -> None:
    text = "FROM a\nARG X=1\nENV Y=2\nRUN go\n"
    (node,) = plan(text, arguments={"HTTP_PROXY": "http://u:p@h", "Z": "no"}).nodes
    step = node.step
    assert isinstance(step, steps.Run)
    assert step.environment == ("PATH=/bin", "BASE=yes", "Y=2", "X=1")
    assert step.proxies == ("HTTP_PROXY=http://u:p@h",)
    assert step.arguments == ("/bin/sh", "-c", "go")


def test_history_says_with_which_arguments_a_step_ran() -> None:
    text = 'FROM a\nARG X=1\nRUN go\nCOPY a b /c/\nCMD ["x"]\n'
    history = [written.created_by for written, _ in plan(text).target.history]
    assert history == ["ARG X=1", "RUN |1 X=1 /bin/sh -c go", "COPY a b /c/", 'CMD ["x"]']


def test_a_relative_workdir_counts_from_the_one_before() -> None:
    made = plan("FROM a\nWORKDIR /a\nWORKDIR b/../c\nCOPY x .\nCOPY x y\nCOPY x /\n")
    assert made.target.state.config.working_dir == "/a/c"
    targets = [node.step.target for node in made.nodes if isinstance(node.step, steps.Copy)]
    assert targets == ["/a/c/", "/a/c/y", "/"]


def test_an_entrypoint_forgets_the_command_below_and_not_its_own() -> None:
    images = Images()
    images.made.config.cmd = ["below"]
    assert plan('FROM a\nENTRYPOINT ["x"]\n', images).target.state.config.cmd == []
    assert plan('FROM a\nCMD ["y"]\nENTRYPOINT ["x"]\n', images).target.state.config.cmd == ["y"]


def test_the_shell_is_what_lines_are_run_by() -> None:
    (node,) = plan('FROM a\nSHELL ["/bin/bash", "-ec"]\nRUN x\nCMD y\n').nodes
    assert isinstance(node.step, steps.Run)
    assert node.step.arguments == ("/bin/bash", "-ec", "x")


def test_here_documents_are_scripts_or_the_shells_own() -> None:
    assert runs("FROM a\nRUN <<E\nx\ny\nE\n") == ["x\ny\n"]
    assert runs("FROM a\nRUN cat <<E >f\n$x\nE\n") == ["cat <<E >f\n$x\nE"]
    (node,) = plan("FROM a\nRUN <<E\n#!/bin/x\ny\nE\n").nodes
    assert isinstance(node.step, steps.Run)
    assert node.step.script == "#!/bin/x\ny\n"


def test_here_documents_that_are_copied_have_their_variables() -> None:
    (node,) = plan("FROM a\nENV X=1\nCOPY <<a <<'b' /d/\n\"$X\"\na\n$X\nb\n").nodes
    assert isinstance(node.step, steps.Copy)
    assert [each.content for each in node.step.documents] == ['"1"\n', "$X\n"]


def test_triggers_of_the_image_below_come_first_and_are_not_inherited() -> None:
    images = Images()
    images.made.config.on_build = ["RUN first", "COPY --from=one x y"]
    made = plan("FROM scratch AS one\nFROM a\nRUN second\n", images)
    assert [node.step.text for node in made.nodes] == ["RUN first", "COPY --from=one x y", "RUN second"]
    assert made.target.state.config.on_build == []


def test_mounts_read_from_stages_images_and_the_context() -> None:
    text = (
        "FROM a AS one\nRUN 1\nFROM b\nARG I=c\n"
        "RUN --mount=target=/x --mount=type=cache,target=/y --mount=from=one,target=/z --mount=from=$I,target=/w go\n"
    )
    made = plan(text)
    assert list(made.nodes[-1].reads) == [steps.Origin(stage=0), steps.Origin(image="c")]


def test_an_undefined_variable_is_told_with_what_was_perhaps_meant() -> None:
    findings = plan("FROM a\nENV VERSION=1\nLABEL v=$VERSOIN w=${NONE:-x}\n").findings
    assert [each.message for each in findings] == ["Usage of undefined variable '$VERSOIN' (did you mean $VERSION?)"]


@pytest.mark.parametrize("line", ["RUN x", "ENV A$B=b C=$A", "COPY a b", "ARG X=$X$X", "FROM a", "ONBUILD RUN x"])
def test_a_file_with_very_many_instructions_takes_no_long_time(line: str) -> None:
    start = time.process_time()
    plan("FROM a\n" + f"{line}\n" * 4900)
    assert time.process_time() - start < 10
    with pytest.raises(InvalidDockerfile, match="Dockerfile:5001: has more than 5000 instructions"):
        plan("FROM a\n" + f"{line}\n" * 6000)
    assert time.process_time() - start < 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM a AS one\nCOPY --from=two x y\nFROM one AS two\n", "Dockerfile:2: 'two' is no stage that comes before"),
        ("FROM a\nCOPY --from=7 x y\n", "Dockerfile:2: '7' is no stage that comes before"),
        ("FROM $X\n", "Dockerfile:1: the image's name $X is empty"),
        ("FROM --platform=pdp11 a\n", 'Dockerfile:1: invalid platform "pdp11"'),
        ("FROM a\nEXPOSE 99999\n", "Dockerfile:2: invalid port '99999'"),
        ("FROM a\nWORKDIR $X\n", "Dockerfile:2: WORKDIR is empty"),
        ("FROM a\nCOPY a b c\n", "Dockerfile:2: COPY of several sources needs a directory"),
        ("FROM a\nENV A=${B?so}\n", "Dockerfile:2: B: so"),
        ("FROM a\nSTOPSIGNAL a b\n", "Dockerfile:2: invalid signal 'a b'"),
        ("FROM UPPER\n", "Dockerfile:1: "),
    ],
)
def test_what_cannot_be_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(OrlopError) as caught:
        plan(text)
    assert message in str(caught.value)
