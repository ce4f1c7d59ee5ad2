"""Triggers that cannot fire, or whose candidates can come to nothing; what another one covers already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.core.matcher import Matcher
from engine.core.rules import Rule, Trigger
from engine.core.units import format_duration
from engine.lint.finding import Finding
from engine.lint.matchers import matchers_of
from engine.lint.places import Reading
from engine.lint.types import are_covered, covers
from engine.triggers.count import Count, CountDistinct
from engine.triggers.event import EventTrigger
from engine.triggers.inactivity import Inactivity
from engine.triggers.response import Response
from engine.triggers.sequence import Sequence
from engine.triggers.session import Lasted, Returned, SessionEnd, SessionStart


def check_firing(reading: Reading) -> Iterator[Finding]:
    for rule in reading.rules:
        if rule.mode == "off":
            continue
        if rule.holdout >= 1 or reading.rules.policy.holdout >= 1:
            place = reading.of_rule(rule, "holdout") if rule.holdout >= 1 else reading.of_policy("holdout")
            message = f"all users are held out, so {rule.id} never sends anything"
            yield reading.found("never-speaks", place, message, 'to try it silently write "mode: shadow"', rule)
        for position, trigger in enumerate(rule.triggers):
            yield from _trigger(reading, rule, position, trigger)
        yield from _covered_triggers(reading, rule)
        yield from _covered_types(reading, rule)
    yield from _unreachable(reading)


def _trigger(reading: Reading, rule: Rule, position: int, trigger: Trigger) -> Iterator[Finding]:
    place = reading.of_trigger(rule, position)
    match trigger:
        case Count():
            yield from _count(reading, rule, position, trigger)
        case Sequence(without=Matcher(where=None) as without):
            for number, step in enumerate(trigger.steps[1:], start=1):
                if are_covered(step.event_types, [without]):
                    place = reading.of_trigger(rule, position, "without")
                    message = f'each event of step {number + 1} is one of "without" too, which discards what was done'
                    yield reading.found("never-fires", place, f"{message}: this sequence is never complete", "", rule)
        case Inactivity() if trigger.span > reading.rules.policy.session_timeout:
            timeout = format_duration(reading.rules.policy.session_timeout)
            message = (
                f"a session that nobody opened ends {timeout} after the last activity (session_timeout), so"
                f" {format_duration(trigger.span)} of inactivity come only for users whose client sends session.start"
            )
            hint = 'raise "session_timeout", or shorten it'
            yield reading.found("longer-than-session", place, message, hint, rule)
        case SessionEnd() if not rule.keeps_offline:
            message = f"at the end of a session the user is absent, so {rule.id} sends nothing"
            yield reading.found("never-speaks", place, message, 'write "offline: keep"', rule)
        case SessionStart() | Returned() if rule.warmup is not None:
            message = f'this fires as a session starts, when "warmup: {format_duration(rule.warmup)}" is never over'
            hint = 'leave "warmup" out, or fire when the session has "lasted" so long'
            yield reading.found("never-speaks", place, message, hint, rule)
        case Lasted() if rule.warmup is not None and trigger.span < rule.warmup:
            message = (
                f"this fires {format_duration(trigger.span)} after a session started, when"
                f' "warmup: {format_duration(rule.warmup)}" is never over'
            )
            yield reading.found("never-speaks", place, message, 'leave "warmup" out', rule)
        case Response():
            why = _no_response(trigger, reading.rules.by_id)
            if why:
                yield reading.found("never-fires", place, why[0], why[1], rule)


def _count(reading: Reading, rule: Rule, position: int, trigger: Count) -> Iterator[Finding]:
    if trigger.count == 1:
        place = reading.of_trigger(rule, position, "at_least")
        message = (
            f"a count of one fires at every match, as an event does, and {format_duration(trigger.within)} say nothing"
        )
        yield reading.found("count-of-one", place, message, 'write "event", or count further', rule)
        return
    reset = trigger.reset_on
    if reset is not None and reset.where is None and are_covered(trigger.matcher.event_types, [reset]):
        place = reading.of_trigger(rule, position, "reset_on")
        message = (
            f'each event that is counted is one of "reset_on" too, so the count never gets beyond 1 of {trigger.count}'
        )
        yield reading.found("never-fires", place, message, "reset on other events than are counted", rule)
    if isinstance(trigger, CountDistinct):
        (field,) = trigger.distinct.fields
        fixed = trigger.matcher.equality
        place = reading.of_trigger(rule, position, "distinct")
        if trigger.grouping is not None and field in trigger.grouping.fields:
            message = f'all events of a group have the same "{field}", so there is never more than one value of it'
            yield reading.found("never-fires", place, message, f'leave "{field}" out of "group_by"', rule)
        elif fixed is not None and fixed[0] == field:
            message = f'"where" lets only one value of "{field}" through, so {trigger.count} different ones never come'
            yield reading.found("never-fires", place, message, "leave one of the two out", rule)


def _no_response(trigger: Response, rules: dict[str, Rule]) -> tuple[str, str] | None:
    """Why nobody ever responds like that, and what can be done."""
    to = rules.get(trigger.to)
    if to is None:
        return None
    if to.mode != "live":
        word = "is off" if to.mode == "off" else "is a shadow"
        return f"{to.id} {word} and sends nothing that could be answered", f'write "mode: live" for {to.id}'
    if trigger.words == {"ignored"} and not trigger.options and to.expires is None:
        return f'a message of {to.id} has no "expires", so it never counts as ignored', f'give {to.id} an "expires"'
    return None


def _covered_triggers(reading: Reading, rule: Rule) -> Iterator[Finding]:
    bare = [one for one in rule.triggers if isinstance(one, EventTrigger) and one.matcher.where is None]
    for position, trigger in enumerate(rule.triggers):
        if not isinstance(trigger, EventTrigger):
            continue
        for other in bare:
            # Of two that cover each other the later one is at fault.
            same = are_covered(other.event_types, [trigger.matcher]) and trigger.matcher.where is None
            is_first = rule.triggers.index(other) > position
            if other is not trigger and are_covered(trigger.event_types, [other.matcher]) and not (same and is_first):
                message = f"each event of this trigger fires another one of {rule.id} as well"
                yield reading.found("covered", reading.of_trigger(rule, position), message, "leave it out", rule)
                break


def _covered_types(reading: Reading, rule: Rule) -> Iterator[Finding]:
    for written in matchers_of(rule):
        types = written.matcher.event_types
        for name in types:
            wider = next((other for other in types if other != name and covers(other, name)), None)
            if wider is not None:
                place = reading.of_rule(rule, *written.keys)
                message = f'the event type "{name}" is one of "{wider}", which stands beside it'
                yield reading.found("covered", place, message, "leave it out", rule)


def _unreachable(reading: Reading) -> Iterator[Finding]:
    """Rules that only respond, and only to rules of which the same is true."""
    live = {rule.id: rule for rule in reading.rules if rule.mode != "off"}
    reached = reached_rules(reading.rules)
    for rule in live.values():
        targets = [trigger.to for trigger in rule.triggers if isinstance(trigger, Response)]
        # Where a rule that is answered is off, that has been said of the trigger.
        if rule.id in reached or any(to not in live for to in targets):
            continue
        ring = "itself" if set(targets) == {rule.id} else "rules that wait for each other's answers"
        message = f"{rule.id} only responds to {ring}, so the first message is never sent"
        hint = "give one of them another trigger"
        yield reading.found("unreachable-rule", reading.of_rule(rule, "trigger"), message, hint, rule)


def reached_rules(rules: Iterable[Rule]) -> set[str]:
    """The rules that are on and that something else makes fire than answers to rules of which the same is not true."""
    live = [rule for rule in rules if rule.mode != "off"]
    reached: set[str] = set()
    before = -1
    while len(reached) != before:
        before = len(reached)
        reached |= {rule.id for rule in live if any(_can_come(trigger, reached) for trigger in rule.triggers)}
    return reached


def _can_come(trigger: Trigger, reached: set[str]) -> bool:
    return not isinstance(trigger, Response) or trigger.to in reached
