"""All that is remembered of one user, and its encoding.

Changed by `evaluate` alone, in place; a retry decodes it again.

A lone surrogate (what broken UTF-16 leaves behind) is no Unicode, and no client can bring one in; a log from
elsewhere can. A state with one is encoded all the same: see `_as_bytes`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from engine.core.model import Event, Json

if TYPE_CHECKING:
    from engine.core.dispatch import Soonest

STATE_VERSION = 1
FIELD_COUNT = 16  # of an encoded state; one more says that texts of it may stand as bytes
STATE_BYTES_MAX = 1024 * 1024  # far above what the bounds below allow but for thousands of rules that have all sent
SESSIONS_MAX = 32  # open sessions of one user at once; beyond it the one open longest is taken as ended
ATTRIBUTES_MAX = 64
ATTRIBUTE_BYTES_MAX = 1024  # of one attribute, name and value as JSON; a larger one is not taken over
SESSION_NAME_MAX = 128
GONE_RULES_MAX = 100  # rules that no longer exist of which it is remembered what they sent, the latest
KEPT_EVENT_BYTES_MAX = 4096
KEPT_TEXT_MAX = 512  # characters of one string of an event that is kept cut down


class StateTooLarge(Exception):
    """A user's state would be larger than `STATE_BYTES_MAX`. Nothing was written; the input is at fault."""


class StateVersionUnknown(Exception):
    """The state was written by a later version of the engine."""


class Sent:
    """What one rule has sent to one user: what cooldowns, caps and derived ids are counted from.

    ``times`` are the latest moments, oldest first, at most as many as the rule's largest cap over a span or a
    day asks for. ``presence`` and ``in_presence`` count within the presence of that number.
    """

    __slots__ = ("in_presence", "last", "presence", "times", "total")

    def __init__(self, last: int, total: int, presence: int, in_presence: int, times: list[int]) -> None:
        self.last = last
        self.total = total
        self.presence = presence
        self.in_presence = in_presence
        self.times = times


class UserState:
    """One user. ``now`` is the user's clock: the moment of the last thing that happened, -1 before the first.

    ``rules_since`` is the moment at which the adopted rule set began to hold. ``wake`` is never later than the
    next moment at which time alone changes anything, None where there is none: it is checked when it comes.
    ``sessions`` are those opened by ``session.start``, by name ("" is the unnamed one), oldest first.
    ``idle_since`` is the anchor of inactivity: the last activity of this presence. ``memory`` is what triggers
    remember, by trigger key; an empty memory takes no room. ``steady`` is no part of the state but a note of the
    dispatch: what it has found of the timers that no activity moves, None where that has to be found again.
    """

    __slots__ = (
        "activity_count",
        "attributes",
        "idle_since",
        "implicit_since",
        "last_activity",
        "memory",
        "now",
        "presence",
        "present_since",
        "rules_since",
        "sent",
        "session_events",
        "sessions",
        "steady",
        "user",
        "wake",
    )

    def __init__(self, user: str) -> None:
        self.user = user
        self.now = -1
        self.rules_since = -1
        self.wake: int | None = None
        self.attributes: dict[str, Json] = {}
        self.sessions: dict[str, int] = {}
        self.implicit_since: int | None = None
        self.present_since: int | None = None
        self.presence = 0
        self.session_events = 0
        self.last_activity: Event | None = None
        self.idle_since: int | None = None
        self.activity_count = 0
        self.sent: dict[str, Sent] = {}
        self.memory: dict[str, Any] = {}
        self.steady: Soonest | None = None

    def wake_by(self, moment: int) -> None:
        """See to it that what is due at ``moment`` is looked at then."""
        if self.wake is None or moment < self.wake:
            self.wake = moment

    def oldest_session(self) -> str | None:
        return next(iter(self.sessions), None)

    def encode(self) -> bytes:
        """The state as msgpack, canonical: equal states give equal bytes. Raises `StateTooLarge`."""
        last = self.last_activity
        kept = None if last is None else keep(last)
        fields = (
            STATE_VERSION, self.user, self.now, self.rules_since, self.wake, self.attributes, self.sessions,
            self.implicit_since, self.present_since, self.presence, self.session_events,
            None if kept is None else (kept.type, kept.at, kept.data, kept.id, kept.session, kept.at_reported),
            self.idle_since, self.activity_count,
            {rule: (sent.last, sent.total, sent.presence, sent.in_presence, sent.times)
             for rule, sent in sorted(self.sent.items())},
            dict(sorted(self.memory.items())),
        )  # fmt: skip
        try:
            encoded = _encoder.encode(fields)
        except UnicodeEncodeError:
            encoded = _encoder.encode((*_as_bytes(fields), True))
        if len(encoded) > STATE_BYTES_MAX:
            raise StateTooLarge(
                f"the state of user {self.user!r} would take {len(encoded)} bytes, at most {STATE_BYTES_MAX}"
            )
        return encoded

    @classmethod
    def decode(cls, encoded: bytes) -> UserState:
        fields = _decoder.decode(encoded)
        if fields[0] != STATE_VERSION:
            raise StateVersionUnknown(f"state of version {fields[0]}, this engine knows {STATE_VERSION}")
        if len(fields) > FIELD_COUNT:
            fields = _as_text(fields[:FIELD_COUNT])
        state = cls(fields[1])
        (
            state.now, state.rules_since, state.wake, state.attributes, state.sessions, state.implicit_since,
            state.present_since, state.presence, state.session_events, last, state.idle_since, state.activity_count,
            sent, state.memory,
        ) = fields[2:]  # fmt: skip
        if last is not None:
            event_type, at, data, event_id, session, at_reported = last
            state.last_activity = Event(event_type, state.user, at, data, event_id, session, at_reported)
        state.sent = {rule: Sent(*numbers) for rule, numbers in sent.items()}
        return state


