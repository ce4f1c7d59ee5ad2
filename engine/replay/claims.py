"""Whether a dry run kept the invariants that stand beside the rules: of those that it broke, for whom and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.core.model import Decision
from engine.core.rules import Timeline
from engine.core.units import show_at
from engine.invariants.check import Violation, may_break, run_watched, silent_rules, violation_of
from engine.loading.diagnostic import counted
from engine.loading.invariants import EveryRuleFires, Invariant
from engine.loading.wording import listed
from engine.replay.driver import Ran, history_of

USERS_SHOWN_MAX = 5
MOMENTS_SHOWN_MAX = 10


@dataclass(slots=True)
class Broken:
    """For how many users one invariant does not hold, and what is told of the first of them, by name."""

    users: int = 0
    told: list[tuple[str, list[str]]] = field(default_factory=list)

    def add(self, users: int, told: list[tuple[str, list[str]]]) -> None:
        self.users += users
        self.told = sorted([*self.told, *told])[:USERS_SHOWN_MAX]


@dataclass(slots=True)
class Kept:
    """What is known of the invariants, by their places, and which rules fired at all."""

    broken: dict[int, Broken] = field(default_factory=dict)
    fired: set[str] = field(default_factory=set)

    def merge(self, other: Kept) -> None:
        """Add what is known of other users."""
        for place, theirs in other.broken.items():
            self.broken.setdefault(place, Broken()).add(theirs.users, theirs.told)
        self.fired |= other.fired


class Claims:
    """Holds every user to the invariants. Only who was sent enough to break one is run once more."""

    def __init__(self, invariants: Sequence[Invariant], timeline: Timeline) -> None:
        self.invariants = invariants
        self.timeline = timeline
        self.found = Kept()

    def see(self, ran: Ran) -> None:
        made, faults = ran.evaluated[0].decisions, ran.evaluated[0].faults
        self.found.fired.update([decision.rule for decision in made])
        # Of a user on whom the engine failed as time ran on, nothing certain can be said.
        if not self._may_break_any(made) or any(place is None for place, _ in faults):
            return
        # What was left out of the dry run is left out here too.
        left_out = {place for place, _ in faults}
        events = [event for place, event in enumerate(ran.events) if place not in left_out]
        self.timeline.history = history_of(ran.events)
        _, sendings = run_watched(self.timeline, ran.user, events, ran.end)
        for place, invariant in enumerate(self.invariants):
            if not isinstance(invariant, EveryRuleFires):
                violation = violation_of(invariant, self.timeline, ran.user, sendings)
                if violation is not None:
                    self.found.broken.setdefault(place, Broken()).add(1, [(ran.user, _told(violation))])

    def _may_break_any(self, made: Sequence[Decision]) -> bool:
        return any(
            may_break(invariant, sum(1 for it in made if it.outcome == "sent" and invariant.concerns(it.rule)))
            for invariant in self.invariants
        )

    def broken(self) -> list[list[str]]:
        """Of each invariant that does not hold the lines about it; none where all do."""
        broken: list[list[str]] = []
        for place, invariant in enumerate(self.invariants):
            where = f"{invariant.path}:{invariant.line}: {invariant.name}"
            if isinstance(invariant, EveryRuleFires):
                silent = silent_rules(invariant, self.timeline.latest, self.found.fired)
                if silent:
                    broken.append([f"{where}: broken", f"  {listed(silent, 'and')} never fired"])
            elif place in self.found.broken:
                found = self.found.broken[place]
                lines = [f"{where}: broken for {counted(found.users, 'user')}"]
                lines += [line for _, told in found.told for line in told]
                if found.users > len(found.told):
                    lines.append(f"  … and {counted(found.users - len(found.told), 'further user')}")
                broken.append(lines)
        return broken


def _told(violation: Violation) -> list[str]:
    lines = [f"  {violation.user}: {violation.text()}"]
    shown = violation.sendings[-MOMENTS_SHOWN_MAX:]
    if len(shown) < len(violation.sendings):
        lines.append(f"    … {counted(len(violation.sendings) - len(shown), 'message')} before")
    return lines + [f"    {show_at(sending.decision.at)} {sending.decision.rule}" for sending in shown]
