"""A session of level 1, without its connection: what its client has yet to receive, and by which numbers.

It touches no socket and waits for nothing. Connections come and go; the session stays until `sessions` ends it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from engine.storage.base import OUTBOX_PER_USER_MAX, OutboxMessage
from engine.transport.frames import withdrawn
from engine.transport.outgoing import Outgoing
from engine.transport.wire import FrameType, encode, message_frame

NOTES_MAX = 64  # frames that are no messages, for a client that polls; the oldest beyond it go
UNRECEIVED_MAX = 2 * OUTBOX_PER_USER_MAX  # messages that a client has yet to receive; the oldest beyond it go
WITHDRAWN_MAX = 32  # of the latest that were told: nobody says that they came, so a resume brings them again

REPLACED = (4001, '{"code":"replaced"}')
ERASED = (1008, '{"code":"erased"}')


def id_prefix(client: str) -> str:
    """What stands before the ids of a client's events in the log: of "a/b" and "a" no two are ever the same."""
    return client.replace("%", "%25").replace("/", "%2F") + "/"


class Owed:
    """A message that the client has not said it has; ``seq`` is its number on the connection there is, 0 for none."""

    __slots__ = ("message", "seq")

    def __init__(self, message: OutboxMessage) -> None:
        self.message = message
        self.seq = 0


class Numbered:
    """A message in the queue of a connection. It gets its number as it is written, so that numbers have no gaps."""

    __slots__ = ("_outgoing", "_owed", "_session")

    def __init__(self, session: Session, owed: Owed, outgoing: Outgoing) -> None:
        self._session = session
        self._owed = owed
        self._outgoing = outgoing

    def text(self) -> str | None:
        return self._session.number(self._owed) if self._session.outgoing is self._outgoing else None


