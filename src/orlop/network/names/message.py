"""DNS messages: what a client asks, and what it is told (RFC 1035; EDNS: RFC 6891). dnspython knows the wire format."""

from __future__ import annotations

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: A name that is here now may be elsewhere in a moment: nobody is to remember an answer.
_TTL = 0
_HEADER = 12
_IS_ANSWER = 0x80  # in the third byte
_SMALLEST_LIMIT = 512
#: What we say that we take by UDP, as the DNS operators agreed for all (dnsflagday.net/2020).
_PAYLOAD = 1232
LARGEST = 65535

A = int(dns.rdatatype.A)
AAAA = int(dns.rdatatype.AAAA)
PTR = int(dns.rdatatype.PTR)
ANY = int(dns.rdatatype.ANY)
#: Transfers of whole zones, whose answers are no single message.
TRANSFERS = (int(dns.rdatatype.AXFR), int(dns.rdatatype.IXFR))

NO_ERROR = dns.rcode.NOERROR
SERVER_FAILURE = dns.rcode.SERVFAIL
NO_SUCH_NAME = dns.rcode.NXDOMAIN
REFUSED = dns.rcode.REFUSED
#: Answers that another server may improve on.
UNHELPFUL = (dns.rcode.SERVFAIL, dns.rcode.NOTIMP, dns.rcode.REFUSED)


class Unanswerable(Exception):
    """What came is no question; ``answer`` is what to say to it, empty if nothing."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer


class Query:
    """One question: ``name`` is lower case and without a dot at its end, ``kind`` the type of record.

    ``question`` is the part of ``wire`` that says so, which an answer has to repeat.
    """

    __slots__ = ("is_internet", "kind", "name", "question", "wire")

    def __init__(self, wire: bytes) -> None:
        """Read one.

        Raises:
            Unanswerable: it is malformed, or something else.
        """
        if len(wire) < _HEADER or wire[2] & _IS_ANSWER:
            raise Unanswerable(b"")
        if wire[2] >> 3 & 15:  # notifications, updates and the like
            raise Unanswerable(_bare(wire, dns.rcode.NOTIMP))
        try:
            (one,) = dns.message.from_wire(wire, question_only=True).question
            name = one.name.to_wire() or b""
        except Exception:  # noqa: BLE001 - however reading what is hostile fails, it fails for who sent it alone
            raise Unanswerable(_bare(wire, dns.rcode.FORMERR)) from None
        end = _HEADER + len(name)
        if wire[_HEADER:end].lower() != name.lower():
            raise Unanswerable(_bare(wire, dns.rcode.FORMERR))  # there is nothing before it that could be pointed to
        self.wire = wire
        self.question = wire[_HEADER : end + 4]
        self.name = one.name.to_text(omit_final_dot=True).lower()
        self.kind = int(one.rdtype)
        self.is_internet = one.rdclass == dns.rdataclass.IN

    def answer(self, code: int = NO_ERROR, texts: Iterable[str] = (), kind: int = 0, *, by_tcp: bool = False) -> bytes:
        """An answer of our own: ``texts`` are records of a ``kind``, in this order; without it they are addresses."""
        message = self._begin()
        if message is None:
            return _bare(self.wire, dns.rcode.FORMERR)
        asked, made = message
        made.set_rcode(dns.rcode.Rcode(code))
        question = asked.question[0]
        for text in texts:
            rdtype = dns.rdatatype.RdataType(kind or (AAAA if ":" in text else A))
            record = dns.rrset.RRset(question.name, dns.rdataclass.IN, rdtype)  # of its own: what is in one is shuffled
            record.add(dns.rdata.from_text(dns.rdataclass.IN, rdtype, text), _TTL)
            made.answer.append(record)
        return made.to_wire(max_size=LARGEST if by_tcp else _limit(asked), prefer_truncation=True)

    def fit(self, answer: bytes) -> bytes:
        """Another's answer for who asked by UDP: if it is too large, a word that it is to be had by TCP."""
        if len(answer) <= _SMALLEST_LIMIT:
            return answer
        message = self._begin()
        if message is None or len(answer) <= _limit(message[0]):
            return answer
        message[1].flags |= dns.flags.TC
        return message[1].to_wire()

    def _begin(self) -> tuple[dns.message.Message, dns.message.Message] | None:
        """All of the question, and the beginning of an answer; None if what follows the question is malformed."""
        try:
            asked = dns.message.from_wire(self.wire, ignore_trailing=True)
            return asked, dns.message.make_response(asked, recursion_available=True, our_payload=_PAYLOAD)
        except Exception:  # noqa: BLE001 - as above
            return None


def is_answer_to(query: Query, number: bytes, wire: bytes) -> bool:
    """Whether ``wire`` answers the query that was passed on with the id ``number``."""
    if len(wire) < _HEADER or wire[:2] != number or not wire[2] & _IS_ANSWER:
        return False
    if wire[4:6] == b"\0\0":  # some say only that they will not
        return bool(code_of(wire))
    end = _HEADER + len(query.question)
    said = wire[_HEADER:end]
    return said[-4:] == query.question[-4:] and said.lower() == query.question.lower()


def code_of(wire: bytes) -> int:
    """How an answer says that it went."""
    return wire[3] & 15


def answers_in(wire: bytes) -> int:
    """How many records an answer has."""
    return int.from_bytes(wire[6:8], "big")


def address_of(name: str) -> str:
    """The address that a name below in-addr.arpa or ip6.arpa stands for; empty if it is none."""
    if not name.endswith((".in-addr.arpa", ".ip6.arpa")):
        return ""
    try:
        return dns.reversename.to_address(dns.name.from_text(name))
    except (dns.exception.DNSException, ValueError):
        return ""


def _limit(asked: dns.message.Message) -> int:
    return max(_SMALLEST_LIMIT, asked.payload) if asked.edns >= 0 else _SMALLEST_LIMIT


def _bare(wire: bytes, code: int) -> bytes:
    """An answer to what could not be read: its header alone."""
    flags = bytes((_IS_ANSWER | wire[2] & 0x79, 0x80 | code))
    return wire[:2] + flags + bytes(8)
