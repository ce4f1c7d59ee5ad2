"""Which messages have yet to reach which sessions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.core.model import Message
from engine.storage.base import OutboxMessage
from engine.transport.ledger import Ledger


def message(name: str, expires_at: int | None = None) -> OutboxMessage:
    return OutboxMessage("ann", Message(name, "question", "Hm?", expires_at=expires_at), 0, "stuck")


M1, M2 = message("m1"), message("m2")


def test_a_message_is_done_when_all_sessions_have_it_and_has_arrived_with_the_first() -> None:
    ledger = Ledger()
    ledger.owe(M1, ["a", "b"])
    assert ledger.received("a", ["m1"]) == ([M1], [])
    assert ledger.received("a", ["m1"]) == ([], [])
    assert ledger.received("b", ["m1", "unknown"]) == ([], [M1])
    assert len(ledger) == 0


def test_a_session_that_is_over_is_waited_for_no_longer() -> None:
    ledger = Ledger()
    ledger.owe(M1, ["a", "b"])
    ledger.owe(M2, ["b"])
    assert ledger.received("a", ["m1"]) == ([M1], [])
    assert ledger.forget("b") == [M1], "M2 has reached nobody: it goes on waiting in the outbox"
    assert ledger.forget("b") == []
    assert len(ledger) == 0


def test_a_message_that_a_plain_client_has_taken_has_arrived() -> None:
    ledger = Ledger()
    ledger.owe(M1, ["a"], has_arrived=True)
    assert ledger.received("a", ["m1"]) == ([], [M1])


def test_what_nobody_is_to_have_any_more_is_dropped_for_all() -> None:
    ledger = Ledger()
    ledger.owe(M1, ["a", "b"])
    assert ledger.drop("m1", "ann") == M1
    assert ledger.drop("m1", "ann") is None
    assert ledger.received("a", ["m1"]) == ([], [])
    assert ledger.forget("b") == []


def test_at_its_expiry_a_message_has_expired() -> None:
    ledger = Ledger()
    late = message("late", expires_at=10)
    ledger.owe(late, ["a"])
    ledger.owe(M1, ["a"])
    assert ledger.expired(9) == []
    assert ledger.expired(10) == [late]
    assert len(ledger) == 1


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("owe"), st.integers(0, 3), st.sets(st.sampled_from("abc"), min_size=1)),
            st.tuples(st.just("received"), st.integers(0, 3), st.sampled_from("abc").map(lambda name: {name})),
            st.tuples(st.just("forget"), st.just(0), st.sampled_from("abc").map(lambda name: {name})),
        )
    )
)
def test_a_message_is_done_exactly_when_nobody_is_waiting_for_it(steps: list[tuple[str, int, set[str]]]) -> None:
    ledger = Ledger()
    owed: dict[str, set[str]] = {}
    arrived: set[str] = set()
    for kind, number, sessions in steps:
        name = f"m{number}"
        if kind == "owe":
            ledger.owe(message(name), sessions)
            owed.setdefault(name, set()).update(sessions)
            continue
        (session,) = sessions
        mine = [name] if kind == "received" else list(owed)
        done = ledger.received(session, mine)[1] if kind == "received" else ledger.forget(session)
        expected = set()
        for each in mine:
            if session in owed.get(each, ()):
                owed[each].discard(session)
                arrived |= {each} if kind == "received" else set()
                if not owed[each]:
                    del owed[each]
                    expected |= {each} if each in arrived else set()
                    arrived.discard(each)
        assert {outgoing.message.id for outgoing in done} == expected
    assert len(ledger) == len(owed)
