"""What became of a message comes back: receipts, answers, wishes. It changes what the state remembers of them."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from engine.core.model import LIFECYCLE_PREFIX, Event, Json
from engine.core.refusal import Refused
from engine.core.remembered import NAMES_MAX, Level, Preferences
from engine.core.rules import RuleSet
from engine.core.state import UserState
from engine.core.units import parse_at

EXPIRED = "message.expired"
_LEVELS = frozenset(get_args(Level))
_NAME_LENGTH_MAX = 128
# After these nothing more is to come of a message.
_FINAL = frozenset({"answered", "dismissed", "muted", "expired"})


def take_receipt(rules: RuleSet, state: UserState, event: Event) -> Event:
    """Remember what became of a message; the event as rules see it (`seen_by_rules`).

    To want no more of a rule it is never too late: of ``message.muted`` the message may have been answered or have
    expired, or only its ``rule`` be named.
    """
    word = event.type.removeprefix(LIFECYCLE_PREFIX)
    seen = seen_by_rules(rules, state, event)
    message_id = _message_of(state, event.data)
    if message_id is None:
        if word == "muted":
            _mute_rule(state, seen.data.get("rule", event.data.get("rule")))
        return seen
    outstanding = state.messages[message_id]
    outstanding.waits = False
    if word == "engaged":
        outstanding.engaged = True
    elif word in _FINAL:
        state.drop_message(message_id)
        _feed_back(rules, state, outstanding.rule, word)
    return seen


def seen_by_rules(rules: RuleSet, state: UserState, event: Event) -> Event:
    """An event about a message, before it is taken, with what is known of the message.

    The message is the one of its ``message_id``, or the latest of its ``rule`` that may still be answered. The
    event gets ``message_id``, ``rule``, ``message_type`` and ``topic`` added; where no such message is known it loses
    its ``rule``, so that nothing takes it for an answer to one.
    """
    data = event.data
    message_id = _message_of(state, data)
    rule_id = None if message_id is None else state.messages[message_id].rule
    if message_id is None and event.type == "message.muted":
        message_id = data.get("message_id")
        rule_id = state.finished.get(message_id) if isinstance(message_id, str) else None
    if message_id is None or rule_id is None:
        return msgspec.structs.replace(event, data={name: value for name, value in data.items() if name != "rule"})
    return msgspec.structs.replace(event, data={**data, **_about(rules, message_id, rule_id)})


def expire(rules: RuleSet, state: UserState) -> list[Event]:
    """The events that say of messages which expire by now that nobody has answered them."""
    events = []
    for message_id, outstanding in list(state.messages.items()):
        if outstanding.expires_at is None or outstanding.expires_at > state.now:
            continue
        state.drop_message(message_id)
        if not outstanding.engaged:
            data = _about(rules, message_id, outstanding.rule)
            events.append(Event(EXPIRED, state.user, state.now, data, f"{message_id}.expired"))
    return events


def take_preferences(state: UserState, data: dict[str, Json]) -> None:
    """Remember what the user wishes; each key that is there replaces what was wished before.

    ``unmute`` and ``mute`` take names from those that are muted, and then add some. What cannot be meant is passed
    over: whoever sent it has been told at the door.
    """
    wishes = state.preferences or Preferences()
    level = data.get("level")
    if isinstance(level, str) and level in _LEVELS:
        wishes.level = level  # type: ignore[assignment]
    muted = _names(data["muted"]) if isinstance(data.get("muted"), list) else wishes.muted
    taken_back = _names(data.get("unmute"))
    wishes.muted = [name for name in muted if name not in taken_back][:NAMES_MAX]
    for name in _names(data.get("mute")):
        _mute(wishes, name)
    snoozed = data.get("snoozed")
    if isinstance(snoozed, dict):
        everything = wishes.snoozed.get("")
        named = {name: _moment(until) for name, until in snoozed.items() if 0 < len(name) <= _NAME_LENGTH_MAX}
        wishes.snoozed = dict([(name, until) for name, until in named.items() if until is not None][:NAMES_MAX])
        if everything is not None:
            wishes.snoozed[""] = everything
    if "snoozedUntil" in data:
        until = _moment(data["snoozedUntil"])
        if until is not None:
            wishes.snoozed[""] = until
        elif data["snoozedUntil"] is None:
            wishes.snoozed.pop("", None)
    wishes.snoozed = {name: until for name, until in sorted(wishes.snoozed.items()) if until > state.now}
    is_plain = wishes.level == "normal" and not wishes.muted and not wishes.snoozed
    state.preferences = None if is_plain else wishes


def _message_of(state: UserState, data: dict[str, Json]) -> str | None:
    message_id = data.get("message_id")
    if message_id is not None:
        return message_id if isinstance(message_id, str) and message_id in state.messages else None
    rule = data.get("rule")
    found = [name for name, outstanding in state.messages.items() if outstanding.rule == rule]
    return found[-1] if found else None


def _about(rules: RuleSet, message_id: str, rule_id: str) -> dict[str, Any]:
    about: dict[str, Any] = {"message_id": message_id, "rule": rule_id}
    rule = rules.by_id.get(rule_id)
    if rule is not None:
        about["message_type"] = rule.message.type
        if rule.topic is not None:
            about["topic"] = rule.topic
    return about


def _feed_back(rules: RuleSet, state: UserState, rule_id: str, word: str) -> None:
    rule, sent = rules.by_id.get(rule_id), state.sent.get(rule_id)
    if word == "muted":
        _mute_rule(state, rule_id)
    elif rule is None or sent is None:
        return
    elif word == "dismissed" and rule.backoff is not None:
        sent.dismissals += 1
    elif word == "answered" and rule.resets_on_answer:
        sent.dismissals = 0


def _mute_rule(state: UserState, name: Json) -> None:
    for rule in _names([name]):
        state.preferences = state.preferences or Preferences()
        _mute(state.preferences, rule)


def _mute(wishes: Preferences, name: str) -> None:
    if name not in wishes.muted and len(wishes.muted) < NAMES_MAX:
        wishes.muted.append(name)


def _names(value: Json) -> list[str]:
    """The names of a list that can be meant, each once; none for what is no list."""
    given = value if isinstance(value, list) else []
    names = [name for name in given if isinstance(name, str) and 0 < len(name) <= _NAME_LENGTH_MAX]
    return list(dict.fromkeys(names))


def _moment(value: Json) -> int | None:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    try:
        return parse_at(value)
    except Refused:
        return None
