"""The gates between a candidate and its message, in the documented order (rules-language, section 6).

A gate looks and says why it is closed; it changes nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from engine.core.expressions import Unknown
from engine.core.model import Event, Outcome, Reason, derive_fraction
from engine.core.operands import seen
from engine.core.quiet import holding_by_clock, quiet_until
from engine.core.remembered import HELD_MAX, LEVELS, VALUES_MAX, Level, Preferences, Sent
from engine.core.rules import Cap, Rule
from engine.core.scope import Scope
from engine.core.units import DURATION_MAX, to_datetime

Gate = Callable[[Rule, Scope, list[str]], Reason | None]
_NO_PREFERENCES = Preferences()


def closed(rule: Rule, scope: Scope, sent_now: list[str]) -> tuple[Outcome, Reason] | None:
    """The outcome of the first gate that is closed, and why; None where all are open.

    ``sent_now`` are the rules that have sent something by the same input.
    """
    for outcome, gate in GATES:
        reason = gate(rule, scope, sent_now)
        if reason is not None:
            return outcome, reason
    return None


def condition(rule: Rule, scope: Scope, sent_now: list[str]) -> Reason | None:
    for condition in rule.conditions:
        value = condition.evaluate(scope)
        if isinstance(value, Unknown):
            return Reason("unknown", (condition.source, str(value)))
        if not value:
            return Reason("false", (condition.source, *seen(condition.names, scope)))
    return None


def presence(rule: Rule, scope: Scope, sent_now: list[str]) -> Reason | None:
    return Reason("absent") if scope.state.present_since is None and not rule.keeps_offline else None


def preferences(rule: Rule, scope: Scope, sent_now: list[str]) -> Reason | None:
    wishes = scope.state.preferences
    if wishes is None:
        # Nearly everybody: they hear all but what is for those who want more.
        return Reason("level", ("normal", "more")) if rule.level == "more" else None
    if LEVELS.index(rule.level) > LEVELS.index(wishes.level):
        return Reason("level", (wishes.level, rule.level))
    for name in ("*", rule.id, rule.topic):
        if name in wishes.muted:
            return Reason("muted", (name,))
    for name in ("", "*", rule.id, rule.topic):
        until = None if name is None else wishes.snoozed.get(name)
        if until is not None and scope.at < until:
            return Reason("snoozed", (name, until))
    return None


def level_of(scope: Scope) -> Level:
    """How much the user wants to hear."""
    return (scope.state.preferences or _NO_PREFERENCES).level


def _warmup(rule: Rule, scope: Scope, sent_now: list[str]) -> Reason | None:
    since = scope.state.present_since
    if rule.warmup is None or since is None or scope.at >= since + rule.warmup:
        return None
    return Reason("warmup", (rule.warmup, since + rule.warmup))


def _cooldown(rule: Rule, scope: Scope, sent_now: list[str]) -> Reason | None:
    state = scope.state
    for held in state.held:
        if held.rule == rule.id:
            return Reason("held", (held.made_at,))
    if rule.cooldown is None:
        return None
    sent = state.sent.get(rule.id)
    if sent is None:
        return None
    last: int | None = sent.last
    if rule.cooldown_by is not None:
        by_value = sent.by_value or {}
        last = by_value.get(cooldown_value(rule, scope.event) or "")
        if last is None and len(by_value) >= VALUES_MAX:
            # It may be one that had to be forgotten: then it was sent no later than the oldest that is known.
            last = next(iter(by_value.values()))
    span = cooldown_of(rule, sent)
    # At its very moment a cooldown is over: last + cooldown may send again.
    if last is None or scope.at >= last + span:
        return None
    if sent.dismissals and rule.backoff is not None:
        return Reason("backoff", (span, last + span, rule.cooldown, sent.dismissals))
    return Reason("cooldown", (span, last + span))


def cooldown_value(rule: Rule, event: Event | None) -> str | None:
    """The value of ``cooldown_by`` that the event has; "" where it has none, None where the rule names no field."""
    if rule.cooldown_by is None:
        return None
    return (rule.cooldown_by.name(event) if event is not None else None) or ""


def cooldown_of(rule: Rule, sent: Sent) -> int:
    """The rule's cooldown for this user, in microseconds: longer after dismissals where the rule says so."""
    span = rule.cooldown or 0
    backoff = rule.backoff
    if backoff is None:
        return span
    # Beyond `up_to` it does not grow; one that is longer from the start stays as it is.
    longest = max(DURATION_MAX if backoff.span_max is None else backoff.span_max, span)
    for _ in range(sent.dismissals):
        if span >= longest:
            break
        span *= backoff.factor
    return min(span, longest)


