"""One connection at level 0, without the connection: frames in, and what is to be done about them out.

It touches no socket and waits for nothing. A driver does what it says, in the order it says it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.live import Input
from engine.responders.base import ChatMessage
from engine.transport.decoding import WireError, bad_frame
from engine.transport.wire import FrameType, Ping, Said, error_frame, pong, read_frame

BAD_FRAMES_MAX = 20  # in a row; the last of them closes the connection
CLIENTS_MAX = 256  # for which one connection may speak

BAD_FRAMES_CODE = 4000


@dataclass(frozen=True, slots=True)
class Arrived:
    """The connection speaks for ``client`` from now on: register it, and hand over what waits for it."""

    client: str


@dataclass(frozen=True, slots=True)
class Submit:
    """Make these durable. Where that fails, call `Session.not_submitted` and skip what follows."""

    inputs: list[Input]


@dataclass(frozen=True, slots=True)
class Reply:
    frame: FrameType


@dataclass(frozen=True, slots=True)
class Answer:
    """Have the chat message answered, without holding up the frames that come after it."""

    chat: ChatMessage


@dataclass(frozen=True, slots=True)
class Close:
    code: int
    reason: str


Action = Arrived | Submit | Reply | Answer | Close


class Session:
    """What one plain connection has told us. ``connection`` is its id, and the id of its users' sessions.

    A frame with a ``clientId`` is that client's. One without is the client's that the connection named first,
    and before it has named any, that of a client of its own, ``anon-<connection>``.
    """

    def __init__(self, connection: str) -> None:
        self.connection = connection
        self._clients: dict[str, None] = {}
        self._first_named: str | None = None
        self._bad_in_a_row = 0

    @property
    def clients(self) -> list[str]:
        """Whom the connection has spoken for, in the order they came."""
        return list(self._clients)

    def receive(self, frame: str | bytes) -> list[Action]:
        try:
            if isinstance(frame, bytes):
                raise bad_frame("expected a text frame, got a binary one")
            said = read_frame(frame)
            actions = self._pinged(said.client) if isinstance(said, Ping) else self._hear(said)
        except WireError as error:
            return self._complain(error)
        self._bad_in_a_row = 0
        return actions

    def not_submitted(self, inputs: Iterable[Input]) -> None:
        """The inputs were not made durable: a client whose session they began has yet to arrive."""
        for item in inputs:
            if item.type == "session.start":
                self._clients.pop(item.user, None)

    def ended(self) -> list[Input]:
        """The connection is gone: the ends of the sessions it held open."""
        return [self._lifecycle("session.end", client) for client in self._clients]

    def _pinged(self, client: str | None) -> list[Action]:
        """A ping with a name is how a client that has nothing to say becomes known."""
        if client is None or client in self._clients:
            return [Reply(pong())]
        return [*self._arrive([client], client, [self._lifecycle("session.start", client)]), Reply(pong())]

    def _hear(self, said: list[Said]) -> list[Action]:
        named = next((item.client for item in said if item.client is not None), None)
        owner = self._first_named or named or f"anon-{self.connection}"
        inputs: list[Input] = []
        arrived: list[str] = []
        answers: list[Action] = []
        for item in said:
            user = item.client or owner
            if user not in self._clients and user not in arrived:
                arrived.append(user)
                inputs.append(self._lifecycle("session.start", user))
            inputs.append(to_input(item, user, item.session or self.connection))
            if item.type == "chat_message":
                answers.append(Answer(ChatMessage.from_data(user, item.data)))
        if not inputs:
            return []
        return [*self._arrive(arrived, named, inputs), *answers]

    def _arrive(self, arrived: list[str], named: str | None, inputs: list[Input]) -> list[Action]:
        if len(self._clients) + len(arrived) > CLIENTS_MAX:
            raise WireError(
                "too_many_clients", f"expected one connection to speak for at most {CLIENTS_MAX} clients, got more"
            )
        self._first_named = self._first_named or named
        self._clients.update(dict.fromkeys(arrived))
        return [*(Arrived(client) for client in arrived), Submit(inputs)]

    def _complain(self, error: WireError) -> list[Action]:
        self._bad_in_a_row += 1
        complaint = Reply(error_frame(error.code, error.message))
        if self._bad_in_a_row < BAD_FRAMES_MAX:
            return [complaint]
        return [complaint, Close(BAD_FRAMES_CODE, '{"code":"too_many_bad_frames"}')]

    def _lifecycle(self, event_type: str, user: str) -> Input:
        return Input(user=user, type=event_type, data={}, session=self.connection)


def to_input(said: Said, user: str, session: str | None) -> Input:
    return Input(user=user, type=said.type, data=said.data, id=said.id, session=session, at_reported=said.at_reported)
