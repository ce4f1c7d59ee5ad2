"""Whether a dry run kept the invariants that stand beside the rules: of those that it broke, for whom and when."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from engine.core.model import Decision, Event
from engine.core.rules import Timeline
from engine.core.units import format_at
from engine.invariants.check import Sending, Violation, may_break, run_watched, silent_rules, violation_of
from engine.loading.diagnostic import counted
from engine.loading.invariants import EveryRuleFires, Invariant
from engine.loading.wording import listed
from engine.replay.activity import group
from engine.replay.driver import Replayed

USERS_SHOWN_MAX = 5
MOMENTS_SHOWN_MAX = 10


def broken_invariants(
    invariants: Sequence[Invariant],
    timeline: Timeline,
    events: Iterable[Event],
    replayed: Replayed,
    until: int | None = None,
    came_to: Callable[[str], int] | None = None,
) -> list[list[str]]:
    """Of each invariant that does not hold the lines about it; none where all do. The rest is what `replay` was given.

    Only users who were sent enough to break one are run once more.
    """
    violations: dict[int, list[Violation]] = {}
    for user, sendings in _worth_a_look(invariants, timeline, events, replayed, until, came_to):
        for place, invariant in enumerate(invariants):
            if not isinstance(invariant, EveryRuleFires):
                violation = violation_of(invariant, timeline, user, sendings)
                if violation is not None:
                    violations.setdefault(place, []).append(violation)
    fired = {decision.rule for made in replayed.by_user.values() for decision in made}
    broken: list[list[str]] = []
    for place, invariant in enumerate(invariants):
        where = f"{invariant.path}:{invariant.line}: {invariant.name}"
        if isinstance(invariant, EveryRuleFires):
            silent = silent_rules(invariant, timeline.latest, fired)
            if silent:
                broken.append([f"{where}: broken", f"  {listed(silent, 'and')} never fired"])
        elif place in violations:
            count = counted(len(violations[place]), "user")
            broken.append([f"{where}: broken for {count}", *_told(violations[place])])
    return broken


def _worth_a_look(
    invariants: Sequence[Invariant],
    timeline: Timeline,
    events: Iterable[Event],
    replayed: Replayed,
    until: int | None,
    came_to: Callable[[str], int] | None,
) -> Iterable[tuple[str, Sequence[Sending]]]:
    # Of a user on whom the engine failed as time ran on, nothing certain can be said.
    failed = {fault.user for fault in replayed.faults if fault.event is None}
    users = [user for user, made in replayed.by_user.items() if user not in failed and _may_break_any(invariants, made)]
    if not users:
        return
    # What was left out of the dry run is left out here too.
    left_out = {id(fault.event) for fault in replayed.faults}
    wanted = frozenset(users)
    mine = group(event for event in events if event.user in wanted and id(event) not in left_out)
    end = until if until is not None else replayed.last or 0
    for user in users:
        theirs = [event for event in mine[user] if until is None or event.at <= until]
        to = end if came_to is None or until is not None else max(theirs[-1].at, came_to(user))
        yield user, run_watched(timeline, user, theirs, to)[1]


def _may_break_any(invariants: Sequence[Invariant], made: Sequence[Decision]) -> bool:
    return any(
        may_break(invariant, sum(1 for it in made if it.outcome == "sent" and invariant.concerns(it.rule)))
        for invariant in invariants
    )


def _told(violations: Sequence[Violation]) -> list[str]:
    lines = []
    for violation in violations[:USERS_SHOWN_MAX]:
        lines.append(f"  {violation.user}: {violation.text()}")
        shown = violation.sendings[-MOMENTS_SHOWN_MAX:]
        if len(shown) < len(violation.sendings):
            lines.append(f"    … {counted(len(violation.sendings) - len(shown), 'message')} before")
        lines += [
            f"    {format_at(sending.decision.at).replace('.000000Z', 'Z')} {sending.decision.rule}"
            for sending in shown
        ]
    if len(violations) > USERS_SHOWN_MAX:
        lines.append(f"  … and {counted(len(violations) - USERS_SHOWN_MAX, 'further user')}")
    return lines
