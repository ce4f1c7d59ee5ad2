"""Why a rule said nothing at a moment: its candidate nearest in time, or else how far its triggers had come.

It runs the user's events once more through the same functions as everybody; it reads and prints nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.core.evaluate import advance, apply
from engine.core.feedback import seen_by_rules
from engine.core.model import LIFECYCLE_PREFIX, Decision, Event, Reason
from engine.core.reasons import explain
from engine.core.rules import Policy, Rule, Timeline, Trigger
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.core.units import AT_MAX, format_at, format_duration


@dataclass(frozen=True, slots=True)
class NearMiss:
    """``decision`` is the rule's nearest one that counts, None where there is none; ``progress`` has a line for each
    trigger, empty where there was a candidate at the very moment.
    """

    rule: str
    at: int
    decision: Decision | None
    progress: tuple[str, ...]

    def lines(self, start: int) -> list[str]:
        """As text, a line each; moments are told from ``start`` on."""
        told = [] if self.decision is None else [f"the nearest candidate {self._when()}: {ended(self.decision, start)}"]
        if self.decision is None:
            told.append(f"{self.rule} had no candidate")
        return told + list(self.progress)

    def _when(self) -> str:
        assert self.decision is not None
        apart = self.decision.at - self.at
        if not apart:
            return "at that moment"
        return f"{format_duration(abs(apart))} {'later' if apart > 0 else 'earlier'}"


def ended(decision: Decision, start: int) -> str:
    """What became of a candidate and why: ``absent: the user has no open session``. Moments are told from ``start`` on.

    Where the reason begins with the very outcome, it is not said twice: ``cooldown of 20m until +35m``.
    """
    text = decision.outcome if decision.was is None else f"{decision.outcome}, after it was {decision.was}"
    if decision.reason is None:
        return text
    reason = _counted(explain(decision.reason), decision.reason, start)
    return reason if reason.startswith(text.replace("_", " ") + " ") else f"{text}: {reason}"


def _counted(text: str, reason: Reason, start: int) -> str:
    """The reason, with the moments that it refers to counted from the start, as a test has them."""
    for ref in reason.refs:
        # Whether a number is a moment the text says: it has it written out.
        if isinstance(ref, int) and start <= ref <= AT_MAX:
            text = text.replace(format_at(ref), f"+{format_duration(ref - start)}")
    return text


def nearest_miss(
    timeline: Timeline,
    rule: Rule,
    events: Sequence[Event],
    at: int,
    decisions: Sequence[Decision],
    off: str = "it is off",
) -> NearMiss:
    """Of one user, whose ``events`` are in order of time; ``decisions`` are those of theirs that count.

    ``off`` is what to say of a rule that is off.
    """
    mine = [decision for decision in decisions if decision.rule == rule.id]
    nearest = min(mine, key=lambda decision: abs(decision.at - at), default=None)
    if nearest is not None and nearest.at == at:
        return NearMiss(rule.id, at, nearest, ())
    if rule.mode == "off":
        return NearMiss(rule.id, at, nearest, (off,))
    return NearMiss(rule.id, at, nearest, tuple(progress(timeline, rule, events, at)))


def progress(timeline: Timeline, rule: Rule, events: Sequence[Event], at: int) -> list[str]:
    """How far each trigger of the rule had come at the moment, a line each; events at the moment have happened."""
    if not events or events[0].at > at:
        return ["nothing had happened yet"]
    state = UserState(events[0].user)
    seen = {trigger.key: _Seen() for trigger in rule.triggers}
    for event in events:
        if event.at > at:
            break
        advance(timeline, state, event.at, [])
        rules = timeline.rule_sets[timeline.holding(event.at)]
        shown = seen_by_rules(rules, state, event) if event.type.startswith(LIFECYCLE_PREFIX) else event
        apply(timeline, state, event, [])
        for trigger in rule.triggers:
            if covers(trigger.event_types, event.type):
                seen[trigger.key].note(trigger, state, shown, rules.policy)
    advance(timeline, state, at, [])
    policy = timeline.rule_sets[timeline.holding(at)].policy
    lines = []
    for trigger in rule.triggers:
        events_seen = seen[trigger.key]
        told = [trigger.progress(state, policy, at)]
        if told == [None] or events_seen.missed is not None or (trigger.event_types and not events_seen.count):
            told.append(events_seen.told(trigger))
        lines.append(f"{trigger.kind}: {'; '.join(filter(None, told))}")
    if state.present_since is None:
        lines.append("the user was absent")
    return lines


class _Seen:
    """The events of a trigger's types, and what it found wrong with the last of them."""

    __slots__ = ("count", "last", "missed")

    def __init__(self) -> None:
        self.count = 0
        self.last = ""
        self.missed: str | None = None

    def note(self, trigger: Trigger, state: UserState, event: Event, policy: Policy) -> None:
        self.count += 1
        self.last = event.type
        self.missed = trigger.missed(Scope(state, event, state.now, policy))

    def told(self, trigger: Trigger) -> str:
        types = " or ".join(trigger.event_types)
        if not trigger.event_types:
            return "not due"
        if not self.count:
            return f"no {types} came"
        came = f"{self.count} {self.last if self.count == 1 else types} came"
        if self.missed is None:
            return came
        return f"{came}, {'and' if self.count == 1 else 'the last:'} {self.missed}"


def covers(patterns: Sequence[str], event_type: str) -> bool:
    """Whether any of a trigger's event types is that type."""
    return any(
        event_type.startswith(pattern[:-1]) if pattern.endswith("*") else event_type == pattern for pattern in patterns
    )
