"""Conditions and ``where:`` that hold always or never, or that compare with what cannot be."""

from __future__ import annotations

from collections.abc import Iterator

from engine.core.rules import Rule, Trigger
from engine.lint.finding import Finding
from engine.lint.logic import Known, Oddity, examine
from engine.lint.matchers import Written, matchers_of, matchers_of_policy
from engine.lint.places import Place, Reading
from engine.triggers.count import Count
from engine.triggers.event import EventTrigger
from engine.triggers.inactivity import InactivityAfter
from engine.triggers.keywords import Keywords
from engine.triggers.session import SessionEnd


def check_conditions(reading: Reading) -> Iterator[Finding]:
    for rule in reading.rules:
        if rule.mode == "off":
            continue
        for number, oddity in examine([condition.source for condition in rule.conditions], _known(rule)):
            place = reading.of_text(rule.path, reading.node(rule, "condition", number), oddity.offset)
            yield _found(reading, place, oddity, rule)
        for written in matchers_of(rule):
            yield from _where(reading, written, rule)
    for written in matchers_of_policy(reading.rules):
        yield from _where(reading, written, None)


def _where(reading: Reading, written: Written, rule: Rule | None) -> Iterator[Finding]:
    where = written.matcher.where
    if where is None:
        return
    for _, oddity in examine([where.source], Known(types=written.matcher.event_types)):
        if rule is None:
            path, node = reading.policy_path, reading.policy_node(*written.keys, "where")
        else:
            path, node = rule.path, reading.where_node(rule, written.keys)
        yield _found(reading, reading.of_text(path, node, oddity.offset), oddity, rule)


def _found(reading: Reading, place: Place, oddity: Oddity, rule: Rule | None) -> Finding:
    return reading.found(oddity.code, place, oddity.message, oddity.hint, rule)


def _known(rule: Rule) -> Known:
    triggers = rule.triggers
    types = [event_types_of(trigger) for trigger in triggers]
    dead = set()
    if all(trigger.kind == "schedule" for trigger in triggers):
        dead.add("event")
    if all(isinstance(trigger, SessionEnd) for trigger in triggers):
        dead.add("session")
    kinds = tuple(dict.fromkeys(trigger.kind for trigger in triggers))
    known = None if None in types else tuple(dict.fromkeys(name for own in types for name in own or ()))
    return Known(known, kinds, frozenset(dead))


def event_types_of(trigger: Trigger) -> tuple[str, ...] | None:
    """The patterns of what ``event`` can be when the trigger has fired, None where that cannot be said."""
    match trigger:
        case EventTrigger() | Keywords() | Count():
            return trigger.matcher.event_types
        case InactivityAfter():
            return trigger.after.event_types
    return None
