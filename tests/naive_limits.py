"""The page on gates, read slowly: before every candidate the whole history is scanned for what the page says.

It shares no code with the engine: rules are read as they are written, and what was sent, charged, dismissed and emptied
is looked up in one list of all that has happened. Of the triggers it knows `event` and `inactivity`; nothing is held.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from naive import sessions_open

from engine.core.model import Event

SECOND = 1_000_000
UNITS = {"s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND}
LEVELS = ("off", "less", "normal", "more")

Written = dict[str, Any]  # as it stands in a file
Verdict = tuple[int, str, str]  # moment, rule, outcome


@dataclass
class Sent:
    """A rule has sent something, or (a shadow rule) would have."""

    at: int
    rule: str
    value: Any
    shadow: bool


@dataclass
class Arrived:
    """Presence began."""

    at: int


@dataclass
class Reading:
    """``past`` is all that has happened, in order: what was sent, arrivals, and the events themselves."""

    rules: Sequence[Written]
    policy: Written
    messages_max: int  # how many messages of a user may be answered, the latest
    past: list[Sent | Arrived | Event] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)


def verdicts(
    rules: Sequence[Written], policy: Written, events: Sequence[Event], until: int, messages_max: int
) -> list[Verdict]:
    """What becomes of every candidate, in order; ``events`` are in order of time."""
    reading = Reading(rules, policy, messages_max)
    timers = sorted({moment for rule in rules for moment, _ in idle_moments(rule, policy, events) if moment <= until})
    for place, event in enumerate(events):
        while timers and timers[0] <= event.at:
            settle_timers(reading, timers.pop(0), events)
        if arrives(events, place, timeout_of(policy)):
            reading.past.append(Arrived(event.at))
        reading.past.append(event)
        settle(reading, event.at, [(rule, event) for rule in rules if event.type in event_types(rule)])
    for moment in timers:
        settle_timers(reading, moment, events)
    return reading.verdicts


def arrives(events: Sequence[Event], place: int, timeout: int) -> bool:
    """Whether presence begins with the event at that place."""
    before = [other for other in events[:place] if is_known(other)]
    after = [other for other in events[: place + 1] if is_known(other)]
    at = events[place].at
    return bool(sessions_open(after, at, timeout)) and not sessions_open(before, at, timeout)


def idle_moments(rule: Written, policy: Written, events: Sequence[Event]) -> Iterator[tuple[int, Event]]:
    """When the rule's inactivity fires, and the last activity before that."""
    if "inactivity" not in rule["trigger"]:
        return
    written = rule["trigger"]["inactivity"]
    after = written.get("after")
    for place, event in enumerate(events):
        moment = event.at + span(written["for"])
        if not is_activity(event) or (after is not None and event.type != after):
            continue
        later = [other for other in events[place + 1 :] if other.at < moment]
        if not any(is_activity(other) for other in later) and stays(events, place, moment, timeout_of(policy)):
            yield moment, event


def stays(events: Sequence[Event], place: int, moment: int, timeout: int) -> bool:
    """Whether the user stays from the event at that place until the timers of that moment."""
    for last in range(place, len(events)):
        if events[last].at >= moment:
            break
        upcoming = [other.at for other in events[last + 1 :]][:1]
        # At the moment itself a session that ends by time ends after the timers, but before the events.
        checked = upcoming[0] if upcoming and upcoming[0] < moment else moment - 1
        if not sessions_open([other for other in events[: last + 1] if is_known(other)], checked, timeout):
            return False
    return True


def settle_timers(reading: Reading, moment: int, events: Sequence[Event]) -> None:
    fired = []
    for rule in reading.rules:
        armed_by = [event for at, event in idle_moments(rule, reading.policy, events) if at == moment]
        fired += [(rule, event) for event in armed_by]
    settle(reading, moment, fired)


def settle(reading: Reading, at: int, fired: Sequence[tuple[Written, Event]]) -> None:
    sent_now = 0
    for rule, event in sorted(fired, key=lambda candidate: -candidate[0].get("priority", 0)):
        outcome = outcome_of(reading, rule, event, at, sent_now)
        sent_now += outcome == "sent"
        reading.verdicts.append((at, rule["id"], outcome))
        if outcome in ("sent", "shadow"):
            reading.past.append(Sent(at, rule["id"], value_of(rule, event), outcome == "shadow"))


