"""Limits that never bind: whatever the events, something else is used up first, or never so much is made.

A cooldown is a limit of one per its span, and so is the span of a trigger that cannot fire more often. A limit of b
per span Y lets at most b·⌈X/Y⌉ through in any window of X; what allows as much never closes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from engine.core.rules import Budget, Cap, Limit, Per, Rule, Trigger
from engine.core.units import HOUR, format_duration
from engine.lint.finding import Finding
from engine.lint.places import Place, Reading
from engine.triggers.absence import Absence
from engine.triggers.inactivity import Inactivity
from engine.triggers.schedule import IntervalSchedule
from engine.triggers.session import Lasted, Returned

# The longest day of any zone since 1970: Antarctica/Vostok, whose clocks went back by seven hours in 1994.
DAY_MAX = 31 * HOUR


class Bound(NamedTuple):
    """At most ``count_max`` in ``per``. ``said`` names who sees to it."""

    count_max: int
    per: Per
    said: str


def check_limits(reading: Reading) -> Iterator[Finding]:
    for rule in reading.rules:
        if rule.mode != "off":
            yield from _caps(reading, rule)
            yield from _cooldown(reading, rule)
    for budget in reading.rules.policy.budgets.values():
        yield from _budget(reading, budget)


def can_hold(rule: Rule) -> bool:
    """Whether a message of the rule may be sent later than it was made, or not at all."""
    waits = rule.deliver is not None and rule.deliver.within is not None
    return waits or (not rule.urgent and any(hours.then == "hold" for hours in rule.quiet_hours))


def _caps(reading: Reading, rule: Rule) -> Iterator[Finding]:
    if not reading.says(rule, "max"):
        return  # the defaults are written for several rules, and what one has no need of another has
    for index, cap in enumerate(rule.caps):
        others = [
            Bound(other.count_max, other.per, _max(other, "of the same rule"))
            for place, other in enumerate(rule.caps)
            if place != index and not (_same(cap, other) and place > index)
        ]
        if rule.cooldown is not None and rule.cooldown_by is None:
            others.append(Bound(1, rule.cooldown, f"its cooldown of {format_duration(rule.cooldown)}"))
        if not can_hold(rule):
            others += _pace(rule.triggers)
        most = _tightest(others, cap.per)
        if most is not None and most[0] <= cap.count_max:
            yield _never(reading, reading.of_rule(rule, "max", index, "max"), f"{_max(cap)} of {rule.id}", most, rule)


def _cooldown(reading: Reading, rule: Rule) -> Iterator[Finding]:
    grows = rule.backoff is not None or rule.cooldown_by is not None
    if rule.cooldown is None or grows or can_hold(rule) or not reading.says(rule, "cooldown"):
        return
    most = _tightest(_pace(rule.triggers), rule.cooldown)
    if most is not None and most[0] <= 1:
        place = reading.of_rule(rule, "cooldown")
        yield _never(reading, place, f"the cooldown of {format_duration(rule.cooldown)} of {rule.id}", most, rule)


def _budget(reading: Reading, budget: Budget) -> Iterator[Finding]:
    policy = reading.rules.policy
    looking = [rule for rule in reading.rules if rule.mode != "off" and budget in rule.budgets]
    drawing = [rule for rule in looking if rule.mode == "live"]  # what is in the shadow asks, and charges nothing
    if not drawing:
        return  # that nobody draws on it is said elsewhere
    for index, limit in enumerate(budget.limits):
        others = [
            Bound(other.count_max, other.per, _max(other, "of the same budget"))
            for place, other in enumerate(budget.limits)
            if place != index
            and other.level in (None, limit.level)
            and not (_same(limit, other) and other.level == limit.level and place > index)
            and (not budget.charges or _nested(limit, other))
        ]
        if not budget.charges:
            for other_budget in policy.budgets.values():
                others += _of_other_budget(policy.budgets, budget, limit, other_budget, looking)
            # What the others have used up to the last closes for one in the shadow, which their own limits do not stop.
            others += _of_rules(drawing, limit.per) if looking == drawing else []
        most = _tightest(others, limit.per)
        if most is not None and most[0] <= limit.count_max:
            place = reading.of_policy("budgets", budget.name, "limits", index, "max")
            yield _never(reading, place, f'{_max(limit)} of the budget "{budget.name}"', most)


def _of_other_budget(
    budgets: Iterable[str], budget: Budget, limit: Limit, other: Budget, looking: list[Rule]
) -> list[Bound]:
    """What another budget, which everything that looks at this one is charged to as well, lets through."""
    if other is budget or other.charges or other.resets or not all(other in rule.budgets for rule in looking):
        return []
    names = list(budgets)
    is_later = names.index(other.name) > names.index(budget.name)
    return [
        Bound(theirs.count_max, theirs.per, _max(theirs, f'of the budget "{other.name}"'))
        for theirs in other.limits
        if theirs.level in (None, limit.level)
        # Of two that are alike the later one is at fault.
        and not (_same(limit, theirs) and theirs.level == limit.level and is_later)
    ]


def _of_rules(drawing: list[Rule], per: Per) -> list[Bound]:
    """What all the rules that draw on a budget can make together by their own limits."""
    total = 0
    for rule in drawing:
        bounds = _pace(rule.triggers)
        if not can_hold(rule):  # what was held and came to nothing has been charged, and started no cooldown
            bounds += [Bound(cap.count_max, cap.per, "") for cap in rule.caps]
            if rule.cooldown is not None and rule.cooldown_by is None:
                bounds.append(Bound(1, rule.cooldown, ""))
        most = _tightest(bounds, per)
        if most is None:
            return []
        total += most[0]
    who = (
        f"{drawing[0].id}, which alone draws on it"
        if len(drawing) == 1
        else f"the {len(drawing)} rules that draw on it"
    )
    return [Bound(total, per, f"the limits of {who},")]


def _pace(triggers: tuple[Trigger, ...]) -> list[Bound]:
    """How often the triggers can fire at all, where that is bounded."""
    if len(triggers) != 1:
        return []
    (trigger,) = triggers
    bounds = []
    span = _span(trigger)
    if span is not None:
        bounds.append(Bound(1, span, f"the trigger, whose firings lie at least {format_duration(span)} apart,"))
    if trigger.kind == "session":
        bounds.append(Bound(1, "session", "the trigger, which fires once in a session at most,"))
    return bounds


def _span(trigger: Trigger) -> int | None:
    """The least time between two moments at which the trigger fires, None where they may be as near as one likes."""
    if isinstance(trigger, Inactivity | IntervalSchedule | Lasted | Returned):
        return trigger.span
    return trigger.within if isinstance(trigger, Absence) and trigger.grouping is None else None


def _tightest(bounds: Iterable[Bound], per: Per) -> tuple[int, str] | None:
    """The most that any of the bounds lets through in a period, and which it is; None where none of them says."""
    found = [(most, bound.said) for bound in bounds if (most := _most(bound, per)) is not None]
    return min(found, default=None, key=lambda one: one[0])


def _most(bound: Bound, per: Per) -> int | None:
    if bound.per == per or (bound.per == "user" and per != "user"):
        return bound.count_max
    span = DAY_MAX if per == "day" else per
    if isinstance(bound.per, int) and isinstance(span, int):
        return bound.count_max * -(-span // bound.per)
    return None


def _same(one: Cap, other: Cap) -> bool:
    return (one.count_max, one.per) == (other.count_max, other.per)


def _nested(limit: Limit, other: Limit) -> bool:
    """Whether whatever the one counts the other counts too: events may charge several at once."""
    spans = isinstance(limit.per, int) and isinstance(other.per, int) and other.per >= limit.per
    return spans or other.per == limit.per or other.per == "user"


def _max(cap: Cap, whose: str = "") -> str:
    per = format_duration(cap.per) if isinstance(cap.per, int) else cap.per
    return f'"max {cap.count_max} per {per}"' + (f" {whose}" if whose else "")


def _never(reading: Reading, place: Place, what: str, most: tuple[int, str], rule: Rule | None = None) -> Finding:
    count, said = most
    message = f"{what} never binds: {said} lets at most {count} through in that time"
    if said.startswith("the limits"):
        message = f"{what} never binds: {said} let at most {count} through in that time"
    return reading.found("limit-never-binds", place, message, "leave it out, or make it tighter", rule)
