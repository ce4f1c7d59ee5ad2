from __future__ import annotations

import json

import pytest

from engine.core.model import Message
from engine.storage.base import OutboxMessage
from engine.transport.hub import HTTP_CLIENTS_MAX, HTTP_SEEN_S, Hub
from engine.transport.outgoing import HANDED_MAX, QUEUE_MAX, Outgoing


class Seconds:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def message(name: str, user: str = "ann", kind: str = "question") -> OutboxMessage:
    return OutboxMessage(user, Message(name, kind, f"text of {name}"), 0)


def taken(outgoing: Outgoing) -> str:
    """The next frame, which must be there."""
    text = outgoing.take_nowait()
    assert text is not None
    return text


def ids(outgoing: Outgoing) -> list[str]:
    """The ids of all that is queued."""
    return [json.loads(taken(outgoing))["id"] for _ in range(len(outgoing))]


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def hub(clock: Seconds) -> Hub:
    return Hub(clock)


async def test_every_connection_of_a_client_gets_its_messages_and_no_other(hub: Hub) -> None:
    laptop, phone, other = hub.connect("1"), hub.connect("2"), hub.connect("3")
    hub.identify("1", "ann")
    hub.identify("2", "ann")
    hub.identify("3", "bob")
    assert hub.deliver([message("m1"), message("m2", "bob"), message("m3", "nobody")]) == ["m1", "m2"]
    assert [ids(one) for one in (laptop, phone, other)] == [["m1"], ["m1"], ["m2"]]


async def test_a_message_that_comes_both_ways_is_handed_over_once(hub: Hub) -> None:
    outgoing = hub.connect("1")
    hub.identify("1", "ann")
    assert hub.deliver([message("m1")]) == ["m1"]
    assert hub.hand("1", [message("m1"), message("m2")]) == ["m1", "m2"]
    assert ids(outgoing) == ["m1", "m2"]


async def test_what_was_handed_over_is_remembered_within_a_bound(hub: Hub) -> None:
    outgoing = hub.connect("1")
    for number in range(HANDED_MAX + 1):
        hub.hand("1", [message(f"m{number}")])
        taken(outgoing)
    hub.hand("1", [message("m0"), message("m2")])
    assert ids(outgoing) == ["m0"], "the oldest is forgotten, its successors are not"


def test_a_connection_that_has_gone_takes_nothing(hub: Hub) -> None:
    hub.connect("1")
    hub.identify("1", "ann")
    hub.disconnect("1")
    hub.disconnect("1")
    assert hub.deliver([message("m1")]) == []
    assert hub.hand("1", [message("m1")]) == []
    assert hub.clients() == []
    assert hub.connection_count == 0


async def test_a_connection_that_speaks_for_several_is_told_whose_a_message_is(hub: Hub) -> None:
    outgoing = hub.connect("1")
    hub.identify("1", "ann")
    hub.deliver([message("m1")])
    hub.identify("1", "bob")
    hub.deliver([message("m2"), message("m3", "bob")])
    frames = [json.loads(taken(outgoing)) for _ in range(3)]
    assert [frame.get("clientId") for frame in frames] == [None, "ann", "bob"]


async def test_who_has_not_said_who_they_are_gets_what_is_for_everybody(hub: Hub) -> None:
    unnamed, named = hub.connect("1"), hub.connect("2")
    hub.identify("2", "ann")
    assert hub.broadcast_to_unnamed({"type": "x", "id": "b"}) == 1
    assert (len(unnamed), len(named)) == (1, 0)


def test_a_client_over_http_is_there_for_ten_minutes(hub: Hub, clock: Seconds) -> None:
    hub.saw_over_http("ann")
    clock.now += 1
    hub.saw_over_http("bob")
    clock.now += HTTP_SEEN_S - 1.001
    assert hub.clients() == ["ann", "bob"]
    clock.now += 0.001
    assert hub.clients() == ["bob"]
    assert hub.deliver([message("m1", "bob")]) == [], "it waits in the outbox for the next request"


def test_clients_over_http_are_bounded(hub: Hub) -> None:
    for number in range(HTTP_CLIENTS_MAX + 1):
        hub.saw_over_http(f"c{number}")
    assert len(hub.clients()) == HTTP_CLIENTS_MAX
    assert "c0" not in hub.clients()


async def test_a_full_queue_drops_the_oldest_notification_first() -> None:
    outgoing = Outgoing()
    kinds = ["question", "notification", "notification"] + ["question"] * (QUEUE_MAX - 3)
    for number, kind in enumerate(kinds):
        assert outgoing.hand(message(f"m{number}", kind=kind), json.dumps({"id": f"m{number}"}))
    assert outgoing.hand(message("new"), json.dumps({"id": "new"}))
    assert outgoing.closing is None
    assert len(outgoing) == QUEUE_MAX
    assert outgoing.dropped == 1
    left = ids(outgoing)
    assert "m1" not in left
    assert left[:2] == ["m0", "m2"]
    assert left[-1] == "new"


def test_what_waits_and_what_is_dropped_is_counted_of_connections_and_of_streams(hub: Hub) -> None:
    connection, stream = hub.connect("c1", Outgoing(2)), Outgoing(2)
    hub.stream_began(stream)
    connection.put("a")
    for frame in ("b", "c", "d"):
        stream.put(frame, droppable=True)
    assert (hub.queued(), hub.dropped, hub.connection_count) == ((3, 2), 1, 1)
    hub.stream_ended(stream)
    hub.disconnect("c1")
    assert (hub.queued(), hub.dropped) == ((0, 0), 1), "what was dropped stays so"


def test_a_queue_full_of_what_may_not_be_dropped_closes_the_slow_consumer() -> None:
    outgoing = Outgoing(frames_max=2)
    assert outgoing.put("1")
    assert outgoing.put("2")
    assert not outgoing.put("a notification", droppable=True), "it is not taken, and may wait in the outbox"
    assert outgoing.closing is None
    assert not outgoing.put("3")
    assert outgoing.closing == (4002, '{"code":"slow_consumer","retryAfter":1}')
    assert outgoing.is_empty
    assert not outgoing.put("4")


def test_a_message_that_no_connection_takes_is_not_called_handed_over() -> None:
    hub = Hub(Seconds(), frames_max=1)
    hub.connect("1")
    hub.identify("1", "ann")
    assert hub.deliver([message("m1"), message("m2"), message("m3")]) == ["m1"]


def test_the_first_reason_to_close_stands() -> None:
    outgoing = Outgoing()
    outgoing.close(1001, "going")
    outgoing.close(4000, "later")
    assert outgoing.closing == (1001, "going")
