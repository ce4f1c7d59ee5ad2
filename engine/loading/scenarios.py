"""The rules' own tests, ``tests:`` of a rule file (rules-language, section 9): their shapes, and text to values.

It runs nothing, and what it reads changes no rule and no fingerprint.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.core import shapes
from engine.core.matcher import EVENT_TYPE_LENGTH_MAX, parse_event_type
from engine.core.model import LIFECYCLE_PREFIX, OUTCOMES, Event, Json, Outcome
from engine.core.refusal import Refused
from engine.core.state import ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, is_small_attribute
from engine.core.units import format_duration, parse_at, parse_duration
from engine.core.zones import find_zone
from engine.loading import tree
from engine.loading.read import Invalid, Reader
from engine.loading.tree import Node, Scalar
from engine.loading.wording import did_you_mean, found, listed, with_hint

TESTS_MAX = 10_000  # of one file
EVENTS_MAX = 10_000  # of one test
EXPECTED_MAX = 10_000
NAME_MAX = 200
START_DEFAULT = "2026-01-05T09:00:00Z"  # a Monday
USER_DEFAULT = "user"


@dataclass(frozen=True, slots=True)
class Expected:
    """A message that must be sent at ``at``. What is None, or empty, may be anything."""

    at: int
    rule: str
    line: int
    type: str | None = None
    text: str | None = None
    contains: tuple[str, ...] = ()
    options: tuple[str, ...] | None = None
    variant: str | None = None


@dataclass(frozen=True, slots=True)
class Pattern:
    """Decisions of a rule, of those that are meant. What is None may be anything."""

    rule: str
    line: int
    outcome: Outcome | None = None
    at: int | None = None
    reason_contains: str | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One test. ``path`` and ``line`` say where it is written; moments are microseconds.

    ``rules`` are the ones that are on, None for all. ``events`` are in order of time, the ``user.identify`` that
    brings the user's attributes before them. ``expect`` is None where any messages may be sent.
    """

    name: str
    path: str
    line: int
    start: int
    rules: tuple[str, ...] | None
    user: str
    events: tuple[Event, ...]
    until: int
    expect: tuple[Expected, ...] | None
    expect_not: tuple[Pattern, ...]
    expect_outcomes: tuple[Pattern, ...]


def parse_offset(text: str) -> int:
    """A span from the start of a test, which may be nothing: ``0s``."""
    return 0 if text == "0s" else parse_duration(text)


_WITH_OFFSET = r"[0-9]{4}.*[Tt ][0-9].*([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)"


def parse_moment(text: str) -> int:
    """An RFC 3339 time with its offset: a test means the same wherever it is run. Raises `Refused`."""
    at = parse_at(text)
    if not re.fullmatch(_WITH_OFFSET, text):
        raise Refused(f'expected a time with an offset such as "2026-03-27T10:00:00Z", got "{text}"')
    return at


def parse_type(text: str) -> str:
    """The type of one event. Raises `Refused`."""
    if "*" in text:
        raise Refused(f'expected the type of one event such as "test.failed", got "{text}"')
    return parse_event_type(text)


def parse_name(text: str) -> str:
    if not text.strip() or len(text) > NAME_MAX or not text.isprintable():
        raise Refused(f'expected a name of at most {NAME_MAX} characters on one line, got "{text[:NAME_MAX]}"')
    return text


def _span(doc: str) -> shapes.Parsed:
    return shapes.Parsed(parse=parse_offset, pattern=f"^{shapes.SPAN}$", examples=("0s", "90s", "5m"), doc=doc)


def _moment(doc: str) -> shapes.Parsed:
    return shapes.Parsed(parse=parse_moment, pattern=f"^{_WITH_OFFSET}$", examples=("2026-03-27T10:00:00Z",), doc=doc)


