"""The values that cross the core's border: events in, decisions out. Frozen, and each with one encoding."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from engine.core.units import format_at, format_duration, from_datetime, from_timedelta

Json = Any  # what JSON can hold: None, bool, int, float, str, list, dict with string keys

Outcome = Literal[
    "sent", "held", "shadow", "condition", "absent", "muted", "warmup", "cooldown", "cap", "outranked", "quiet_hours",
    "budget", "holdout", "render_error", "cancelled", "expired",
]  # fmt: skip
# As tables and reports show them: what was said, then the gates in their order (rules-language, section 6), then what
# became of messages that were held.
OUTCOMES: tuple[Outcome, ...] = (
    "sent", "held", "shadow", "condition", "absent", "muted", "warmup", "cooldown", "cap", "outranked", "quiet_hours",
    "budget", "holdout", "render_error", "cancelled", "expired",
)  # fmt: skip

# What a client of the protocol takes for something else than a message: no message can be of these types.
MESSAGE_TYPES_TAKEN = (
    "ack", "backend_message", "chat_response", "chat_response_delta", "error", "ping", "pong", "preferences", "welcome",
    "withdrawn",
)  # fmt: skip

ANSWER_TYPE = "chat_response"  # the server's own type: a message that answers what one client asked

# Events that are not activity: they tell of sessions, messages and people, not of something the user did.
LIFECYCLE_TYPES = frozenset({"session.start", "session.end", "user.identify", "user.preferences", "ping"})
LIFECYCLE_PREFIX = "message."

# What the driver writes down for itself: what a responder made of a message, and what it answered to whom. No rule sees
# them, and they change no state; so they are not activity either.
COMPOSED = "message.composed"  # message_id, text, by
CHAT_RESPONSE = "message.chat_response"  # message, to; or to, error where whoever asked was told of that
RECORD_TYPES = frozenset({COMPOSED, CHAT_RESPONSE})


def is_activity(event_type: str) -> bool:
    return event_type not in LIFECYCLE_TYPES and not event_type.startswith(LIFECYCLE_PREFIX)


class Event(msgspec.Struct, frozen=True, gc=False):
    """Something that happened to one user.

    ``at`` is the moment it is handled, in microseconds UTC; ``at_reported`` is its own stamp where that was
    another. ``id`` may be "": a log need not have ids. ``data`` is JSON and is never changed.
    """

    type: str
    user: str
    at: int
    data: dict[str, Json]
    id: str = ""
    session: str | None = None
    at_reported: int | None = None


class Message(msgspec.Struct, frozen=True, gc=False):
    """What a rule says to a user. ``expires_at`` is the moment after which nobody should be shown it, or None.

    ``prompt``: what a responder is asked to write in place of ``text``, which is said where it cannot; "" for nothing.
    """

    id: str
    type: str
    text: str
    options: tuple[str, ...] = ()
    data: dict[str, Json] = {}
    expires_at: int | None = None
    prompt: str = ""


class Reason(msgspec.Struct, frozen=True, gc=False):
    """Why a gate closed: a code and what it refers to. `engine.core.reasons.explain` makes the text, on display."""

    code: str
    refs: tuple[Json, ...] = ()


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What became of one candidate.

    A candidate has one decision, or where its message was held or withdrawn a further one, whose ``was`` is the
    outcome that no longer stands: so the candidates are the decisions without ``was``, and an outcome's number is
    that of its decisions less that of those which it ``was``.

    ``order`` is the rule's place in its rule set (it sorts, it is not written). ``trigger`` are the facts of the
    trigger that fired, its kind first. ``event_id`` names the event that caused it, "" where none did.
    ``variant`` is the one that was drawn, and ``probability`` how likely that was, from 0 to 1.
    """

    at: int
    user: str
    rule: str
    order: int
    outcome: Outcome
    reason: Reason | None
    trigger: dict[str, Any]
    event_id: str = ""
    message: Message | None = None
    was: Outcome | None = None
    variant: str | None = None
    probability: float | None = None


def derive_id(*cause: str | int) -> str:
    """An id that depends on its cause alone: 32 hex digits of BLAKE2b (RFC 7693).

    The digest is over the parts with their lengths before them, so that no two causes are written alike.
    128 bits: among 10**12 messages a collision has a chance of about 10**-15.
    """
    written = "".join([f"{len(part)}:{part}," for part in map(str, cause)])
    return blake2b(written.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def derive_fraction(*cause: str | int) -> float:
    """A number in [0, 1) that depends on its cause alone, evenly spread: 52 bits of `derive_id`'s digest."""
    return int(derive_id(*cause)[:13], 16) / (1 << 52)


def plain(value: Any) -> Json:
    """A value of an expression as JSON: durations as ``"5m"``, moments as RFC 3339, tuples as lists."""
    if value is None or type(value) in _PLAIN:
        return value
    if isinstance(value, timedelta):
        return format_duration(from_timedelta(value))
    if isinstance(value, datetime):
        return format_at(from_datetime(value))
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


_PLAIN = frozenset({str, int, float, bool})
