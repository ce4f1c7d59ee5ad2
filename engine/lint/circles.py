"""Rules that answer themselves, or each other in a circle, with nothing that ever stops them.

What becomes of a message is an event, and a rule may answer it with another message. A cooldown, a cap, a budget, a
wait for a good moment ends that; so may a condition, and one that cannot be seen through is taken to do so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.core.expressions import Expression
from engine.core.feedback import EXPIRED
from engine.core.model import LIFECYCLE_PREFIX, Event
from engine.core.rules import Policy, Rule, Trigger
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.lint.finding import Finding
from engine.lint.firing import reached_rules
from engine.lint.named import read_by_expression
from engine.lint.places import Reading
from engine.triggers.event import EventTrigger
from engine.triggers.response import Response

# What becomes of a message, as far as it goes on: who mutes a rule has ended it.
_WORDS = ("delivered", "seen", "engaged", "answered", "dismissed", "expired")
BECOMES = tuple([f"{LIFECYCLE_PREFIX}{word}" for word in _WORDS])
_KNOWN = frozenset({"event.type", "event.rule", "event.message_type", "event.topic"})
_HINT = 'a "cooldown" or a "max" ends it'


def check_circles(reading: Reading) -> Iterator[Finding]:
    unlimited = [rule for rule in reading.rules if rule.mode == "live" and not _is_limited(rule)]
    answers = {rule.id: _answers(rule, unlimited) for rule in unlimited}
    reached = reached_rules(reading.rules)
    told: set[str] = set()
    for rule in unlimited:
        circle = _circle(rule.id, answers)
        if not circle or told.intersection(circle) or not reached.intersection(circle):
            continue
        told.update(circle)
        steps = [(one, other, answers[one][other]) for one, other in zip(circle, [*circle[1:], rule.id], strict=True)]
        ways = [f"{{}} of {one} that is {_word(event)} makes {other} send" for one, other, event in steps]
        message = f"{rule.id} answers itself without end: {ways[0].format('each message')} another"
        if len(circle) > 1:
            said = [way.format("one" if place else "a message") for place, way in enumerate(ways)]
            message = f"{' and '.join(circle)} answer each other without end: {' one, '.join(said)} one"
        _, speaker_id, event = steps[0]
        speaker = reading.rules.by_id[speaker_id]
        position = next(place for place, trigger in enumerate(speaker.triggers) if _answered(trigger, rule) == event)
        yield reading.found("answers-itself", reading.of_trigger(speaker, position), message, _HINT, speaker)


def _is_limited(rule: Rule) -> bool:
    waits = rule.deliver is not None and rule.deliver.within is not None
    budgeted = any(limit.level is None for budget in rule.budgets for limit in budget.limits)
    return rule.cooldown is not None or bool(rule.caps) or budgeted or waits


def _answers(rule: Rule, others: list[Rule]) -> Mapping[str, str]:
    """Which rules send something because of what becomes of a message of the rule, and the event that makes them."""
    found = {}
    for other in others:
        events = [event for event in (_answered(trigger, rule) for trigger in other.triggers) if event]
        if events and all(_holds(condition, rule, events[0]) for condition in other.conditions):
            found[other.id] = events[0]
    return found


def _answered(trigger: Trigger, rule: Rule) -> str:
    """Of what becomes of the rule's messages, the first event on which the trigger fires, whatever else; "" if none."""
    for event in BECOMES:
        if event == EXPIRED and rule.expires is None:
            continue
        if isinstance(trigger, Response) and trigger.to == rule.id and event in trigger.event_types:
            return event
        if isinstance(trigger, EventTrigger) and trigger.matcher.covers(event):
            where = trigger.matcher.where
            if where is None or _holds(where, rule, event):
                return event
    return ""


def _holds(expression: Expression, rule: Rule, event: str) -> bool:
    """Whether it holds of every such event about a message of the rule, as far as can be seen."""
    if not expression.needs <= {"event"} or not read_by_expression(expression.source).keys() <= _KNOWN:
        return False
    data = {"rule": rule.id, "message_type": rule.message.type, "message_id": ""}
    if rule.topic is not None:
        data["topic"] = rule.topic
    return expression.holds(Scope(UserState(""), Event(event, "", 0, data), 0, Policy()))


def _circle(start: str, answers: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The shortest way from a rule back to itself, without the end; nothing where there is none."""
    ways: dict[str, list[str]] = {}
    wave = {start: [start]}
    while wave:
        further: dict[str, list[str]] = {}
        for name, way in wave.items():
            if start in answers[name]:
                return way
            for other in answers[name]:
                if other not in ways and other not in wave:
                    further.setdefault(other, [*way, other])
        ways |= wave
        wave = further
    return []


def _word(event: str) -> str:
    word = event.removeprefix(LIFECYCLE_PREFIX)
    return "never answered" if event == EXPIRED else "engaged with" if word == "engaged" else word
