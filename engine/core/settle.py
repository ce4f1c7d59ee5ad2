"""From a candidate to its decision: the gates, the message, and what is written down of both.

`settle` takes candidates; what becomes of a message that is held is in `delivery`.
"""

from __future__ import annotations

from engine.core.delivery import hold, wait_for
from engine.core.dispatch import Watch
from engine.core.gates import closed, cooldown_value, no_room
from engine.core.model import Decision, Message, Outcome, Reason, derive_fraction, derive_id
from engine.core.outgoing import charge, write_down
from engine.core.render import RenderFailed, render_tree
from engine.core.rules import Fired, MessageSpec, Policy, Rule, Variant
from engine.core.scope import Scope
from engine.core.state import UserState

Candidates = list[tuple[Watch, Fired]]


def settle(
    candidates: Candidates,
    state: UserState,
    policy: Policy,
    decisions: list[Decision],
    sent_now: list[str] | None = None,
) -> None:
    """Give every candidate of one input its outcome, in order of priority, then rule order.

    ``candidates`` may name a rule several times; its first trigger as written is the one that counts. The
    decisions are appended in the order in which they were made. ``sent_now`` are the rules that have sent
    something by this input already; those that do now are added.
    """
    if len(candidates) > 1:
        candidates = _one_per_rule(candidates)
    if sent_now is None:
        sent_now = []
    for watch, fired in candidates:
        facts = {"kind": watch.trigger.kind, **fired.facts}
        scope = Scope(state, fired.event, state.now, policy, facts)
        decisions.append(_decide(watch.rule, scope, sent_now))


def _one_per_rule(candidates: Candidates) -> Candidates:
    first: dict[int, tuple[Watch, Fired]] = {}
    for candidate in sorted(candidates, key=lambda candidate: candidate[0][:2]):
        first.setdefault(candidate[0].order, candidate)
    return sorted(first.values(), key=lambda candidate: (-candidate[0].rule.priority, candidate[0].order))


def _decide(rule: Rule, scope: Scope, sent_now: list[str]) -> Decision:
    shut = closed(rule, scope, sent_now)
    if shut is not None:
        return _decision(rule, scope, *shut)
    variant = draw(rule, scope)
    try:
        message, reason = _write(rule, variant, scope)
    except RenderFailed as failure:
        return _decision(rule, scope, "render_error", Reason("render", (failure.reason,)))
    if rule.mode == "shadow":
        write_down(rule, scope.state, scope.at, cooldown_value(rule, scope.event))
        return _decision(rule, scope, "shadow", reason, message, variant)
    wait = wait_for(rule, scope)
    full = None if wait is None else no_room(rule, scope)
    if full is not None:
        return _decision(rule, scope, "expired", full, message, variant)
    charge(rule, scope)
    if wait is None:
        write_down(rule, scope.state, scope.at, cooldown_value(rule, scope.event), message)
        sent_now.append(rule.id)
        return _decision(rule, scope, "sent", reason, message, variant)
    drawn = (None, None) if variant is None else (variant.id, variant.share)
    hold(rule, scope, message, wait, *drawn)
    return _decision(rule, scope, "held", reason or wait.reason, message, variant)


def _decision(
    rule: Rule,
    scope: Scope,
    outcome: Outcome,
    reason: Reason | None,
    message: Message | None = None,
    variant: Variant | None = None,
) -> Decision:
    return Decision(
        scope.at,
        scope.state.user,
        rule.id,
        rule.order,
        outcome,
        reason,
        scope.trigger,
        scope.event.id if scope.event is not None else "",
        message,
        None,
        None if variant is None else variant.id,
        None if variant is None else variant.share,
    )


def draw(rule: Rule, scope: Scope) -> Variant | None:
    """The variant of the next message: it depends on the seed, the rule, the user, and how many there have been."""
    variants = rule.message.variants
    if not variants:
        return None
    sent = scope.state.sent.get(rule.id)
    count = 0 if sent is None else sent.total
    place = derive_fraction(scope.policy.seed, "variant", rule.drawn_as, scope.state.user, count)
    for variant in variants:
        place -= variant.share
        if place < 0:
            return variant
    return variants[-1]  # the shares add up to 1 but for the last bit


def _write(rule: Rule, variant: Variant | None, scope: Scope) -> tuple[Message, Reason | None]:
    spec: MessageSpec | Variant = rule.message if variant is None else variant
    reason = None
    try:
        text = spec.text.render(scope)
        data = render_tree(spec.data, scope) if spec.data else {}
        prompt = "" if spec.compose is None else spec.compose.render(scope).strip()
    except RenderFailed as failure:
        if spec.fallback is None:
            raise
        # A fallback is said as it stands: what the prompt would have spoken of may be what is missing.
        text, data, prompt, reason = spec.fallback, {}, "", Reason("fallback", (failure.reason,))
    sent = scope.state.sent.get(rule.id)
    event_id = scope.event.id if scope.event is not None else ""
    message_id = derive_id(rule.id, scope.state.user, scope.at, sent.total if sent is not None else 0, event_id)
    expires_at = None if rule.expires is None else scope.at + rule.expires
    return Message(message_id, rule.message.type, text, spec.options, data, expires_at, prompt), reason
