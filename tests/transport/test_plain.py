from __future__ import annotations

from typing import Any

import pytest

from engine.intake import Input
from engine.responders.base import ChatMessage
from engine.transport.auth import Identity
from engine.transport.decoding import WireError
from engine.transport.plain import (
    CLIENTS_MAX,
    Answer,
    Arrived,
    PlainSession,
    Reply,
    Submit,
)
from engine.transport.wire import pong


def frame(**fields: Any) -> dict[str, Any]:
    return fields


def users(session: PlainSession, text: dict[str, Any]) -> list[str]:
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


def test_one_connection_speaks_for_a_bounded_number_of_clients() -> None:
    session = PlainSession("c1")
    for number in range(CLIENTS_MAX):
        assert len(users(session, frame(type="x", clientId=f"c{number}"))) == 2
    with pytest.raises(WireError) as raised:
        session.receive(frame(type="x", clientId="one too many"))
    assert raised.value.code == "too_many_clients"
    assert len(session.clients) == CLIENTS_MAX
    assert users(session, frame(type="x", clientId="c0")) == ["c0"]


def test_with_a_token_all_frames_are_its_users_whatever_they_name() -> None:
    session = PlainSession("c1", Identity("ann", "token"))
    assert users(session, frame(type="x", clientId="bob")) == ["ann", "ann"]
    assert users(session, frame(type="x")) == ["ann"]
    assert session.receive(frame(type="ping", clientId="carl")) == [Reply(pong())]


def test_without_a_token_where_there_are_some_a_client_is_its_own_and_may_chat() -> None:
    session = PlainSession("c1", Identity(None, "anonymous"))
    assert users(session, frame(type="chat_message", message="Hi", clientId="ann")) == ["anon-c1", "anon-c1"]
    assert session.receive(frame(type="ping", clientId="ann")) == [Reply(pong())]
    for kind in ("test.failed", "user.identify"):
        with pytest.raises(WireError) as raised:
            session.receive(frame(type=kind, clientId="ann"))
        assert raised.value.code == "unauthorized"
