"""The frames of level 1 that are no events: what opens and keeps up a session, both ways. Pure functions.

What a session makes of them is not known here: see `session`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from engine.core.model import Json
from engine.core.remembered import Preferences
from engine.core.units import SECOND
from engine.transport.decoding import NAME_LENGTH_MAX, WireError, bad_frame, check_bounds, kind_of
from engine.transport.wire import FrameType, check_zone, read_name

PROTOCOL = 1
TOKEN_LENGTH_MAX = 16 * 1024  # characters, before anything of a token is looked at
CAPABILITIES_MAX = 50
SEQ_MAX = 2**53 - 1  # what every client can count up to without losing a digit (RFC 8259, section 6)


class Hello(msgspec.Struct, frozen=True):
    """A client opens its session. ``resume`` is the session it had and the last ``seq`` it has received of it.

    ``traits`` are attributes of the user, with ``timezone`` among them where it was given. ``attempt`` is the run of
    the client, and which of its hellos it is, counting up.
    """

    client: str
    token: str | None = None
    user: str | None = None
    traits: dict[str, Json] = {}
    resume: tuple[str, int] | None = None
    capabilities: tuple[str, ...] = ()
    attempt: tuple[str, int] | None = None


def read_hello(value: dict[str, Json]) -> Hello:
    """Raises `WireError`. A field that a hello does not have is one that a later protocol has: it is passed over."""
    check_bounds(value)
    if value.get("protocol") != PROTOCOL or isinstance(value.get("protocol"), bool):
        raise WireError("bad_frame", f'expected "protocol" to be {PROTOCOL}, got {_shown(value.get("protocol"))}')
    client = read_name(value, "clientId")
    if client is None:
        raise bad_frame('expected "clientId" to say which device it is, got none')
    token = value.get("token")
    if token is not None and (not isinstance(token, str) or not 0 < len(token) <= TOKEN_LENGTH_MAX):
        raise bad_frame(f'expected "token" to be a string of 1 to {TOKEN_LENGTH_MAX} characters')
    traits = value.get("traits")
    if traits is not None and not isinstance(traits, dict):
        raise bad_frame(f'expected "traits" to be an object, got {kind_of(traits)}')
    check_zone(value.get("timezone"))
    if value.get("timezone") is not None:
        traits = {**(traits or {}), "timezone": value["timezone"]}
    elif traits:
        check_zone(traits.get("timezone"))
    return Hello(
        client, token, read_name(value, "user"), traits or {}, _read_resume(value), _capabilities(value),
        _read_attempt(value),
    )  # fmt: skip


def _read_resume(value: dict[str, Json]) -> tuple[str, int] | None:
    resume = value.get("resume")
    if resume is None:
        return None
    if not isinstance(resume, dict):
        raise bad_frame(f'expected "resume" to be {{"session": …, "received": …}}, got {kind_of(resume)}')
    session = read_name(resume, "session")
    if session is None:
        raise bad_frame('expected "resume" to name the "session"')
    return session, read_seq(resume, "received", 0)


def _read_attempt(value: dict[str, Json]) -> tuple[str, int] | None:
    attempt = value.get("attempt")
    if attempt is None:
        return None
    if not isinstance(attempt, dict):
        raise bad_frame(f'expected "attempt" to be {{"run": …, "number": …}}, got {kind_of(attempt)}')
    run = read_name(attempt, "run")
    if run is None:
        raise bad_frame('expected "attempt" to name the "run" of the client')
    return run, read_seq(attempt, "number")


def _capabilities(value: dict[str, Json]) -> tuple[str, ...]:
    found = value.get("capabilities")
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise bad_frame('expected "capabilities" to be a list of strings')
    return tuple(name[:NAME_LENGTH_MAX] for name in found[:CAPABILITIES_MAX])


def read_seq(value: Mapping[str, Json], name: str, default: int | None = None) -> int:
    """The number of a message within its session: 1, 2, 3, …; 0 is none yet."""
    found = value.get(name, default)
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= SEQ_MAX:
        raise bad_frame(f'expected "{name}" to be a whole number of at least 0, got {_shown(found)}')
    return found


def welcome(
    *,
    session: str,
    user: str,
    at: int,
    heartbeat_s: float,
    resumed: bool,
    limits: Mapping[str, int | None],
    token_expires_at: int | None = None,
) -> FrameType:
    """``at`` and ``token_expires_at`` are microseconds; a token that never does, or none, is not spoken of."""
    frame: FrameType = {
        "type": "welcome", "session": session, "user": user, "serverTime": at / SECOND, "heartbeat": heartbeat_s,
        "resumed": resumed, "limits": dict(limits),
    }  # fmt: skip
    if token_expires_at is not None:
        frame["tokenExpiresAt"] = token_expires_at / SECOND
    return frame


def ack(ids: Iterable[Json]) -> FrameType:
    return {"type": "ack", "ids": list(ids)}


def withdrawn(message_id: str, reason: str) -> FrameType:
    return {"type": "withdrawn", "id": message_id, "reason": reason}


def preferences_frame(wishes: Preferences) -> FrameType:
    """All that the user wishes; times are epoch seconds, and the one of ``snoozedUntil`` is for everything."""
    snoozed = {name: until // SECOND for name, until in wishes.snoozed.items()}
    everything = snoozed.pop("", None)
    return {
        "type": "preferences", "level": wishes.level, "muted": list(wishes.muted), "snoozedUntil": everything,
        "snoozed": snoozed,
    }  # fmt: skip


def chat_delta(delta: str, to: Json) -> FrameType:
    return {"type": "chat_response_delta", "delta": delta, **({} if to is None else {"to": to})}


def ids_of(value: dict[str, Json]) -> Sequence[Json]:
    """The ids that a frame's events were given, as they stand there; those without one have none to be told of.

    Of an ``outcome`` it is the message's id, and no id of an event.
    """
    if value.get("type") != "events":
        name = value.get("id")
        return () if name is None or value.get("type") == "outcome" else (name,)
    items = value.get("events")
    if not isinstance(items, list):
        return ()
    told = [item for item in items if isinstance(item, dict) and item.get("type") != "outcome"]
    return [item["id"] for item in told if item.get("id") is not None]


def _shown(value: Json) -> str:
    if isinstance(value, str):
        return f'"{value[:NAME_LENGTH_MAX]}"'
    return str(value)[:NAME_LENGTH_MAX] if isinstance(value, int | float) else kind_of(value)
