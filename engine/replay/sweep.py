"""What rules would have sent with other values in them: every point of a grid run over the same people, side by side.

It opens nothing and prints nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.core.matcher import Matcher
from engine.core.model import Decision, Event
from engine.core.refusal import Refused
from engine.core.rules import RuleSet, Timeline
from engine.core.units import HOUR, SECOND
from engine.loading.diagnostic import RuleErrors, counted
from engine.loading.load import load
from engine.loading.patch import patch, value_at
from engine.loading.places import POLICY
from engine.replay.activity import Activity
from engine.replay.driver import FaultFound, Progress, Ran, run_users
from engine.replay.presence import presence_timeline, present_for
from engine.replay.ranges import Setting, grid
from engine.triggers import KINDS

# Who did one of these just before a message and again just after it was interrupted while typing. What is written
# in a chat has been typed as well, so a log of a chat alone can tell.
TYPING = (
    "edit*", "text*", "typing*", "key*", "file.edit*", "code.edit*", "File.Edit", "chat_message", "message",
)  # fmt: skip
# Moments at which one thing is done and the next has not begun: a result is there, work is put away, somebody begins.
BREAKPOINTS = (
    "test.*", "build.*", "compile*", "Compile*", "run.*", "Run.*", "submit*", "Submit*", "save*", "file.saved",
    "file.save", "File.Save", "commit*", "session.start", "message.answered", "message.dismissed",
)  # fmt: skip
NEAR = 5 * SECOND


@dataclass(frozen=True, slots=True)
class Moments:
    """What is looked for around a message. The types are as in a matcher: a ``*`` at the end stands for any ending.

    Mid-typing: the user did something of ``typing`` less than ``near`` before the message or at its moment, and
    again less than ``near`` after it. At a breakpoint: one of ``breakpoints`` came less than ``near`` before, or at
    its moment, which is so for all messages that such an event brought about.
    """

    typing: tuple[str, ...] = TYPING
    breakpoints: tuple[str, ...] = BREAKPOINTS
    near: int = NEAR


def breakpoints_of(rules: RuleSet) -> tuple[str, ...]:
    """`BREAKPOINTS`, and the events at which the rules themselves want to deliver."""
    waited = [matcher for rule in rules if rule.deliver is not None for matcher in rule.deliver.breakpoints]
    return tuple(dict.fromkeys([*BREAKPOINTS, *(name for matcher in waited for name in matcher.event_types)]))


@dataclass(frozen=True, slots=True)
class Trial:
    """Rules with a value at each place. ``values`` are YAML, None where nothing is written.

    ``is_now``: these are the rules as they are. ``is_asked``: it is a point of the grid; only the rules as they are
    need not be one.
    """

    values: tuple[str | None, ...]
    rules: RuleSet
    is_now: bool
    is_asked: bool = True


@dataclass(frozen=True, slots=True)
class Point:
    """What came of a trial. ``typing`` and ``breakpoint`` count messages at such moments (see `Moments`), and are
    None where no event of the log is of those types. ``by_rule`` are messages. ``spent`` is what messages charged to
    budgets, by their names; ``refused`` how many candidates a budget kept from being sent. ``present`` is how long
    users were present, in microseconds, all together.
    """

    values: tuple[str | None, ...]
    is_now: bool
    is_asked: bool
    candidates: int
    messages: int
    users: int
    typing: int | None
    breakpoint: int | None
    by_rule: Mapping[str, int]
    spent: Mapping[str, int]
    refused: int
    present: int

    @property
    def typing_share(self) -> float | None:
        return None if self.typing is None or not self.messages else self.typing / self.messages

    @property
    def breakpoint_share(self) -> float | None:
        return None if self.breakpoint is None or not self.messages else self.breakpoint / self.messages

    @property
    def per_hour(self) -> float | None:
        """Messages per hour that a user was present, None where nobody was."""
        return self.messages * HOUR / self.present if self.present else None

    @property
    def budget(self) -> int:
        """What messages charged to all budgets together."""
        return sum(self.spent.values())


@dataclass(frozen=True, slots=True)
class Sweep:
    """The points in the order of the grid; the rules as they are come first where they are none of its points.

    ``now`` are the values that are written now. ``users`` and ``events`` are those that were run, ``of_users`` those of
    the log, also who comes after ``until``. ``first`` and ``last`` are moments of events. ``is_partial``: it was broken
    off before all were run.
    """

    settings: tuple[Setting, ...]
    now: tuple[str | None, ...]
    points: tuple[Point, ...]
    moments: Moments
    users: int
    of_users: int
    events: int
    first: int | None
    last: int | None
    until: int | None = None
    is_partial: bool = False
    faults: tuple[FaultFound, ...] = ()


def trials(base: RuleSet, settings: Sequence[Setting]) -> list[Trial]:
    """The rules of every point, from those that there are. Raises `Refused`, also for what no rules can be made of."""
    points = grid(settings)
    sources = base.sources
    made = []
    for values in points:
        changed, policies = dict(sources), dict(sources)
        for setting, value in zip(settings, values, strict=True):
            changed = patch(changed, setting.path, value, KINDS)
            if setting.path.startswith(f"{POLICY}.") and POLICY not in base.by_id:
                policies = patch(policies, setting.path, value, KINDS)
        rules = _loaded(changed, [f"{one.path}={value}" for one, value in zip(settings, values, strict=True)])
        # What a rule had by default may be written in it without changing anything.
        is_now = changed == sources or (policies == sources and _written(rules) == _written(base))
        made.append(Trial(values, rules, is_now))
    if not any(trial.is_now for trial in made):
        now = tuple(value_at(sources, setting.path, KINDS) for setting in settings)
        made.insert(0, Trial(now, base, is_now=True, is_asked=False))
    return made


def _loaded(sources: Mapping[str, str], told: Sequence[str]) -> RuleSet:
    try:
        return load(sources, KINDS)
    except RuleErrors as errors:
        first = errors.diagnostics[0]
        more = f" (and {counted(len(errors.diagnostics) - 1, 'more')})" if len(errors.diagnostics) > 1 else ""
        raise Refused(f"{' '.join(told)}: {first.message}{more}", code=first.code) from None


def _written(rules: RuleSet) -> list[str]:
    return [rule.written for rule in rules]


@dataclass(slots=True)
class _Tally:
    candidates: int = 0
    users: int = 0
    typing: int = 0
    breakpoint: int = 0
    refused: int = 0
    by_rule: Counter[str] = field(default_factory=Counter)
    spent: Counter[str] = field(default_factory=Counter)


class Sweeper:
    """Takes users as they have been run, and forgets them. ``timelines`` are to be run, in this order."""

    def __init__(
        self, settings: Sequence[Setting], tried: Sequence[Trial], moments: Moments, now: Sequence[str | None]
    ):
        self.settings = tuple(settings)
        self.tried = tuple(tried)
        self.moments = moments
        self.now = tuple(now)
        self.timeouts = tuple(dict.fromkeys(trial.rules.policy.session_timeout for trial in tried))
        self.timelines = [
            *(Timeline(trial.rules) for trial in tried),
            *(presence_timeline(timeout) for timeout in self.timeouts),
        ]
        self._tallies = [_Tally() for _ in tried]
        self._present = dict.fromkeys(self.timeouts, 0)
        self._typing = _Kind(moments.typing)
        self._breakpoints = _Kind(moments.breakpoints)
        self._users = self._events = 0
        self._first: int | None = None
        self._last: int | None = None
        self._faults: list[FaultFound] = []

    def take(self, ran: Ran) -> None:
        """Count what became of one user."""
        self._users += 1
        self._events += len(ran.happened)
        first, last = ran.events[0].at, ran.events[-1].at
        self._first = first if self._first is None else min(self._first, first)
        self._last = last if self._last is None else max(self._last, last)
        typed, breaks = self._typing.moments(ran.happened), self._breakpoints.moments(ran.happened)
        for place, (trial, tally) in enumerate(zip(self.tried, self._tallies, strict=True)):
            self._count(trial.rules, tally, ran.evaluated[place].decisions, typed, breaks)
            self._faults += ran.faults(place)
        for place, timeout in enumerate(self.timeouts, len(self.tried)):
            self._present[timeout] += present_for(ran.evaluated[place].decisions, ran.end)

    def _count(
        self, rules: RuleSet, tally: _Tally, decisions: Sequence[Decision], typed: Sequence[int], breaks: Sequence[int]
    ) -> None:
        near, sent = self.moments.near, 0
        for decision in decisions:
            outcome, is_new = decision.outcome, decision.was is None
            tally.candidates += is_new
            tally.refused += outcome == "budget"
            if is_new and outcome in ("sent", "held"):
                # A budget is charged when a message is held, and whatever becomes of it then.
                rule = rules.by_id[decision.rule]
                tally.spent.update([budget.name for budget in rule.budgets if not budget.charges])
            if outcome == "sent":
                sent += 1
                tally.by_rule[decision.rule] += 1
                tally.typing += is_amid(typed, decision.at, near)
                tally.breakpoint += is_after(breaks, decision.at, near)
        tally.users += sent > 0

    def result(self, of_users: int, until: int | None = None, *, is_partial: bool = False) -> Sweep:
        """All that was counted so far."""
        return Sweep(
            self.settings, self.now, tuple(map(self._point, self.tried, self._tallies)), self.moments,
            self._users, of_users, self._events, self._first, self._last, until, is_partial,
            tuple(self._faults),
        )  # fmt: skip

    def _point(self, trial: Trial, tally: _Tally) -> Point:
        return Point(
            trial.values, trial.is_now, trial.is_asked, tally.candidates, tally.by_rule.total(), tally.users,
            tally.typing if self._typing.was_found else None,
            tally.breakpoint if self._breakpoints.was_found else None,
            dict(sorted(tally.by_rule.items())), dict(sorted(tally.spent.items())), tally.refused,
            self._present[trial.rules.policy.session_timeout],
        )  # fmt: skip


class _Kind:
    """Events of some types. ``was_found``: whether there has been any."""

    def __init__(self, types: tuple[str, ...]) -> None:
        self.matcher = Matcher(types, None)
        self.was_found = False

    def moments(self, events: Sequence[Event]) -> list[int]:
        found = [event.at for event in events if self.matcher.covers(event.type)]
        self.was_found |= bool(found)
        return found


def is_amid(moments: Sequence[int], at: int, near: int) -> bool:
    """Whether one of the moments is at ``at`` or less than ``near`` before it, and the next less than that behind."""
    place = bisect_right(moments, at)
    return 0 < place < len(moments) and at - moments[place - 1] < near and moments[place] - at < near


def is_after(moments: Sequence[int], at: int, near: int) -> bool:
    """Whether one of the moments is at ``at`` or less than ``near`` before it."""
    place = bisect_right(moments, at)
    return place > 0 and at - moments[place - 1] < near


def sweeper(base: RuleSet, settings: Sequence[Setting], moments: Moments | None = None) -> Sweeper:
    """All is ready to be run. Without ``moments`` those that suit the rules. Raises `Refused`."""
    if not settings:
        raise Refused("expected something to set")
    now = tuple(value_at(base.sources, setting.path, KINDS) for setting in settings)
    suited = Moments(breakpoints=breakpoints_of(base)) if moments is None else moments
    return Sweeper(settings, trials(base, settings), suited, now)


def sweep(
    activity: Activity,
    ready: Sweeper,
    until: int | None = None,
    progress: Progress | None = None,
    came_to: Callable[[str], int] | None = None,
) -> Sweep:
    """Run all of it: every point over each user, one user after the other; the rest as in `run_users`."""
    for ran in run_users(activity, ready.timelines, until, progress, came_to):
        ready.take(ran)
    return ready.result(activity.users, until)
