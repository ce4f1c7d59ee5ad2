"""What an edit of the rules would have changed for the people of a log: message by message, user by user.

It compares what two rule sets said to the same people, and decides nothing again: an effect of one rule on another,
as by a budget that both share, is there because each of the two was run as a whole.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import chain
from operator import attrgetter
from typing import Literal

from engine.core.model import Decision
from engine.core.rules import Rule, RuleSet
from engine.core.units import AT_MAX, MINUTE, show_moments
from engine.near import ended
from engine.replay.activity import at_of
from engine.replay.driver import Ran

Kind = Literal["gained", "lost", "moved", "reworded"]
KINDS_OF_CHANGE: tuple[Kind, ...] = ("gained", "lost", "moved", "reworded")
# A message of the same rule this near to one that is gone is taken for the same, moved: nearer than most cooldowns,
# farther than people edit a span of inactivity.
MOVED_WITHIN = 30 * MINUTE
USERS_KEPT = 50  # of whom every change is kept, up to the next bound: those with the most changes
CHANGES_KEPT = 200  # of one user


@dataclass(frozen=True, slots=True)
class Change:
    """One message that is not as it was. ``why`` says what became of the candidate at the moment of a message that was
    gained or lost, or at the former moment of one that was moved, under the other rules; ``cause`` is that outcome.
    """

    kind: Kind
    rule: str
    before: Decision | None
    after: Decision | None
    why: str = ""
    cause: str = ""

    @property
    def at(self) -> int:
        """The moment at which a reader of the log comes across it first."""
        return min(decision.at for decision in (self.before, self.after) if decision is not None)

    @property
    def is_reworded(self) -> bool:
        """Also of one that was moved."""
        return self.before is not None and self.after is not None and _wording(self.before) != _wording(self.after)


@dataclass(frozen=True, slots=True)
class UserChanges:
    """``changes`` are the first `CHANGES_KEPT` in order of time, ``more`` how many there are beyond."""

    user: str
    changes: tuple[Change, ...]
    more: int = 0

    @property
    def total(self) -> int:
        return len(self.changes) + self.more


@dataclass(slots=True)
class Side:
    """What the rule did under one of the two rule sets."""

    candidates: int = 0
    messages: int = 0
    users: int = 0


@dataclass(slots=True)
class RuleDiff:
    """Of one rule, or of all. ``edit`` says what was done to it, "" where nothing was: then others' edits reached it.

    ``users`` are those with a change of that kind; ``causes`` count why messages were gained, and why they were lost.
    """

    rule: str
    edit: str = ""
    before: Side = field(default_factory=Side)
    after: Side = field(default_factory=Side)
    changes: Counter[Kind] = field(default_factory=Counter)
    users: Counter[Kind] = field(default_factory=Counter)
    causes: dict[Kind, Counter[str]] = field(default_factory=lambda: {"gained": Counter(), "lost": Counter()})

    @property
    def is_changed(self) -> bool:
        return bool(self.changes.total())


@dataclass(slots=True)
class Diff:
    """All of it. ``rules`` are in the order of the later rule set, those that are gone last; ``total`` is of all.

    ``newly_reached`` got no message before, ``lost_from_reach`` get none any more. ``users`` are those of whom the
    changes are kept, the most changed first; ``changed_users`` how many there are. ``of_users`` are all users of the
    log where only some were run, else None. ``moved_reworded`` counts those of the moved that say something else.
    """

    rules: list[RuleDiff]
    total: RuleDiff
    run_users: int = 0
    run_events: int = 0
    first: int | None = None
    last: int | None = None
    unchanged: int = 0
    moved_reworded: int = 0
    changed_users: int = 0
    newly_reached: int = 0
    lost_from_reach: int = 0
    faults: int = 0
    of_users: int | None = None
    users: list[UserChanges] = field(default_factory=list)

    @property
    def new_share(self) -> float:
        """Messages gained, per message before; infinite where there were none."""
        gained = self.total.changes["gained"]
        if not self.total.before.messages:
            return float("inf") if gained else 0.0
        return gained / self.total.before.messages


def edits(before: RuleSet, after: RuleSet) -> dict[str, str]:
    """What was done to each rule of either: "" where it stands as it did; a policy that was edited is not counted."""
    old = {after.renamed.get(rule.id, rule.id): rule for rule in before}
    told = {}
    for rule in after:
        former = old.pop(rule.id, None)
        told[rule.id] = "new" if former is None else _edit(former, rule)
    return told | dict.fromkeys(old, "gone")


def _edit(former: Rule, rule: Rule) -> str:
    if former.id != rule.id:
        return f"was {former.id}"
    if former.written == rule.written:
        return ""
    if rule.mode != former.mode:
        return f"now {rule.mode}"
    return "edited"


def compare_rules(
    before: RuleSet,
    after: RuleSet,
    ran: Iterable[Ran],
    moved_within: int = MOVED_WITHIN,
    only: str | None = None,
) -> Diff:
    """``ran`` has each user under the two timelines that end with these rule sets, the earlier first.

    ``only`` is the user of whom the changes are to be kept, where it is not those with the most.
    """
    told = edits(before, after)
    diff = Diff([RuleDiff(name, edit) for name, edit in told.items()], RuleDiff("all rules"))
    by_rule = {one.rule: one for one in diff.rules}
    kept: list[UserChanges] = []
    for user in ran:
        _count_run(diff, user)
        old = [_under(decision, after.renamed) for decision in user.evaluated[0].decisions]
        new = user.evaluated[1].decisions
        for name in {decision.rule for decision in chain(old, new)} - by_rule.keys():
            by_rule[name] = RuleDiff(name, "gone")  # of the past of a recording
        changes, unchanged = changes_of(old, new, by_rule, moved_within)
        diff.unchanged += unchanged
        _count_sides(diff, by_rule, old, new)
        _count_changes(diff, by_rule, changes)
        if changes and only in (None, user.user):
            kept.append(UserChanges(user.user, tuple(changes[:CHANGES_KEPT]), max(len(changes) - CHANGES_KEPT, 0)))
            if len(kept) >= 2 * USERS_KEPT:
                kept = _most_changed(kept)
    diff.users = _most_changed(kept)
    diff.rules = [by_rule[name] for name in told] + [by_rule[name] for name in sorted(by_rule.keys() - told.keys())]
    return diff


def _most_changed(users: Sequence[UserChanges]) -> list[UserChanges]:
    return nsmallest(USERS_KEPT, users, key=lambda one: (-one.total, one.user))


def _under(decision: Decision, renamed: Mapping[str, str]) -> Decision:
    """The decision under the name that its rule has now. It is only compared, never written."""
    name = renamed.get(decision.rule)
    if name is None:
        return decision
    fields = {field: getattr(decision, field) for field in decision.__struct_fields__}
    return Decision(**fields | {"rule": name})


def changes_of(
    old: Sequence[Decision], new: Sequence[Decision], rules: Mapping[str, RuleDiff], moved_within: int = MOVED_WITHIN
) -> tuple[list[Change], int]:
    """One user's changes in order of time, and how many messages are as they were."""
    before, after = _said(old), _said(new)
    changes: list[Change] = []
    unchanged = 0
    for name in sorted(before.keys() | after.keys()):
        mine, theirs = before.get(name, []), after.get(name, [])
        pairs = _pairs(mine, theirs, moved_within)
        paired = {id(decision) for pair in pairs for decision in pair}
        for one, other in pairs:
            if one.at != other.at:
                why, cause = _fate(new, name, one, rules[name].edit == "gone")
                changes.append(Change("moved", name, one, other, f"then: {why}", cause))
            elif _wording(one) != _wording(other):
                changes.append(Change("reworded", name, one, other))
            else:
                unchanged += 1
        for one in mine:
            if id(one) not in paired:
                why, cause = _fate(new, name, one, rules[name].edit == "gone")
                changes.append(Change("lost", name, one, None, f"now: {why}", cause))
        for other in theirs:
            if id(other) not in paired:
                why, cause = _fate(old, name, other, rules[name].edit == "new")
                changes.append(Change("gained", name, None, other, f"before: {why}", cause))
    changes.sort(key=lambda change: (change.at, change.rule))
    return changes, unchanged


