"""The smallest changes that would have made a rule speak: proposed, tried by running everything again, and sorted.

What is shown was run. Where a change makes a candidate that another gate closes, one step more is tried.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.core.rules import Rule
from engine.replay.changes import Change, Edit, World, followed, smallness
from engine.replay.gate_changes import gate_changes
from engine.replay.nearby import Approach
from engine.replay.trigger_changes import trigger_changes
from engine.replay.witness import Sight

SHOWN_MAX = 3  # remedies
STEPS_MAX = 3  # changes that are made together
RUNS_MIN, RUNS_MAX = 15, 60  # of the user's time, for all that is tried; the more, the less it is that they did
EVENTS_RUN_MAX = 2_000_000  # in all these runs, about
BRANCHES_MAX = 4  # changes that are tried at each further gate


@dataclass(frozen=True, slots=True)
class Remedy:
    """``steps`` together, and what became of the candidate with them; ``edits`` are those of the rules.

    ``is_whole``: it was sent, or for a rule in shadow mode would have been. Otherwise it came to be a candidate, and
    no way has been found past what closed it then.
    """

    steps: tuple[Change, ...]
    edits: tuple[Edit, ...]
    sight: Sight
    is_whole: bool


Find = Callable[[Sequence[Sight]], Sight | None]


def open_gates(world: World, sight: Sight) -> tuple[Remedy, ...]:
    """For a candidate that was not sent. None of its twins of the same moment is taken for it."""

    def find(sights: Sequence[Sight]) -> Sight | None:
        event_id = sight.decision.event_id
        same = [one for one in sights if one.at == sight.at and one.decision.event_id == event_id]
        return same[0] if same else None

    search = _Search(world, find)
    search.further((), sight)
    return search.found()


def reach(
    world: World, rule: Rule, misses: Sequence[Approach], start: int, stop: int, at: int | None
) -> tuple[Remedy, ...]:
    """For a span without a candidate."""

    def find(sights: Sequence[Sight]) -> Sight | None:
        # What is added after the log's end may lie beyond it.
        near = [one for one in sights if one.at >= start and (at is None or one.at <= stop)]
        return min(near, key=lambda one: (one.sent is None, abs(one.at - (at or 0)), one.at), default=None)

    search = _Search(world, find)
    search.try_all((), trigger_changes(world, rule, misses, start, stop, at))
    return search.found()


class _Search:
    """Changes upon changes, within bounds."""

    def __init__(self, world: World, find: Find) -> None:
        self.world = world
        self.find = find
        self.runs_max = min(max(EVENTS_RUN_MAX // len(world.events), RUNS_MIN), RUNS_MAX)
        self.whole: list[Remedy] = []
        self.part: list[Remedy] = []

    def found(self) -> tuple[Remedy, ...]:
        """The smallest; those that come to no message only where none does."""
        found = sorted(self.whole or self.part, key=lambda remedy: smallness(remedy.steps))
        alone = [remedy for place, remedy in enumerate(found) if not _is_more(remedy, found[:place])]
        return tuple(alone[:SHOWN_MAX])

    def try_all(self, steps: tuple[Change, ...], changes: Sequence[Change]) -> None:
        tried: list[tuple[tuple[Change, ...], tuple[Edit, ...], Sight]] = []
        for change in changes:
            if self.world.runs >= self.runs_max:
                break
            both = followed(steps, change)
            if both is None:
                continue
            ran = self.world.run(both)
            if ran is None:
                continue
            sight = self.find(ran[0])
            if sight is None:
                continue
            if _is_whole(sight):
                self.whole.append(Remedy(both, ran[1], sight, True))
            else:
                tried.append((both, ran[1], sight))
        for both, edits, sight in tried:
            count = len(self.whole)
            if (len(both) < STEPS_MAX or both[-1].is_from_first) and not self._has_smaller(both):
                self.further(both, sight)
            if len(self.whole) == count:
                self.part.append(Remedy(both, edits, sight, False))

    def further(self, steps: tuple[Change, ...], sight: Sight) -> None:
        """Try to open what closed the candidate."""
        changes = gate_changes(self.world, sight)
        used = {step.text for step in steps}
        fresh = [
            change for change in sorted(changes, key=lambda change: smallness([change])) if change.text not in used
        ]
        self.try_all(steps, fresh[:BRANCHES_MAX] if steps else fresh)

    def _has_smaller(self, steps: Sequence[Change]) -> bool:
        """Whether there are enough already that are smaller than these would be with one more."""
        size = sum(step.size for step in steps) + 1
        return sum(sum(step.size for step in one.steps) < size for one in self.whole) >= SHOWN_MAX


def _is_whole(sight: Sight) -> bool:
    return sight.sent is not None or sight.last.outcome == "shadow"


def _is_more(remedy: Remedy, smaller: Sequence[Remedy]) -> bool:
    """Whether it has all steps of a smaller one, be it at other moments, and perhaps some that are not needed."""
    what = {_MOMENT.sub("", step.text) for step in remedy.steps}
    return any({_MOMENT.sub("", step.text) for step in one.steps} <= what for one in smaller)


_MOMENT = re.compile(r", (?:at|before|from) [-0-9T:.]+Z(?: on)?$")
