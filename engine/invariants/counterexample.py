"""A stream that breaks an invariant: made as short as it can be, and written as a test that can be pasted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from engine.core.model import Event
from engine.core.units import MILLISECOND, MINUTE, SECOND, format_duration, show_at
from engine.invariants.check import Violation
from engine.loading.scenario_text import event_item, flow, text_item
from engine.loading.scenarios import START_DEFAULT, USER_DEFAULT, parse_moment

# What may be tried, for each event, in place of the time before it: the first that will do is taken.
GAPS = (0, SECOND, MINUTE)
TRIES_MAX = 3000

Breaks = Callable[[Sequence[Event]], bool]


@dataclass(frozen=True, slots=True)
class Counterexample:
    """``events`` are one user's, in order, and what they break."""

    start: int
    events: tuple[Event, ...]
    violation: Violation

    def lines(self) -> list[str]:
        """What went wrong, and the test."""
        told = [self.violation.text() + ":"]
        for sending in self.violation.sendings:
            decision = sending.decision
            told.append(f"  +{format_duration(decision.at - self.start)} {decision.rule}")
        # In a report it stands two deep, which is where an item of `tests:` most often stands, to be pasted as it is.
        return [*told, "as a test:", *entry(self).splitlines()]


def shortened(events: Sequence[Event], breaks: Breaks) -> list[Event]:
    """Less every event, field and moment that it takes not: none that is left could be left out by itself."""
    tries = 0

    def still(candidate: Sequence[Event]) -> bool:
        nonlocal tries
        tries += 1
        return tries <= TRIES_MAX and breaks(candidate)

    kept = _without_parts(list(events), still)
    kept = _sooner(kept, still)
    kept = _plainer(kept, still)
    return _without_parts(kept, still)


def _without_parts(events: list[Event], still: Breaks) -> list[Event]:
    size = max(len(events) // 2, 1)
    while True:
        place, removed = 0, False
        while place < len(events):
            rest = events[:place] + events[place + size :]
            if rest and still(rest):
                events, removed = rest, True
            else:
                place += size
        if size == 1 and not removed:
            return events
        size = size if removed and size == 1 else max(size // 2, 1)


def _sooner(events: list[Event], still: Breaks) -> list[Event]:
    """With less time between them: an event is moved nearer to the one before it, and all later ones with it."""
    for place in range(1, len(events)):
        gap = events[place].at - events[place - 1].at
        for shorter in [shorter for shorter in (*GAPS, _rounded(gap)) if shorter < gap]:
            sooner = events[:place] + moved(events[place:], shorter - gap)
            if still(sooner):
                events = sooner
                break
    return events


def moved(events: Sequence[Event], by: int) -> list[Event]:
    """The same events, that much later."""
    return [msgspec.structs.replace(event, at=event.at + by) for event in events]


def _rounded(gap: int) -> int:
    for unit in (MINUTE, SECOND, MILLISECOND):
        if gap > unit:
            return gap - gap % unit
    return gap


def _plainer(events: list[Event], still: Breaks) -> list[Event]:
    for place, event in enumerate(events):
        for name in list(event.data):
            data = {key: value for key, value in events[place].data.items() if key != name}
            simpler = msgspec.structs.replace(events[place], data=data)
            candidate = [*events[:place], simpler, *events[place + 1 :]]
            if still(candidate):
                events = candidate
    return events


def entry(example: Counterexample) -> str:
    """An item of ``tests:``. It fails as long as the rules send the message that is too many."""
    violation = example.violation
    last = violation.sendings[-1].decision
    lines = [f"- name: {text_item(f'{violation.invariant.name} (found by proactive test)')}"]
    if example.start != parse_moment(START_DEFAULT):
        lines.append(f"  start: {text_item(show_at(example.start))}")
    events = list(example.events)
    if events and events[0].type == "user.identify" and events[0].at == example.start:
        user = {"id": USER_DEFAULT, **events.pop(0).data}
        lines.append(f"  user: {flow(user)}")
    lines.append("  events:" if events else "  events: []")
    lines += [f"    - {event_item(event, example.start)}" for event in events]
    after = format_duration(last.at - example.start)
    lines.append("  expect_not:")
    lines.append(f"    - {{rule: {text_item(last.rule)}, outcome: sent, after: {after}}}")
    return "\n".join(lines)