class Session:
    """``name`` is also that of the core's session; ``client`` one device of ``user``.

    ``left_at`` (microseconds) is when its last connection was lost, None while there is one. ``ended`` is called when
    it is over, by whatever is to stop then. ``expires_at`` (microseconds) is when its token does. ``farewell`` is what
    a connection is closed with that comes when it is over already. ``attempt`` is that of its latest hello.
    ``comes_from_afar``: another process had it before, which may have left something undone. ``is_beginning``: what
    waits for its user is being asked for, and is not owed to it yet.
    """

    __slots__ = (
        "_begins_at", "_notes", "_owed", "_seq", "_withdrawn", "attempt", "capabilities", "client", "comes_from_afar",
        "expires_at", "farewell", "id_prefix", "is_beginning", "is_over", "left_at", "name", "on_end", "outgoing",
        "polls", "resumed", "transport", "user", "wake",
    )  # fmt: skip

    def __init__(self, name: str, user: str, client: str, *, left_at: int) -> None:
        self.name = name
        self.user = user
        self.client = client
        self.id_prefix = id_prefix(client)
        self.attempt: tuple[str, int] | None = None
        self.capabilities: tuple[str, ...] = ()
        self.expires_at: int | None = None
        self.transport = ""
        self.resumed = False
        self.comes_from_afar = False
        self.is_beginning = True
        self.is_over = False
        self.farewell = REPLACED
        self.left_at: int | None = left_at
        self.outgoing: Outgoing | None = None
        self.polls = 0  # requests of a client that polls which wait for an answer
        self.wake: Callable[[], None] | None = None
        self.on_end: Callable[[], None] | None = None
        self._seq = 0
        self._begins_at: int | None = None  # what `_seq` is to be for the connection that comes
        self._withdrawn: dict[str, str] | None = None  # messages that it was told to show no more, and why
        self._owed: dict[str, Owed] | None = None
        self._notes: deque[FrameType] | None = None

    @property
    def is_there(self) -> bool:
        """Whether what it is owed goes out at once."""
        return self.outgoing is not None or self.polls > 0

    def to_hand(self) -> tuple[list[OutboxMessage], list[OutboxMessage]]:
        """What it is owed: what has not been on its way yet, and what was sent over a connection that broke."""
        owed = list((self._owed or {}).values())
        return [one.message for one in owed if not one.seq], [one.message for one in owed if one.seq]

    @property
    def unreceived(self) -> list[str]:
        """Ids of the messages that the client has not said it has, oldest first."""
        return list(self._owed or ())

    def add(self, message: OutboxMessage) -> None:
        """The client is owed this message, from now until it says that it has it."""
        if self._owed is None:
            self._owed = {}
        if message.message.id in self._owed:
            return
        owed = self._owed[message.message.id] = Owed(message)
        if len(self._owed) > UNRECEIVED_MAX:
            del self._owed[next(iter(self._owed))]
        if self.outgoing is not None:
            self._queue(owed, self.outgoing)
        self._wake()

    def tell(self, frame: FrameType) -> None:
        """A frame that is no message: to the connection there is, or with the next answer to a poll."""
        if self.outgoing is not None:
            self.outgoing.reply(frame)
        elif self.polls or self.transport == "poll":
            self.note(frame)

    def tell_or_note(self, frame: FrameType) -> bool:
        """As `tell`; where nobody is there it waits. False where it does."""
        if self.is_there or self.transport == "poll":
            self.tell(frame)
            return True
        self.note(frame)
        return False

    def tell_withdrawn(self, message_id: str, reason: str) -> None:
        """The message is not to be shown any more: told now, and again by each connection that resumes the session."""
        if self._withdrawn is None:
            self._withdrawn = {}
        self._withdrawn[message_id] = reason
        if len(self._withdrawn) > WITHDRAWN_MAX:
            del self._withdrawn[next(iter(self._withdrawn))]
        self.tell(withdrawn(message_id, reason))

    @property
    def has_notes(self) -> bool:
        """Whether frames that are no messages wait for somebody to come."""
        return bool(self._notes)

    def note(self, frame: FrameType) -> None:
        """A frame that is no message, for the next connection or the next answer to a poll, whichever comes."""
        if self._notes is None:
            self._notes = deque(maxlen=NOTES_MAX)
        self._notes.append(frame)
        self._wake()

    def number(self, owed: Owed) -> str | None:
        """The text of the frame, with the next number; None where nothing is owed any more."""
        message = owed.message
        if owed.seq or self._owed is None or self._owed.get(message.message.id) is not owed:
            return None
        self._seq += 1
        owed.seq = self._seq
        return encode({**message_frame(message), "seq": owed.seq})

    def received(self, seq: int) -> list[str]:
        """The client has all messages up to this number: their ids."""
        ids = [name for name, owed in self._owed.items() if 0 < owed.seq <= seq] if self._owed else []
        for name in ids:
            self._drop(name)
        return ids

    def withdraw(self, message_id: str) -> None:
        """The message is not to be shown any more."""
        if self._owed is not None and message_id in self._owed:
            self._drop(message_id)

    def attach(self, outgoing: Outgoing, transport: str) -> None:
        """It goes on over this connection; one that it had is closed. What was not received is queued, oldest first.

        All of it, at most `UNRECEIVED_MAX`, `NOTES_MAX` and `WITHDRAWN_MAX`, however little may wait for a connection
        besides.
        """
        if self.is_over:
            # It ended while the connection was on its way to it; on it nobody could ever be told anything.
            outgoing.close(*self.farewell)
            return
        former = self.outgoing
        if former is not None and former is not outgoing:
            former.close(*REPLACED)
        self.outgoing = outgoing
        outgoing.is_named = True
        self.transport = transport
        self.left_at = None
        if self._begins_at is not None:
            self._seq, self._begins_at = self._begins_at, None
        for note in self._take_notes(again=True):
            outgoing.put(encode(note), was_owed=True)
        for owed in list((self._owed or {}).values()):
            owed.seq = 0
            self._queue(owed, outgoing, was_owed=True)

    def detach(self, outgoing: Outgoing, now: int) -> bool:
        """The connection is gone. False where the session goes on over another."""
        if self.outgoing is not outgoing:
            return False
        self.outgoing = None
        self.left_at = now
        return True

    def begin_at(self, seq: int) -> None:
        """The connection that comes numbers from here on: the client has (or claims to have) all up to ``seq``.

        Until then one that there is goes on with its own numbers. It may still be writing, and a number that it took
        from those of the next would be missing there.
        """
        self._begins_at = seq

    def frames_after(self, seq: int) -> list[str]:
        """For a client that polls and has all up to ``seq``: what there is, messages numbered from there on."""
        self._seq = seq
        # A hello came before, so this may be another connection; of two polls in a row it is the same.
        again, self._begins_at = self._begins_at is not None, None
        frames = [encode(note) for note in self._take_notes(again=again)]
        for owed in list((self._owed or {}).values()):
            owed.seq = 0
            text = self.number(owed)
            if text is not None:
                frames.append(text)
        return frames

    @property
    def has_some(self) -> bool:
        """Whether `frames_after` would give anything."""
        return bool(self._owed or self._notes or (self._withdrawn and self._begins_at is not None))

    def is_gone(self, now: int, within: int) -> bool:
        return self.left_at is not None and not self.polls and now >= self.left_at + within

    def _take_notes(self, *, again: bool) -> list[FrameType]:
        """The frames that are no messages and wait; ``again``: with those that may have been lost on their way."""
        notes, self._notes = list(self._notes or ()), None
        if again and self._withdrawn:
            told = [withdrawn(*each) for each in self._withdrawn.items()]
            notes += [frame for frame in told if frame not in notes]
        return notes

    def _queue(self, owed: Owed, outgoing: Outgoing, *, was_owed: bool = False) -> None:
        droppable = owed.message.message.type == "notification"
        outgoing.put(Numbered(self, owed, outgoing), droppable=droppable, was_owed=was_owed)

    def _drop(self, message_id: str) -> None:
        assert self._owed is not None
        del self._owed[message_id]
        if not self._owed:
            self._owed = None

    def _wake(self) -> None:
        if self.wake is not None:
            self.wake()