def _said(decisions: Sequence[Decision]) -> dict[str, list[Decision]]:
    """By rule what was sent and not taken back, in order of time."""
    taken_back = {it.message.id for it in decisions if it.was == "sent" and it.message is not None}
    said: dict[str, list[Decision]] = {}
    for decision in decisions:
        message = decision.message
        if decision.outcome == "sent" and message is not None and message.id not in taken_back:
            said.setdefault(decision.rule, []).append(decision)
    return said


def _pairs(mine: Sequence[Decision], theirs: Sequence[Decision], within: int) -> list[tuple[Decision, Decision]]:
    """Which message is which: first those of one moment, then those that the same event caused, then the nearest."""
    pairs = _matched(mine, theirs, at_of)
    left, right = _without(mine, pairs, 0), _without(theirs, pairs, 1)
    if left and right:
        caused = [it for it in left if it.event_id], [it for it in right if it.event_id]
        same_cause = _matched(caused[0], caused[1], attrgetter("event_id"))
        pairs += same_cause
        left, right = _without(left, same_cause, 0), _without(right, same_cause, 1)
    near = [
        (abs(one.at - other.at), one.at, place, number)
        for place, one in enumerate(left)
        for number, other in _near(one, right, within)
    ]
    used: tuple[set[int], set[int]] = (set(), set())
    for _, _, place, number in sorted(near):
        if place not in used[0] and number not in used[1]:
            used[0].add(place)
            used[1].add(number)
            pairs.append((left[place], right[number]))
    return pairs