def _cap(rule: Rule, scope: Scope, sent_now: list[str]) -> Reason | None:
    if not rule.caps:
        return None
    sent = scope.state.sent.get(rule.id)
    if sent is None:
        return None
    for cap in rule.caps:
        if is_used_up(sent, cap, scope):
            return Reason("cap", (cap.count_max, cap.per))
    return None


def is_used_up(sent: Sent, cap: Cap, scope: Scope) -> bool:
    """Whether as much was sent in the cap's current period as it allows."""
    # Nearly always there has never been as much, and then no day has to be looked for.
    if cap.count_max > sent.total or (cap.per == "day" and cap.count_max > len(sent.times)):
        return False
    return count_sent(sent, cap, scope) >= cap.count_max


def count_sent(sent: Sent, cap: Cap, scope: Scope) -> int:
    """How much of what was sent falls into the cap's current period; at least `Cap.count_max` if it was more."""
    per = cap.per
    if per == "user":
        return sent.total
    if per == "session":
        return sent.in_presence if sent.presence == scope.state.presence else 0
    if per == "day":
        zone = scope.zone
        today = to_datetime(scope.at, zone).date()
        return sum(1 for at in sent.times if to_datetime(at, zone).date() == today)
    # The window is (now - D, now]: what was sent exactly D ago is outside.
    return len(sent.times) - bisect_right(sent.times, scope.at - per)


def simultaneous(rule: Rule, scope: Scope, sent_now: list[str]) -> Reason | None:
    return Reason("outranked", (sent_now[-1],)) if len(sent_now) >= scope.policy.simultaneous else None


def quiet_hours(rule: Rule, scope: Scope, sent_now: list[str]) -> Reason | None:
    """Closed where the message is to be dropped; where it is to be held until they end, it passes."""
    if not rule.quiet_hours or rule.urgent:
        return None
    found = holding_by_clock(rule.quiet_hours, scope.now)
    if found is None:
        return None
    until = quiet_until(rule.quiet_hours, scope.at, scope.zone)
    # Hours that never end cannot be waited for.
    return None if found.then == "hold" and until is not None else Reason("quiet_hours", (found.name, until))


def _budget(rule: Rule, scope: Scope, sent_now: list[str]) -> Reason | None:
    for budget in rule.budgets:
        spent = scope.state.spent.get(budget.name)
        if spent is None:
            continue
        for limit in budget.limits:
            if limit.level is not None and limit.level != level_of(scope):
                continue
            if is_used_up(spent, limit, scope):
                return Reason("budget", (budget.name, limit.count_max, limit.per))
    return None


def _holdout(rule: Rule, scope: Scope, sent_now: list[str]) -> Reason | None:
    policy = scope.policy
    user = scope.state.user
    if policy.holdout and derive_fraction(policy.seed, "holdout", user) < policy.holdout:
        return Reason("holdout", ("policy",))
    if rule.holdout and derive_fraction(policy.seed, "holdout", rule.drawn_as, user) < rule.holdout:
        return Reason("holdout", ("rule",))
    return None


def no_room(rule: Rule, scope: Scope) -> Reason | None:
    """Why one more message cannot be held for the user."""
    return Reason("no_room", (HELD_MAX,)) if len(scope.state.held) >= HELD_MAX else None


# In this order; the first that closes is the outcome. Writing the message comes last.
GATES: tuple[tuple[Outcome, Gate], ...] = (
    ("condition", condition),
    ("absent", presence),
    ("muted", preferences),
    ("warmup", _warmup),
    ("cooldown", _cooldown),
    ("cap", _cap),
    ("outranked", simultaneous),
    ("quiet_hours", quiet_hours),
    ("budget", _budget),
    ("holdout", _holdout),
)
