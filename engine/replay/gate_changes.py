"""What may open the gate that closed a candidate: changes to try, each as small as the reason allows.

It proposes from the recorded reason alone, and knows nothing of whether a change will do: `remedies` runs it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from engine.core.model import Decision, Event, Json, Reason
from engine.core.rules import Cap, Per, Rule, RuleSet
from engine.core.units import MILLISECOND, SECOND, format_duration, show_at
from engine.replay.changes import EVENT_MORE, NUMBER, SHARED_NUMBER, WORDING, Change, World
from engine.replay.loosened import loosened
from engine.replay.made_up import ADDED_ID, Maker
from engine.replay.witness import Sight

BREAKPOINTS_MAX = 2  # of a rule that are tried


def gate_changes(world: World, sight: Sight) -> list[Change]:
    """For what became of the candidate last."""
    decision, rule = sight.last, sight.rule
    rules = world.timeline.rule_sets[world.timeline.holding(sight.at)]
    if decision.outcome == "shadow":
        return [edit(f"{rule.id}.mode", "live", "mode: live instead of shadow", WORDING)]
    if decision.outcome == "held" or (decision.was == "held" and decision.outcome in ("expired", "cancelled")):
        return [*_moment(world, rules, sight), *_held(rule, decision), *_closed(world, rules, sight)]
    return list(_closed(world, rules, sight))


def edit(path: str, value: str, text: str, rank: int = NUMBER, amount: float = 0.0, *others: tuple[str, str]) -> Change:
    """An edit at one place; ``others`` are further ways to write it."""
    return Change(text, rank, amount, ((path, value), *others))


def whole_span(span: int) -> str:
    """A span as a rule has it, not longer: cut to seconds, below one to milliseconds; ``none`` for nothing at all."""
    cut = span - span % (SECOND if span >= SECOND else MILLISECOND)
    return format_duration(cut) if cut > 0 else "none"


def shorter(name: str, path: str, span: int, than: int) -> Change:
    """A span of the rule that is cut to what has passed."""
    value = whole_span(span)
    amount = (than - span) / than if than else 1.0
    return edit(path, value, f"{name}: {value} instead of {format_duration(than)}", NUMBER, amount)


def _closed(world: World, rules: RuleSet, sight: Sight) -> Iterator[Change]:
    rule, decision = sight.rule, sight.last
    reason = decision.reason
    if reason is None:
        return
    match reason.code:
        case "false" | "unknown":
            yield from _condition(rule, reason)
        case "absent":
            yield edit(f"{rule.id}.offline", "keep", "offline: keep", WORDING)
        case "level" | "muted" | "snoozed":
            yield from _wishes(rule, decision, reason)
        case "warmup":
            yield shorter(
                "warmup", f"{rule.id}.warmup", decision.at - (reason.refs[1] - reason.refs[0]), reason.refs[0]
            )
        case "cooldown":
            passed = decision.at - (reason.refs[1] - reason.refs[0])
            written = _written(rules, rule).cooldown or reason.refs[0]
            yield replace(shorter("cooldown", f"{rule.id}.cooldown", passed, written), is_from_first=True)
        case "backoff":
            span, until, was, _ = reason.refs
            passed = decision.at - (until - span)
            yield shorter("cooldown", f"{rule.id}.cooldown", passed * was // span, was)
            yield edit(f"{rule.id}.on_dismiss", "none", "no on_dismiss", WORDING)
        case "held":
            yield edit(f"{rule.id}.deliver", "none", "no deliver", WORDING)
        case "cap":
            yield from _cap(rules, rule, reason)
        case "outranked":
            yield from _outranked(world, rules, rule, reason)
        case "quiet_hours" | "held_quiet":
            yield edit(f"{rule.id}.urgent", "true", "urgent: true", WORDING)
        case "budget":
            yield from _budget(rules, rule, reason)
        case "holdout":
            place = "policy.holdout" if reason.refs[0] == "policy" else f"{rule.id}.holdout"
            text = "holdout: 0% in the policy" if reason.refs[0] == "policy" else "holdout: 0%"
            yield edit(place, "0%", text, SHARED_NUMBER if reason.refs[0] == "policy" else NUMBER, 1.0)
        case "render":
            fallback = "a message.fallback, for the template fails"
            yield edit(f"{rule.id}.message.fallback", '"Can I help?"', fallback, WORDING)


def _moment(world: World, rules: RuleSet, sight: Sight) -> Iterator[Change]:
    """The good moment that did not come, soon after the message was held."""
    reason, deliver = sight.last.reason, sight.rule.deliver
    if reason is None or reason.code != "no_moment" or deliver is None:
        return
    maker = Maker.of(sight.rule, rules.policy, world.events)
    at = sight.at + SECOND
    for matcher in deliver.breakpoints[:BREAKPOINTS_MAX]:
        event = maker.matching(matcher, at)
        if event is not None:
            yield Change(f"one more {maker.told(event)}, at {show_at(at)}", EVENT_MORE, added=(event,))


def _held(rule: Rule, decision: Decision) -> Iterator[Change]:
    code = None if decision.reason is None else decision.reason.code
    if code == "no_moment":
        yield edit(f"{rule.id}.deliver.otherwise", "send", "deliver.otherwise: send", WORDING)
    if code == "absent":
        yield edit(f"{rule.id}.offline", "keep", "offline: keep", WORDING)
    if rule.deliver is not None:
        yield edit(f"{rule.id}.deliver", "none", "no deliver", WORDING)


def _condition(rule: Rule, reason: Reason) -> Iterator[Change]:
    source, *seen = reason.refs
    place = next((place for place, one in enumerate(rule.conditions) if one.source == source), None)
    if place is None:
        return
    path = f"{rule.id}.condition" if len(rule.conditions) == 1 else f"{rule.id}.condition[{place}]"
    if reason.code == "false":
        yield from looser("condition", path, source, dict(zip(seen[::2], seen[1::2], strict=True)))
    yield edit(path, '"true"', f"drop the condition {source}", WORDING)


def looser(name: str, path: str, source: str, values: Mapping[str, Any]) -> Iterator[Change]:
    """An expression with other numbers, so that it holds for these values."""
    found = loosened(source, values)
    if found is not None:
        text, amount = found
        yield edit(path, json.dumps(text, ensure_ascii=False), f"{name}: {text} instead of {source}", NUMBER, amount)


def _wishes(rule: Rule, decision: Decision, reason: Reason) -> Iterator[Change]:
    data: dict[str, Json]
    if reason.code == "level":
        wished, needed = reason.refs
        if wished in ("less", "normal", "more"):
            yield edit(f"{rule.id}.level", wished, f"level: {wished} instead of {needed}", WORDING)
        data, said = {"level": needed}, f'level = "{needed}"'
    elif reason.code == "muted":
        data, said = {"unmute": [reason.refs[0]]}, f'unmute = ["{reason.refs[0]}"]'
    elif reason.refs[0] == "":
        data, said = {"snoozedUntil": None}, "snoozedUntil = null"
    else:
        data, said = {"snoozed": {}}, "snoozed = {}"
    wish = Event("user.preferences", decision.user, max(decision.at - SECOND, 0), data, ADDED_ID)
    yield Change(f"one more user.preferences with {said}, a second before", EVENT_MORE, added=(wish,))


def _written(rules: RuleSet, rule: Rule) -> Rule:
    """The rule as it is written, for the one that made the candidate may be changed already."""
    return rules.by_id.get(rule.id, rule)


def _cap(rules: RuleSet, rule: Rule, reason: Reason) -> Iterator[Change]:
    count, per = reason.refs
    for place, cap in enumerate(rule.caps):
        if (cap.count_max, cap.per) == (count, per):
            path = f"{rule.id}.max.max" if len(rule.caps) == 1 else f"{rule.id}.max[{place}].max"
            whole = ", ".join(_cap_written(one, int(one is cap)) for one in rule.caps)
            was = _written(rules, rule).caps[place].count_max
            text = f"max: {count + 1} instead of {was} per {_per(per)}"
            amount = (count + 1 - was) / was
            change = edit(path, str(count + 1), text, NUMBER, amount, (f"{rule.id}.max", f"[{whole}]"))
            yield replace(change, is_from_first=True)


def _cap_written(cap: Cap, more: int) -> str:
    return f"{{max: {cap.count_max + more}, per: {_per(cap.per)}}}"


def _per(per: Per) -> str:
    return per if isinstance(per, str) else format_duration(per)


def _outranked(world: World, rules: RuleSet, rule: Rule, reason: Reason) -> Iterator[Change]:
    other = rules.by_id.get(reason.refs[0])
    if other is not None:
        priority = other.priority + (0 if rule.order < other.order else 1)
        if priority > rule.priority:
            apart = (priority - rule.priority) / max(abs(rule.priority), abs(priority), 1)
            text = f"priority: {priority} instead of {rule.priority}"
            yield edit(f"{rule.id}.priority", str(priority), text, NUMBER, apart)
    count = rules.policy.simultaneous
    text = f"simultaneous: {count + 1} instead of {count} in the policy"
    yield edit("policy.simultaneous", str(count + 1), text, SHARED_NUMBER, 1 / count)


def _budget(rules: RuleSet, rule: Rule, reason: Reason) -> Iterator[Change]:
    name, count, per = reason.refs
    budget = next((budget for budget in rule.budgets if budget.name == name), None)
    written = next((budget for budget in _written(rules, rule).budgets if budget.name == name), budget)
    for place, limit in enumerate(() if budget is None else budget.limits):
        if (limit.count_max, limit.per) == (count, per):
            was = count if written is None else written.limits[place].count_max
            text = f"budget {name}: max {count + 1} instead of {was} per {_per(per)}, in the policy"
            limits = f"policy.budgets.{name}.limits"
            alone = budget is not None and len(budget.limits) == 1
            path = f"{limits}.max" if alone else f"{limits}[{place}].max"
            amount = (count + 1 - was) / was
            change = edit(path, str(count + 1), text, SHARED_NUMBER, amount, (f"{limits}[{place}].max", str(count + 1)))
            yield replace(change, is_from_first=True)
    others = [budget.name for budget in rule.budgets if budget.name != name]
    value = f"[{', '.join(others)}]" if others else "none"
    yield edit(f"{rule.id}.budget", value, f"budget: {value}", WORDING)