RULE_ID_MAX = 64
RULE_ID = shapes.Text(doc="The id of a rule.", length_max=RULE_ID_MAX)
RULE_IDS = shapes.ListOf(item=RULE_ID, one_will_do=True, length_max=10_000, doc="Ids of rules; all if absent.")
NAME = shapes.Parsed(parse=parse_name, pattern=r"\S", doc="What is claimed, in a sentence.")
OUTCOME = shapes.Choice(words=OUTCOMES, doc="What becomes of the candidate.")
AFTER = _span("How long after the start of the test.")
AT = _moment("The moment itself, instead of `after`.")

EVENT = shapes.Fields(
    keys={
        "after": AFTER,
        "at": AT,
        "type": shapes.Parsed(
            parse=parse_type,
            pattern=rf"^[^*]{{1,{EVENT_TYPE_LENGTH_MAX}}}$",
            examples=("test.failed",),
            doc="The type of the event.",
        ),
        "session": shapes.Text(doc="The session that the event names."),
        "id": shapes.Text(doc="The id of the event."),
        "data": shapes.MapOf(item=shapes.AnyValue(), doc="Data fields, also those whose names are taken here."),
    },
    required=("type",),
    exactly_one=("after", "at"),
    others=shapes.AnyValue(),
    doc="What happens. All further keys are data of the event.",
)
EXPECTED = shapes.Fields(
    keys={
        "after": AFTER,
        "at": AT,
        "rule": RULE_ID,
        "type": shapes.Text(doc="The type of the message."),
        "text": shapes.Text(doc="The whole text."),
        "contains": shapes.ListOf(
            item=shapes.Text(doc="A part of the text."), one_will_do=True, doc="What the text contains."
        ),
        "options": shapes.ListOf(item=shapes.Text(doc="An option."), length_min=0, doc="The options, in order."),
        "variant": shapes.Text(doc="The id of the variant that was drawn."),
    },
    required=("rule",),
    exactly_one=("after", "at"),
    doc="A message that is sent.",
)
_DECISION: dict[str, shapes.Shape] = {
    "rule": RULE_ID,
    "outcome": OUTCOME,
    "after": AFTER,
    "at": AT,
    "reason_contains": shapes.Text(doc="A part of the reason, as a trace words it."),
}
UNWANTED = shapes.Fields(keys=_DECISION, required=("rule",), doc="What must not become of a rule's candidates.")
WANTED = shapes.Fields(keys=_DECISION, required=("rule", "outcome"), doc="What must become of a rule's candidate.")
TEST = shapes.Fields(
    keys={
        "name": NAME,
        "start": _moment(f"When it begins; {START_DEFAULT} if absent, a Monday."),
        "rules": shapes.ListOf(
            item=RULE_ID, one_will_do=True, length_max=10_000, doc="The rules that are on; all if absent."
        ),
        "user": shapes.Fields(
            keys={"id": shapes.Text(doc="The name of the user.", length_max=256)},
            shorthand="id",
            others=shapes.AnyValue(),
            doc="The user: a name, or a mapping with `id` and any attributes.",
        ),
        "events": shapes.ListOf(item=EVENT, length_min=0, length_max=EVENTS_MAX, doc="What the user does."),
        "until": _span("How far time runs, from the start; to the last event or expectation if absent."),
        "expect": shapes.ListOf(
            item=EXPECTED, length_min=0, length_max=EXPECTED_MAX, doc="All messages that are sent; [] for silence."
        ),
        "expect_not": shapes.ListOf(item=UNWANTED, length_max=EXPECTED_MAX, doc="What must not happen."),
        "expect_outcomes": shapes.ListOf(item=WANTED, length_max=EXPECTED_MAX, doc="What must happen, among others."),
    },
    required=("name", "events"),
    at_least_one=("expect", "expect_not", "expect_outcomes"),
    doc="A test of the rules in virtual time.",
)
TESTS = shapes.ListOf(item=TEST, length_min=0, length_max=TESTS_MAX, doc="Tests of the rules: `proactive test`.")


