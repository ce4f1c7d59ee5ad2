"""The page on triggers, read slowly: at every event the whole history is scanned for what the page says.

It shares no code with the triggers of the engine and remembers nothing from one event to the next. Indices are those
of the history; events of one moment are in the order of the history.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import combinations
from typing import Any

from hypothesis import strategies as st

from engine.core.model import Event
from engine.core.units import SECOND, parse_at

START = parse_at("2026-03-27T10:00:00Z")
EVENTS_MAX = 14

Test = Callable[[Event], bool]
Key = Callable[[Event], Any]  # the group or the value of an event; None where it has none


@st.composite
def histories(draw: st.DrawFn, spans: Sequence[int], types: Sequence[str], sessions: bool = False) -> list[Event]:
    """Events whose moments like to lie one of the spans after an earlier one, or next to that."""
    kinds = (*types, "session.start", "session.end") if sessions else tuple(types)
    events: list[Event] = []
    at = START
    for number in range(draw(st.integers(0, EVENTS_MAX).map(lambda few: EVENTS_MAX - few))):
        event_type = draw(st.sampled_from(kinds))
        data: dict[str, Any] = {}
        session = None
        if event_type.startswith("session."):
            session = draw(st.sampled_from(("s1", "s1", "s2")))
        else:
            data["n"] = draw(st.integers(1, 2))
            group = draw(st.sampled_from(("x", "x", "y", 1, None)))
            if group is not None:
                data["g"] = group
            value = draw(st.sampled_from(("v", "w", "z", None)))
            if value is not None:
                data["v"] = value
        events.append(Event(event_type, "ann", at, data, f"e{number}", session))
        if draw(st.booleans()):
            earlier = draw(st.sampled_from(events)).at
            at = max(at, earlier + draw(st.sampled_from(spans)) + draw(st.integers(-1, 1)))
        else:
            at += draw(st.sampled_from((0, 1, SECOND, *[span // 3 for span in spans])))
    return events


def count_firings(
    events: Sequence[Event], matches: Test, resets: Test, key: Key, value: Key | None, count: int, within: int
) -> list[tuple[str, int]]:
    """``(id of the event, moment of the oldest match)``; ``value`` where different values are counted."""

    def window(last: int, since: dict[Any, int]) -> list[int]:
        group = key(events[last])
        begin = since.get(group, 0)
        for index in range(begin, last + 1):
            if resets(events[index]) and key(events[index]) == group:
                begin = index
        return [
            index
            for index in range(begin, last + 1)
            if matches(events[index])
            and key(events[index]) == group
            and events[index].at > events[last].at - within
            and (value is None or value(events[index]) is not None)
        ]

    fired = []
    since: dict[Any, int] = {}  # group → the first index that counts, the one after it fired
    for last, event in enumerate(events):
        if not matches(event) or key(event) is None or (value is not None and value(event) is None):
            continue
        inside = window(last, since)
        newest: dict[Any, int] = {(index if value is None else value(events[index])): index for index in inside}
        if len(newest) >= count:
            fired.append((event.id, min(events[index].at for index in newest.values())))
            since[key(event)] = last + 1
    return fired


def sequence_firings(
    events: Sequence[Event], steps: Sequence[Test], discards: Test, key: Key, within: int
) -> list[tuple[str, int]]:
    """``(id of the event, moment of the latest first step)``: all choices of events are tried."""
    fired = []
    since: dict[Any, int] = {}
    for last, event in enumerate(events):
        group = key(event)
        if group is None:
            continue
        begin = since.get(group, 0)
        for index in range(begin, last + 1):
            if discards(events[index]) and key(events[index]) == group:
                begin = index
        starts = [
            events[chosen[0]].at
            for chosen in combinations(range(begin, last + 1), len(steps))
            if chosen[-1] == last
            and event.at - events[chosen[0]].at <= within
            and all(key(events[index]) == group for index in chosen)
            and all(step(events[index]) for step, index in zip(steps, chosen, strict=True))
        ]
        if starts:
            fired.append((event.id, max(starts)))
            since[group] = last + 1
    return fired


def absence_firings(
    events: Sequence[Event], arms: Test, disarms: Test, key: Key, within: int, timeout: int, until: int
) -> list[tuple[int, str]]:
    """``(moment, id of the event that armed it)``, in the order of the moments, then of the events."""
    present, ends = presence(events, timeout)

    def survives(first: int, moment: int) -> bool:
        """Whether what was armed at index ``first`` is still armed when time has come to just before ``moment``."""
        later = [index for index in range(first + 1, len(events)) if events[index].at < moment]
        if any(disarms(events[index]) and key(events[index]) == key(events[first]) for index in later):
            return False
        # What ends at the moment of an event by itself has ended before it.
        return not any(
            ended < moment and (ended > events[first].at if index is None else index > first) for ended, index in ends
        )

    def is_armed_before(first: int, last: int) -> bool:
        """Whether what was armed at index ``first`` is still armed when the event ``last`` comes."""
        between = range(first + 1, last)
        if any(disarms(events[index]) and key(events[index]) == key(events[first]) for index in between):
            return False
        if any(index in between for _, index in ends if index is not None):
            return False
        if any(events[first].at < ended <= events[last].at for ended, index in ends if index is None):
            return False
        return events[last].at < events[first].at + within

    @cache
    def does_arm(index: int) -> bool:
        event = events[index]
        if not arms(event) or key(event) is None or not present[index]:
            return False
        if disarms(event):
            return True
        return not any(
            does_arm(first) and key(events[first]) == key(event) and is_armed_before(first, index)
            for first in range(index)
        )

    return sorted(
        [
            (event.at + within, event.id)
            for index, event in enumerate(events)
            if event.at + within <= until and does_arm(index) and survives(index, event.at + within)
        ],
        key=lambda fired: fired[0],
    )


def presence(events: Sequence[Event], timeout: int) -> tuple[list[bool], list[tuple[int, int | None]]]:
    """Whether the user is present after each event; and the ends: moments, with the index of the event that did it."""
    present: list[bool] = []
    ends: list[tuple[int, int | None]] = []
    for index, event in enumerate(events):
        before = sessions_open(events[:index], event.at, timeout)
        after = sessions_open(events[: index + 1], event.at, timeout)
        if before and not after:
            ends.append((event.at, index))
        present.append(bool(after))
    for index, event in enumerate(events):
        # Where nothing is open by the next event, time has ended it: a timeout after the latest activity.
        next_at = events[index + 1].at if index + 1 < len(events) else None
        if present[index] and (next_at is None or not sessions_open(events[: index + 1], next_at, timeout)):
            moment = event.at + timeout
            latest = [other.at for other in events[: index + 1] if not other.type.startswith("session.")]
            if latest:
                moment = latest[-1] + timeout
                if not sessions_open(events[: index + 1], moment, timeout):
                    ends.append((moment, None))
    return present, ends


def sessions_open(events: Sequence[Event], at: int, timeout: int) -> set[str]:
    """What is open at a moment after these events; "implicit" is the session that activity opens."""
    found: set[str] = set()
    last = 0
    for event in events:
        if last + timeout <= event.at:
            found.discard("implicit")
        if event.type == "session.start":
            found.add(event.session or "")
        elif event.type == "session.end":
            found.discard(event.session or "")
        else:
            if not found:
                found.add("implicit")
            last = event.at
    if last + timeout <= at:
        found.discard("implicit")
    return found
