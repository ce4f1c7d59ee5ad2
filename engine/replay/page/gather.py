"""The figures of a report, gathered user by user in bounded room. It runs nothing and writes nothing.

Whatever the order in which users come, and however they are shared over processes, the figures are the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from functools import lru_cache
from typing import NamedTuple, TypeVar

from engine.core.model import Decision, Event, Message, Outcome
from engine.core.reasons import explain
from engine.core.rules import Policy
from engine.core.scope import user_zone
from engine.core.units import HOUR, MINUTE, SECOND, to_datetime
from engine.core.zones import find_zone
from engine.replay.activity import at_of
from engine.replay.driver import Ran

TIMELINES_MAX = 12
MARKS_MAX = 2_000  # of one timeline
CANDIDATE_MARKS_MAX = 1_000  # of them, where there are more events than room
TEXT_MAX = 280  # characters of a message or a reason that are shown
TYPE_MAX = 80  # characters of an event's type
DAYS_MAX = 1_100  # bars of the days: three years, day by day
SENT_COUNTED_MAX = 10_000  # messages to one user; those with more are counted as these
WEEK_HOURS = 7 * 24

Item = TypeVar("Item")


class Mark(NamedTuple):
    """A candidate on a timeline. ``was`` is the outcome that no longer stands, "" where there was none."""

    at: int
    rule: str
    outcome: Outcome
    was: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class UserTimeline:
    """What one user did, and what was said to them. ``events`` and ``marks`` may be a choice of all there are,
    evenly spread; ``event_count`` and ``mark_count`` are how many there are.
    """

    user: str
    sent: int
    event_count: int
    mark_count: int
    events: tuple[tuple[int, str], ...]
    marks: tuple[Mark, ...]

    @property
    def rank(self) -> tuple[int, int, str]:
        """Smaller for the busier: more messages, then more events, then by name."""
        return (-self.sent, -self.event_count, self.user)


@dataclass(slots=True)
class Days:
    """``[events, messages]`` by local day, numbered as `date.toordinal` does and divided by ``width``.

    The width is doubled as often as the bars have to be made fewer than `DAYS_MAX`: it depends on all days alone.
    """

    width: int = 1
    bars: dict[int, list[int]] = field(default_factory=dict)

    def add(self, day: int, events: int, messages: int) -> None:
        self._add(day // self.width, events, messages)
        self._fit()

    def merge(self, other: Days) -> None:
        self._widen(max(self.width, other.width))
        for bar, (events, messages) in other.bars.items():
            self._add(bar * other.width // self.width, events, messages)
        self._fit()

    def _add(self, bar: int, events: int, messages: int) -> None:
        counts = self.bars.setdefault(bar, [0, 0])
        counts[0] += events
        counts[1] += messages

    def _fit(self) -> None:
        while len(self.bars) > DAYS_MAX:
            self._widen(self.width * 2)

    def _widen(self, width: int) -> None:
        former, self.bars = self.bars, {}
        factor, self.width = width // self.width, width
        for bar, (events, messages) in former.items():
            self._add(bar // factor, events, messages)


@dataclass(slots=True)
class Gathered:
    """What a page shows beside a `Tally`. Times of the day and days are by each user's clock, where the log names their
    zone; ``own_clock`` users have another than ``zone_name``, the policy's. The hours of the week count from Monday,
    midnight.

    ``user_days`` are the days on which somebody did something, for each user; ``per_user`` is how many users got how
    many messages; ``kept_back`` are candidates that a gate after the condition closed, or that were held.
    """

    zone_name: str
    user_days: int = 0
    own_clock: int = 0
    week_events: list[int] = field(default_factory=lambda: [0] * WEEK_HOURS)
    week_sent: list[int] = field(default_factory=lambda: [0] * WEEK_HOURS)
    week_kept_back: list[int] = field(default_factory=lambda: [0] * WEEK_HOURS)
    days: Days = field(default_factory=Days)
    per_user: Counter[int] = field(default_factory=Counter)
    busiest: list[UserTimeline] = field(default_factory=list)

    def see(self, ran: Ran) -> None:
        """Take in what came of one user under the first of the timelines."""
        evaluated = ran.evaluated[0]
        policy = _policy_of(self.zone_name)
        zone = user_zone(evaluated.state.attributes, policy)
        self.own_clock += zone is not policy.zone
        self._note_hours(ran.happened, zone)
        sent = 0
        for decision in evaluated.decisions:
            if decision.outcome == "sent":
                sent += 1
                self._note_sent(decision.at, zone)
            elif decision.outcome not in _NOT_KEPT_BACK and decision.was is None:
                self.week_kept_back[_week_hour(decision.at, zone)] += 1
        self.per_user[min(sent, SENT_COUNTED_MAX)] += 1
        if len(self.busiest) < TIMELINES_MAX or (-sent, -len(ran.happened), ran.user) < self.busiest[-1].rank:
            self._keep_busiest([timeline_of(ran.user, ran.happened, evaluated.decisions)])

    def found(self) -> Gathered:
        """What another process needs to know of it."""
        return self

    def merge(self, other: Gathered) -> None:
        """Take in what was gathered of other users."""
        self.user_days += other.user_days
        self.own_clock += other.own_clock
        for name in ("week_events", "week_sent", "week_kept_back"):
            pairs = zip(getattr(self, name), getattr(other, name), strict=True)
            setattr(self, name, [a + b for a, b in pairs])
        self.days.merge(other.days)
        self.per_user.update(other.per_user)
        self._keep_busiest(other.busiest)

    def _note_hours(self, events: Sequence[Event], zone: tzinfo) -> None:
        """Hour by hour, so that the clock is asked once for all events of an hour."""
        place, day_before = 0, -1
        while place < len(events):
            local = to_datetime(events[place].at, zone)
            into_hour = local.minute * MINUTE + local.second * SECOND + local.microsecond
            after = bisect_left(events, events[place].at - into_hour + HOUR, lo=place + 1, key=at_of)
            day = local.toordinal()
            self.user_days += day != day_before
            self.week_events[local.weekday() * 24 + local.hour] += after - place
            self.days.add(day, after - place, 0)
            place, day_before = after, day

    def _note_sent(self, at: int, zone: tzinfo) -> None:
        local = to_datetime(at, zone)
        self.week_sent[local.weekday() * 24 + local.hour] += 1
        self.days.add(local.toordinal(), 0, 1)

    def _keep_busiest(self, others: Iterable[UserTimeline]) -> None:
        self.busiest = sorted([*self.busiest, *others], key=lambda timeline: timeline.rank)[:TIMELINES_MAX]


# What was said, said to nobody on purpose, or not wanted by the rule itself.
_NOT_KEPT_BACK = frozenset({"sent", "shadow", "condition"})


@lru_cache(maxsize=8)
def _policy_of(zone_name: str) -> Policy:
    """One that has the zone; found by its name, for a zone itself cannot go from process to process."""
    return Policy(zone=find_zone(zone_name) or UTC, zone_name=zone_name)


def _week_hour(at: int, zone: tzinfo) -> int:
    local = to_datetime(at, zone)
    return local.weekday() * 24 + local.hour


def timeline_of(user: str, events: Sequence[Event], decisions: Sequence[Decision]) -> UserTimeline:
    """The user's timeline in at most `MARKS_MAX` marks: messages before other candidates, these before events."""
    sent = [decision for decision in decisions if decision.outcome == "sent"]
    room = max(CANDIDATE_MARKS_MAX, MARKS_MAX - len(events))
    others = [decision for decision in decisions if decision.outcome != "sent"]
    chosen = spread(sent, room)
    chosen += spread(others, room - len(chosen))
    chosen.sort(key=at_of)
    shown = spread(events, MARKS_MAX - len(chosen))
    return UserTimeline(
        user,
        len(sent),
        len(events),
        len(decisions),
        tuple([(event.at, cut(event.type, TYPE_MAX)) for event in shown]),
        tuple([_mark(decision) for decision in chosen]),
    )


def _mark(decision: Decision) -> Mark:
    reason = "" if decision.reason is None else cut(explain(decision.reason), TEXT_MAX)
    text = "" if decision.message is None else told(decision.message)
    return Mark(decision.at, decision.rule, decision.outcome, decision.was or "", reason, text)


def told(message: Message) -> str:
    """What it says, and by which prompt a responder writes it anew."""
    text = cut(message.text, TEXT_MAX)
    return f"{text} (written by: {cut(message.prompt, TEXT_MAX)})" if message.prompt else text


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """All of them, or so many of them at even distances, the first always among them."""
    if len(items) <= most:
        return list(items)
    return [items[place * len(items) // most] for place in range(most)]


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
