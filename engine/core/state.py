"""All that is remembered of one user, and its encoding.

Changed by `evaluate` alone, in place; a retry decodes it again.

A lone surrogate (what broken UTF-16 leaves behind) is no Unicode, and no client can bring one in; a log from
elsewhere can. A state with one is encoded all the same: see `_as_bytes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from engine.core.kept import keep, kept_event, restored_event, size_of
from engine.core.model import Event, Json
from engine.core.remembered import MESSAGES_MAX, WAITING_MAX, Held, Outstanding, Preferences, Sent

if TYPE_CHECKING:
    from engine.core.dispatch import Soonest

__all__ = [
    "Sent",
    "StateTooLarge",
    "StateUnreadable",
    "StateVersionUnknown",
    "UserState",
    "is_small_attribute",
    "keep",
    "session_name",
]

STATE_VERSION = 2
FIELD_COUNT = 17  # of an encoded state; one more says that texts of it may stand as bytes
# Far above what the bounds allow, but for thousands of rules that have all sent, or dozens of which each keeps large
# events of a hundred groups.
STATE_BYTES_MAX = 4 * 1024 * 1024
SESSIONS_MAX = 32  # open sessions of one user at once; beyond it the one open longest is taken as ended
ATTRIBUTES_MAX = 64
ATTRIBUTE_BYTES_MAX = 1024  # of one attribute, name and value as JSON; a larger one is not taken over
SESSION_NAME_MAX = 128
GONE_RULES_MAX = 100  # rules that no longer exist of which it is remembered what they sent, the latest


class _Nothing(dict[str, Any]):
    """The empty mapping that all users share, and that a copy of a state shares with it."""

    __slots__ = ()

    def __setitem__(self, name: str, value: Any) -> None:
        raise TypeError(f"{name} belongs to one user")

    def __deepcopy__(self, memo: dict[int, Any]) -> _Nothing:
        return self


_NOTHING: Mapping[str, Any] = _Nothing()


class StateTooLarge(Exception):
    """A user's state would be larger than `STATE_BYTES_MAX`. Nothing was written; the input is at fault."""


class StateVersionUnknown(Exception):
    """The state was written by a later version of the engine."""


class StateUnreadable(Exception):
    """What is stored is no state that any version wrote: the store is damaged."""


