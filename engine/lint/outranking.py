"""Rules that never get a turn, because another one always speaks at the very same moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.core.remembered import LEVELS
from engine.core.rules import MessageSpec, Rule, Trigger, Variant
from engine.lint.finding import Finding
from engine.lint.places import Reading
from engine.lint.types import are_covered
from engine.triggers.event import EventTrigger

_AT_EVENTS = frozenset({"event", "keywords", "count", "sequence"})


def check_outranking(reading: Reading) -> Iterator[Finding]:
    if reading.rules.policy.simultaneous != 1:
        return
    rules = [rule for rule in reading.rules if rule.mode == "live"]
    winners = _Winners(rule for rule in rules if _always_speaks(rule))
    for rule in rules:
        for winner in winners.of(rule.triggers[0]):
            if winner is not rule and _goes_before(winner, rule) and _whenever(winner, rule):
                higher = "has the higher priority" if winner.priority > rule.priority else "comes first"
                message = (
                    f"whenever {rule.id} fires, {winner.id} does too, {higher} and is never kept from speaking,"
                    f" so {rule.id} is outranked for everybody who has not muted {winner.id}"
                )
                place = reading.of_rule(rule, "trigger")
                hint = f'give {rule.id} the higher priority, {winner.id} a condition, or let "simultaneous" be 2'
                yield reading.found("always-outranked", place, message, hint, rule)
                break


class _Winners:
    """Rules that always speak, those that go first before the others, by what may make them fire."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._by_trigger: dict[str, list[Rule]] = {}
        self._by_pattern: dict[str, list[Rule]] = {}
        for rule in sorted(rules, key=lambda rule: (-rule.priority, rule.order)):
            for trigger in rule.triggers:
                self._by_trigger.setdefault(_written(trigger), []).append(rule)
                if isinstance(trigger, EventTrigger) and trigger.matcher.where is None:
                    for pattern in trigger.event_types:
                        self._by_pattern.setdefault(pattern, []).append(rule)

    def of(self, trigger: Trigger) -> Iterator[Rule]:
        """Those that may fire whenever the trigger does."""
        yield from self._by_trigger.get(_written(trigger), ())
        for name in trigger.event_types[:1]:
            prefixes = [f"{name[:length]}*" for length in range(len(name.removesuffix("*")) + 1)]
            for pattern in dict.fromkeys((name, *prefixes)):
                yield from self._by_pattern.get(pattern, ())


def _written(trigger: Trigger) -> str:
    """The fingerprint of what was written of a trigger, with its kind."""
    return trigger.key.partition("/")[2]


def _always_speaks(rule: Rule) -> bool:
    """Whether every gate that is the rule's own is open, always, and its message can be written and sent at once."""
    ways: tuple[MessageSpec | Variant, ...] = rule.message.variants or (rule.message,)
    can_fail = any(
        way.fallback is None and any(sign in str((way.text, way.compose, way.data)) for sign in ("{{", "{%"))
        for way in ways
    )
    limits = rule.conditions or rule.cooldown or rule.caps or rule.warmup or rule.holdout
    return not limits and rule.deliver is None and not can_fail and (not rule.quiet_hours or rule.urgent)


def _goes_before(winner: Rule, rule: Rule) -> bool:
    if (winner.priority, -winner.order) < (rule.priority, -rule.order):
        return False
    # Where the other gates are open for the one they have to be open for the other.
    if LEVELS.index(winner.level) > LEVELS.index(rule.level) or (rule.keeps_offline and not winner.keeps_offline):
        return False
    return (winner.topic is None or winner.topic == rule.topic) and all(
        budget in rule.budgets for budget in winner.budgets
    )


def _whenever(winner: Rule, rule: Rule) -> bool:
    return all(any(_implies(mine, theirs) for theirs in winner.triggers) for mine in rule.triggers)


def _implies(one: Trigger, other: Trigger) -> bool:
    """Whether the other fires whenever the one does."""
    if _written(one) == _written(other):
        return True  # the same was written, so both remember the same
    return (
        one.kind in _AT_EVENTS
        and isinstance(other, EventTrigger)
        and other.matcher.where is None
        and are_covered(one.event_types, [other.matcher])
    )
