"""What `--change` does to an image's configuration."""

from __future__ import annotations

from typing import Any

import pytest

from orlop.build import changes
from orlop.errors import InvalidArgument
from orlop.images.config import Execution


def changed(*texts: str, **begin: Any) -> dict[str, Any]:
    config = Execution()
    for name, value in begin.items():
        setattr(config, name, value)
    changes.apply(texts, config)
    return config.as_json()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('CMD ["a", "b c"]', {"Cmd": ["a", "b c"]}),
        ("cmd echo $HOME 'x'", {"Cmd": ["/bin/sh", "-c", "echo $HOME 'x'"]}),
        ("CMD [not json", {"Cmd": ["/bin/sh", "-c", "[not json"]}),
        ('ENTRYPOINT ["/init"]', {"Entrypoint": ["/init"]}),
        ("ENV A=1 B='2 3' C=\"x y\" D=a\\ b", {"Env": ["A=1", "B=2 3", "C=x y", "D=a b"]}),
        ("ENV A some words", {"Env": ["A=some words"]}),
        ("EXPOSE 80 53/udp 8000-8002", {"ExposedPorts": {p: {} for p in ("53/udp", "80/tcp", "8000/tcp", "8001/tcp", "8002/tcp")}}),
        ('LABEL a="b c" d=e', {"Labels": {"a": "b c", "d": "e"}}),
        ("ONBUILD RUN make", {"OnBuild": ["RUN make"]}),
        ("USER 5:6", {"User": "5:6"}),
        ("VOLUME /a /b", {"Volumes": {"/a": {}, "/b": {}}}),
        ('VOLUME ["/a b"]', {"Volumes": {"/a b": {}}}),
        ("WORKDIR /a/../b", {"WorkingDir": "/b"}),
        ("STOPSIGNAL SIGRTMIN+3", {"StopSignal": "SIGRTMIN+3"}),
        ('SHELL ["/bin/bash", "-c"]', {"Shell": ["/bin/bash", "-c"]}),
        ("HEALTHCHECK NONE", {"Healthcheck": {"Test": ["NONE"]}}),
        (
            "HEALTHCHECK --interval=5s --retries=3 CMD wget -q localhost",
            {"Healthcheck": {"Test": ["CMD-SHELL", "wget -q localhost"], "Interval": 5_000_000_000, "Retries": 3}},
        ),
        ('HEALTHCHECK CMD ["ok"]', {"Healthcheck": {"Test": ["CMD", "ok"]}}),
    ],
)  # fmt: skip
def test_an_instruction_sets_its_field(text: str, expected: dict[str, Any]) -> None:
    assert changed(text) == expected


def test_a_command_without_brackets_runs_in_the_images_own_shell() -> None:
    assert changed("CMD x", shell=["/bin/bash", "-lc"])["Cmd"] == ["/bin/bash", "-lc", "x"]


def test_a_new_entrypoint_takes_the_old_command_away_but_not_a_new_one() -> None:
    assert changed('ENTRYPOINT ["/e"]', cmd=["old"]) == {"Entrypoint": ["/e"]}
    assert changed('CMD ["new"]', 'ENTRYPOINT ["/e"]', cmd=["old"]) == {"Entrypoint": ["/e"], "Cmd": ["new"]}


def test_a_variable_of_the_environment_is_replaced_where_a_dockerfile_replaces_it() -> None:
    env = ["A=/a b", "E="]
    assert changed("WORKDIR $A/x", env=list(env))["WorkingDir"] == "/a b/x"
    assert changed("LABEL l=\"${A}\" m='$A' n=\\$A", env=list(env))["Labels"] == {"l": "/a b", "m": "$A", "n": "$A"}
    assert changed("USER ${E:-nobody}${A:+:6}", env=list(env))["User"] == "nobody:6"
    assert changed("ENV A=$A:c", env=list(env))["Env"] == ["A=/a b:c", "E="]


def test_a_relative_directory_counts_from_the_one_before() -> None:
    assert changed("WORKDIR a", "WORKDIR ../b", working_dir="/top")["WorkingDir"] == "/top/b"


@pytest.mark.parametrize(
    "text",
    [
        "", "FROM x", "RUN make", "CMD", "ENV A", "ENV A=1 B", "EXPOSE 0", "EXPOSE 1-99999", "EXPOSE 80/icmp", "EXPOSE x",
        "EXPOSE 9-8", "ONBUILD FROM x", "SHELL /bin/sh", 'VOLUME [""]', "LABEL =x", "LABEL a='b", 'LABEL a="b',
        "WORKDIR ${A", "WORKDIR ${A:?x}", "HEALTHCHECK NONE x", "HEALTHCHECK RUN x", "HEALTHCHECK CMD",
        "HEALTHCHECK --retries=x CMD y", "HEALTHCHECK --interval=1ns CMD y", "HEALTHCHECK --other=1 CMD y",
        "HEALTHCHECK --interval CMD y", "STOPSIGNAL ;", "ONBUILD",
    ],
)  # fmt: skip
def test_what_is_no_such_instruction_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        changed(text)