class UserState:
    """One user. ``now`` is the user's clock: the moment of the last thing that happened, -1 before the first.

    ``rules_since`` is the moment at which the adopted rule set began to hold. ``wake`` is never later than the
    next moment at which time alone changes anything, None where there is none: it is checked when it comes.
    ``sessions`` are those opened by ``session.start``, by name ("" is the unnamed one), oldest first.
    ``idle_since`` is the anchor of inactivity: the last activity of this presence. ``memory`` is what triggers
    remember, by trigger key; an empty memory takes no room. ``steady`` is no part of the state but a note of the
    dispatch: what it has found of the timers that no activity moves, None where that has to be found again.
    ``opened_by`` is the event with which presence began, ``left_at`` the moment at which the last presence ended.
    ``spent`` is what has been charged to budgets, by name. ``messages`` are those that may still be answered, by id,
    oldest first; ``finished`` the rules of those that no longer may, by id, oldest first, for they may still be
    muted; ``held`` those that wait for a good moment, in the order in which they were made.
    """

    __slots__ = (
        "activity_count",
        "attributes",
        "finished",
        "held",
        "idle_since",
        "implicit_since",
        "last_activity",
        "left_at",
        "memory",
        "messages",
        "now",
        "opened_by",
        "preferences",
        "presence",
        "present_since",
        "rules_since",
        "sent",
        "session_events",
        "sessions",
        "spent",
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
        self.opened_by: Event | None = None
        self.left_at: int | None = None
        self.preferences: Preferences | None = None
        self.spent: Mapping[str, Sent] = _NOTHING
        self.messages: Mapping[str, Outstanding] = _NOTHING
        self.finished: Mapping[str, str] = _NOTHING
        self.held: Sequence[Held] = ()
        self.steady: Soonest | None = None

    def wake_by(self, moment: int) -> None:
        """See to it that what is due at ``moment`` is looked at then."""
        if self.wake is None or moment < self.wake:
            self.wake = moment

    # Most users have none of these, and what is empty is one and the same for all: so they are changed by these alone.

    def add_message(self, message_id: str, outstanding: Outstanding) -> None:
        """A message has been sent that may be answered; the oldest beyond `MESSAGES_MAX` no longer may.

        One that waits for an absent user can be taken back as well, so of those there may be `WAITING_MAX`.
        """
        self.messages = {**self.messages, message_id: outstanding}
        while len(self.messages) > (WAITING_MAX if outstanding.waits else MESSAGES_MAX):
            self.drop_message(next(iter(self.messages)))

    def drop_message(self, message_id: str) -> None:
        """Nothing more is to come of the message, but that its reader may want no more of its rule."""
        finished = {**self.finished, message_id: self.messages[message_id].rule}
        if len(finished) > MESSAGES_MAX:
            del finished[next(iter(finished))]
        self.finished = finished
        self.messages = {name: kept for name, kept in self.messages.items() if name != message_id} or _NOTHING

    def add_held(self, held: Held) -> None:
        self.held = (*self.held, held)

    def drop_held(self, held: Held) -> None:
        self.held = tuple([kept for kept in self.held if kept is not held])

    def spending(self, budget: str) -> Sent:
        """What has been charged to the budget, to be changed in place."""
        spent = self.spent.get(budget)
        if spent is None:
            spent = Sent(self.now, 0, self.presence, 0, [])
            self.spent = {**self.spent, budget: spent}
        return spent

    def drop_spending(self, budget: str) -> None:
        """Nothing has been charged to the budget."""
        if budget in self.spent:
            self.spent = {name: kept for name, kept in self.spent.items() if name != budget} or _NOTHING

    def oldest_session(self) -> str | None:
        return next(iter(self.sessions), None)

    def encode(self) -> bytes:
        """The state as msgpack, canonical: equal states give equal bytes. Raises `StateTooLarge`."""
        fields = (
            STATE_VERSION, self.user, self.now, self.rules_since, self.wake, self.attributes, self.sessions,
            self.implicit_since, self.present_since, self.presence, self.session_events, kept_event(self.last_activity),
            self.idle_since, self.activity_count,
            {rule: self.sent[rule].fields() for rule in _in_order(self.sent)},
            self.memory if len(self.memory) < 2 else dict(sorted(self.memory.items())),
            self._rest(),
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

    def _rest(self) -> dict[str, Any]:
        """What most users have none of, by a short name each; what is not there takes no room."""
        rest: dict[str, Any] = {}
        if self.opened_by is not None:
            rest["opened"] = "same" if self.opened_by is self.last_activity else kept_event(self.opened_by)
        if self.left_at is not None:
            rest["left"] = self.left_at
        if self.preferences is not None:
            rest["prefs"] = self.preferences.fields()
        if self.spent:
            rest["spent"] = {name: self.spent[name].fields() for name in _in_order(self.spent)}
        if self.messages:
            rest["messages"] = {name: message.fields() for name, message in self.messages.items()}
        if self.finished:
            rest["finished"] = self.finished
        if self.held:
            rest["held"] = [held.fields() for held in self.held]
        return rest

    @classmethod
    def decode(cls, encoded: bytes) -> UserState:
        """Also of a state that version 1 wrote. Raises `StateVersionUnknown` for those of later versions, and
        `StateUnreadable` for bytes that are no state."""
        try:
            return cls._decode(encoded)
        except _NO_STATE as error:
            raise StateUnreadable(f"{len(encoded)} bytes that are stored as a state are none: {error}") from None

    @classmethod
    def _decode(cls, encoded: bytes) -> UserState:
        fields = _decoder.decode(encoded)
        if fields[0] == 1:
            fields = [STATE_VERSION, *fields[1:16], {}, *fields[16:]]
        if not isinstance(fields[0], int):
            raise TypeError("there is no version before it")
        if fields[0] != STATE_VERSION:
            raise StateVersionUnknown(f"state of version {fields[0]}, this engine knows {STATE_VERSION}")
        if len(fields) > FIELD_COUNT:
            fields = _as_text(fields[:FIELD_COUNT])
        state = cls(fields[1])
        (
            state.now, state.rules_since, state.wake, state.attributes, state.sessions, state.implicit_since,
            state.present_since, state.presence, state.session_events, last, state.idle_since, state.activity_count,
            sent, state.memory, rest,
        ) = fields[2:]  # fmt: skip
        user = state.user
        state.last_activity = restored_event(user, last)
        state.sent = {rule: Sent(*numbers) for rule, numbers in sent.items()}
        opened_by = rest.get("opened")
        state.opened_by = state.last_activity if opened_by == "same" else restored_event(user, opened_by)
        state.left_at = rest.get("left")
        if "prefs" in rest:
            state.preferences = Preferences(*rest["prefs"])
        if "spent" in rest:
            state.spent = {name: Sent(*numbers) for name, numbers in rest["spent"].items()}
        if "messages" in rest:
            state.messages = {name: Outstanding(*parts) for name, parts in rest["messages"].items()}
        state.finished = rest.get("finished", _NOTHING)
        state.held = tuple([Held.restored(user, parts) for parts in rest.get("held", ())])
        return state


def _in_order(named: Mapping[str, Any]) -> Iterable[str]:
    """The names as they are written. Nearly always there is one at most, and nothing to bring in order."""
    return named if len(named) < 2 else sorted(named)


def session_name(event: Event) -> str:
    """The session that the event names, "" for the unnamed one; cut to `SESSION_NAME_MAX` characters."""
    return (event.session or "")[:SESSION_NAME_MAX]


def is_small_attribute(name: str, value: Json) -> bool:
    """Whether an attribute of a user may be remembered: at most `ATTRIBUTE_BYTES_MAX`."""
    return len(name) + size_of(value) <= ATTRIBUTE_BYTES_MAX


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
# What comes of taking apart what is put together otherwise; a state is read too often to check each of its parts.
_NO_STATE = (
    msgspec.DecodeError, TypeError, ValueError, LookupError, AttributeError, OverflowError, RecursionError,
)  # fmt: skip
