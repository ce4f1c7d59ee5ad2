"""The device's side of the protocol, against frames of a server and against a server that loses connections."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cli.device import SHOWN_MAX, Device, Opened, Refused
from engine.cli.outbox import FRAME_BYTES_MAX, Entry, Outbox

Frame = dict[str, Any]
WELCOME: Frame = {"type": "welcome", "session": "s_1", "user": "ann", "resumed": False, "limits": {"frameBytes": 65536}}
PONG: Frame = {"type": "pong"}
PING: Frame = {"type": "ping", "clientId": "laptop"}


def device_of(outbox: Outbox | None = None, user: str | None = None) -> Device:
    numbers = count(1)
    return Device("laptop", user, outbox or Outbox(), lambda: f"e{next(numbers)}")


@pytest.fixture
def device() -> Device:
    return device_of()


def open_session(device: Device, **welcome: Any) -> Opened:
    device.opening()
    opened = device.take({**WELCOME, **welcome}, 0)
    assert isinstance(opened, Opened)
    device.take(PONG, 0)
    return opened


def drain(device: Device, now: float = 0) -> list[Frame]:
    """All that can go, gone."""
    frames = []
    while (outgoing := device.to_send(now)) is not None:
        device.sent(outgoing)
        frames.append(outgoing.frame)
    return frames


def chat(text: str) -> Frame:
    return {"type": "chat_message", "message": text, "clientId": "laptop"}


def named(event_id: str, frame: Frame) -> Frame:
    return {"id": event_id, **frame}


def message(seq: int, message_id: str) -> Frame:
    return {"type": "backend_message", "messageType": "note", "message": "Hi", "id": message_id, "seq": seq}


def test_it_says_hello_and_resumes_the_session_that_it_had() -> None:
    device = device_of(user="ann")
    hello = {"type": "hello", "protocol": 1, "clientId": "laptop", "user": "ann"}
    assert device.opening() == [hello, PING]
    assert open_session(device) == Opened(1, "ann", False)
    device.take(message(7, "m"), 0)
    device.lost()
    assert device.opening() == [{**hello, "resume": {"session": "s_1", "received": 7}}, PING]
    assert device.take({**WELCOME, "session": "s_2"}, 0) == Opened(1, "ann", False)
    device.lost()
    # A new session counts from one.
    assert device.opening()[0]["resume"] == {"session": "s_2", "received": 0}


def test_nothing_goes_before_the_welcome(device: Device) -> None:
    device.tell(chat("a"))
    device.opening()
    assert device.to_send(0) is None
    device.take(WELCOME, 0)
    assert drain(device) == [named("e1", chat("a"))]


def test_what_was_typed_stays_until_it_is_acknowledged_and_goes_again_over_the_next_connection(device: Device) -> None:
    open_session(device)
    device.tell(chat("a"))
    device.tell(chat("b"))
    assert drain(device) == [named("e1", chat("a")), named("e2", chat("b"))]
    device.take({"type": "ack", "ids": ["e1"]}, 0)
    device.lost()
    open_session(device, resumed=True)
    assert drain(device) == [named("e2", chat("b"))]
    device.take({"type": "ack", "ids": ["e2", "e1", 5, None]}, 0)
    assert len(device.outbox) == 0


def test_what_waited_for_a_connection_is_counted_once_it_has_arrived(device: Device) -> None:
    device.tell(chat("a"))
    open_session(device)
    device.tell(chat("b"))
    drain(device)
    assert device.just_sent == 0
    device.take({"type": "ack", "ids": ["e1", "e2"]}, 0)
    assert device.just_sent == 1


def test_an_outcome_has_arrived_when_the_ping_behind_it_is_answered(device: Device) -> None:
    outcome = {"type": "outcome", "id": "m1", "outcome": "dismissed", "clientId": "laptop"}
    device.opening()
    device.take(WELCOME, 0)
    device.tell(outcome)
    assert drain(device) == [outcome, {"type": "ping"}]
    device.take(PONG, 0)  # of the opening
    assert len(device.outbox) == 1
    device.take(PONG, 0)
    assert len(device.outbox) == 0


def test_what_answers_a_frame_may_come_before_its_sender_hears_that_it_has_gone(device: Device) -> None:
    open_session(device)
    device.tell(chat("a"))
    device.take(message(1, "m"), 0)
    received, asked = device.to_send(0), device.to_send(0)
    assert received is not None
    assert asked is not None
    device.take(message(2, "n"), 0)
    device.take({"type": "ack", "ids": ["e1"]}, 0)
    assert device.take({"type": "chat_response_delta", "delta": "So", "to": "e1"}, 0) is not None
    device.sent(received)
    device.sent(asked)
    assert len(device.outbox) == 0
    assert drain(device) == [{"type": "received", "seq": 2}]


def test_a_message_is_shown_once_and_received_however_often_it_comes(device: Device) -> None:
    open_session(device)
    assert device.take(message(1, "m"), 0) == message(1, "m")
    assert device.take(message(2, "n"), 0) == message(2, "n")
    assert drain(device) == [{"type": "received", "seq": 2}]
    device.lost()
    open_session(device)
    assert device.take(message(1, "n"), 0) is None
    assert drain(device) == [{"type": "received", "seq": 1}]


@pytest.mark.parametrize(("others", "is_known"), [(SHOWN_MAX - 1, True), (SHOWN_MAX, False)])
def test_so_many_messages_are_known_again(device: Device, others: int, is_known: bool) -> None:
    open_session(device)
    device.take(message(1, "m"), 0)
    for number in range(others):
        device.take(message(number + 2, str(number)), 0)
    assert (device.take(message(others + 2, "m"), 0) is None) == is_known


def test_a_server_that_answers_the_ping_alone_is_of_level_0_and_gets_everything_once(device: Device) -> None:
    device.tell(chat("a"))
    device.opening()
    assert device.take(PONG, 0) == Opened(0)
    assert drain(device) == [named("e1", chat("a"))]
    assert len(device.outbox) == 0
    assert not device.is_settled
    device.take({"type": "chat_response", "message": "So"}, 0)
    assert device.is_settled


def test_a_connection_that_ends_at_level_0_owes_answers_that_will_not_come(device: Device) -> None:
    device.opening()
    device.take(PONG, 0)
    assert not device.lost()
    device.tell(chat("a"))
    device.opening()
    device.take(PONG, 0)
    drain(device)
    device.tell(chat("b"))
    assert device.lost()
    assert [entry.frame["message"] for entry in device.outbox] == ["b"]
    assert not device.lost()


def test_one_without_a_token_says_no_hello() -> None:
    device = device_of()
    device.is_plain = True
    assert device.opening() == [PING]


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        ({"code": "unauthorized", "message": "expected a token"}, Refused("unauthorized", "expected a token")),
        ({"code": "overloaded", "message": "no", "retryAfter": 1}, Refused("overloaded", "no", 1.0)),
        ({}, Refused("None", "")),
    ],
)
def test_an_error_before_the_welcome_refuses_the_hello(device: Device, error: Frame, refused: Refused) -> None:
    device.opening()
    assert device.take({"type": "error", **error}, 0) == refused


def test_what_may_be_tried_again_is_after_the_pause_and_not_before(device: Device) -> None:
    open_session(device)
    device.tell(chat("a"))
    drain(device)
    busy = {"type": "error", "code": "overloaded", "message": "busy", "frameId": "e1", "retryAfter": 2}
    assert device.take(busy, 10) is None
    assert (device.to_send(11.99), device.pause_s(11)) == (None, 1)
    assert drain(device, 12) == [named("e1", chat("a"))]


def test_what_never_will_be_taken_goes_no_more_and_is_shown(device: Device) -> None:
    open_session(device)
    device.tell({"type": "session.end", "clientId": "laptop", "id": 5})
    device.tell(chat("a"))
    drain(device)
    error = {"type": "error", "code": "reserved_type", "message": "no", "frameId": 5}
    assert device.take(error, 0) == error
    failed = {"type": "error", "code": "too_many_chats", "message": "no", "frameId": "e1"}
    device.take({"type": "ack", "ids": ["e1"]}, 0)
    assert not device.is_settled
    assert device.take(failed, 0) == failed
    assert device.is_settled


def test_pieces_of_an_answer_come_through_only_where_none_can_be_missing(device: Device) -> None:
    piece = {"type": "chat_response_delta", "delta": "So", "to": "e1"}
    open_session(device)
    device.tell(chat("a"))
    drain(device)
    assert device.take(piece, 0) == piece
    device.take({"type": "ack", "ids": ["e1"]}, 0)
    device.lost()
    open_session(device, resumed=True)
    assert device.take(piece, 0) is None
    answer = {"type": "chat_response", "message": "So", "id": "a1", "seq": 1, "to": "e1"}
    assert device.take(answer, 0) == answer
    assert device.is_settled


@pytest.mark.parametrize("over", [0, 1])
def test_what_is_longer_than_the_server_takes_is_refused_at_once(device: Device, over: int) -> None:
    room = FRAME_BYTES_MAX - len(b'{"id":"e1","type":"chat_message","message":"","clientId":"laptop"}')
    refusal = f"that was longer than the server takes ({FRAME_BYTES_MAX} bytes); it was not sent"
    assert device.tell(chat("x" * (room + over))) == (refusal if over else "")


def test_what_waited_for_another_user_or_a_larger_server_does_not_go() -> None:
    others, long, mine = Entry("a", chat("a"), "bob"), Entry("b", chat("x" * 1000), "ann"), Entry("c", chat("c"), "ann")
    device = device_of(Outbox([others, long, mine]))
    assert open_session(device, limits={"frameBytes": 1000}).gone == (others, long)
    assert drain(device) == [chat("c")]


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "ack", "ids": 5}, {"type": "ack"}, {"type": []}, {}, {"type": "pong"}, {"type": "welcome"},
        {"type": "error", "frameId": {}, "retryAfter": "x"}, {"type": "x", "seq": "1", "id": 5},
        {"type": "chat_response", "to": []}, {"type": "chat_response_delta"},
        {"type": "welcome", "limits": {"frameBytes": "x"}},
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_open", [False, True])
def test_whatever_a_server_says_does_not_stop_it(device: Device, frame: Frame, is_open: bool) -> None:
    if is_open:
        open_session(device)
    device.take(frame, 0)
    device.tell(chat("a"))
    drain(device)


class LossyServer:
    """Takes each id once, in the order in which they come; owes messages until they are received."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.owed: list[str] = []
        self.sent: list[tuple[int, str]] = []
        self.resumable = ""
        self.sessions = 0
        self.first = 1

    def hear(self, frame: Frame) -> list[Frame]:
        match frame["type"]:
            case "hello":
                resumed = bool(self.resumable) and frame.get("resume", {}).get("session") == self.resumable
                seq = frame["resume"]["received"] if resumed else 0
                if resumed:
                    self.receive(seq)
                else:
                    self.sessions += 1
                    self.resumable = f"s_{self.sessions}"
                self.first = seq + 1
                self.sent = [(seq + number, name) for number, name in enumerate(self.owed, 1)]
                welcome = {**WELCOME, "session": self.resumable, "resumed": resumed}
                return [welcome, *(message(number, name) for number, name in self.sent)]
            case "ping":
                return [PONG]
            case "received":
                self.receive(frame["seq"])
                return []
        if frame["id"] not in self.taken:
            self.taken.append(frame["id"])
        return [{"type": "ack", "ids": [frame["id"]]}]

    def receive(self, seq: int) -> None:
        arrived = {name for number, name in self.sent if number <= seq}
        self.owed = [name for name in self.owed if name not in arrived]

    def say(self, name: str, is_connected: bool) -> list[Frame]:
        self.owed.append(name)
        if not is_connected:
            return []
        seq = self.sent[-1][0] + 1 if self.sent else self.first
        self.sent.append((seq, name))
        return [message(seq, name)]


