"""What a rule set looks at: types and fields of events, the values and spans that make a difference. It makes up none.

It walks over the compiled rules, whatever kinds of triggers they have: what a kind keeps in its slots (matchers,
expressions, spans, names of fields) is found there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from itertools import islice, product
from typing import Any

from engine.core.expression_text import prepare
from engine.core.expressions import Expression
from engine.core.groups import Grouping
from engine.core.matcher import Matcher
from engine.core.model import Event, Json
from engine.core.rules import Policy, Rule, RuleSet, Trigger
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.core.units import DAY, HOUR, MILLISECOND, MINUTE, SECOND, from_timedelta
from engine.loading.invariants import AtMost, Invariant

SPANS_MAX = 60
VALUES_MAX = 12  # of one field
LENGTHS_MAX = 500  # characters of a text that is as long as an expression asks for
TIMES_MAX = 50
COMBINATIONS_MAX = 500  # of values of the fields of one event
FITTING_MAX = 4
DEPTH_MAX = 6
SPANS_ALWAYS = (SECOND, MINUTE, 5 * MINUTE, HOUR, 8 * HOUR)
GROUP_VALUES = ("a", "b")
ACTIVITY = "activity"  # an event of which nothing matters but that the user did something


@dataclass(slots=True)
class Template:
    """Events of one type, and what values their fields can have to make a difference.

    ``fitting`` are data with which such an event is what a rule watches for, as far as the event alone says so.
    """

    type: str
    fields: dict[str, tuple[Json, ...]] = field(default_factory=dict)
    fitting: tuple[dict[str, Json], ...] = ()


@dataclass(slots=True)
class Vocabulary:
    """All that is worth being said in a stream of events. Everything is in an order that depends on the rules alone."""

    templates: list[Template] = field(default_factory=list)
    scripts: dict[str, tuple[Matcher, ...]] = field(default_factory=dict)  # what a trigger names, by its key
    attributes: dict[str, tuple[Json, ...]] = field(default_factory=dict)
    spans: tuple[int, ...] = ()
    times: tuple[int, ...] = (1, 2, 3)
    # What a matcher of a trigger or of a rule's `deliver` asks for: a template for each of its types.
    by_matcher: dict[Matcher, tuple[Template, ...]] = field(default_factory=dict)


def vocabulary_of(rules: Iterable[Rule], policy: Policy) -> Vocabulary:
    """What those rules look at, under that policy."""
    found = _Found()
    for rule in rules:
        if rule.mode != "off":
            found.add_rule(rule)
    found.walk(policy, 0)
    return found.vocabulary()


def whole_vocabulary(rules: RuleSet, invariants: Iterable[Invariant]) -> Vocabulary:
    """What all rules look at, and as many of it, in such a time, as would break the invariants."""
    found = vocabulary_of(rules, rules.policy)
    bounds = [invariant for invariant in invariants if isinstance(invariant, AtMost)]
    # A trigger that counts to three fires twice at six events.
    found.times = tuple(sorted({*found.times, *(n * (bound.count_max + 1) for bound in bounds for n in found.times)}))
    found.spans = tuple(sorted({*found.spans, *(bound.per for bound in bounds if isinstance(bound.per, int))}))
    return found


class _Found:
    def __init__(self) -> None:
        self.templates: dict[tuple[str, str, str], Template] = {}
        self.scripts: dict[str, tuple[Matcher, ...]] = {}
        self.attributes: dict[str, list[Json]] = {}
        self.spans: dict[int, None] = dict.fromkeys(SPANS_ALWAYS)
        self.times: dict[int, None] = dict.fromkeys((1, 2, 3))
        self.by_matcher: dict[Matcher, tuple[Template, ...]] = {}
        self.matchers: list[Matcher] = []
        self.expressions: list[Expression] = []
        self.fields: list[str] = []

    def vocabulary(self) -> Vocabulary:
        templates = list(self.templates.values()) or [Template(ACTIVITY)]
        return Vocabulary(
            templates,
            self.scripts,
            {name: _few(values) for name, values in self.attributes.items()},
            tuple(sorted(list(self.spans)[:SPANS_MAX])),
            tuple(sorted(self.times)),
            self.by_matcher,
        )

    def add_rule(self, rule: Rule) -> None:
        conditions = _Reading()
        for condition in rule.conditions:
            conditions.add(condition)
        self.take(conditions)
        for trigger in rule.triggers:
            self.matchers, self.expressions, self.fields = [], [], []
            self.walk_slots(trigger, 0)
            self.scripts[trigger.key] = tuple(self.matchers)
            for matcher in self.matchers or [Matcher((ACTIVITY,), None)]:
                self.add_matcher(matcher, trigger, conditions)
        self.matchers = []
        self.walk(rule, 0)
        for matcher in self.matchers:
            self.add_matcher(matcher, None, _Reading())

    def add_matcher(self, matcher: Matcher, trigger: Trigger | None, conditions: _Reading) -> None:
        """Templates for the types that the matcher names."""
        reading = _Reading()
        reading.fields = {name: list(values) for name, values in conditions.fields.items()}
        if matcher.where is not None:
            # What the matcher asks for is likelier what is needed, so it stands first.
            own = _Reading()
            own.add(matcher.where)
            self.take(own)
            for name, values in own.fields.items():
                reading.fields[name] = [*values, *reading.fields.get(name, ())]
        for name in self.fields:
            reading.fields.setdefault(name, []).extend(GROUP_VALUES)
        if trigger is not None:
            words = _words(trigger)
            if words:
                name = trigger.field  # type: ignore[attr-defined]  # what has words has a field
                longer = [f"{words[0]} {value}" for value in reading.fields.get(name, ()) if isinstance(value, str)]
                reading.fields[name] = [*words, *longer]
        fields_of = {name: _few(some) for name, some in reading.fields.items()}
        of_types = []
        for name in map(_some_type, matcher.event_types):
            fitting = _fitting(name, fields_of, matcher, conditions.expressions)
            # Two rules may want the same field of one type to be something else each, and each gets its own.
            key = (name, repr(fields_of), repr(fitting))
            of_types.append(self.templates.setdefault(key, Template(name, fields_of, fitting)))
        self.by_matcher[matcher] = tuple(of_types)

    def take(self, reading: _Reading) -> None:
        for name, values in reading.attributes.items():
            self.attributes.setdefault(name, []).extend(values)
        self.spans.update(dict.fromkeys(reading.spans))
        self.times.update(dict.fromkeys(number for number in reading.counts if 1 <= number <= TIMES_MAX))

    def walk(self, value: Any, depth: int) -> None:
        """Collect matchers, expressions, spans and names of fields from whatever a rule is made of."""
        if depth > DEPTH_MAX or isinstance(value, Expression | str | bool) or value is None:
            return
        if isinstance(value, Matcher):
            self.matchers.append(value)
        elif isinstance(value, Trigger):
            self.walk_spans(value)
        elif isinstance(value, Grouping):
            self.fields += value.fields
        elif isinstance(value, int):
            self.add_number(value)
        elif isinstance(value, Mapping):
            for item in value.values():
                self.walk(item, depth + 1)
        elif isinstance(value, list | tuple):
            for item in value:
                self.walk(item, depth + 1)
        elif is_dataclass(value):
            for place in fields(value):
                self.walk(getattr(value, place.name), depth + 1)

    def walk_slots(self, trigger: Trigger, depth: int) -> None:
        for _, value in _slots(trigger):
            self.walk(value, depth + 1)

    def walk_spans(self, trigger: Trigger) -> None:
        for _, value in _slots(trigger):
            if isinstance(value, int) and not isinstance(value, bool):
                self.add_number(value)

    def add_number(self, number: int) -> None:
        if MILLISECOND <= number <= 366 * DAY:
            self.spans[number] = None
        elif 1 <= number <= TIMES_MAX:
            self.times[number] = None


class _Reading:
    """What expressions ask of events and of the user."""

    def __init__(self) -> None:
        self.fields: dict[str, list[Json]] = {}
        self.attributes: dict[str, list[Json]] = {}
        self.spans: list[int] = []
        self.counts: list[int] = []
        self.expressions: list[Expression] = []

    def add(self, expression: Expression) -> None:
        self.expressions.append(expression)
        prepared = prepare(expression.source)
        self.spans += [from_timedelta(span) for span in prepared.durations.values()]
        root = ast.parse(prepared.text.strip(), mode="eval").body
        for node in ast.walk(root):
            if isinstance(node, ast.Compare | ast.Call):
                self.note(node)
        for node in ast.walk(root):
            for name, values in self.named(node):
                values.setdefault(name, []).extend([] if values.get(name) else [True, "a", 1])

    def note(self, node: ast.expr) -> None:
        """The literals of a comparison or a call are values of the fields that stand beside them."""
        literals = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
        texts = [literal for literal in literals if isinstance(literal, str)]
        numbers = [literal for literal in literals if isinstance(literal, int | float) and literal is not True]
        numbers = [number for number in numbers if number is not False]
        self.counts += [number for number in numbers if isinstance(number, int)]
        values: list[Json] = [*texts]
        for number in numbers:
            values += [number, number + 1, number - 1]
        if any(isinstance(part, ast.Name) and part.id == "len" for part in ast.walk(node)):
            values = [_long(number, text) for number in numbers for text in (texts or [""])]
        values += [literal for literal in literals if literal is None or isinstance(literal, bool)]
        for part in ast.walk(node):
            for name, places in self.named(part):
                known = places.setdefault(name, [])
                known += [value for value in values if not _is_name(part, value)]

    def named(self, node: ast.AST) -> Iterator[tuple[str, dict[str, list[Json]]]]:
        """The field of the event or of the user that a node names, and where its values are collected."""
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr=name):
                pass
            case ast.Subscript(value=ast.Name(id=owner), slice=ast.Constant(value=str() as name)):
                pass
            case _:
                return
        if owner == "event" and name not in ("type", "at", "id", "session", "at_reported"):
            yield name, self.fields
        elif owner == "user" and name not in ("id", "timezone"):
            yield name, self.attributes


def _fitting(
    name: str, fields: Mapping[str, tuple[Json, ...]], matcher: Matcher, conditions: Sequence[Expression]
) -> tuple[dict[str, Json], ...]:
    """Data that satisfy the matcher, those that the conditions deny last. A user without a past says the rest."""
    found: list[tuple[bool, dict[str, Json]]] = []
    for values in islice(product(*fields.values()), COMBINATIONS_MAX):
        data = dict(zip(fields, values, strict=True))
        scope = Scope(UserState(""), Event(name, "", 0, data), 0, Policy())
        if matcher.holds(scope):
            found.append((any(condition.evaluate(scope) is False for condition in conditions), data))
    found.sort(key=lambda fits: fits[0])
    return tuple([data for _, data in found[:FITTING_MAX]])


def _is_name(node: ast.AST, value: Json) -> bool:
    return isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and node.slice.value == value


def _long(number: float, text: str) -> str:
    return "x" * max(min(int(number), LENGTHS_MAX) + 1 - len(text), 0) + text


def _few(values: Iterable[Json]) -> tuple[Json, ...]:
    """Each once, in order, and not too many. By type as well, for 1 and true are one to a dict."""
    return tuple({(type(value), repr(value)): value for value in values}.values())[:VALUES_MAX]


def _some_type(pattern: str) -> str:
    return pattern[:-1] + "any" if pattern.endswith("*") else pattern


def _words(trigger: Trigger) -> list[Json]:
    """Texts with the words that a trigger looks for: one of `any` with all of `all`, for a few of them."""
    if trigger.kind != "keywords":
        return []
    of: dict[str, list[str]] = {}
    for name, value in _slots(trigger):
        if name in ("any", "all", "none"):
            of[name] = [text for text, _ in sorted(value)]
    needed = " ".join(of["all"])
    texts: list[Json] = [f"{word} {needed}".strip() for word in of["any"][: VALUES_MAX - 2]] or [needed or "hello"]
    return [*texts, *(f"{texts[0]} {word}" for word in of["none"][:1]), "hello"]


def _slots(trigger: Trigger) -> Iterator[tuple[str, Any]]:
    for owner in reversed(type(trigger).__mro__):
        for name in getattr(owner, "__slots__", ()):
            if hasattr(trigger, name):
                yield name, getattr(trigger, name)
