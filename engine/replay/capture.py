"""An incident as a test of rules: the fewest events of one user with which the same is decided, and what is expected.

It reads no log and writes no file. Whether events may be left out is found out by running the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from engine.core.model import LIFECYCLE_PREFIX, Decision, Event
from engine.core.rules import RuleSet, Timeline
from engine.core.state import UserState
from engine.core.units import MILLISECOND, MINUTE, format_duration, show_at
from engine.isolation import evaluate_user
from engine.loading.scenario_text import event_item, mapping_item, text_item
from engine.loading.scenarios import EVENTS_MAX
from engine.replay.activity import at_of, happened
from engine.replay.driver import history_of
from engine.scenario import switched

TRIES_MAX = 800  # runs in which events are left out; after them some may be left that could be
BEFORE, AFTER = 30 * MINUTE, 10 * MINUTE  # of the moment that is asked about, where nothing else is said
EVENTS_SILENT = 20  # that are kept, the last, where nothing happened and nothing was decided
OUTCOMES_MAX = 200  # that are expected besides messages

# What of a decision has to stay: not the id of its message, nor what exactly its reason says.
Mark = tuple[object, ...]


@dataclass(slots=True)
class Captured:
    """A test in the making. ``events`` are in order of time, ``since`` and ``until`` the span that matters.

    ``only``: the rules that are on, None for all. ``decisions`` are all that these events make by ``until``.
    """

    rules: RuleSet
    user: str
    events: list[Event]
    since: int
    until: int
    only: tuple[str, ...] | None = None
    decisions: list[Decision] = field(default_factory=list)

    @property
    def start(self) -> int:
        return self.events[0].at if self.events else self.since

    def run(self, events: Sequence[Event], user: str | None = None) -> list[Decision] | None:
        """What these events come to; None where the engine fails on any of them."""
        name = self.user if user is None else user
        timeline = Timeline(switched(self.rules, self.only))
        evaluated = evaluate_user(timeline, lambda: UserState(name), events, self.until)
        return None if evaluated.faults else evaluated.decisions

    def marks(self, decisions: Sequence[Decision] | None, *, with_texts: bool = True) -> list[Mark] | None:
        """What has to stay of the decisions of the span that matters."""
        if decisions is None:
            return None
        return [
            _mark(decision, with_texts)
            for decision in decisions
            if decision.at >= self.since and (self.only is None or decision.rule in self.only)
        ]


def _mark(decision: Decision, with_texts: bool) -> Mark:
    message = decision.message
    said = None
    if message is not None:
        said = (message.type, message.options, (message.text, message.prompt) if with_texts else None)
    code = None if decision.reason is None else decision.reason.code
    return decision.at, decision.rule, decision.outcome, decision.was, code, decision.variant, said


@dataclass(slots=True)
class Incident:
    """``notes`` say what of it is otherwise than it was."""

    captured: Captured
    notes: list[str] = field(default_factory=list)


def capture_incident(
    timeline: Timeline, events: Sequence[Event], since: int, until: int, only: tuple[str, ...] | None = None
) -> Incident:
    """As `capture`, under the rules that held at the end of the span.

    Where others held before, or the log begins with what the server had folded, and something else was decided for it,
    a note says so: a test has one set of rules, and a user of whom nothing is known.
    """
    rules = timeline.rule_sets[timeline.holding(until)]
    kept = happened(events)
    incident = Incident(capture(rules, kept, since, until, only))
    if len(timeline.rule_sets) > 1 or len(kept) < len(events):
        captured = incident.captured
        timeline.history = history_of(events)
        own = [event for event in events if event.at <= until]
        was = evaluate_user(timeline, lambda: UserState(captured.user), own, until).decisions
        if captured.marks(was) != captured.marks(captured.decisions):
            incident.notes.append(
                "the rules changed on the way; the test has what those that hold at its end make of it all"
                if len(kept) == len(events)
                else f"what was done by {show_at(events[0].at)} is folded; the test has what the rest comes to alone"
            )
    return incident


def capture(
    rules: RuleSet, events: Sequence[Event], since: int, until: int, only: tuple[str, ...] | None = None
) -> Captured:
    """The fewest of a user's events by ``until`` with which these rules decide the same from ``since`` on.

    Where they decide nothing in that span, its events are all kept, or if it has none the last before it: it is they
    that did not do. ``only`` are the rules whose decisions have to stay; the others are switched off if that makes no
    difference to them.
    """
    own = [event for event in events if event.at <= until]
    found = Captured(rules, events[0].user, own, since, until)
    whole = found.run(own)
    if only is not None and whole is not None:
        alone = Captured(rules, found.user, own, since, until, only)
        expected = [mark for mark in found.marks(whole) or () if mark[1] in only]
        if alone.marks(alone.run(own)) == expected:
            found = alone
    expected = found.marks(found.run(own)) or []

    def same(some: Sequence[Event]) -> bool:
        return found.marks(found.run(some)) == expected

    named = _by_rule(own, whole or ())
    if same(named):
        own = named
    if expected:
        found.events = _fewest(own, same)
    else:
        kept = [event for event in own if event.at >= since] or own[-EVENTS_SILENT:]
        found.events = kept if same(kept) else _fewest(own, same, kept[0].at if kept else None)
    found.decisions = found.run(found.events) or []
    return found


def _by_rule(events: Sequence[Event], decisions: Sequence[Decision]) -> list[Event]:
    """What is said of messages by their ids, said by their rules: the id depends on all that has been sent before."""
    rule_of = {decision.message.id: decision.rule for decision in decisions if decision.message is not None}
    named = []
    for event in events:
        rule = rule_of.get(event.data.get("message_id", "")) if event.type.startswith(LIFECYCLE_PREFIX) else None
        if rule is not None:
            rest = {name: value for name, value in event.data.items() if name != "message_id"}
            event = Event(event.type, event.user, event.at, {**rest, "rule": rule}, event.id, event.session)
        named.append(event)
    return named


def _fewest(
    events: Sequence[Event], same: Callable[[Sequence[Event]], bool], keep_from: int | None = None
) -> list[Event]:
    """First the shortest of some last events, then less every one that is not needed; from ``keep_from`` on all are."""
    count, left = 1, TRIES_MAX
    while count < len(events) and not same(events[-count:]):
        count *= 2
    kept = list(events[-count:])
    size = max(len(kept) // 2, 1)
    while left > 0:
        place, removed = 0, False
        while place < len(kept) and left > 0:
            stay = [one for one in kept[place : place + size] if keep_from is not None and one.at >= keep_from]
            rest = kept[:place] + stay + kept[place + size :]
            left -= 1
            if len(rest) < len(kept) and same(rest):
                kept, removed = rest, True
            else:
                place += size
        if size == 1 and not removed:
            break
        size = size if removed and size == 1 else max(size // 2, 1)
    return kept


def written_test(captured: Captured, name: str) -> str:
    """A file with the test, as YAML. Raises ValueError where it has more events than a test may have."""
    if len(captured.events) > EVENTS_MAX:
        raise ValueError(f"it takes {len(captured.events):,} events, a test has {EVENTS_MAX:,} at most")
    start = captured.start
    lines = ["version: 1", "", "tests:", f"  - name: {text_item(name)}", f"    start: {text_item(show_at(start))}"]
    if captured.only is not None:
        lines.append(f"    rules: [{', '.join(map(text_item, captured.only))}]")
    lines.append(f"    user: {text_item(captured.user)}")
    lines.append("    events:" if captured.events else "    events: []")
    lines += [f"      - {event_item(event, start)}" for event in sorted(captured.events, key=at_of)]
    # In whole milliseconds, which is as fine as a span can be.
    span = captured.until - start
    lines.append(f"    until: {format_duration(span + -span % MILLISECOND)}")
    sent = [f"      - {_message(decision, start)}" for decision in captured.decisions if decision.outcome == "sent"]
    lines += ["    expect:", *sent] if sent else ["    expect: []"]
    others = [
        f"      - {_outcome(decision, start)}"
        for decision in captured.decisions
        if decision.outcome != "sent"
        and decision.at >= captured.since
        and (captured.only is None or decision.rule in captured.only)
    ]
    others = list(dict.fromkeys(others))[:OUTCOMES_MAX]
    lines += ["    expect_outcomes:", *others] if others else []
    return "\n".join(lines) + "\n"


def _message(decision: Decision, start: int) -> str:
    message = decision.message
    assert message is not None  # what was sent is a message
    said = {"rule": decision.rule, "type": message.type, "text": message.text or None, "variant": decision.variant}
    return mapping_item(decision.at, start, said)


def _outcome(decision: Decision, start: int) -> str:
    return mapping_item(decision.at, start, {"rule": decision.rule, "outcome": decision.outcome})
