"""From a candidate to its one outcome: the gates, in the documented order (rules-language, section 6).

A gate looks and says why it is closed; it changes nothing. `settle` alone writes down what was sent.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from engine.core.dispatch import Watch
from engine.core.expressions import Unknown
from engine.core.model import Decision, Message, Outcome, Reason, derive_id
from engine.core.operands import seen
from engine.core.render import RenderFailed, render_tree
from engine.core.rules import Cap, Fired, Policy, Rule
from engine.core.scope import Scope
from engine.core.state import Sent, UserState
from engine.core.units import to_datetime

Gate = Callable[[Rule, Scope, list[str]], Reason | None]


def settle(candidates: list[tuple[Watch, Fired]], state: UserState, policy: Policy, decisions: list[Decision]) -> None:
    """Give every candidate of one input its outcome, in order of priority, then rule order.

    ``candidates`` may name a rule several times; its first trigger as written is the one that counts. The
    decisions are appended in the order in which they were made.
    """
    if len(candidates) > 1:
        candidates = _one_per_rule(candidates)
    sent_now: list[str] = []  # the rules that have sent something by this input
    for watch, fired in candidates:
        rule = watch.rule
        facts = {"kind": watch.trigger.kind, **fired.facts}
        scope = Scope(state, fired.event, state.now, policy, facts)
        outcome, reason, message = _judge(rule, scope, sent_now)
        if message is not None:
            _remember(rule, state)
            if outcome == "sent":
                sent_now.append(rule.id)
        event_id = fired.event.id if fired.event is not None else ""
        decisions.append(
            Decision(state.now, state.user, rule.id, rule.order, outcome, reason, facts, event_id, message)
        )


def _one_per_rule(candidates: list[tuple[Watch, Fired]]) -> list[tuple[Watch, Fired]]:
    first: dict[int, tuple[Watch, Fired]] = {}
    for candidate in sorted(candidates, key=lambda candidate: candidate[0][:2]):
        first.setdefault(candidate[0].order, candidate)
    return sorted(first.values(), key=lambda candidate: (-candidate[0].rule.priority, candidate[0].order))


def _judge(rule: Rule, scope: Scope, sent_now: list[str]) -> tuple[Outcome, Reason | None, Message | None]:
    for outcome, gate in GATES:
        reason = gate(rule, scope, sent_now)
        if reason is not None:
            return outcome, reason, None
    try:
        message, reason = _write(rule, scope)
    except RenderFailed as failure:
        return "render_error", Reason("render", (failure.reason,)), None
    return "shadow" if rule.mode == "shadow" else "sent", reason, message


def _condition(rule: Rule, scope: Scope, sent_now: list[str]) -> Reason | None:
    for condition in rule.conditions:
        value = condition.evaluate(scope)
        if isinstance(value, Unknown):
            return Reason("unknown", (condition.source, str(value)))
        if not value:
            return Reason("false", (condition.source, *seen(condition.names, scope)))
    return None


def _presence(rule: Rule, scope: Scope, sent_now: list[str]) -> Reason | None:
    return Reason("absent") if scope.state.present_since is None else None


def _warmup(rule: Rule, scope: Scope, sent_now: list[str]) -> Reason | None:
    since = scope.state.present_since
    if rule.warmup is None or since is None or scope.at >= since + rule.warmup:
        return None
    return Reason("warmup", (rule.warmup, since + rule.warmup))


def _cooldown(rule: Rule, scope: Scope, sent_now: list[str]) -> Reason | None:
    if rule.cooldown is None:
        return None
    sent = scope.state.sent.get(rule.id)
    # At its very moment a cooldown is over: last + cooldown may send again.
    if sent is None or scope.at >= sent.last + rule.cooldown:
        return None
    return Reason("cooldown", (rule.cooldown, sent.last + rule.cooldown))


def _cap(rule: Rule, scope: Scope, sent_now: list[str]) -> Reason | None:
    if not rule.caps:
        return None
    sent = scope.state.sent.get(rule.id)
    if sent is None:
        return None
    for cap in rule.caps:
        if count_sent(sent, cap, scope) >= cap.count_max:
            return Reason("cap", (cap.count_max, cap.per))
    return None


def count_sent(sent: Sent, cap: Cap, scope: Scope) -> int:
    """How many messages of a rule fall into the cap's current period; at least `Cap.count_max` if they were more."""
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


def _simultaneous(rule: Rule, scope: Scope, sent_now: list[str]) -> Reason | None:
    return Reason("outranked", (sent_now[-1],)) if len(sent_now) >= scope.policy.simultaneous else None


# In this order; the first that closes is the outcome. Writing the message comes last.
GATES: tuple[tuple[Outcome, Gate], ...] = (
    ("condition", _condition),
    ("absent", _presence),
    ("warmup", _warmup),
    ("cooldown", _cooldown),
    ("cap", _cap),
    ("outranked", _simultaneous),
)


def _write(rule: Rule, scope: Scope) -> tuple[Message, Reason | None]:
    spec = rule.message
    reason = None
    try:
        text = spec.text.render(scope)
        data = render_tree(spec.data, scope) if spec.data else {}
    except RenderFailed as failure:
        if spec.fallback is None:
            raise
        text, data, reason = spec.fallback, {}, Reason("fallback", (failure.reason,))
    sent = scope.state.sent.get(rule.id)
    event_id = scope.event.id if scope.event is not None else ""
    message_id = derive_id(rule.id, scope.state.user, scope.at, sent.total if sent is not None else 0, event_id)
    expires_at = None if rule.expires is None else scope.at + rule.expires
    return Message(message_id, spec.type, text, spec.options, data, expires_at), reason


def _remember(rule: Rule, state: UserState) -> None:
    """A shadow rule remembers what it would have sent: its own cooldown and caps are counted from that."""
    sent = state.sent.get(rule.id)
    if sent is None:
        sent = state.sent[rule.id] = Sent(state.now, 0, state.presence, 0, [])
    if sent.presence != state.presence:
        sent.presence, sent.in_presence = state.presence, 0
    sent.last = state.now
    sent.total += 1
    sent.in_presence += 1
    if rule.times_kept:
        sent.times.append(state.now)
        del sent.times[: -rule.times_kept]
