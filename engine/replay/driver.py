"""Events in, decisions out: each user's time is run on its own, to the end of the log. It reads and prints nothing."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter

from engine.core.evaluate import run
from engine.core.model import Decision, Event
from engine.core.rules import HISTORY_EVENTS_MAX, History, Timeline
from engine.core.state import UserState
from engine.isolation import Evaluated, evaluate_user

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


def group(events: Iterable[Event]) -> dict[str, list[Event]]:
    """Each user's events by moment, at equal moments in the order given."""
    users: dict[str, list[Event]] = {}
    for event in events:
        mine = users.get(event.user)
        if mine is None:
            users[event.user] = [event]
        else:
            mine.append(event)
    for mine in users.values():
        mine.sort(key=_at)
    return users


_at = attrgetter("at")


def replay(
    events: Iterable[Event],
    timeline: Timeline,
    until: int | None = None,
    progress: Progress | None = None,
    came_to: Callable[[str], int] | None = None,
) -> Replayed:
    """Run every user's events, then their time: to ``until``, or else to the last event of all.

    Events after ``until`` are left out. ``came_to`` says of each user how far time came where that is known
    better; a user's own last event is never after it. Users do not know of each other, so one after the other
    is the same as all at once, and needs room for one state.
    """
    users = group(events)
    replayed = Replayed()
    if until is not None:
        count = sum(map(len, users.values()))
        users = _cut(users, until)
        replayed.left_out = count - sum(map(len, users.values()))
    timeline.history = _history(users)
    replayed.users = len(users)
    replayed.first = min((mine[0].at for mine in users.values()), default=None)
    replayed.last = max((mine[-1].at for mine in users.values()), default=None)
    end = until if until is not None else replayed.last or 0
    reported = 0
    for user, mine in users.items():
        to = end if came_to is None or until is not None else max(mine[-1].at, came_to(user))
        evaluated = _replay_user(timeline, user, mine, to)
        replayed.events += len(mine)
        if evaluated.decisions:
            replayed.by_user[user] = evaluated.decisions
        for place, trace in evaluated.faults:
            replayed.faults.append(FaultFound(user, None if place is None else mine[place], trace))
        if progress is not None and replayed.events - reported >= PROGRESS_EVENTS:
            progress(replayed.events - reported)
            reported = replayed.events
    return replayed


def _history(users: Mapping[str, list[Event]]) -> History:
    """What these users have done before a moment, as rules that begin to hold then are told of it."""

    def history(user: str, moment: int) -> list[Event]:
        mine = users[user]
        end = bisect_left(mine, moment, key=_at)
        return mine[max(end - HISTORY_EVENTS_MAX, 0) : end]

    return history


def _cut(users: Mapping[str, list[Event]], until: int) -> dict[str, list[Event]]:
    """The same less the events after ``until``, and less the users who have no others."""
    kept = {user: [event for event in mine if event.at <= until] for user, mine in users.items()}
    return {user: mine for user, mine in kept.items() if mine}


def _replay_user(timeline: Timeline, user: str, events: Sequence[Event], until: int) -> Evaluated:
    state = UserState(user)
    decisions: list[Decision] = []
    try:
        run(timeline, state, events, until, decisions)
    except Exception:
        # A fault of ours: go again with care, which finds the event and records the trace.
        return _replay_with_care(timeline, user, events, until)
    return Evaluated(state, decisions)


def _replay_with_care(timeline: Timeline, user: str, events: Sequence[Event], until: int) -> Evaluated:
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