def _near(one: Decision, others: Sequence[Decision], within: int) -> list[tuple[int, Decision]]:
    """The places of those of ``others``, which are in order of time, that are no farther than ``within``."""
    start = bisect_left(others, one.at - within, key=at_of)
    end = bisect_right(others, one.at + within, key=at_of)
    return list(enumerate(others[start:end], start))


def _matched(
    mine: Sequence[Decision], theirs: Sequence[Decision], key: Callable[[Decision], object]
) -> list[tuple[Decision, Decision]]:
    waiting: dict[object, list[Decision]] = {}
    for other in theirs:
        waiting.setdefault(key(other), []).append(other)
    return [(one, found.pop(0)) for one in mine if (found := waiting.get(key(one)))]


def _without(decisions: Sequence[Decision], pairs: Sequence[tuple[Decision, Decision]], side: int) -> list[Decision]:
    paired = {id(pair[side]) for pair in pairs}
    return [decision for decision in decisions if id(decision) not in paired]


def _wording(decision: Decision) -> tuple[object, ...]:
    message = decision.message
    assert message is not None
    return message.type, message.text, message.options, message.data, message.prompt


def _fate(decisions: Sequence[Decision], rule: str, said: Decision, is_missing: bool) -> tuple[str, str]:
    """What became of the rule's candidate at the moment of the message under the other rules, and its outcome."""
    if is_missing:
        return "no such rule", "no such rule"
    # The last of a moment: what was held then has gone on.
    found = [it for it in decisions if it.rule == rule and it.at == said.at]
    if not found:
        return "no candidate", "no candidate"
    return show_moments(ended(found[-1], AT_MAX + 1)), found[-1].outcome


def _count_run(diff: Diff, ran: Ran) -> None:
    diff.run_users += 1
    diff.run_events += len(ran.happened)
    diff.first = ran.events[0].at if diff.first is None else min(diff.first, ran.events[0].at)
    diff.last = ran.events[-1].at if diff.last is None else max(diff.last, ran.events[-1].at)
    diff.faults += sum(len(evaluated.faults) for evaluated in ran.evaluated)


def _count_sides(diff: Diff, by_rule: Mapping[str, RuleDiff], old: Sequence[Decision], new: Sequence[Decision]) -> None:
    for word, decisions in (("before", old), ("after", new)):
        total: Side = getattr(diff.total, word)
        for decision in decisions:
            if decision.was is None:
                getattr(by_rule[decision.rule], word).candidates += 1
                total.candidates += 1
        said = _said(decisions)
        for name, messages in said.items():
            side: Side = getattr(by_rule[name], word)
            side.messages += len(messages)
            side.users += 1
            total.messages += len(messages)
        total.users += bool(said)
    reached = bool(_said(old)), bool(_said(new))
    diff.newly_reached += reached == (False, True)
    diff.lost_from_reach += reached == (True, False)


def _count_changes(diff: Diff, by_rule: Mapping[str, RuleDiff], changes: Sequence[Change]) -> None:
    diff.changed_users += bool(changes)
    diff.moved_reworded += sum(change.kind == "moved" and change.is_reworded for change in changes)
    for change in changes:
        for one in (by_rule[change.rule], diff.total):
            one.changes[change.kind] += 1
            if change.kind in one.causes:
                one.causes[change.kind][change.cause] += 1
    for rule, kind in {(change.rule, change.kind) for change in changes}:
        by_rule[rule].users[kind] += 1
    for kind in {change.kind for change in changes}:
        diff.total.users[kind] += 1