class ScenarioReader:
    """Reads the tests of one file. ``rule_ids`` are the folder's, None where not all of its files could be read."""

    def __init__(self, reader: Reader, rule_ids: Collection[str] | None) -> None:
        self.reader = reader
        self.rule_ids = rule_ids

    def read(self, item: Node) -> Scenario | None:
        """The test, or None where anything in it is wrong."""
        errors_before = len(self.reader.errors)
        values = self.reader.read(item, TEST)
        for node in _rule_nodes(item):
            check_rule(self.reader, node, self.rule_ids)
        if isinstance(item, tree.Mapping):
            self.check_user(_value(item, "user"))
            for event in _items(_value(item, "events")):
                self.check_event(event)
        if isinstance(values, Invalid) or not isinstance(item, tree.Mapping):
            return None
        start = values["start"] if "start" in values else parse_moment(START_DEFAULT)
        moments = self.moments(item, values, start)
        if len(self.reader.errors) > errors_before:
            return None
        return _scenario(values, self.reader.source.path, item, start, max([start, *moments]))

    def check_user(self, node: Node | None) -> None:
        """Report attributes that the engine would not take over, or would not understand."""
        if not isinstance(node, tree.Mapping):
            return
        attributes = [name for name in node.entries if name != "id"]
        if len(attributes) > ATTRIBUTES_MAX:
            message = f"expected at most {ATTRIBUTES_MAX} attributes, got {len(attributes)}"
            self.reader.report(node, message, "too-large")
        for name in attributes:
            key, child = node.entries[name]
            value = self.reader.json(child, lambda scalar: scalar.value)
            if not isinstance(value, Invalid) and not is_small_attribute(name, value):
                self.reader.report(key, f"expected at most {ATTRIBUTE_BYTES_MAX} bytes of an attribute", "too-large")
        zone = _value(node, "timezone")
        if isinstance(zone, Scalar) and (not isinstance(zone.value, str) or find_zone(zone.value) is None):
            message = f'expected an IANA time zone such as "Europe/Paris", got {found(zone)}'
            self.reader.report(zone, message, "bad-timezone")

    def check_event(self, node: Node) -> None:
        if isinstance(node, tree.Mapping) and "user" in node.entries:
            key, _ = node.entries["user"]
            hint = "a field of that name goes under data"
            self.reader.report(key, with_hint('a test has one user, who stands beside "events"', hint), "conflict")

    def moments(self, item: tree.Mapping, values: dict[str, Any], start: int) -> list[int]:
        """All moments that the test speaks of; those that it does not reach are reported."""
        until = start + values["until"] if "until" in values else None
        moments = [] if until is None else [until]
        for name in ("events", "expect", "expect_not", "expect_outcomes"):
            nodes = _items(_value(item, name))
            for node, entry in zip(nodes, values.get(name) or (), strict=True):
                at = _at(entry, start)
                if at is None:
                    continue
                moments.append(at)
                if at < start:
                    self.reader.report(node, "this is before the start of the test", "bad-value")
                elif until is not None and at > until:
                    end = format_duration(until - start)
                    self.reader.report(node, f'this is after the end of the test, "until: {end}"', "bad-value")
                if "after" in entry and "at" in entry and isinstance(node, tree.Mapping):
                    # Where one of them must stand the shape sees to it; here both may be absent.
                    key, _ = node.entries["at"]
                    self.reader.report(key, '"after" and "at" cannot stand together; one of them is enough', "conflict")
        return moments


def check_rule(reader: Reader, node: Scalar, rule_ids: Collection[str] | None) -> None:
    """Report the name of a rule that no file of the folder has. One that is too long has been reported."""
    name = node.value
    if rule_ids is None or not isinstance(name, str) or name in rule_ids or len(name) > RULE_ID_MAX:
        return
    hint = did_you_mean(name, rule_ids) or _the_rules_are(sorted(rule_ids))
    reader.report(node, with_hint(f"unknown rule {found(node)}", hint), "unknown-rule")


