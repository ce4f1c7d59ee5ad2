"""A dry run as a whole: every user's time is run once, and the studies look on. It reads and prints nothing.

What a study finds is small beside the log, and merges with what it found of other users, in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from engine.core.rules import Timeline
from engine.loading.invariants import Invariant
from engine.replay.activity import Activity
from engine.replay.claims import Claims
from engine.replay.driver import Progress, Ran, run_users
from engine.replay.silence import Reasons
from engine.replay.survey import Survey
from engine.replay.tally import Tally
from engine.replay.trial import Trial
from engine.replay.verify import Verification
from engine.replay.written import Line, SortedLines

Found = list[Any]  # what the studies found, in their order; it goes from process to process


class Study(Protocol):
    """Looks at the users of a dry run, one after the other."""

    def see(self, ran: Ran) -> None: ...

    def found(self) -> Any:
        """What another process needs to know of it; it can be pickled."""
        ...

    def merge(self, found: Any) -> None:
        """Add what was found of other users, in any order."""
        ...


@dataclass(slots=True)
class DryRun:
    """What is run, and who looks on. ``studies`` are further ones; ``lines`` is there where decisions are to be
    written, ``verification`` where they are compared, which one process does alone.

    ``is_whole`` turns False where it was stopped before its end.
    """

    timeline: Timeline
    invariants: Sequence[Invariant] = ()
    until: int | None = None
    studies: Sequence[Study] = ()
    lines: SortedLines | None = None
    verification: Verification | None = None
    tally: Tally = field(default_factory=Tally)
    reasons: Reasons = field(default_factory=Reasons)
    claims: Claims = field(init=False)
    trial: Trial = field(init=False)
    is_whole: bool = True

    def __post_init__(self) -> None:
        self.claims = Claims(self.invariants, self.timeline)
        self.trial = Trial(self.timeline.latest)

    def run(
        self,
        activity: Activity,
        progress: Progress | None = None,
        came_to: Callable[[str], int] | None = None,
        stopped: Callable[[], bool] = lambda: False,
        end: int | None = None,
    ) -> None:
        """Run all users, until ``stopped`` says that it is enough: then those counted are whole all the same.

        ``end`` is the moment to which time runs where ``activity`` is a part only of the log and ``until`` is not said.
        """
        sees = [self.tally.see, self.reasons.see, self.claims.see, self.trial.see]
        sees += [look.see for look in (*self.studies, self.lines, self.verification) if look is not None]
        to = end if self.until is None else self.until
        for ran in run_users(activity, [self.timeline], to, progress, came_to):
            for see in sees:
                see(ran)
            if stopped():
                self.is_whole = False
                return
        self.tally.left_out = activity.events - self.tally.events

    @property
    def end(self) -> int:
        """The moment to which time ran."""
        return self.until if self.until is not None else self.tally.last or 0

    def found(self) -> Found:
        """What another process needs to know of it."""
        further = [study.found() for study in self.studies]
        lines = 0 if self.lines is None else self.lines.count
        return [self.tally, self.reasons.found, self.claims.found, self.trial.found, self.is_whole, lines, further]

    def merge(self, found: Found) -> None:
        """Add what was found of other users."""
        tally, reasons, claims, trial, is_whole, lines, further = found
        self.tally.merge(tally)
        self.reasons.merge(reasons)
        self.claims.found.merge(claims)
        self.trial.found.merge(trial)
        self.is_whole = self.is_whole and is_whole
        if self.lines is not None:
            self.lines.count += lines
        for study, theirs in zip(self.studies, further, strict=True):
            study.merge(theirs)


class Runner(Protocol):
    """Who does a dry run: this process, or several."""

    @property
    def users(self) -> int: ...
    @property
    def events(self) -> int: ...
    def run(self, dry: DryRun, progress: Progress | None, stopped: Callable[[], bool]) -> None: ...
    def chunks(self, dry: DryRun) -> Iterator[list[Line]]:
        """The decisions, in the order in which they are written."""
        ...

    def look_again(self, survey: Survey, dry: DryRun, progress: Progress | None) -> None: ...


class Alone:
    """A dry run in this process."""

    def __init__(self, activity: Activity, came_to: Callable[[str], int] | None = None) -> None:
        self.activity = activity
        self.came_to = came_to

    @property
    def users(self) -> int:
        return self.activity.users

    @property
    def events(self) -> int:
        return self.activity.events

    def run(self, dry: DryRun, progress: Progress | None, stopped: Callable[[], bool]) -> None:
        dry.run(self.activity, progress, self.came_to, stopped)

    def chunks(self, dry: DryRun) -> Iterator[list[Line]]:
        return iter(()) if dry.lines is None else dry.lines.chunks()

    def look_again(self, survey: Survey, dry: DryRun, progress: Progress | None) -> None:
        survey.look_at(self.activity, dry.until, progress)
