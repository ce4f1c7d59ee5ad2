"""What is written down of a message that goes out: limits are counted from it, and answers find their way by it."""

from __future__ import annotations

from engine.core.model import Message
from engine.core.remembered import VALUES_MAX, Outstanding, Sent
from engine.core.rules import Budget, Rule
from engine.core.scope import Scope
from engine.core.state import UserState


def write_down(rule: Rule, state: UserState, at: int, value: str | None, message: Message | None = None) -> None:
    """The rule has sent something at ``at``; a shadow rule (no ``message``) would have, and counts it likewise.

    ``value`` is that of `cooldown_by`, None where the rule has none.
    """
    sent = state.sent.get(rule.id)
    if sent is None:
        sent = state.sent[rule.id] = Sent(at, 0, state.presence, 0, [])
    sent.count(at, state.presence, 1, rule.times_kept)
    if value is not None:
        by_value = sent.by_value = sent.by_value or {}
        by_value.pop(value, None)
        by_value[value] = at
        if len(by_value) > VALUES_MAX:
            del by_value[next(iter(by_value))]
    if message is None:
        return
    state.add_message(message.id, Outstanding(rule.id, at, message.expires_at, waits=state.present_since is None))
    if message.expires_at is not None:
        state.wake_by(message.expires_at)


def charge(rule: Rule, scope: Scope) -> None:
    """The rule's message is charged to the budgets that it draws on, but for those that events charge."""
    for budget in rule.budgets:
        if not budget.charges:
            spend(budget, scope.state, 1)


def spend(budget: Budget, state: UserState, cost: int) -> None:
    state.spending(budget.name).count(state.now, state.presence, cost, budget.times_kept)
