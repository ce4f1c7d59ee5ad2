"""Inactivity against a naive reading of the page: for every moment, scan all that had happened by then."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.evaluate import advance, apply, run
from engine.core.model import Decision, Event
from engine.core.rules import Timeline
from engine.core.state import UserState
from engine.core.units import MINUTE, SECOND, parse_at
from engine.loading.diagnostic import RuleErrors
from engine.loading.load import load
from engine.triggers import KINDS

START = parse_at("2026-03-27T10:00:00Z")
TIMEOUT = 6 * MINUTE
SPANS = {"30s": 30 * SECOND, "2m": 2 * MINUTE, "5m": 5 * MINUTE, "6m": 6 * MINUTE, "7m": 7 * MINUTE}
PAGE = """
version: 1
policy: {{session_timeout: 6m, simultaneous: 100}}
rules:
  - {{id: idle, trigger: {{inactivity: {span}}}, message: {{type: question, text: "{{{{ event.id }}}}"}}}}
  - id: after
    trigger: {{inactivity: {{for: {span}, after: {{event: "test.*", where: event.n > 1}}}}}}
    message: {{type: question, text: "{{{{ event.id }}}}"}}
"""

GAPS = (SECOND, 0, 1, *SPANS.values())
event_types = st.sampled_from(("test.run", "edit", "session.start", "session.end", "test.run", "ping", "user.identify"))


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    events: list[Event] = []
    at = START
    for number in range(draw(st.integers(0, 14).map(lambda few: 14 - few))):
        event_type = draw(event_types)
        session = draw(st.sampled_from(("s1", "s1", "s2", None))) if event_type.startswith("session.") else None
        data = {"n": draw(st.integers(1, 2))} if event_type == "test.run" else {}
        events.append(Event(event_type, "ann", at, data, f"e{number}", session))
        at += max(draw(st.sampled_from(GAPS)) + draw(st.sampled_from((-1, 0, 0, 1))), 0)
    return events


def is_active(event: Event) -> bool:
    return event.type in ("edit", "test.run")


@dataclass
class Reading:
    """The page, read slowly. ``present`` is worked out from the whole history up to and with event ``count``."""

    events: list[Event]
    opened: dict[str, int] = field(default_factory=dict)

    def presences(self) -> list[tuple[int, int, int | None, int | None]]:
        """``(begin, number of the first event, end, number of the ending event or None)`` of every presence.

        An end without a number is that of an implicit session, by its timeout.
        """
        found: list[tuple[int, int, int | None, int | None]] = []
        own: set[str] = set()
        implicit_last: int | None = None  # the last activity, while an implicit session is open
        begin: tuple[int, int] | None = None
        for number, event in enumerate(self.events):
            if implicit_last is not None and implicit_last + TIMEOUT <= event.at:
                ended = implicit_last + TIMEOUT
                implicit_last = None
                if not own and begin is not None:
                    found.append((*begin, ended, None))
                    begin = None
            if event.type == "session.start":
                own.add(event.session or "")
                begin = begin or (event.at, number)
            elif event.type == "session.end":
                was_open = (event.session or "") in own
                own.discard(event.session or "")
                if was_open and not own and implicit_last is None and begin is not None:
                    found.append((*begin, event.at, number))
                    begin = None
            elif is_active(event):
                if begin is None or implicit_last is not None:
                    implicit_last = event.at
                begin = begin or (event.at, number)
        if begin is not None:
            end = implicit_last + TIMEOUT if implicit_last is not None and not own else None
            found.append((*begin, end, None))
        return found

    def firings(self, span: int, until: int, *, after: bool) -> list[tuple[int, str]]:
        """``(moment, id of the activity)``: each activity that nothing followed for ``span``, while present."""
        fired = []
        for begin, first, end, ender in self.presences():
            last = len(self.events) if ender is None else ender
            inside = [
                (number, event)
                for number, event in enumerate(self.events)
                if first <= number < last and begin <= event.at and is_active(event)
            ]
            # Those that a timeout cut off lie beyond the end.
            if ender is None and end is not None:
                inside = [(number, event) for number, event in inside if event.at < end]
            for place, (_, event) in enumerate(inside):
                moment = event.at + span
                following = inside[place + 1][1].at if place + 1 < len(inside) else None
                if following is not None and (following < moment or following == event.at):
                    continue
                # Timers due at the moment come before the event of that moment, and before the timeout's end.
                if end is not None and moment > end:
                    continue
                if after and not (event.type == "test.run" and event.data["n"] > 1):
                    continue
                if moment <= until:
                    fired.append((moment, event.id))
        return fired


@settings(max_examples=400, deadline=None)
@given(histories(), st.sampled_from(list(SPANS)), st.sampled_from((0, 1, *SPANS.values())))
def test_inactivity_fires_as_the_page_says(events: list[Event], span: str, later: int) -> None:
    timeline = Timeline(load({"rules.yaml": PAGE.format(span=span)}, KINDS))
    until = (events[-1].at if events else START) + later
    decisions: list[Decision] = []
    run(timeline, UserState("ann"), events, until, decisions)
    made = {
        rule: [(decision.at, decision.event_id) for decision in decisions if decision.rule == rule]
        for rule in ("idle", "after")
    }
    reading = Reading(events)
    assert made["idle"] == reading.firings(SPANS[span], until, after=False)
    assert made["after"] == reading.firings(SPANS[span], until, after=True)
    assert {decision.outcome for decision in decisions} <= {"sent"}


@pytest.mark.parametrize("event_type", ["session.start", "session.end", "ping", "user.identify", "user.preferences"])
def test_nobody_is_idle_after_what_is_no_activity(event_type: str) -> None:
    page = PAGE.format(span="5m").replace('"test.*"', event_type)
    with pytest.raises(RuleErrors, match=f'"{event_type}" is no activity, so nobody is idle after it'):
        load({"rules.yaml": page}, KINDS)


def adopted(before: str, after: str, events: list[Event], at: int, until: int) -> list[int]:
    past = [event for event in events if event.at < at]
    timeline = Timeline(load({"rules.yaml": before}, KINDS), history=lambda user, moment: past)
    timeline.add(at, load({"rules.yaml": after}, KINDS))
    decisions: list[Decision] = []
    run(timeline, UserState("ann"), events, until, decisions)
    return [decision.at - START for decision in decisions if decision.rule == "after"]


@pytest.mark.parametrize(
    ("n", "at", "fired"),
    [
        (2, MINUTE, [2 * MINUTE]),
        # Its moment belongs to the new rules; a microsecond later it would have fired in the past.
        (2, 2 * MINUTE, [2 * MINUTE]),
        (2, 2 * MINUTE + 1, []),
        (1, MINUTE, []),
    ],
)
def test_a_new_trigger_begins_from_the_last_activity(n: int, at: int, fired: list[int]) -> None:
    events = [Event("test.run", "ann", START, {"n": n})]
    after = PAGE.format(span="2m")
    before = after[: after.index("  - id: after")]
    assert adopted(before, after, events, START + at, START + 5 * MINUTE) == fired


@pytest.mark.parametrize("where", ["len(event.text) > 1000", "len(event.text) <= 1000"])
def test_a_new_trigger_begins_alike_whether_the_state_was_written_in_between(where: str) -> None:
    # An event of that size is remembered cut down.
    event = Event("test.run", "ann", START, {"n": 2, "text": "x" * 6000})
    after = PAGE.format(span="2m").replace("event.n > 1", where)
    timeline = Timeline(load({"rules.yaml": after[: after.index("  - id: after")]}, KINDS))
    timeline.add(START + MINUTE, load({"rules.yaml": after}, KINDS))
    in_memory = UserState("ann")
    apply(timeline, in_memory, event, [])
    written = UserState.decode(in_memory.encode())
    made: list[list[Decision]] = [[], []]
    for state, mine in zip((in_memory, written), made, strict=True):
        advance(timeline, state, START + 5 * MINUTE, mine)
    assert made[0] == made[1]
    assert in_memory.encode() == written.encode()