class Line:
    """A device and a server, and what is under way between them."""

    def __init__(self) -> None:
        self.server = LossyServer()
        self.device = device_of()
        self.there: deque[Frame] = deque()
        self.here: deque[Frame] = deque()
        self.is_greeted = False
        self.typed: list[str] = []
        self.said: list[str] = []
        self.shown: list[str] = []

    def type(self) -> None:
        self.typed.append(f"e{len(self.typed) + 1}")
        assert self.device.tell(chat("x")) == ""

    def say(self) -> None:
        self.said.append(f"m{len(self.said) + 1}")
        self.here.extend(self.server.say(self.said[-1], self.is_greeted))

    def send(self) -> None:
        if (outgoing := self.device.to_send(0)) is not None:
            self.device.sent(outgoing)
            self.there.append(outgoing.frame)

    def carry_there(self) -> None:
        if self.there:
            frame = self.there.popleft()
            self.is_greeted = self.is_greeted or frame["type"] == "hello"
            self.here.extend(self.server.hear(frame))

    def carry_here(self) -> None:
        if self.here:
            taken = self.device.take(self.here.popleft(), 0)
            if isinstance(taken, dict):
                self.shown.append(taken["id"])

    def cut(self) -> None:
        self.is_greeted = False
        self.there.clear()
        self.here.clear()
        self.device.lost()
        self.there.extend(self.device.opening())

    def forget(self) -> None:
        self.server.resumable = ""
        self.cut()


STEPS = st.sampled_from([Line.type, Line.say, Line.send, Line.carry_there, Line.carry_here, Line.cut, Line.forget])


@given(st.lists(st.tuples(STEPS, st.integers(1, 4)), max_size=30))
def test_nothing_typed_is_lost_or_comes_twice_and_nothing_is_shown_twice_however_often_the_line_breaks(
    steps: list[tuple[Callable[[Line], None], int]],
) -> None:
    line = Line()
    line.cut()
    for step, times in steps:
        for _ in range(times):
            step(line)
    line.cut()
    for _ in range(len(line.typed) + 2 * len(line.said) + 5):
        for step in (Line.send, Line.carry_there, Line.carry_here, Line.carry_here):
            step(line)
    assert line.server.taken == line.typed
    assert line.shown == line.said
    assert line.server.owed == []
    assert len(line.device.outbox) == 0
