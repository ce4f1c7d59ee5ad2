"""Delivery at a good moment: messages that have passed the gates and are held, and what becomes of them (section 7)."""

from __future__ import annotations

from typing import NamedTuple

from engine.core.gates import condition, cooldown_value, preferences, presence, quiet_hours, simultaneous
from engine.core.kept import frozen_facts, keep, thawed_facts
from engine.core.model import Decision, Message, Outcome, Reason
from engine.core.outgoing import write_down
from engine.core.quiet import holding_by_clock, quiet_until
from engine.core.remembered import Held, Outstanding
from engine.core.rules import Delivery, Rule, RuleSet
from engine.core.scope import Scope
from engine.core.state import UserState

_AT_ONCE = Delivery()


class Wait(NamedTuple):
    """What a message waits for: see `Held`. ``reason`` says it to people."""

    until: int | None
    quiet_until: int | None
    reached: bool
    reason: Reason


def wait_for(rule: Rule, scope: Scope) -> Wait | None:
    """What a message of the rule that has just passed the gates has to wait for; None where now is a good moment."""
    quiet = _quiet_until(rule, scope)
    spec = rule.deliver or _AT_ONCE
    if quiet is not None:
        return Wait(None, quiet, not spec.breakpoints, Reason("held_quiet", (quiet,)))
    if spec.within is None:
        return None
    reached = not spec.breakpoints or _is_breakpoint(spec, scope)
    if reached and _is_idle(spec, scope.state):
        return None
    until = scope.at + spec.within
    return Wait(until, None, reached, Reason("held_moment", (until,)))


def hold(rule: Rule, scope: Scope, message: Message, wait: Wait, variant: str | None, share: float | None) -> None:
    """Keep the message until its moment comes."""
    state = scope.state
    held = Held(
        rule.id,
        scope.at,
        message,
        None if scope.event is None else keep(scope.event),
        # As they come out of a state that was written and read in between.
        thawed_facts(frozen_facts(scope.trigger)),
        until=wait.until,
        quiet_until=wait.quiet_until,
        reached=wait.reached,
        variant=variant,
        probability=share,
    )
    state.add_held(held)
    _see_to(held, rule, state)


def soonest_delivery(rules: RuleSet, state: UserState) -> int | None:
    """The soonest moment after ``state.now`` at which time alone decides on a message: held, or to be answered."""
    soonest = None
    for outstanding in state.messages.values():
        moment = outstanding.expires_at
        if moment is not None and (soonest is None or moment < soonest):
            soonest = max(moment, state.now + 1)
    for held in state.held:
        rule = rules.by_id.get(held.rule)
        for moment in _moments(held, rule, state):
            if moment > state.now and (soonest is None or moment < soonest):
                soonest = moment
    return soonest


def release(
    rules: RuleSet, state: UserState, scope: Scope | None, decisions: list[Decision], sent_now: list[str]
) -> None:
    """Send what is held and whose moment has come, by the event of the ``scope`` or (None) by time; drop what is late.

    In the order in which they were held, those of higher priority first.
    """
    waiting = sorted(state.held, key=lambda held: _priority(rules, held))
    for held in waiting:
        rule = rules.by_id.get(held.rule)
        if rule is None:
            continue  # a change of rules has seen to it
        became = _look(held, rule, state, rules, scope, sent_now)
        if became is None:
            _see_to(held, rule, state)
        else:
            _conclude(held, rule, state, state.now, *became, decisions, sent_now)


def withdraw(rules: RuleSet, state: UserState, scope: Scope, decisions: list[Decision]) -> None:
    """Take back what the event of the scope cancels: messages that are held, and those that nobody has got yet.

    Of the latter also those that the user does not wish for any more; of the former that is seen when they are sent.
    """
    for held in state.held:
        rule = rules.by_id.get(held.rule)
        if rule is not None and _is_cancelled(rule, scope):
            _conclude(held, rule, state, scope.at, "cancelled", _cancelled_by(scope), decisions, [])
    for message_id, outstanding in list(state.messages.items()):
        rule = rules.by_id.get(outstanding.rule)
        if not outstanding.waits or rule is None:
            continue
        reason = _cancelled_by(scope) if _is_cancelled(rule, scope) else preferences(rule, scope, [])
        if reason is not None:
            state.drop_message(message_id)
            decisions.append(_taken_back(message_id, outstanding, rule, scope, reason))


def cancel_unsendable(state: UserState, rules: RuleSet, at: int, decisions: list[Decision]) -> None:
    """Cancel what is held whose rule is gone or sends no more. ``at`` may be just after the user's clock."""
    for held in state.held:
        rule = rules.by_id.get(held.rule)
        if rule is None or rule.mode != "live":
            _conclude(held, rule, state, at, "cancelled", Reason("rule_gone"), decisions, [])


def cancel_unkept(state: UserState, rules: RuleSet, decisions: list[Decision]) -> None:
    """The user has left: cancel what is held whose rule does not speak to those who are absent."""
    for held in state.held:
        rule = rules.by_id.get(held.rule)
        if rule is None or not rule.keeps_offline:
            _conclude(held, rule, state, state.now, "cancelled", Reason("absent"), decisions, [])