def session_name(event: Event) -> str:
    """The session that the event names, "" for the unnamed one; cut to `SESSION_NAME_MAX` characters."""
    return (event.session or "")[:SESSION_NAME_MAX]


def is_small_attribute(name: str, value: Json) -> bool:
    """Whether an attribute of a user may be remembered: at most `ATTRIBUTE_BYTES_MAX`."""
    return len(name) + _size(value) <= ATTRIBUTE_BYTES_MAX


def keep(event: Event) -> Event:
    """The event as a state remembers it: itself, or cut down to `KEPT_EVENT_BYTES_MAX` of data.

    What a timer shows of the event that armed it always comes through here, so that it is the same whether
    the state was written in between or not. Cutting twice is the same as cutting once.
    """
    if _is_small(event.data):
        return event
    kept: dict[str, Json] = {}
    room = KEPT_EVENT_BYTES_MAX - 2
    for name, value in event.data.items():
        if isinstance(value, str):
            value = value[:KEPT_TEXT_MAX]
        size = _size(name) + _size(value) + 2
        if size <= room and (size <= 4 * KEPT_TEXT_MAX or isinstance(value, str)):
            kept[name] = value
            room -= size
    return msgspec.structs.replace(event, data=kept)


def _is_small(data: dict[str, Json]) -> bool:
    return _size(data) <= KEPT_EVENT_BYTES_MAX


def _size(value: Json) -> int:
    """Bytes of the value as JSON in UTF-8; a lone surrogate counts for three, as UTF-8 would write it."""
    try:
        return len(_json.encode(value))
    except UnicodeEncodeError:
        return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass"))


def _as_bytes(value: Any) -> Any:
    """The value with every text that is no Unicode as bytes, which nothing else in a state is: `_as_text` goes back."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-8", "surrogatepass")
        return value
    return _each(_as_bytes, value)


def _as_text(value: Any) -> Any:
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else _each(_as_text, value)


def _each(change: Callable[[Any], Any], value: Any) -> Any:
    """The value with what is in it changed."""
    if isinstance(value, dict):
        return {change(key): change(item) for key, item in value.items()}
    return [change(item) for item in value] if isinstance(value, list | tuple) else value


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder()
_json = msgspec.json.Encoder()
