"""The texts by which containers find names: /etc/resolv.conf and /etc/hosts."""

from __future__ import annotations

import pytest

from orlop.network.names import hosts_file, resolv_conf


def test_a_resolv_conf_says_whom_to_ask_where_to_search_and_how() -> None:
    conf = resolv_conf.parse(
        "; ours\n# theirs\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\ndomain a.example\nsearch b.example c.example\n"
        "sortlist 10.0.0.0\noptions ndots:2 timeout:1\noptions rotate\nnameserver\n\n"
    )
    assert conf.servers == ["192.0.2.1", "fe80::1%eth0"]
    assert conf.search == ["b.example", "c.example"]
    assert (conf.option("ndots"), conf.option("timeout"), conf.option("attempts")) == (2, 1, None)
    assert conf.text() == (
        "nameserver 192.0.2.1\nnameserver fe80::1%eth0\nsearch b.example c.example\noptions ndots:2 timeout:1 rotate\n"
    )


@pytest.mark.parametrize("text", ["", "search .\n", "options\n", "\0\n", "nameserver\n", "#nameserver 1.1.1.1"])
def test_what_says_nothing_is_passed_over(text: str) -> None:
    assert resolv_conf.parse(text).text() == ""


@pytest.mark.parametrize("value", ["", "x", "-1", "٣"])
def test_an_option_that_is_no_number_is_none(value: str) -> None:
    assert resolv_conf.ResolvConf(options=[f"ndots:{value}"]).option("ndots") is None


def test_names_move_and_all_other_lines_stay() -> None:
    before = f"{hosts_file.LOCAL}10.0.0.2\tbox\n10.0.0.2\tmine box\n"
    after = hosts_file.renew(before, "box", ["10.0.0.3", "fd00::3"])
    assert after == f"{hosts_file.LOCAL}10.0.0.2\tmine box\n10.0.0.3\tbox\nfd00::3\tbox\n"
    assert hosts_file.renew(after, "box", ["10.0.0.3", "fd00::3"]) == after
    assert hosts_file.renew(after, "box", []) == f"{hosts_file.LOCAL}10.0.0.2\tmine box\n"


def test_what_a_user_left_without_an_end_of_line_stays_a_line() -> None:
    assert hosts_file.renew("192.0.2.1 x", "box", ["10.0.0.3"]) == "192.0.2.1 x\n10.0.0.3\tbox\n"
    assert hosts_file.renew("", "box", []) == ""


def test_a_container_that_is_called_localhost_keeps_its_loopback_address() -> None:
    assert hosts_file.renew(hosts_file.LOCAL, "localhost", ["10.0.0.3"]) == f"{hosts_file.LOCAL}10.0.0.3\tlocalhost\n"
