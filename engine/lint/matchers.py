"""Every matcher that rules and the policy hold, with the keys that lead to it in the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from engine.core.matcher import Matcher
from engine.core.rules import Rule, RuleSet
from engine.lint.places import Key
from engine.triggers.absence import Absence
from engine.triggers.count import Count
from engine.triggers.event import EventTrigger
from engine.triggers.inactivity import InactivityAfter
from engine.triggers.keywords import Keywords
from engine.triggers.sequence import Sequence


class Written(NamedTuple):
    """A matcher and where it is written. ``must`` says whether nothing happens without an event that matches."""

    matcher: Matcher
    keys: tuple[Key, ...]
    must: bool


def matchers_of(rule: Rule) -> Iterator[Written]:
    for position, trigger in enumerate(rule.triggers):
        here: tuple[Key, ...] = ("trigger", position, trigger.kind)
        match trigger:
            case EventTrigger() | Keywords():
                yield Written(trigger.matcher, here, True)
            case InactivityAfter():
                yield Written(trigger.after, (*here, "after"), True)
            case Count():
                yield Written(trigger.matcher, here, True)
                if trigger.reset_on is not None:
                    yield Written(trigger.reset_on, (*here, "reset_on"), False)
            case Sequence():
                for place, step in enumerate(trigger.steps):
                    yield Written(step, (*here, "steps", place), True)
                if trigger.without is not None:
                    yield Written(trigger.without, (*here, "without"), False)
            case Absence():
                yield Written(trigger.after, (*here, "after"), True)
                yield Written(trigger.no, (*here, "no"), False)
    if rule.deliver is not None:
        for name, matchers in (("at", rule.deliver.breakpoints), ("cancel_on", rule.deliver.cancels)):
            for place, matcher in enumerate(matchers):
                yield Written(matcher, ("deliver", name, place), False)


def matchers_of_policy(rules: RuleSet) -> Iterator[Written]:
    for name, budget in rules.policy.budgets.items():
        for place, charge in enumerate(budget.charges):
            yield Written(charge.matcher, ("budgets", name, "charged_by", place), False)
        for place, matcher in enumerate(budget.resets):
            yield Written(matcher, ("budgets", name, "reset_on", place), False)
