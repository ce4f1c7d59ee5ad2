"""``lint``: all checks over one rule set. The table of checks stands here; what each finds, in its own file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from engine.core.rules import RuleSet
from engine.lint.accepted import Accepted
from engine.lint.calendars import check_calendars
from engine.lint.circles import check_circles
from engine.lint.conditions import check_conditions
from engine.lint.finding import CODES, LOG_CODES, Finding
from engine.lint.firing import check_firing
from engine.lint.limits import check_limits
from engine.lint.outranking import check_outranking
from engine.lint.places import Place, Reading
from engine.lint.unused import check_unused
from engine.lint.waiting import check_waiting
from engine.lint.words import check_words

RULES_SHOWN_MAX = 5  # of those that have the same finding at the same place
Check = Callable[[Reading], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    check_limits,
    check_waiting,
    check_calendars,
    check_outranking,
    check_firing,
    check_circles,
    check_words,
    check_conditions,
    check_unused,
)


def lint(rules: RuleSet, further: Iterable[Check] | None = None) -> tuple[Finding, ...]:
    """Every finding that no comment accepts, sorted as one reads, each once; what is one slip for several rules is one.

    ``further`` are checks beside `CHECKS`, those of logs; without them the comments that accept what such checks
    find are left alone.
    """
    reading = Reading(rules)
    checks = (*CHECKS, *(further or ()))
    found = {finding for check in checks for finding in check(reading)}
    looked_for = CODES.keys() if further is not None else CODES.keys() - LOG_CODES
    accepted = {path: Accepted(tree) for path, tree in reading.trees.items()}
    left = {finding for finding in found if not accepted[finding.path].accepts(finding)}
    for path in accepted:
        left.update(accepted[path].unused(looked_for))
    return tuple(_merged(sorted(left), {rule.id: rule.order for rule in rules}))


def _merged(found: Iterable[Finding], order: Mapping[str, int]) -> Iterator[Finding]:
    """Findings of one code at one place, such as in the defaults, as one that names the rules they are about.

    Of a rule that has several there, the first goes with the first of the others, and so on. Their order is kept.
    """
    alike: dict[tuple[Place, str, int], list[Finding]] = {}
    seen: Counter[tuple[Place, str, str]] = Counter()
    for one in found:
        place = Place(one.path, one.line, one.column)
        number = seen[place, one.code, one.rule]
        seen[place, one.code, one.rule] += 1
        alike.setdefault((place, one.code, number), []).append(one)
    for several in alike.values():
        several.sort(key=lambda one: order.get(one.rule, -1))
        first = several[0]
        if len(several) == 1:
            yield first
            continue
        names = ", ".join(one.rule for one in several[:RULES_SHOWN_MAX])
        more = " …" if len(several) > RULES_SHOWN_MAX else ""
        message = f"{first.message} (so it is with {len(several)} rules: {names}{more})"
        yield replace(first, message=message, rules=tuple([one.rule for one in several]))
