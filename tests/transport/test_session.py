"""A session of level 1 without its connection: what is owed, by which numbers, over connections that come and go."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.core.model import Message
from engine.storage.base import OutboxMessage
from engine.transport.outgoing import BEYOND_MAX, SLOW_CONSUMER_CODE, Outgoing
from engine.transport.session import NOTES_MAX, UNRECEIVED_MAX, WITHDRAWN_MAX, Session

NOW = 1_000_000


def message(name: str, kind: str = "question") -> OutboxMessage:
    return OutboxMessage("ann", Message(name, kind, "Hm?"), NOW, "stuck")


def session() -> Session:
    return Session("s_1", "ann", "laptop", left_at=NOW)


def frames(outgoing: Outgoing) -> list[dict[str, Any]]:
    found = []
    while (text := outgoing.take_nowait()) is not None:
        found.append(json.loads(text))
    return found


def numbered(outgoing: Outgoing) -> list[tuple[str, int]]:
    return [(frame["id"], frame["seq"]) for frame in frames(outgoing)]


def test_messages_are_numbered_from_one_in_the_order_in_which_they_are_written() -> None:
    one = session()
    one.add(message("m1"))
    outgoing = Outgoing()
    one.attach(outgoing, "websocket")
    one.add(message("m2"))
    one.add(message("m1"))
    assert numbered(outgoing) == [("m1", 1), ("m2", 2)]


def test_what_was_received_is_owed_no_more_and_the_rest_comes_again_with_the_next_numbers() -> None:
    one = session()
    first = Outgoing()
    one.attach(first, "websocket")
    for name in ("m1", "m2", "m3"):
        one.add(message(name))
    assert numbered(first) == [("m1", 1), ("m2", 2), ("m3", 3)]
    assert one.received(2) == ["m1", "m2"]
    assert one.received(2) == []
    assert one.detach(first, NOW)
    one.begin_at(2)
    second = Outgoing()
    one.attach(second, "websocket")
    assert numbered(second) == [("m3", 3)]
    assert one.received(3) == ["m3"]
    assert one.unreceived == []


def test_what_was_never_written_is_not_received_whatever_number_a_client_names() -> None:
    one = session()
    one.add(message("m1"))
    assert one.received(10**9) == []
    assert one.unreceived == ["m1"]


def test_a_notification_that_makes_room_in_a_full_queue_leaves_no_gap_and_comes_with_the_next_connection() -> None:
    one = session()
    outgoing = Outgoing(frames_max=2)
    one.attach(outgoing, "websocket")
    for name, kind in (("n1", "notification"), ("q1", "question"), ("q2", "question")):
        one.add(message(name, kind))
    assert numbered(outgoing) == [("q1", 1), ("q2", 2)]
    assert one.received(2) == ["q1", "q2"]
    again = Outgoing()
    one.attach(again, "websocket")
    assert numbered(again) == [("n1", 3)]


def test_a_slow_connection_is_closed_and_nothing_of_what_it_was_owed_is_lost() -> None:
    one = session()
    outgoing = Outgoing(frames_max=2)
    one.attach(outgoing, "websocket")
    for number in range(3):
        one.add(message(f"q{number}"))
    assert outgoing.closing is not None
    assert outgoing.closing[0] == SLOW_CONSUMER_CODE
    again = Outgoing()
    one.attach(again, "websocket")
    assert numbered(again) == [("q0", 1), ("q1", 2), ("q2", 3)]


def test_whoever_is_owed_more_than_may_wait_for_a_connection_can_still_take_it_up() -> None:
    one = session()
    for number in range(UNRECEIVED_MAX):
        one.add(message(f"q{number}"))
    outgoing = Outgoing(frames_max=2)
    one.attach(outgoing, "websocket")
    assert outgoing.closing is None
    one.add(message("new"))
    assert [name for name, _ in numbered(outgoing)] == [*(f"q{number}" for number in range(1, UNRECEIVED_MAX)), "new"]
    assert [outgoing.put(text) for text in ("1", "2", "3")] == [True, True, False], "it has no places besides any more"


def test_a_client_that_says_hello_again_and_again_without_reading_fills_no_queue() -> None:
    assert UNRECEIVED_MAX + NOTES_MAX + WITHDRAWN_MAX <= BEYOND_MAX
    one = session()
    outgoing = Outgoing(frames_max=2)
    for number in range(UNRECEIVED_MAX):
        one.add(message(f"q{number}"))
    lengths = []
    while outgoing.closing is None:
        one.attach(outgoing, "websocket")
        lengths.append(len(outgoing))
    assert max(lengths) <= BEYOND_MAX + 2
    assert outgoing.closing[0] == SLOW_CONSUMER_CODE


def test_a_client_that_comes_again_elsewhere_replaces_its_older_connection() -> None:
    one = session()
    older, newer = Outgoing(), Outgoing()
    one.attach(older, "websocket")
    one.add(message("m1"))
    one.attach(newer, "stream")
    assert older.closing == (4001, '{"code":"replaced"}')
    assert frames(older) == [], "what still waited there goes over the newer one"
    assert numbered(newer) == [("m1", 1)]
    assert not one.detach(older, NOW), "the end of the older connection is not the end of the session's"
    assert one.left_at is None


def test_a_withdrawn_message_is_not_written_any_more() -> None:
    one = session()
    outgoing = Outgoing()
    one.attach(outgoing, "websocket")
    one.add(message("m1"))
    one.add(message("m2"))
    one.withdraw("m1")
    one.withdraw("unknown")
    assert numbered(outgoing) == [("m2", 1)]


def test_who_polls_gets_notes_and_messages_and_gets_them_again_until_it_says_that_it_has_them() -> None:
    one = session()
    one.transport = "poll"
    one.tell({"type": "withdrawn", "id": "m0", "reason": "answered"})
    one.add(message("m1"))
    assert one.has_some
    first = [json.loads(text) for text in one.frames_after(0)]
    assert [frame["type"] for frame in first] == ["withdrawn", "backend_message"]
    assert [json.loads(text)["seq"] for text in one.frames_after(0)] == [1], "the answer was lost on its way"
    assert one.received(1) == ["m1"]
    assert one.frames_after(1) == []
    assert not one.has_some


def test_notes_and_messages_that_nobody_fetches_have_a_bound() -> None:
    one = session()
    one.transport = "poll"
    for number in range(NOTES_MAX + 1):
        one.tell({"type": "chat_response_delta", "delta": str(number)})
    for number in range(UNRECEIVED_MAX + 1):
        one.add(message(f"m{number}"))
    fetched = [json.loads(text) for text in one.frames_after(0)]
    assert fetched[0]["delta"] == "1"
    assert len(fetched) == NOTES_MAX + UNRECEIVED_MAX
    assert fetched[NOTES_MAX]["id"] == "m1"


def test_a_session_is_gone_when_its_time_without_a_connection_is_over() -> None:
    one = session()
    assert not one.is_gone(NOW + 9, within=10)
    assert one.is_gone(NOW + 10, within=10)
    one.polls = 1
    assert not one.is_gone(NOW + 10, within=10)
    one.polls = 0
    one.attach(Outgoing(), "websocket")
    assert not one.is_gone(NOW + 10**9, within=10)


STEPS = st.lists(
    st.one_of(
        st.just(("add", 0)), st.just(("cut", 0)), st.tuples(st.just("read"), st.integers(1, 5)),
        st.tuples(st.just("say"), st.integers(0, 5)), st.tuples(st.just("withdraw"), st.integers(0, 20)),
    ),
    max_size=60,
)  # fmt: skip


@given(STEPS)
def test_whatever_is_cut_a_client_has_each_message_once_after_dropping_repeats_in_an_order_without_gaps(
    steps: list[tuple[str, int]],
) -> None:
    one = session()
    outgoing = Outgoing()
    one.attach(outgoing, "websocket")
    has: dict[str, int] = {}
    added: list[str] = []
    withdrawn: set[str] = set()
    received = 0

    def read(count: int) -> None:
        nonlocal received
        for _ in range(count):
            text = outgoing.take_nowait()
            if text is None:
                return
            frame = json.loads(text)
            assert frame["seq"] == received + 1, "numbers have no gap on a connection"
            received = frame["seq"]
            has.setdefault(frame["id"], received)

    for kind, number in steps:
        if kind == "add":
            added.append(f"m{len(added)}")
            one.add(message(added[-1]))
        elif kind == "read":
            read(number)
        elif kind == "say":
            one.received(max(0, received - number))
        elif kind == "withdraw" and added:
            name = added[number % len(added)]
            withdrawn.add(name)
            one.withdraw(name)
        elif kind == "cut":
            # Frames that were queued are lost; the client says what it has.
            one.detach(outgoing, NOW)
            one.received(received)
            one.begin_at(received)
            outgoing = Outgoing()
            one.attach(outgoing, "websocket")
    read(len(added) + 1)
    assert set(added) - withdrawn <= set(has) <= set(added)
    one.received(received)
    assert one.unreceived == []
