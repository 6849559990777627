from __future__ import annotations

import signal
from typing import Any

import pytest

from orlop.errors import InvalidArgument
from orlop.runtime import list as listing
from orlop.runtime.kill import signal_number
from orlop.runtime.update import given


@pytest.mark.parametrize("text", ["9", "KILL", "SIGKILL", "kill", "sigkill", "SigKill"])
def test_a_signal_has_many_spellings(text: str) -> None:
    assert signal_number(text) == signal.SIGKILL


def test_every_signal_is_known_by_its_name() -> None:
    for known in signal.Signals:
        assert signal_number(known.name) == known
        assert signal_number(known.name.removeprefix("SIG").lower()) == known


def test_realtime_signals_are_counted_from_either_end() -> None:
    assert signal_number("RTMIN+3") == signal.SIGRTMIN + 3
    assert signal_number("SIGRTMAX-1") == signal.SIGRTMAX - 1


def test_signal_0_only_asks() -> None:
    assert signal_number("0") == 0


@pytest.mark.parametrize(
    "text", ["", "SIG", "NOSUCH", "65", "-9", "999", "9" * 5000, "_BLOCK", "SIG_DFL", "RTMIN+99", "RTMIN+", "٩"]
)
def test_what_is_no_signal_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="unknown signal"):
        signal_number(text)


def test_what_engines_fill_in_with_zeros_stays_as_it_is() -> None:
    # As containerd sends it for `docker update --memory 128m --cpus 0.5 --pids-limit 50`.
    asked = {
        "memory": {"limit": 134217728, "reservation": 0, "swap": 268435456, "kernel": 0},
        "cpu": {"shares": 0, "quota": 50000, "period": 100000, "cpus": "", "mems": ""},
        "pids": {"limit": 50},
        "blockIO": {"weight": 0},
        "devices": [{"allow": False, "access": "rwm"}],
    }
    assert given(asked) == {
        "memory": {"limit": 134217728, "swap": 268435456},
        "cpu": {"quota": 50000, "period": 100000},
        "pids": {"limit": 50},
    }


def test_zero_is_a_value_where_it_means_something() -> None:
    assert given({"cpu": {"idle": 0, "burst": 0, "shares": 0}}) == {"cpu": {"idle": 0, "burst": 0}}


def test_no_memory_limit_means_no_limit_with_swap_either() -> None:
    assert given({"memory": {"limit": -1}}) == {"memory": {"limit": -1, "swap": -1}}
    assert given({"memory": {"limit": -1, "swap": 5}}) == {"memory": {"limit": -1, "swap": 5}}


def test_unified_keys_and_huge_pages_are_passed_on() -> None:
    asked: dict[str, Any] = {"unified": {"memory.high": "1000"}, "hugepageLimits": [], "rdma": None}
    assert given(asked) == {"unified": {"memory.high": "1000"}}


def test_a_section_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="memory must be an object"):
        given({"memory": 5})


def test_the_list_is_laid_out_like_runcs() -> None:
    row = {
        "id": "web",
        "pid": 14214,
        "status": "running",
        "bundle": "/tmp/clih/b",
        "created": "2026-11-23T01:16:53.559533485Z",
        "owner": "root",
    }
    assert listing.table([row]).splitlines() == [
        "ID          PID         STATUS      BUNDLE        CREATED                          OWNER",
        "web         14214       running     /tmp/clih/b   2026-11-23T01:16:53.559533485Z   root",
    ]
    assert listing.table([]) == "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n"
