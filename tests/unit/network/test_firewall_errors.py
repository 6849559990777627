"""What is said of kernels that cannot do everything."""

from __future__ import annotations

from orlop.network.firewall.firewall import lacking


def test_a_kernel_that_cannot_respect_is_told_apart_from_one_that_has_no_firewall() -> None:
    rule = "nftables: add rule to chain ask (table orlop): No such file or directory"
    assert str(lacking(FileNotFoundError(2, rule))) == (
        f'this kernel lacks a part of nf_tables ({rule}); firewall = "open" in /etc/orlop/config.toml does without'
    )
    assert "does without" not in str(lacking(FileNotFoundError(2, rule.replace("ask", "ports"))))
