"""What `tests/integration/network/names/test_hostile_questions.py` does to the reader of messages, for minutes."""

from __future__ import annotations

import os

import dns.message
from hypothesis import given, settings
from hypothesis import strategies as st

from orlop.network.names import message

#: ORLOP_SOAK multiplies it.
EXAMPLES = int(15_000 * float(os.environ.get("ORLOP_SOAK", "1")))

_RIGHT = [
    dns.message.make_query("db.net", "A").to_wire(),
    dns.message.make_query("a" * 63 + ".example.org", "HTTPS", want_dnssec=True, pad=128).to_wire(),
    dns.message.make_query("3.0.1.10.in-addr.arpa", "PTR", payload=65535).to_wire(),
]
#: Where bytes are changed, and to what.
_CHANGES = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=8)
_WIRES = st.one_of(
    st.binary(max_size=600),
    st.builds(
        lambda right, changes, cut: _changed(right, changes)[:cut],
        st.sampled_from(_RIGHT),
        _CHANGES,
        st.integers(0, 400),
    ),
)


def _changed(right: bytes, changes: list[tuple[int, int]]) -> bytes:
    wire = bytearray(right)
    for place, value in changes:
        wire[place % len(wire)] = value
    return bytes(wire)


@settings(max_examples=EXAMPLES, deadline=None)
@given(wire=_WIRES, other=_WIRES)
def test_whatever_is_asked_is_answered_as_a_message_or_not_at_all(wire: bytes, other: bytes) -> None:
    try:
        query = message.Query(wire)
    except message.Unanswerable as reason:
        answers = [reason.answer] if reason.answer else []
    else:
        assert wire[12:].startswith(query.question)
        answers = [
            query.answer(message.NO_SUCH_NAME),
            query.answer(texts=["10.0.0.1", "fd00::1"]),
            query.answer(texts=[f"10.0.{number}.1" for number in range(200)], by_tcp=True),
            query.answer(texts=[f"10.0.{number}.1" for number in range(200)]),
            query.fit(query.wire[:2] + bytes(3000)),
        ]
        message.is_answer_to(query, wire[:2], other)
        message.address_of(query.name)
        assert len(answers[3]) <= 65535
    for answer in answers:
        assert answer[:2] == wire[:2]
