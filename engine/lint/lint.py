"""``lint``: all checks over one rule set. The table of checks stands here; what each finds, in its own file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from engine.core.rules import RuleSet
from engine.lint.accepted import Accepted
from engine.lint.calendars import check_calendars
from engine.lint.conditions import check_conditions
from engine.lint.finding import CODES, LOG_CODES, Finding
from engine.lint.firing import check_firing
from engine.lint.limits import check_limits
from engine.lint.outranking import check_outranking
from engine.lint.places import Reading
from engine.lint.unused import check_unused
from engine.lint.waiting import check_waiting
from engine.lint.words import check_words

Check = Callable[[Reading], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    check_limits,
    check_waiting,
    check_calendars,
    check_outranking,
    check_firing,
    check_words,
    check_conditions,
    check_unused,
)


def lint(rules: RuleSet, further: Iterable[Check] | None = None) -> tuple[Finding, ...]:
    """Every finding that no comment accepts, sorted as one reads, each once.

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
    return tuple(sorted(left))