def _the_rules_are(rule_ids: Sequence[str]) -> str:
    return f"the rules are {listed(rule_ids, 'and')}" if rule_ids else "the folder has no rules"


def _value(node: tree.Mapping, name: str) -> Node | None:
    entry = node.entries.get(name)
    return None if entry is None else entry[1]


def _items(node: Node | None) -> tuple[Node, ...]:
    return node.items if isinstance(node, tree.Sequence) else ()


def scalars(node: Node | None) -> Iterator[Scalar]:
    """The single values of a list, or of what may stand without brackets."""
    for item in node.items if isinstance(node, tree.Sequence) else (node,):
        if isinstance(item, Scalar):
            yield item


def _rule_nodes(test: Node) -> Iterator[Scalar]:
    """Wherever a test names a rule."""
    if not isinstance(test, tree.Mapping):
        return
    yield from scalars(_value(test, "rules"))
    for name in ("expect", "expect_not", "expect_outcomes"):
        for entry in _items(_value(test, name)):
            if isinstance(entry, tree.Mapping):
                yield from scalars(_value(entry, "rule"))
    for event in _items(_value(test, "events")):
        kind = _value(event, "type") if isinstance(event, tree.Mapping) else None
        if isinstance(event, tree.Mapping) and isinstance(kind, Scalar) and kind.written.startswith(LIFECYCLE_PREFIX):
            data = _value(event, "data")
            for place in (event, data):
                if isinstance(place, tree.Mapping):
                    yield from scalars(_value(place, "rule"))


def _at(entry: dict[str, Any], start: int) -> int | None:
    at: int | None = entry.get("at")
    return start + entry["after"] if "after" in entry else at


def _scenario(values: dict[str, Any], path: str, item: tree.Mapping, start: int, until: int) -> Scenario:
    user: dict[str, Json] = {"id": USER_DEFAULT, **values.get("user", {})}
    attributes = {name: value for name, value in user.items() if name != "id"}
    name = user["id"]
    identify = [Event("user.identify", name, start, attributes)] if attributes else []
    events = [_event(entry, name, start) for entry in values["events"]]
    expect = None
    if "expect" in values:
        lines = [node.line for node in _items(_value(item, "expect"))]
        expect = tuple([_expected(entry, start, line) for entry, line in zip(values["expect"], lines, strict=True)])
    return Scenario(
        name=values["name"],
        path=path,
        line=item.line,
        start=start,
        rules=values.get("rules"),
        user=name,
        events=(*identify, *sorted(events, key=lambda event: event.at)),
        until=until,
        expect=expect,
        expect_not=_patterns(values, item, "expect_not", start),
        expect_outcomes=_patterns(values, item, "expect_outcomes", start),
    )


def _event(entry: dict[str, Any], user: str, start: int) -> Event:
    beside = {name: value for name, value in entry.items() if name not in EVENT.keys}
    at = _at(entry, start)
    assert at is not None
    # Of a field that stands at both places, the one in `data` counts, as in a log.
    return Event(entry["type"], user, at, beside | entry.get("data", {}), entry.get("id", ""), entry.get("session"))


def _expected(entry: dict[str, Any], start: int, line: int) -> Expected:
    at = _at(entry, start)
    assert at is not None
    kept = ("rule", "type", "text", "contains", "options", "variant")
    return Expected(at=at, line=line, **{name: entry[name] for name in kept if name in entry})


def _patterns(values: dict[str, Any], item: tree.Mapping, name: str, start: int) -> tuple[Pattern, ...]:
    nodes = _items(_value(item, name))
    return tuple([
        Pattern(entry["rule"], node.line, entry.get("outcome"), _at(entry, start), entry.get("reason_contains"))
        for entry, node in zip(values.get(name, ()), nodes, strict=True)
    ])  # fmt: skip
