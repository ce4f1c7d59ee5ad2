"""What became of a message and what a user wishes, as clients say it, to the events that rules see. Pure functions.

A frame is read here and not obeyed: what an event does is the core's to say.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.core.model import Json
from engine.core.refusal import Refused
from engine.core.remembered import NAMES_MAX
from engine.core.units import parse_at
from engine.transport.decoding import NAME_LENGTH_MAX, WireError, bad_frame, kind_of

OUTCOMES = ("seen", "engaged", "answered", "dismissed", "muted")
LEVELS = ("off", "less", "normal", "more")
PREFERENCES = ("level", "muted", "mute", "unmute", "snoozedUntil", "snoozed")
# Fields of any frame that say whose it is and when it was said.
ENVELOPE = ("type", "clientId", "id", "session", "at")


def read_outcome(value: dict[str, Json]) -> tuple[str, dict[str, Json]]:
    """Type and data of the event that an ``outcome`` frame tells; its ``id`` is the message's. Raises `WireError`."""
    _expect_only(value, ("outcome", "response"))
    message_id = value.get("id")
    if not isinstance(message_id, str) or not message_id:
        raise bad_frame(f'expected "id" to be the id of a message, a non-empty string, got {_got(value, "id")}')
    if len(message_id) > NAME_LENGTH_MAX:
        raise bad_frame(f'expected "id" to have at most {NAME_LENGTH_MAX} characters, got {len(message_id)}')
    outcome = _one_of(value, "outcome", OUTCOMES)
    data: dict[str, Json] = {"message_id": message_id}
    if value.get("response") is not None:
        if not isinstance(value["response"], str):
            raise bad_frame(f'expected "response" to be a string, got {kind_of(value["response"])}')
        data["response"] = value["response"]
    return f"message.{outcome}", data


def read_preferences(value: dict[str, Json]) -> dict[str, Json]:
    """The data of the ``user.preferences`` event that a ``preferences`` frame tells. Raises `WireError`."""
    _expect_only(value, PREFERENCES)
    data = {name: value[name] for name in PREFERENCES if name in value}
    if not data:
        raise bad_frame(f"expected at least one of {', '.join(PREFERENCES)}, got none")
    if "level" in data:
        _one_of(data, "level", LEVELS)
    for field in ("muted", "mute", "unmute"):
        if field in data:
            _check_muted(field, data[field])
    if data.get("snoozedUntil") is not None:
        _check_moment("snoozedUntil", data["snoozedUntil"])
    if "snoozed" in data:
        _check_snoozed(data["snoozed"])
    return data


def _check_muted(field: str, names: Json) -> None:
    if not isinstance(names, list):
        raise bad_frame(f'expected "{field}" to be a list of rules and topics, got {kind_of(names)}')
    _check_names(field, names)


def _check_snoozed(snoozed: Json) -> None:
    if not isinstance(snoozed, dict):
        raise bad_frame(f'expected "snoozed" to be an object, rule or topic to time, got {kind_of(snoozed)}')
    _check_names("snoozed", list(snoozed))
    for name, moment in snoozed.items():
        _check_moment(f"snoozed.{name}", moment)


def _check_names(field: str, names: Sequence[Json]) -> None:
    if len(names) > NAMES_MAX:
        raise bad_frame(f'expected "{field}" to name at most {NAMES_MAX} rules and topics, got {len(names)}')
    for name in names:
        if not isinstance(name, str) or not 0 < len(name) <= NAME_LENGTH_MAX:
            got = f"one of {len(name)}" if isinstance(name, str) and name else kind_of(name)
            raise WireError(
                "bad_frame", f'expected the names in "{field}" to be of 1 to {NAME_LENGTH_MAX} characters, got {got}'
            )


def _check_moment(field: str, moment: Json) -> None:
    try:
        parse_at(moment)
    except Refused as refused:
        raise bad_frame(f'"{field}": {refused.message}') from None


def _one_of(value: dict[str, Json], field: str, words: Sequence[str]) -> str:
    found = value.get(field)
    if not isinstance(found, str) or found not in words:
        got = f'"{found[:NAME_LENGTH_MAX]}"' if isinstance(found, str) and found else _got(value, field)
        raise bad_frame(f'expected "{field}" to be {", ".join(words[:-1])} or {words[-1]}, got {got}')
    return found


def _expect_only(value: dict[str, Json], fields: Sequence[str]) -> None:
    unknown = [name for name in value if name not in fields and name not in ENVELOPE]
    if unknown:
        raise bad_frame(f'expected only {", ".join(fields)} besides {", ".join(ENVELOPE)}, got "{unknown[0][:80]}"')


def _got(value: dict[str, Json], field: str) -> str:
    return kind_of(value[field]) if field in value else "nothing"