def outcome_of(reading: Reading, rule: Written, event: Event, at: int, sent_now: int) -> str:
    if LEVELS.index(rule.get("level", "normal")) > LEVELS.index(level_of(reading)):
        return "muted"
    arrival = [line.at for line in reading.past if isinstance(line, Arrived)][-1]
    if "warmup" in rule and at < arrival + span(rule["warmup"]):
        return "warmup"
    own = [line for line in reading.past if isinstance(line, Sent) and line.rule == rule["id"]]
    if "cooldown" in rule:
        quiet = cooldown_of(reading, rule)
        like = [line for line in own if "cooldown_by" not in rule or line.value == value_of(rule, event)]
        if any(at < line.at + quiet for line in like):
            return "cooldown"
    ones = [(place, 1) for place, line in enumerate(reading.past) if any(line is mine for mine in own)]
    if any(is_used_up(reading, limit, ones, at) for limit in rule.get("max", ())):
        return "cap"
    if sent_now >= reading.policy.get("simultaneous", 1):
        return "outranked"
    for name in budgets_of(reading, rule):
        spent = charges(reading, name)
        for limit in reading.policy["budgets"][name]["limits"]:
            if limit.get("level") in (None, level_of(reading)) and is_used_up(reading, limit, spent, at):
                return "budget"
    return "shadow" if rule.get("mode") == "shadow" else "sent"


def level_of(reading: Reading) -> str:
    """The level that the user has chosen last."""
    level = "normal"
    for line in reading.past:
        if isinstance(line, Event) and line.type == "user.preferences":
            level = line.data.get("level", level)
    return level


def cooldown_of(reading: Reading, rule: Written) -> int:
    """How long the rule is quiet: multiplied for every dismissal since the last answer that takes them back."""
    quiet = span(rule["cooldown"])
    if "on_dismiss" not in rule:
        return quiet
    dismissals = 0
    open_messages: list[str] = []  # by rule, in the order in which they were sent
    for line in reading.past:
        if isinstance(line, Sent) and not line.shadow:
            open_messages = [*open_messages, line.rule][-reading.messages_max :]
        elif isinstance(line, Event) and line.type.startswith("message."):
            concerned = line.data["rule"]
            if concerned not in open_messages:
                continue
            latest = len(open_messages) - 1 - open_messages[::-1].index(concerned)
            open_messages = open_messages[:latest] + open_messages[latest + 1 :]
            if concerned == rule["id"] and line.type == "message.dismissed":
                dismissals += 1
            elif concerned == rule["id"] and rule.get("on_answer") == "reset":
                dismissals = 0
    factor = int(rule["on_dismiss"]["cooldown"].removeprefix("x"))
    longer = quiet * factor**dismissals
    return min(longer, max(quiet, span(rule["on_dismiss"].get("up_to", "99999h"))))


def budgets_of(reading: Reading, rule: Written) -> list[str]:
    """All, unless the rule names others or none."""
    named = rule.get("budget", list(reading.policy.get("budgets", {})))
    return [] if named == "none" else [named] if isinstance(named, str) else named


def charges(reading: Reading, name: str) -> list[tuple[int, int]]:
    """What has been charged to the budget since it was emptied: places in the past, and how much."""
    budget = reading.policy["budgets"][name]
    drawing = {rule["id"] for rule in reading.rules if name in budgets_of(reading, rule)}
    found: list[tuple[int, int]] = []
    for place, line in enumerate(reading.past):
        if isinstance(line, Event):
            if line.type == budget.get("reset_on"):
                found = []
            for charge in budget.get("charged_by", ()):
                if line.type == charge["event"]:
                    found.append((place, charge.get("cost", 1)))
        elif isinstance(line, Sent) and not line.shadow and line.rule in drawing and "charged_by" not in budget:
            found.append((place, 1))
    return found


def is_used_up(reading: Reading, limit: Written, found: Sequence[tuple[int, int]], at: int) -> bool:
    """Whether as much as the limit allows lies in its present period; ``found`` are places in the past and amounts."""
    per = limit["per"]
    arrival = max(place for place, line in enumerate(reading.past) if isinstance(line, Arrived))
    today = local_date(at, reading.policy)
    amount = 0
    for place, count in found:
        moment = reading.past[place].at
        if per == "user":
            amount += count
        elif per == "session":
            amount += count if place > arrival else 0
        elif per == "day":
            amount += count if local_date(moment, reading.policy) == today else 0
        else:
            amount += count if at - span(per) < moment <= at else 0
    return bool(amount >= limit["max"])


def value_of(rule: Written, event: Event) -> Any:
    """What a cooldown is told apart by; nothing at all is one of the values."""
    name = rule.get("cooldown_by")
    return None if name is None else (type(event.data.get(name)), event.data.get(name), name in event.data)


def event_types(rule: Written) -> tuple[str, ...]:
    return (rule["trigger"]["event"],) if "event" in rule["trigger"] else ()


def is_activity(event: Event) -> bool:
    return not event.type.startswith(("session.", "message.", "user.")) and event.type != "ping"


def is_known(event: Event) -> bool:
    """Whether it has anything to do with sessions."""
    return is_activity(event) or event.type.startswith("session.")


def timeout_of(policy: Written) -> int:
    return span(policy.get("session_timeout", "30m"))


def span(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]


def local_date(at: int, policy: Written) -> date:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
    return moment.astimezone(ZoneInfo(policy.get("timezone", "Etc/UTC"))).date()
