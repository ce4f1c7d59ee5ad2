"""What became of the variants of rules, and who was held out: the sum of a trial. It counts, and judges nothing.

Which answer belongs to which message it finds as the core does: by the id of the message, else the latest of the rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from engine.core.model import LIFECYCLE_PREFIX, Decision, Event
from engine.core.remembered import MESSAGES_MAX
from engine.core.rules import Rule
from engine.replay.driver import Ran

FATES = ("answered", "dismissed", "ignored")
NAME_WIDTH = 22


@dataclass(slots=True)
class Arm:
    """One variant of a rule: how many messages, to how many users, and what became of them."""

    sent: int = 0
    users: int = 0
    fates: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Arms:
    """Of each rule the variants by name ("" where none was drawn), how many were held out, and whether the log says
    anything of what became of its messages.
    """

    by_rule: dict[str, dict[str, Arm]] = field(default_factory=dict)
    held_out: Counter[str] = field(default_factory=Counter)
    met: set[str] = field(default_factory=set)

    def arm(self, rule: str, variant: str | None) -> Arm:
        return self.by_rule[rule].setdefault(variant or "", Arm())

    def merge(self, other: Arms) -> None:
        """Add what is known of other users."""
        for rule, arms in other.by_rule.items():
            for name, theirs in arms.items():
                mine = self.arm(rule, name)
                mine.sent += theirs.sent
                mine.users += theirs.users
                mine.fates.update(theirs.fates)
        self.held_out.update(other.held_out)
        self.met |= other.met


@dataclass(slots=True)
class _Open:
    """A message that may still be answered."""

    decision: Decision
    expires_at: int | None
    engaged: bool = False


class Trial:
    """Counts, user by user. What was answered, dismissed or ignored is told where the log says anything of what became
    of these messages.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = [rule for rule in rules if rule.message.variants or rule.holdout]
        self.found = Arms({rule.id: {variant.id: Arm() for variant in rule.message.variants} for rule in self.rules})

    def see(self, ran: Ran) -> None:
        made, arms = ran.evaluated[0].decisions, self.found.by_rule
        if not arms or not any(decision.rule in arms for decision in made):
            return
        self.found.held_out.update({decision.rule for decision in made if decision.outcome == "holdout"})
        reached = {(it.rule, it.variant) for it in made if it.outcome == "sent" and it.rule in arms}
        for rule, variant in reached:
            self.found.arm(rule, variant).users += 1
        _follow(made, [event for event in ran.events if event.type.startswith(LIFECYCLE_PREFIX)], self.found, ran.end)

    def table(self) -> list[str]:
        """A part for each rule that has variants or held somebody out, none where there is no such rule."""
        shown = [rule for rule in self.rules if rule.message.variants or self.found.held_out[rule.id]]
        if not shown:
            return []
        return _table(shown, self.found, any(rule.id in self.found.met for rule in shown))


def _follow(made: Sequence[Decision], receipts: Sequence[Event], arms: Arms, end: int) -> None:
    """Count one user's messages and what became of them to the moment ``end``."""
    outstanding: dict[str, _Open] = {}
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
        arms.met.add(message.decision.rule)
        word = happened.type.removeprefix(LIFECYCLE_PREFIX)
        if word == "engaged":
            message.engaged = True
        elif word in ("answered", "dismissed", "muted"):
            del outstanding[message_id]
            _note(message.decision, arms, word)
    _expire(outstanding, arms, end)


def _send(decision: Decision, outstanding: dict[str, _Open], arms: Arms) -> None:
    message = decision.message
    is_tried = decision.rule in arms.by_rule
    if decision.outcome == "sent" and message is not None:
        outstanding[message.id] = _Open(decision, message.expires_at)
        while len(outstanding) > MESSAGES_MAX:
            del outstanding[next(iter(outstanding))]
        if is_tried:
            arms.arm(decision.rule, decision.variant).sent += 1
    elif decision.was == "sent":  # it was withdrawn
        if message is not None:
            outstanding.pop(message.id, None)
        if is_tried:
            arms.arm(decision.rule, decision.variant).sent -= 1


def _message_of(event: Event, outstanding: dict[str, _Open]) -> str | None:
    message_id = event.data.get("message_id")
    if message_id is not None:
        return message_id if isinstance(message_id, str) and message_id in outstanding else None
    rule = event.data.get("rule")
    return next((name for name in reversed(outstanding) if outstanding[name].decision.rule == rule), None)


def _expire(outstanding: dict[str, _Open], arms: Arms, at: int) -> None:
    for name in [name for name, one in outstanding.items() if one.expires_at is not None and one.expires_at <= at]:
        message = outstanding.pop(name)
        if not message.engaged:
            _note(message.decision, arms, "ignored")


def _note(decision: Decision, arms: Arms, word: str) -> None:
    if decision.rule in arms.by_rule:
        arms.arm(decision.rule, decision.variant).fates[word] += 1


def _table(rules: Sequence[Rule], found: Arms, with_fates: bool) -> list[str]:
    fates = FATES if with_fates else ()
    lines = [f"{'variants':<{NAME_WIDTH}}  {'sent':>9}  {'users':>7}" + "".join(f"  {word:>9}" for word in fates)]
    for rule in rules:
        lines.append(rule.id)
        arms = found.by_rule[rule.id]
        declared = [variant.id for variant in rule.message.variants]
        # Those that the rule has no longer come last.
        for name in [*declared, *sorted(arms.keys() - set(declared))]:
            arm = arms[name]
            numbers = f"  {arm.sent:>9,}  {arm.users:>7,}"
            numbers += "".join(f"  {arm.fates[word]:>9,}" for word in fates)
            lines += _row(name or "(no variant)", numbers)
        if found.held_out[rule.id]:
            lines += _row("(held out)", f"  {'':>9}  {found.held_out[rule.id]:>7,}")
    return lines


def _row(name: str, numbers: str) -> list[str]:
    """A long name has a line of its own rather than being cut."""
    if len(name) > NAME_WIDTH - 2:
        return [f"  {name}", f"{'':<{NAME_WIDTH}}{numbers}"]
    return [f"  {name:<{NAME_WIDTH - 2}}{numbers}"]