def _look(
    held: Held, rule: Rule, state: UserState, rules: RuleSet, scope: Scope | None, sent_now: list[str]
) -> tuple[Outcome, Reason | None] | None:
    """What becomes of a held message at this moment; None if it goes on being held."""
    at = state.now
    spec = rule.deliver or _AT_ONCE
    if held.message.expires_at is not None and at >= held.message.expires_at:
        return "expired", Reason("expiry", (held.message.expires_at,))
    if held.quiet_until is not None:
        if at < held.quiet_until:
            return None
        # Only now does the wait for a good moment begin.
        held.quiet_until = None
        held.until = at + (spec.within or 0)
        held.reached = not spec.breakpoints
    is_moment = scope is None or _is_breakpoint(spec, scope)
    if scope is not None and is_moment:
        held.reached = True
    is_ready = is_moment and held.reached and _is_idle(spec, state)
    is_over = held.until is not None and at >= held.until
    if not is_ready and not is_over:
        return None
    if not is_ready and spec.otherwise == "drop":
        return "expired", Reason("no_moment", (spec.within,))
    return _look_again(held, rule, Scope(state, held.event, at, rules.policy, held.facts), sent_now, is_over)


def _look_again(
    held: Held, rule: Rule, scope: Scope, sent_now: list[str], is_over: bool
) -> tuple[Outcome, Reason | None] | None:
    """Whether the message may still be sent: things may have changed since it was held."""
    for gate in (condition, presence, preferences, quiet_hours):
        reason = gate(rule, scope, sent_now)
        if reason is not None:
            return "cancelled", reason
    held.quiet_until = _quiet_until(rule, scope)
    if held.quiet_until is not None:
        return None
    reason = simultaneous(rule, scope, sent_now)
    if reason is None:
        return "sent", None
    if is_over:
        return "expired", reason
    # Another message has taken this breakpoint; it waits for the next.
    held.reached = not (rule.deliver or _AT_ONCE).breakpoints
    return None


def _conclude(
    held: Held,
    rule: Rule | None,
    state: UserState,
    at: int,
    outcome: Outcome,
    reason: Reason | None,
    decisions: list[Decision],
    sent_now: list[str],
) -> None:
    """The held message comes to its outcome."""
    state.drop_held(held)
    if outcome == "sent" and rule is not None:
        write_down(rule, state, at, cooldown_value(rule, held.event), held.message)
        sent_now.append(rule.id)
    order = -1 if rule is None else rule.order
    event_id = held.event.id if held.event is not None else ""
    decisions.append(
        Decision(
            at, state.user, held.rule, order, outcome, reason, held.facts, event_id, held.message, "held",
            held.variant, held.probability,
        )
    )  # fmt: skip


def _taken_back(message_id: str, outstanding: Outstanding, rule: Rule, scope: Scope, reason: Reason) -> Decision:
    # Of what was sent nothing but the id is remembered, and nothing else is needed to take it back.
    message = Message(message_id, rule.message.type, "", expires_at=outstanding.expires_at)
    event_id = scope.event.id if scope.event is not None else ""
    return Decision(
        scope.at,
        scope.state.user,
        rule.id,
        rule.order,
        "cancelled",
        reason,
        {},
        event_id,
        message,
        "sent",
    )


def _cancelled_by(scope: Scope) -> Reason:
    return Reason("cancel_on", ("" if scope.event is None else scope.event.type,))


def _quiet_until(rule: Rule, scope: Scope) -> int | None:
    """Until when quiet hours hold a message of the rule back; None where they do not."""
    if not rule.quiet_hours or rule.urgent or holding_by_clock(rule.quiet_hours, scope.now) is None:
        return None
    return quiet_until(rule.quiet_hours, scope.at, scope.zone)


def _is_breakpoint(spec: Delivery, scope: Scope) -> bool:
    # The event that armed a timer is older than the moment: it is not what happens now.
    if scope.event is None or scope.event.at != scope.at:
        return False
    return any(matcher.matches(scope) for matcher in spec.breakpoints)


def _is_cancelled(rule: Rule, scope: Scope) -> bool:
    return rule.deliver is not None and any(matcher.matches(scope) for matcher in rule.deliver.cancels)


def _is_idle(spec: Delivery, state: UserState) -> bool:
    if spec.quiet_for is None or state.idle_since is None:
        return True
    return state.now >= state.idle_since + spec.quiet_for


def _moments(held: Held, rule: Rule | None, state: UserState) -> list[int]:
    """When time alone may decide on the message, if nothing else happens."""
    moments = [held.message.expires_at, held.quiet_until]
    if held.quiet_until is None:
        moments.append(held.until)
        quiet_for = None if rule is None or rule.deliver is None else rule.deliver.quiet_for
        if held.reached and quiet_for is not None and state.idle_since is not None:
            moments.append(state.idle_since + quiet_for)
    return [moment for moment in moments if moment is not None]


def _see_to(held: Held, rule: Rule, state: UserState) -> None:
    for moment in _moments(held, rule, state):
        if moment > state.now:
            state.wake_by(moment)


def _priority(rules: RuleSet, held: Held) -> int:
    rule = rules.by_id.get(held.rule)
    return 0 if rule is None else -rule.priority
