"""Rules that say which routing table counts for a packet (ip-rule(8), linux/fib_rules.h)."""

from __future__ import annotations

from orlop.linux.netlink import NLM_F_CREATE, NLM_F_EXCL, u32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orlop.linux.netlink import Requests

_RTM_NEWRULE = 32
_FRA_FWMARK = 10
_FRA_TABLE = 15
_FR_ACT_TO_TBL = 1
_EEXIST = 17


def add(requests: Requests, family: int, *, mark: int, table: int) -> None:
    """Have packets of a family (AF_INET, AF_INET6) with a mark go by a table of routes; a rule that is there is no error."""
    body = bytes((family, 0, 0, 0, table if table < 256 else 0, 0, 0, _FR_ACT_TO_TBL)) + bytes(4)
    body += u32(_FRA_FWMARK, mark) + u32(_FRA_TABLE, table)
    requests.request(f"add rule for mark {mark}", _RTM_NEWRULE, body, NLM_F_CREATE | NLM_F_EXCL, (_EEXIST,))
