"""Events in, decisions out: each user's time is run on its own, to the end of the log. It reads and prints nothing."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter

from engine.core.beginning import Beginning
from engine.core.evaluate import run
from engine.core.model import Decision, Event
from engine.core.rules import HISTORY_EVENTS_MAX, History, Timeline
from engine.core.state import UserState
from engine.isolation import Evaluated, evaluate_user
from engine.replay.activity import Activity, at_of, happened, in_memory

# A fault repeats the evaluation of its stretch only.
STRETCH_EVENTS = 100
PROGRESS_EVENTS = 2000

Progress = Callable[[int], None]  # told how many more events have been replayed


@dataclass(frozen=True, slots=True)
class FaultFound:
    """An event (None: time itself) on which evaluation raised. The user's decisions are those of the other events."""

    user: str
    event: Event | None
    trace: str


@dataclass(frozen=True, slots=True)
class Ran:
    """One user, run to ``end``: the events that counted, and what came of them under each of the timelines."""

    user: str
    events: Sequence[Event]
    end: int
    evaluated: Sequence[Evaluated]

    @property
    def happened(self) -> Sequence[Event]:
        """The events without the beginning of a log that was folded."""
        return happened(self.events)

    def faults(self, place: int = 0) -> list[FaultFound]:
        """What the engine failed on under the timeline of that place."""
        return [
            FaultFound(self.user, None if index is None else self.events[index], trace)
            for index, trace in self.evaluated[place].faults
        ]


@dataclass(slots=True)
class Replayed:
    """What came of it. ``by_user`` has each user's decisions in the order in which they were made.

    ``first`` and ``last`` are the moments of the first and the last event, None where there is none;
    ``left_out`` counts the events after ``until``.
    """

    users: int = 0
    events: int = 0
    first: int | None = None
    last: int | None = None
    left_out: int = 0
    by_user: dict[str, list[Decision]] = field(default_factory=dict)
    faults: list[FaultFound] = field(default_factory=list)

    def decisions(self) -> list[Decision]:
        """All of them by moment, user, and place of the rule; as they were made where all three are equal."""
        made = [decision for decisions in self.by_user.values() for decision in decisions]
        made.sort(key=attrgetter("at", "user", "order"))
        return made


def run_users(
    activity: Activity,
    timelines: Sequence[Timeline],
    until: int | None = None,
    progress: Progress | None = None,
    came_to: Callable[[str], int] | None = None,
) -> Iterator[Ran]:
    """Run every user's events under each of the timelines, then their time: to ``until``, or else to the last event
    of all.

    Events after ``until`` are left out, and users who have no others. ``came_to`` says of each user how far time came
    where that is known better; a user's own last event is never after it. Users do not know of each other, so one
    after the other is the same as all at once, and needs room for one user. ``progress`` is told of the events that
    were run, once for all timelines.
    """
    end = until if until is not None else activity.last or 0
    untold = 0
    for user, events in activity:
        mine = up_to(events, until)
        if not mine:
            continue
        to = end if came_to is None or until is not None else max(mine[-1].at, came_to(user))
        yield Ran(user, mine, to, [_run_user(timeline, user, mine, to) for timeline in timelines])
        untold += len(mine)
        if progress is not None and untold >= PROGRESS_EVENTS:
            progress(untold)
            untold = 0


def up_to(events: Sequence[Event], until: int | None) -> Sequence[Event]:
    """The events that are not after ``until``; they are in order."""
    if until is None or events[-1].at <= until:
        return events
    return events[: bisect_left(events, until + 1, key=at_of)]


def replay(
    events: Iterable[Event] | Activity,
    timeline: Timeline,
    until: int | None = None,
    progress: Progress | None = None,
    came_to: Callable[[str], int] | None = None,
) -> Replayed:
    """Run one timeline as `run_users` does, and keep all decisions."""
    activity = events if isinstance(events, Activity) else in_memory(events)
    replayed = Replayed()
    for ran in run_users(activity, [timeline], until, progress, came_to):
        replayed.users += 1
        replayed.events += len(ran.happened)
        replayed.first = _earlier(replayed.first, ran.events[0].at)
        replayed.last = max(replayed.last or 0, ran.events[-1].at)
        if ran.evaluated[0].decisions:
            replayed.by_user[ran.user] = ran.evaluated[0].decisions
        if ran.evaluated[0].faults:
            replayed.faults += ran.faults()
    replayed.left_out = activity.events - replayed.events
    return replayed


def _earlier(one: int | None, other: int) -> int:
    return other if one is None else min(one, other)


def _run_user(timeline: Timeline, user: str, events: Sequence[Event], until: int) -> Evaluated:
    timeline.history = history_of(events)
    state = UserState(user)
    decisions: list[Decision] = []
    try:
        run(timeline, state, events, until, decisions)
    except Exception:
        # A fault of ours: go again with care, which finds the event and records the trace.
        return _run_with_care(timeline, user, events, until)
    return Evaluated(state, decisions)


def history_of(events: Sequence[Event]) -> History:
    """What this user has done before a moment, as rules that begin to hold then are told of it."""
    first = events[0] if events else None
    if isinstance(first, Beginning):
        events = [*first.past, *events[1:]]

    def history(user: str, moment: int) -> Sequence[Event]:
        end = bisect_left(events, moment, key=at_of)
        return events[max(end - HISTORY_EVENTS_MAX, 0) : end]

    return history


def _run_with_care(timeline: Timeline, user: str, events: Sequence[Event], until: int) -> Evaluated:
    """The same in stretches, each begun again from a copy of the state where an event of it has to be left out."""
    whole = Evaluated(UserState(user), [])
    for start in range(0, len(events), STRETCH_EVENTS):
        stretch = events[start : start + STRETCH_EVENTS]
        is_last = start + STRETCH_EVENTS >= len(events)
        before = whole.state
        part = evaluate_user(timeline, partial(deepcopy, before), stretch, until if is_last else None)
        whole.state = part.state
        whole.decisions += part.decisions
        whole.faults += [(None if place is None else start + place, trace) for place, trace in part.faults]
    return whole
