"""Why a rule spoke to somebody or did not: its candidates, their gates, and where there was none, the nearest miss.

It reads no log and prints nothing. What it tells is what the engine did: the user's time is run again as it always is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.core.model import Decision, Event
from engine.core.rules import Rule, Timeline
from engine.core.units import HOUR, show_at
from engine.near import progress
from engine.replay.activity import Activity, InMemory
from engine.replay.changes import World
from engine.replay.driver import run_users
from engine.replay.nearby import Approach, Nearest
from engine.replay.remedies import Remedy, open_gates, reach
from engine.replay.witness import Sight, names_of, witness
from engine.triggers.response import Response

AROUND = HOUR  # of a moment: what is near to it


class NothingKnown(Exception):
    """There is nothing to be told; the text says why."""


@dataclass(frozen=True, slots=True)
class Account:
    """What came of one rule for one user from ``start`` to ``stop``; ``at`` is the moment that was asked about.

    ``sights`` are the candidates of that span in order of time, ``made`` how many there were in all. ``misses`` are the
    nearest moments of the triggers, the nearest first, ``state`` how far they had come when the span ends, a line each;
    both are empty where there were candidates near the moment that was asked about. ``remedies`` are the smallest
    changes, if such were ``tried``: for the candidate ``sought`` or, where that is None, for the nearest miss.
    ``faults`` counts the events that were left out because the engine fails on them.
    """

    rule: Rule
    user: str
    events: int
    start: int
    stop: int
    end: int
    at: int | None
    sights: tuple[Sight, ...]
    made: int
    misses: tuple[Approach, ...]
    state: tuple[str, ...]
    remedies: tuple[Remedy, ...]
    sought: Sight | None
    tried: bool
    faults: int


@dataclass(frozen=True, slots=True)
class Asked:
    """``at`` is a moment in microseconds, None for all of the user's time; ``around`` the span on each side of it."""

    rule: str
    user: str
    at: int | None = None
    around: int = AROUND
    changes: bool = True


def account(
    activity: Activity,
    timeline: Timeline,
    asked: Asked,
    until: int | None = None,
    came_to: Callable[[str], int] | None = None,
) -> Account:
    """Raises `NothingKnown` where the log has nothing of the user by then."""
    own = activity.of(asked.user)
    if not own:
        raise NothingKnown(f'the log has no user "{asked.user}"')
    # Time runs to the last event of all, whoever's it was.
    end = activity.last if until is None and came_to is None else until
    runs = list(run_users(InMemory({asked.user: own}), [timeline], end, None, came_to))
    if not runs:
        raise NothingKnown(f'user "{asked.user}" had done nothing by then')
    [ran] = runs
    left_out = {index for index, _ in ran.evaluated[0].faults}
    events = [event for place, event in enumerate(ran.events) if place not in left_out]
    if not events:
        raise NothingKnown(f'the engine fails on all that user "{asked.user}" did')
    start = events[0].at if asked.at is None else max(asked.at - asked.around, events[0].at)
    stop = ran.end if asked.at is None else min(asked.at + asked.around, ran.end)
    if stop < start:
        raise NothingKnown(outside(asked.user, asked.at or 0, events[0].at, ran.end))
    # A fault of time itself would come again.
    end = events[-1].at if None in left_out else ran.end
    return _account(timeline, asked, events, start, stop, end, len(left_out))


def outside(user: str, at: int, first: int, end: int) -> str:
    """That nothing of the user can be near that moment."""
    return f'{show_at(at)} lies outside: time of user "{user}" runs from {show_at(first)} to {show_at(end)}'


def _account(
    timeline: Timeline, asked: Asked, events: Sequence[Event], start: int, stop: int, end: int, faults: int
) -> Account:
    index = timeline.holding(stop if asked.at is None else min(max(asked.at, start), stop))
    rule = rule_at(timeline, asked.rule, index)
    nearest = Nearest(rule, start, stop, asked.at)
    witnessed = witness(timeline, asked.rule, events, end, nearest)
    sights = tuple([sight for sight in witnessed.sights if start <= sight.at <= stop])
    is_silent = not sights
    sought = _sought(sights, asked.at)
    tell = is_silent or asked.at is None
    misses = tuple(nearest.best()) if tell else ()
    state = tuple(_state(timeline, rule, events, stop, witnessed.decisions)) if is_silent else ()
    remedies: tuple[Remedy, ...] = ()
    if asked.changes:
        world = World(timeline, asked.rule, events, end, index)
        if sought is not None:
            remedies = open_gates(world, sought)
        elif is_silent:
            remedies = reach(world, rule, misses, start, stop, asked.at)
    return Account(
        rule, asked.user, len(events), start, stop, end, asked.at, sights, len(witnessed.sights), misses, state,
        remedies, sought, asked.changes, faults,
    )  # fmt: skip


def _state(
    timeline: Timeline, rule: Rule, events: Sequence[Event], at: int, decisions: Sequence[Decision]
) -> list[str]:
    """How far the triggers had come, a line each; of one that waits for an answer also that nobody was asked."""
    lines = progress(timeline, rule, events, at)
    if rule.mode == "off":
        return ["the rule is off"]
    for place, trigger in enumerate(rule.triggers):
        if isinstance(trigger, Response) and place < len(lines):
            asked = any(one.rule == trigger.to and one.outcome == "sent" and one.at <= at for one in decisions)
            lines[place] += "" if asked else f"; {trigger.to} had sent nothing"
    return lines


def rule_at(timeline: Timeline, rule_id: str, index: int) -> Rule:
    """The rule, as the rule set of that index has it; else as the nearest one does. Raises `NothingKnown`."""
    names = names_of(timeline, rule_id)
    for place in sorted(range(len(timeline.rule_sets)), key=lambda place: abs(place - index)):
        for rule in timeline.rule_sets[place]:
            if rule.id in names:
                return rule
    raise NothingKnown(f'there is no rule "{rule_id}"')


def _sought(sights: Sequence[Sight], at: int | None) -> Sight | None:
    """The candidate that is to be opened a way for: of those that were not sent the nearest, or the last.

    Where something was sent and nobody asks about a moment, nothing is amiss.
    """
    silent = [sight for sight in sights if sight.sent is None]
    if not silent or (at is None and len(silent) < len(sights)):
        return None
    return silent[-1] if at is None else min(silent, key=lambda sight: (abs(sight.at - at), sight.at))
