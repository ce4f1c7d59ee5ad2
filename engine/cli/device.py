"""One device of one person, as the protocol has it: level 1, and level 0 where the server knows no other.

Frames in, frames out. It has no socket, no clock of its own and no terminal, and does not know what a message means.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.cli.outbox import FRAME_BYTES_MAX, Entry, Frame, Outbox

SHOWN_MAX = 1000  # ids of messages; a server sends at most 400 again
ASKED_MAX = 1000  # chat messages that wait for their answer
RETRY_MIN_S = 0.1


@dataclass(frozen=True, slots=True)
class Opened:
    """The server has said who we are. ``user`` is "" at level 0, which does not say.

    ``gone`` are frames that waited and cannot go: another's, or too long for this server.
    """

    level: int
    user: str = ""
    resumed: bool = False
    gone: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """The server does not open a session for us. ``retry_after_s`` is None where it makes no sense to come back."""

    code: str
    message: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A frame that is to go now; `Device.sent` hears when it has."""

    frame: Frame
    entry: Entry | None = None


class Device:
    """``client`` is its name, ``user`` whose it claims to be. ``new_id`` makes ids that were never used before.

    ``is_plain``: it says no hello, for the server wants a token for that and there is none.
    """

    def __init__(self, client: str, user: str | None, outbox: Outbox, new_id: Callable[[], str]) -> None:
        self.client = client
        self.is_plain = False
        self.outbox = outbox
        self.level: int | None = None  # None while nobody has answered our hello
        self.just_sent = 0  # entries that had waited and have come to the server since somebody looked
        self._asks_for = user
        self._user = ""
        self._new_id = new_id
        self._frame_bytes_max = FRAME_BYTES_MAX
        self._session = ""
        self._received = 0
        self._owes_received = False
        self._shown: OrderedDict[str, None] = OrderedDict()
        self._asked: OrderedDict[str, bool] = OrderedDict()  # chats without answer, and whether their pieces come whole
        self._owes_ping = False
        self._pings = 0  # that nobody has answered yet
        self._paused_until = 0.0
        for entry in outbox:
            self._expect_answer(entry)

    @property
    def is_settled(self) -> bool:
        """Whether the server has all that was typed, and nothing of it waits for an answer."""
        return self.level is not None and not self.outbox and not self._asked

    def opening(self) -> list[Frame]:
        """The first frames of a connection. A server that answers the ping alone is of before level 1."""
        self.level = None
        self._pings = 1
        ping = {"type": "ping", "clientId": self.client}
        if self.is_plain:
            return [ping]
        hello: Frame = {"type": "hello", "protocol": 1, "clientId": self.client}
        if self._asks_for is not None:
            hello["user"] = self._asks_for
        if self._session:
            hello["resume"] = {"session": self._session, "received": self._received}
        return [hello, ping]

    def lost(self) -> bool:
        """There is no connection. True where answers were still to come that now never will."""
        was_plain, self.level = self.level == 0, None
        self._owes_received = self._owes_ping = False
        self.outbox.unsend_all()
        for name in self._asked:
            self._asked[name] = False
        waiting = {entry.id for entry in self.outbox}
        owed = [name for name in self._asked if name not in waiting]
        if was_plain:
            for name in owed:
                del self._asked[name]
        return was_plain and bool(owed)

    def tell(self, frame: Frame) -> str:
        """Take in what was typed. "" where it will go, else why it cannot."""
        event_id = str(frame["id"]) if "id" in frame and frame["type"] != "outcome" else self._new_id()
        if frame["type"] != "outcome":
            frame = {"id": event_id, **frame}
        entry = Entry(event_id, frame, self._user, has_waited=self.level is None)
        if entry.size > self._frame_bytes_max:
            return f"that was longer than the server takes ({self._frame_bytes_max} bytes); it was not sent"
        refusal = self.outbox.add(entry)
        if not refusal:
            self._expect_answer(entry)
        return refusal

    def to_send(self, now: float) -> Outgoing | None:
        """The next frame that can go now. ``now``: seconds of a steady clock.

        It counts as under way from here on: what answers it may come before its sender hears that it has gone.
        """
        if self.level is None:
            return None
        if self._owes_received:
            self._owes_received = False
            return Outgoing({"type": "received", "seq": self._received})
        if now < self._paused_until:
            return None
        entry = self.outbox.next_unsent()
        if entry is not None:
            entry.is_sent = True
            self._owes_ping = self._owes_ping or (self.level == 1 and entry.frame["type"] == "outcome")
            if entry.id in self._asked:
                self._asked[entry.id] = True
            return Outgoing(entry.frame, entry)
        if not self._owes_ping:
            return None
        # Nobody acknowledges outcomes; but frames are taken in order, so that this ping's pong says as much.
        self._owes_ping = False
        self._pings += 1
        return Outgoing({"type": "ping"})

    def sent(self, outgoing: Outgoing) -> None:
        """It has gone. At level 0 that is all that anybody will ever say of it."""
        if self.level == 0 and outgoing.entry is not None:
            self._arrived(outgoing.entry)

    def pause_s(self, now: float) -> float | None:
        """Seconds until what waits may go, where the server has asked for a pause."""
        return self._paused_until - now if self._paused_until > now and self.outbox.next_unsent() else None

    def take(self, frame: Frame, now: float) -> Opened | Refused | Frame | None:
        """A frame of the server's: what it says to the device, the frame itself where it is for the person, or None."""
        kind = frame.get("type")
        if self.level is None:
            return self._opened_by(frame, kind)
        seq = frame.get("seq")
        if isinstance(seq, int):
            self._received = max(self._received, seq)
            self._owes_received = True
        match kind:
            case "ack":
                ids = frame.get("ids")
                self._acknowledged([str(name) for name in ids] if isinstance(ids, list) else [])
            case "pong":
                self._ponged()
            case "error":
                return self._failed(frame, now)
            case "chat_response_delta":
                # Of what was asked over a former connection there may be holes.
                return frame if self._asked.get(str(frame.get("to"))) else None
            case "preferences" | "withdrawn":
                return frame
            case "welcome":
                pass
            case _:
                if kind == "chat_response":
                    self._answered(frame.get("to"))
                return None if self._was_shown(frame) else frame
        return None

    def _opened_by(self, frame: Frame, kind: Any) -> Opened | Refused | Frame | None:
        if kind == "welcome":
            limit = frame.get("limits", {}).get("frameBytes") if isinstance(frame.get("limits"), dict) else None
            self._frame_bytes_max = limit if isinstance(limit, int) and limit > 0 else FRAME_BYTES_MAX
            resumed = frame.get("resumed") is True
            self._received = self._received if resumed else 0
            self._session = str(frame.get("session", ""))
            self._user = str(frame.get("user", ""))
            return self._open(1, resumed)
        if kind == "pong":
            self._ponged()
            return self._open(0, False)
        if kind == "error":
            retry = frame.get("retryAfter")
            return Refused(
                str(frame.get("code")),
                str(frame.get("message", "")),
                float(retry) if isinstance(retry, int | float) else None,
            )
        return frame  # a server of level 0 may speak first

    def _open(self, level: int, resumed: bool) -> Opened:
        self.level = level
        self._paused_until = 0.0
        gone = [
            entry
            for entry in self.outbox
            if entry.size > self._frame_bytes_max or (entry.user and self._user and entry.user != self._user)
        ]
        for entry in gone:
            self._drop(entry)
        return Opened(level, self._user if level else "", resumed, tuple(gone))

    def _was_shown(self, frame: Frame) -> bool:
        """Whether this message has been here. Takes it for shown from now on."""
        name = frame.get("id")
        if not isinstance(name, str):
            return False
        known = name in self._shown
        self._shown[name] = None
        if len(self._shown) > SHOWN_MAX:
            self._shown.popitem(last=False)
        return known

    def _ponged(self) -> None:
        self._pings = max(0, self._pings - 1)
        if self._pings or self._owes_ping:
            return
        for entry in self.outbox:
            if entry.is_sent and entry.frame["type"] == "outcome":
                self._arrived(entry)

    def _acknowledged(self, ids: list[str]) -> None:
        for entry in self.outbox:
            if entry.is_sent and entry.id in ids:
                ids.remove(entry.id)
                self._arrived(entry)

    def _arrived(self, entry: Entry) -> None:
        self.outbox.remove(entry)
        self.just_sent += entry.has_waited

    def _drop(self, entry: Entry) -> None:
        self.outbox.remove(entry)
        self._asked.pop(entry.id, None)

    def _failed(self, frame: Frame, now: float) -> Frame | None:
        """An error about one of ours is to be tried again, or it never will be taken."""
        retry, name = frame.get("retryAfter"), frame.get("frameId")
        about = [entry for entry in self.outbox if entry.is_sent and name is not None and _name(entry) == str(name)]
        if isinstance(retry, int | float):
            self._paused_until = max(self._paused_until, now + max(RETRY_MIN_S, retry))
            for entry in about:
                entry.is_sent = False
            return None if about else frame
        for entry in about[:1]:
            self.outbox.remove(entry)
        self._answered(name)
        return frame

    def _expect_answer(self, entry: Entry) -> None:
        if entry.frame["type"] == "chat_message":
            self._asked[entry.id] = False
            if len(self._asked) > ASKED_MAX:
                self._asked.popitem(last=False)

    def _answered(self, name: Any) -> None:
        """An answer has come, or word that there is none. At level 0 answers come in the order of what they answer."""
        if name is not None:
            self._asked.pop(str(name), None)
        elif self.level == 0:
            sent = [each for each, is_sent in self._asked.items() if is_sent]
            for each in sent[:1]:
                del self._asked[each]


def _name(entry: Entry) -> str:
    """By which an error calls it: an outcome has the id of its message."""
    return str(entry.frame.get("id", entry.id))
