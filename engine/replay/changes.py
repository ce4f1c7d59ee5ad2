"""A small change to a rule set or to what somebody did, and what would have come of it: run again, nothing is guessed.

It proposes nothing: what may be worth trying is in `trigger_changes` and `gate_changes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.core.model import Event
from engine.core.refusal import Refused
from engine.core.rules import RuleSet, Timeline
from engine.loading.diagnostic import RuleErrors
from engine.loading.load import load
from engine.loading.patch import patch
from engine.replay.activity import at_of
from engine.replay.witness import Sight, names_of, witness
from engine.triggers import KINDS

# Of changes that take as many steps the one with the lower rank is the smaller: what somebody might have done besides,
# a number or a span of the rule, one of the policy, something that the rule says or says no more, what somebody did.
EVENT_MORE, NUMBER, SHARED_NUMBER, WORDING, EVENT_LESS = range(5)

Edit = tuple[str, str]  # the path of a value and the value, as `patch` takes them


@dataclass(frozen=True, slots=True)
class Change:
    """One step. ``ways`` are ways of writing one edit, of which the first that fits the files is taken.

    ``added`` happen besides, in order of time; ``removed`` are of the user's events, these very ones. ``amount`` is
    how far a number is changed, as a share of what it was. ``is_from_first``: that is said of what is written in the
    rules, so that it may take the place of a step that changed the same, but not far enough.
    """

    text: str
    rank: int
    amount: float = 0.0
    ways: tuple[Edit, ...] = ()
    added: tuple[Event, ...] = ()
    removed: tuple[Event, ...] = ()
    is_from_first: bool = False

    @property
    def size(self) -> int:
        return max(len(self.added), len(self.removed), 1)


def followed(steps: tuple[Change, ...], change: Change) -> tuple[Change, ...] | None:
    """The steps with one more, instead of one at the same place if need be; None where they do not go together."""
    places = {path for path, _ in change.ways}
    same = [step for step in steps if any(path in places for path, _ in step.ways)]
    if not all(change.is_from_first and step.is_from_first for step in same):
        return None
    return (*[step for step in steps if step not in same], change)


def smallness(steps: Sequence[Change]) -> tuple[int, int, float, str]:
    """Sorts changes, the smallest first: fewer steps, then by their ranks, then by how far numbers are changed."""
    return (
        sum(step.size for step in steps),
        sum(step.rank for step in steps),
        sum(step.amount for step in steps),
        "; ".join(step.text for step in steps),
    )


@dataclass(slots=True)
class World:
    """One user under one timeline, as it was. ``index`` is the rule set that is edited, ``end`` when time ends."""

    timeline: Timeline
    rule_id: str
    events: Sequence[Event]
    end: int
    index: int
    runs: int = 0
    patched: dict[tuple[Edit, ...], Timeline | None] = field(default_factory=dict)

    def run(self, steps: Sequence[Change]) -> tuple[list[Sight], tuple[Edit, ...]] | None:
        """The candidates of the rule with these changes, and the edits as they were written.

        None where the rules may not be changed so.
        """
        timeline = self.timeline
        edits: tuple[Edit, ...] = ()
        for step in steps:
            if step.ways:
                found = self._edited(edits, step.ways)
                if found is None:
                    return None
                timeline, edits = found
        gone = [event for step in steps for event in step.removed]
        events = [event for event in self.events if not any(event is one for one in gone)]
        # At one moment what is added comes last.
        events += [event for step in steps for event in step.added]
        events.sort(key=at_of)
        if not events:
            return [], edits
        self.runs += 1
        end = max(self.end, events[-1].at)
        return witness(timeline, self.rule_id, events, end).sights, edits

    def _edited(self, edits: tuple[Edit, ...], ways: Sequence[Edit]) -> tuple[Timeline, tuple[Edit, ...]] | None:
        for way in ways:
            both = (*edits, way)
            if both not in self.patched:
                self.patched[both] = self._timeline(both)
            timeline = self.patched[both]
            if timeline is not None:
                return timeline, both
        return None

    def _timeline(self, edits: Sequence[Edit]) -> Timeline | None:
        """The timeline with the edits in the rule set of `index`, and in all others that take them as well."""
        found: Timeline | None = None
        names = names_of(self.timeline, self.rule_id)
        held = next(rule for rule in self.timeline.rule_sets[self.index] if rule.id in names)
        for place, (at, rules) in enumerate(zip(self.timeline.moments, self.timeline.rule_sets, strict=True)):
            is_same = any(rule.written == held.written for rule in rules if rule.id in names)
            changed = _patched(rules, edits) if is_same else None
            if changed is None and place == self.index:
                return None
            if found is None:
                found = Timeline(changed or rules, at)
            else:
                found.add(at, changed or rules)
        return found


def _patched(rules: RuleSet, edits: Sequence[Edit]) -> RuleSet | None:
    sources: Mapping[str, str] = rules.sources
    try:
        for path, value in edits:
            sources = patch(sources, path, value, KINDS)
        return load(sources, KINDS)
    except (Refused, RuleErrors):
        return None
