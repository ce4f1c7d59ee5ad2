"""What became of the variants of rules, and who was held out: the sum of a trial. It counts, and judges nothing.

Which answer belongs to which message it finds as the core does: by the id of the message, else the latest of the rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.core.model import LIFECYCLE_PREFIX, Decision, Event
from engine.core.remembered import MESSAGES_MAX
from engine.core.rules import Rule
from engine.replay.activity import group

FATES = ("answered", "dismissed", "ignored")
NAME_WIDTH = 22


@dataclass(slots=True)
class _Arm:
    """One variant of a rule."""

    sent: int = 0
    users: set[str] = field(default_factory=set)
    fates: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Open:
    """A message that may still be answered."""

    decision: Decision
    expires_at: int | None
    engaged: bool = False


def trial_table(
    rules: Iterable[Rule], by_user: Mapping[str, Sequence[Decision]], events: Iterable[Event], end: int
) -> list[str]:
    """A part for each rule that has variants or held somebody out, none where there is no such rule.

    ``by_user`` are the decisions in the order in which they were made, ``end`` the moment to which time ran. What was
    answered, dismissed or ignored is told where the log says anything of what became of these messages.
    """
    tried = {rule.id: rule for rule in rules if rule.message.variants or rule.holdout}
    held_out: dict[str, set[str]] = {}
    for user, made in by_user.items():
        for decision in made:
            if decision.outcome == "holdout":
                held_out.setdefault(decision.rule, set()).add(user)
    shown = [rule for rule in tried.values() if rule.message.variants or rule.id in held_out]
    if not shown:
        return []
    arms = {rule.id: {variant.id: _Arm() for variant in rule.message.variants} for rule in shown}
    users = {user for user, made in by_user.items() if any(decision.rule in arms for decision in made)}
    receipts = group(event for event in events if event.user in users and event.type.startswith(LIFECYCLE_PREFIX))
    met = False
    for user in sorted(users):
        met |= _follow(by_user[user], receipts.get(user, ()), arms, end)
    return _table(shown, arms, held_out, met)


def _follow(made: Sequence[Decision], receipts: Sequence[Event], arms: Mapping[str, dict[str, _Arm]], end: int) -> bool:
    """Count one user's messages and what became of them; whether any receipt was about one of these."""
    outstanding: dict[str, _Open] = {}
    met = False
    # What is sent at the moment of a receipt is taken to be sent before it: low resolution is commoner than an answer
    # that names no message and is answered at once.
    moments: list[tuple[int, int, Decision | Event]] = [(decision.at, 0, decision) for decision in made]
    moments += [(event.at, 1, event) for event in receipts]
    for at, _, happened in sorted(moments, key=lambda one: one[:2]):
        _expire(outstanding, arms, at)
        if isinstance(happened, Decision):
            _send(happened, outstanding, arms)
            continue
        message_id = _message_of(happened, outstanding)
        if message_id is None:
            continue
        message = outstanding[message_id]
        met |= message.decision.rule in arms
        word = happened.type.removeprefix(LIFECYCLE_PREFIX)
        if word == "engaged":
            message.engaged = True
        elif word in ("answered", "dismissed", "muted"):
            del outstanding[message_id]
            _note(message.decision, arms, word)
    _expire(outstanding, arms, end)
    return met


def _send(decision: Decision, outstanding: dict[str, _Open], arms: Mapping[str, dict[str, _Arm]]) -> None:
    message = decision.message
    mine = arms.get(decision.rule)
    if decision.outcome == "sent" and message is not None:
        outstanding[message.id] = _Open(decision, message.expires_at)
        while len(outstanding) > MESSAGES_MAX:
            del outstanding[next(iter(outstanding))]
        if mine is not None:
            arm = mine.setdefault(decision.variant or "", _Arm())
            arm.sent += 1
            arm.users.add(decision.user)
    elif decision.was == "sent":  # it was withdrawn
        if message is not None:
            outstanding.pop(message.id, None)
        if mine is not None:
            mine.setdefault(decision.variant or "", _Arm()).sent -= 1


def _message_of(event: Event, outstanding: dict[str, _Open]) -> str | None:
    message_id = event.data.get("message_id")
    if message_id is not None:
        return message_id if isinstance(message_id, str) and message_id in outstanding else None
    rule = event.data.get("rule")
    return next((name for name in reversed(outstanding) if outstanding[name].decision.rule == rule), None)


def _expire(outstanding: dict[str, _Open], arms: Mapping[str, dict[str, _Arm]], at: int) -> None:
    for name in [name for name, one in outstanding.items() if one.expires_at is not None and one.expires_at <= at]:
        message = outstanding.pop(name)
        if not message.engaged:
            _note(message.decision, arms, "ignored")


def _note(decision: Decision, arms: Mapping[str, dict[str, _Arm]], word: str) -> None:
    if decision.rule in arms:
        arms[decision.rule].setdefault(decision.variant or "", _Arm()).fates[word] += 1


def _table(
    rules: Sequence[Rule], arms: Mapping[str, dict[str, _Arm]], held_out: Mapping[str, set[str]], with_fates: bool
) -> list[str]:
    fates = FATES if with_fates else ()
    lines = [f"{'variants':<{NAME_WIDTH}}  {'sent':>9}  {'users':>7}" + "".join(f"  {word:>9}" for word in fates)]
    for rule in rules:
        lines.append(rule.id)
        for name, arm in arms[rule.id].items():
            numbers = f"  {arm.sent:>9,}  {len(arm.users):>7,}"
            numbers += "".join(f"  {arm.fates[word]:>9,}" for word in fates)
            lines += _row(name or "(no variant)", numbers)
        if rule.id in held_out:
            lines += _row("(held out)", f"  {'':>9}  {len(held_out[rule.id]):>7,}")
    return lines


def _row(name: str, numbers: str) -> list[str]:
    """A long name has a line of its own rather than being cut."""
    if len(name) > NAME_WIDTH - 2:
        return [f"  {name}", f"{'':<{NAME_WIDTH}}{numbers}"]
    return [f"  {name:<{NAME_WIDTH - 2}}{numbers}"]
