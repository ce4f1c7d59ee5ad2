from __future__ import annotations

import json

import pytest

from engine.live import Input
from engine.responders.base import ChatMessage
from engine.transport.plain import (
    BAD_FRAMES_MAX,
    CLIENTS_MAX,
    Answer,
    Arrived,
    Close,
    Reply,
    PlainSession,
    Submit,
)
from engine.transport.wire import pong


def frame(**fields: object) -> str:
    return json.dumps(fields)


def users(session: PlainSession, text: str) -> list[str]:
    """Whose the inputs of a frame are."""
    return [item.user for action in session.receive(text) if isinstance(action, Submit) for item in action.inputs]


def test_the_first_frame_of_a_client_begins_its_session() -> None:
    session = PlainSession("c1")
    start = Input("ann", "session.start", {}, session="c1")
    event = Input("ann", "test.failed", {"test": "t"}, session="c1")
    text = frame(type="test.failed", test="t", clientId="ann")
    assert session.receive(text) == [Arrived("ann"), Submit([start, event])]
    assert session.receive(text) == [Submit([event])]


def test_a_chat_message_is_submitted_before_it_is_answered() -> None:
    text = frame(type="chat_message", message="Hi", mode="ask", context={"file": "a.py"}, clientId="ann")
    _, submit, answer = PlainSession("c1").receive(text)
    assert isinstance(submit, Submit)
    assert answer == Answer(ChatMessage("ann", "Hi", "ask", {"file": "a.py"}))


def test_a_ping_is_answered_and_makes_known_whom_it_names() -> None:
    session = PlainSession("c1")
    assert session.receive(frame(type="ping")) == [Reply(pong())]
    assert session.clients == []
    start = Input("ann", "session.start", {}, session="c1")
    assert session.receive(frame(type="ping", clientId="ann")) == [Arrived("ann"), Submit([start]), Reply(pong())]
    assert session.receive(frame(type="ping", clientId="ann")) == [Reply(pong())]


def test_without_a_client_id_a_connection_is_a_client_of_its_own() -> None:
    assert users(PlainSession("c1"), frame(type="x")) == ["anon-c1"] * 2


def test_a_frame_without_a_client_id_is_of_the_client_that_the_connection_named_first() -> None:
    session = PlainSession("c1")
    assert users(session, frame(type="x", clientId="ann")) == ["ann", "ann"]
    assert users(session, frame(type="x", clientId="bob")) == ["bob", "bob"]
    assert users(session, frame(type="x")) == ["ann"]


def test_the_events_of_one_frame_may_be_of_several_clients() -> None:
    events = [{"type": "a", "clientId": "ann"}, {"type": "b", "clientId": "bob"}, {"type": "c"}]
    session = PlainSession("c1")
    assert users(session, frame(type="events", events=events)) == ["ann", "ann", "bob", "bob", "ann"]
    assert session.receive(frame(type="events", events=[])) == []


def test_when_the_connection_is_gone_every_session_that_it_held_ends() -> None:
    session = PlainSession("c1")
    assert session.ended() == []
    session.receive(frame(type="x", clientId="ann"))
    session.receive(frame(type="x", clientId="bob"))
    assert session.ended() == [Input(user, "session.end", {}, session="c1") for user in ("ann", "bob")]


def test_a_client_whose_first_frame_was_not_stored_arrives_again() -> None:
    session = PlainSession("c1")
    first = session.receive(frame(type="x", clientId="ann"))
    assert isinstance(first[1], Submit)
    session.not_submitted(first[1].inputs)
    assert session.ended() == []
    assert session.receive(frame(type="x", clientId="ann")) == first


def test_a_stamp_of_the_clients_is_kept_as_reported_and_its_session_as_named() -> None:
    session = PlainSession("c1")
    session.receive(frame(type="ping", clientId="ann"))
    text = frame(type="x", clientId="ann", at=1, id="e1", session="s9")
    assert session.receive(text) == [Submit([Input("ann", "x", {}, "e1", "s9", 1_000_000)])]


def test_a_binary_frame_is_a_bad_one() -> None:
    [reply] = PlainSession("c1").receive(b'{"type":"ping"}')
    assert reply == Reply({"type": "error", "code": "bad_frame", "message": "expected a text frame, got a binary one"})


@pytest.mark.parametrize("bad", ["no json", frame(type="session.end"), "[]"])
def test_only_the_last_of_many_bad_frames_in_a_row_closes(bad: str) -> None:
    session = PlainSession("c1")
    for _ in range(2):
        for _ in range(BAD_FRAMES_MAX - 1):
            [reply] = session.receive(bad)
            assert isinstance(reply, Reply)
        session.receive(frame(type="ping"))
    for _ in range(BAD_FRAMES_MAX - 1):
        session.receive(bad)
    _, close = session.receive(bad)
    assert close == Close(4000, '{"code":"too_many_bad_frames"}')


def test_one_connection_speaks_for_a_bounded_number_of_clients() -> None:
    session = PlainSession("c1")
    for number in range(CLIENTS_MAX):
        assert len(users(session, frame(type="x", clientId=f"c{number}"))) == 2
    [reply] = session.receive(frame(type="x", clientId="one too many"))
    assert isinstance(reply, Reply)
    assert reply.frame["code"] == "too_many_clients"
    assert len(session.clients) == CLIENTS_MAX
    assert users(session, frame(type="x", clientId="c0")) == ["c0"]
