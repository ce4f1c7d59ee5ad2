"""What rules ask for and logs do not have: types, fields, attributes of users. The logs are all there is to see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from engine.core.matcher import Matcher
from engine.core.model import LIFECYCLE_PREFIX, is_activity
from engine.core.render import Template
from engine.core.rules import Rule, RuleSet, Trigger
from engine.core.scope import EVENT_RESERVED
from engine.core.units import format_duration
from engine.lint.conditions import event_types_of
from engine.lint.constraints import tests_in
from engine.lint.finding import Finding
from engine.lint.kinds import WORDS, as_kind
from engine.lint.lint import Check
from engine.lint.matchers import matchers_of, matchers_of_policy
from engine.lint.named import read_by_expression, read_by_template, templates_in
from engine.lint.places import Key, Place, Reading
from engine.loading.tree import Node
from engine.loading.wording import listed, nearest, shorten
from engine.replay.census import Census
from engine.triggers.absence import Absence
from engine.triggers.count import Count, CountDistinct
from engine.triggers.inactivity import Inactivity
from engine.triggers.keywords import Keywords
from engine.triggers.sequence import Sequence
from engine.triggers.session import Lasted


class Asked(NamedTuple):
    """A field that somebody reads of events of ``types``, which the log has, and where."""

    field: str
    types: tuple[str, ...]
    place: Place


def log_check(census: Census) -> Check:
    """A check of rules against a log."""

    def check_log(reading: Reading) -> Iterator[Finding]:
        attributes = {name for event in census.of(["user.identify"]) for name in event.data}
        for written in matchers_of_policy(reading.rules):
            yield from _types(reading, written.matcher, reading.of_policy(*written.keys), census)
        for rule in reading.rules:
            if rule.mode == "off":
                continue
            for written in matchers_of(rule):
                yield from _types(reading, written.matcher, reading.of_rule(rule, *written.keys), census, rule)
            if not census.counts["session.start"]:
                yield from _lasted(reading, rule)
            for asked in _asked(reading, rule, census):
                yield from _field(reading, rule, census, asked)
            yield from _kinds(reading, rule, census)
            for name, place in _user_fields(reading, rule):
                if name not in attributes and name != "id":
                    near = nearest(name, attributes)
                    hint = f'did you mean "user.{near}"?' if near else ""
                    message = f'no user.identify of the log brings the attribute "{name}"'
                    yield reading.found("unknown-field", place, message, hint, rule)

    return check_log


def unseen_types(rules: RuleSet, census: Census) -> list[tuple[str, int]]:
    """Types of activities that no rule that is on names, nor the policy, with their numbers, the most frequent first.

    To be named is to move something: to fire a trigger, charge a budget, let a message go or take it back.
    """
    live = [rule for rule in rules if rule.mode != "off"]
    patterns = {name for rule in live for trigger in rule.triggers for name in trigger.event_types}
    for written in (*matchers_of_policy(rules), *(written for rule in live for written in matchers_of(rule))):
        patterns.update(written.matcher.event_types)
    seen = set(census.types(patterns))
    return [(name, count) for name, count in census.counts.most_common() if name not in seen and is_activity(name)]


def _lasted(reading: Reading, rule: Rule) -> Iterator[Finding]:
    """Sessions that nobody opened, of which the log has no others, last as long as it takes to end them."""
    timeout = reading.rules.policy.session_timeout
    for position, trigger in enumerate(rule.triggers):
        if isinstance(trigger, Lasted) and trigger.span <= timeout:
            message = (
                f"the log has no session.start, and a session that nobody opened ends {format_duration(timeout)} after"
                f" its last event (session_timeout): {format_duration(trigger.span)} have passed after a single event"
            )
            hint = 'wait for longer than "session_timeout", or shorten it'
            yield reading.found("within-session", reading.of_trigger(rule, position), message, hint, rule)


def _types(
    reading: Reading, matcher: Matcher, place: Place, census: Census, rule: Rule | None = None
) -> Iterator[Finding]:
    # What becomes of messages the engine itself adds, so a log need not have it.
    patterns = [name for name in matcher.event_types if not name.startswith(LIFECYCLE_PREFIX)]
    if patterns and len(patterns) == len(matcher.event_types) and not census.types(patterns):
        yield reading.found("unknown-type", place, census.no_type(patterns), "", rule)


def _field(reading: Reading, rule: Rule, census: Census, asked: Asked) -> Iterator[Finding]:
    if not asked.types or census.has_field(asked.types, asked.field):
        return
    near = None if "." in asked.field else nearest(asked.field, census.fields(asked.types))
    hint = f'did you mean "{near}"?' if near else ""
    count = sum(census.counts[name] for name in asked.types)
    which = f" of type {listed(asked.types, 'or')}" if len(asked.types) <= 3 else ""
    who = f"the only event{which} does not have" if count == 1 else f"none of the {count:,} events{which} has"
    message = f'{who} the field "{asked.field}"'
    yield reading.found("unknown-field", asked.place, message, hint, rule)


def _asked(reading: Reading, rule: Rule, census: Census) -> Iterator[Asked]:
    """Every field that the rule needs, with the types of the log on which it is looked for."""
    for written in matchers_of(rule):
        if written.matcher.where is not None:
            types = tuple(census.types(written.matcher.event_types))
            node = reading.where_node(rule, written.keys)
            for field, offset in _event_fields(read_by_expression(written.matcher.where.source)):
                yield Asked(field, types, reading.of_text(rule.path, node, offset))
    for position, trigger in enumerate(rule.triggers):
        for field, matchers, key in _trigger_fields(trigger):
            types = tuple(census.types([name for matcher in matchers for name in matcher.event_types]))
            yield Asked(field, types, reading.of_trigger(rule, position, key))
    known = [_fired_by(trigger, census) for trigger in rule.triggers]
    if None in known:
        return
    types = tuple(dict.fromkeys(name for own in known for name in own or ()))
    if rule.cooldown_by is not None:
        yield Asked(rule.cooldown_by.fields[0], types, reading.of_rule(rule, "cooldown_by"))
    for read, place in _texts(reading, rule):
        for field, offset in _event_fields(read):
            yield Asked(field, types, place(offset))


def _fired_by(trigger: Trigger, census: Census) -> tuple[str, ...] | None:
    """The types of the log of which ``event`` is one when the trigger has fired; None where that cannot be said."""
    patterns = event_types_of(trigger)
    if patterns is not None:
        return tuple(census.types(patterns))
    match trigger:
        case Inactivity():
            return tuple(name for name in census.counts if is_activity(name))
        case Sequence():
            return tuple(census.types(trigger.steps[-1].event_types))
        case Absence():
            return tuple(census.types(trigger.after.event_types))
    return () if trigger.kind == "schedule" else None


def _kinds(reading: Reading, rule: Rule, census: Census) -> Iterator[Finding]:
    """Comparisons of fields with what they cannot equal, for the log has other kinds of values in them."""
    for written in matchers_of(rule):
        if written.matcher.where is not None:
            node = reading.where_node(rule, written.keys)
            types = tuple(census.types(written.matcher.event_types))
            yield from _kinds_in(reading, rule, census, written.matcher.where.source, types, node)
    known = [_fired_by(trigger, census) for trigger in rule.triggers]
    if None not in known:
        types = tuple(dict.fromkeys(name for own in known for name in own or ()))
        for number, condition in enumerate(rule.conditions):
            node = reading.node(rule, "condition", number)
            yield from _kinds_in(reading, rule, census, condition.source, types, node)


def _kinds_in(
    reading: Reading, rule: Rule, census: Census, source: str, types: tuple[str, ...], node: Node | None
) -> Iterator[Finding]:
    for test, offset, text in tests_in(source):
        namespace, _, field = test.path.partition(".")
        if namespace != "event" or "[" in field or field.partition(".")[0] in EVENT_RESERVED:
            continue
        found = census.kinds(types, field)
        kinds = {literal.kind for literal in test.literals}
        if not found or kinds & found or "null" in kinds:
            continue
        met = " or ".join(sorted(WORDS[kind] for kind in found))
        values = " and ".join(sorted(WORDS[kind] for kind in kinds))
        message = f'"{shorten(text)}" compares {values} with what is {met} in every event of the log that has it'
        hint = f"write {field_hint}" if (field_hint := as_kind(test, found)) else ""
        yield reading.found("other-kind", reading.of_text(rule.path, node, offset), message, hint, rule)


def _trigger_fields(trigger: Trigger) -> Iterator[tuple[str, list[Matcher], Key]]:
    match trigger:
        case Keywords():
            yield trigger.field, [trigger.matcher], "field"
        case Count():
            for field in trigger.grouping.fields if trigger.grouping is not None else ():
                yield field, [trigger.matcher], "group_by"
            for field in trigger.distinct.fields if isinstance(trigger, CountDistinct) else ():
                yield field, [trigger.matcher], "distinct"
        case Sequence() if trigger.grouping is not None:
            for field in trigger.grouping.fields:
                yield field, list(trigger.steps), "group_by"
        case Absence() if trigger.grouping is not None:
            for field in trigger.grouping.fields:
                yield field, [trigger.after], "group_by"


def _texts(reading: Reading, rule: Rule) -> Iterator[tuple[dict[str, int], Callable[[int], Place]]]:
    """What the conditions and the templates of a rule read, each with a way to its places."""
    for number, condition in enumerate(rule.conditions):
        node = reading.node(rule, "condition", number)
        yield read_by_expression(condition.source), partial(reading.of_text, rule.path, node)
    spec = rule.message
    written: list[tuple[Template, tuple[Key, ...]]] = [(spec.text, ("text",))]
    written += [(spec.compose, ("compose",))] if spec.compose is not None else []
    written += [(template, ("data",)) for template in templates_in(spec.data)]
    for number, variant in enumerate(spec.variants):
        here = ("variants", number)
        written.append((variant.text, (*here, "text")))
        if variant.compose is not None and variant.compose is not spec.compose:
            written.append((variant.compose, (*here, "compose")))
        written += [(template, (*here, "data")) for template in templates_in(variant.data)]
    for template, keys in written:
        outer: tuple[Key, ...] = () if reading.says(rule, "variants") else ("message",)
        yield read_by_template(template), partial(_at_key, reading.of_rule(rule, *outer, *keys))


def _at_key(place: Place, offset: int) -> Place:
    return place


def _event_fields(read: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """The data fields of the event, as `group_by` would name them: of what is indexed, what is before the index."""
    for path, offset in read.items():
        namespace, _, field = path.partition(".")
        field = field.partition("[")[0]
        if namespace == "event" and field and field.partition(".")[0] not in EVENT_RESERVED:
            yield field, offset


def _user_fields(reading: Reading, rule: Rule) -> Iterator[tuple[str, Place]]:
    for read, place in _texts(reading, rule):
        for path, offset in read.items():
            namespace, _, field = path.partition(".")
            if namespace == "user" and field:
                yield field.partition(".")[0].partition("[")[0], place(offset)
