"""One connection at level 0, without the connection: frames in, and what is to be done about them out.

It touches no socket and waits for nothing. A driver does what it says, in the order it says it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.core.model import Json
from engine.intake import Input
from engine.responders.base import ChatMessage
from engine.transport.auth import Identity
from engine.transport.decoding import DEPTH_MAX, WireError
from engine.transport.wire import FrameType, Ping, Said, pong, read_value

BAD_FRAMES_MAX = 20  # in a row; the last of them closes the connection
OPEN = Identity(None, "open")
CLIENTS_MAX = 256  # for which one connection may speak

BAD_FRAMES_CODE = 4000


@dataclass(frozen=True, slots=True)
class Arrived:
    """The connection speaks for ``client`` from now on: register it, and hand over what waits for it."""

    client: str


@dataclass(frozen=True, slots=True)
class Submit:
    """Make these durable. Where that fails, call `PlainSession.not_submitted` and skip what follows."""

    inputs: list[Input]


@dataclass(frozen=True, slots=True)
class Reply:
    frame: FrameType


@dataclass(frozen=True, slots=True)
class Answer:
    """Have the chat message answered, without holding up the frames that come after it."""

    chat: ChatMessage


Action = Arrived | Submit | Reply | Answer


class PlainSession:
    """What one plain connection has told us. ``connection`` is its id, and the id of its users' sessions.

    A frame with a ``clientId`` is that client's. One without is the client's that the connection named first,
    and before it has named any, that of a client of its own, ``anon-<connection>``. Where tokens are asked for, all
    frames are the token's user's, whatever they name; without a token they are the client's of its own, who may chat.
    """

    def __init__(self, connection: str, identity: Identity = OPEN) -> None:
        self.connection = connection
        self._identity = identity
        self._clients: dict[str, None] = {}
        self._first_named: str | None = None

    @property
    def clients(self) -> list[str]:
        """Whom the connection has spoken for, in the order they came."""
        return list(self._clients)

    def receive(self, value: Json, *, depth_max: int = DEPTH_MAX) -> list[Action]:
        """What is to be done about a frame. Raises `WireError`."""
        said = read_value(value, depth_max=depth_max)
        return self._pinged(said.client) if isinstance(said, Ping) else self._hear(said)

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
        client = None if client is None else self._user_of(client)
        if client is None or client in self._clients:
            return [Reply(pong())]
        return [*self._arrive([client], client, [self._lifecycle("session.start", client)]), Reply(pong())]

    def _hear(self, said: list[Said]) -> list[Action]:
        if self._identity.kind == "anonymous" and any(item.type != "chat_message" for item in said):
            raise WireError("unauthorized", "expected a token with anything but a chat message or a ping")
        named = next((user for item in said if (user := self._user_of(item.client)) is not None), None)
        owner = self._first_named or named or f"anon-{self.connection}"
        inputs: list[Input] = []
        arrived: list[str] = []
        answers: list[Action] = []
        for item in said:
            user = self._user_of(item.client) or owner
            if user not in self._clients and user not in arrived:
                arrived.append(user)
                inputs.append(self._lifecycle("session.start", user))
            inputs.append(to_input(item, user, item.session or self.connection))
            if item.type == "chat_message":
                answers.append(Answer(ChatMessage.from_data(user, item.data, id=item.id)))
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

    def _user_of(self, named: str | None) -> str | None:
        """Whose a frame is that names this client; None where nobody has said who it is."""
        if self._identity.kind == "open":
            return named
        return self._identity.user or f"anon-{self.connection}"

    def _lifecycle(self, event_type: str, user: str) -> Input:
        return Input(user=user, type=event_type, data={}, session=self.connection)


def to_input(said: Said, user: str, session: str | None) -> Input:
    return Input(user=user, type=said.type, data=said.data, id=said.id, session=session, at_reported=said.at_reported)
