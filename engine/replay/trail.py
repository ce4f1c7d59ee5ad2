"""Which events made a candidate: what a trigger has counted or stepped through, written down as it happens.

It decides nothing: what it tells is what the trigger's own memory held.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime

from engine.core.model import Decision, Event
from engine.core.rules import Policy, Rule
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.core.units import from_datetime
from engine.triggers.count import Count, CountDistinct
from engine.triggers.sequence import Sequence as Steps

GROUPS_KEPT_MAX = 2_000  # of one trigger; of further ones it is not told what made a candidate
STEPS_KEPT_MAX = 5_000  # events that may have been a step of a sequence, the latest


class Trail:
    """The events that matched, of each counting trigger by group, of each sequence together."""

    __slots__ = ("_counted", "_steps")

    def __init__(self) -> None:
        self._counted: dict[str, dict[str, deque[Event]]] = {}
        self._steps: dict[str, deque[Event]] = {}

    def note(self, rule: Rule, policy: Policy, state: UserState, event: Event) -> None:
        """The event has happened, and the state has come to it."""
        for trigger in rule.triggers:
            if isinstance(trigger, Count) and trigger.matcher.covers(event.type):
                if trigger.missed(Scope(state, event, state.now, policy)) is None:
                    self._note_counted(trigger, event)
            elif isinstance(trigger, Steps) and any(step.covers(event.type) for step in trigger.steps):
                self._steps.setdefault(trigger.key, deque(maxlen=STEPS_KEPT_MAX)).append(event)

    def _note_counted(self, trigger: Count, event: Event) -> None:
        groups = self._counted.setdefault(trigger.key, {})
        name = "" if trigger.grouping is None else trigger.grouping.name(event) or ""
        if name not in groups and len(groups) >= GROUPS_KEPT_MAX:
            return
        events = groups.setdefault(name, deque(maxlen=trigger.count))
        if isinstance(trigger, CountDistinct):
            value = trigger.distinct.name(event)
            for former in [former for former in events if trigger.distinct.name(former) == value]:
                events.remove(former)
        events.append(event)

    def counted(self, trigger: Count, name: str) -> Sequence[Event]:
        """The latest events of the group that counted, at most as many as it takes, oldest first."""
        return tuple(self._counted.get(trigger.key, {}).get(name, ()))

    def made(self, rule: Rule, decision: Decision, event: Event | None) -> tuple[Event, ...]:
        """The events by which the trigger came to fire, oldest first; none where only time did.

        Of messages that expired nothing stands in a log: where one counted, the event that fired is all that is told.
        """
        facts = decision.trigger
        for trigger in rule.triggers:
            if isinstance(trigger, Count) and facts["kind"] == trigger.kind and event is not None:
                name = "" if trigger.grouping is None else trigger.grouping.name(event) or ""
                found = self.counted(trigger, name)
                first = facts.get("first_at")
                is_it = isinstance(first, datetime) and bool(found) and found[0].at == from_datetime(first)
                is_last = bool(found) and (found[-1].at, found[-1].type) == (event.at, event.type)
                if is_it and is_last and len(found) == facts.get("count"):
                    return tuple(found)
            if isinstance(trigger, Steps) and facts["kind"] == trigger.kind:
                return self._stepped(trigger, facts.get("steps", ()))
        return () if event is None else (event,)

    def _stepped(self, trigger: Steps, steps: Sequence[dict[str, object]]) -> tuple[Event, ...]:
        found: list[Event] = []
        past = self._steps.get(trigger.key, ())
        for step in steps:
            at = step["at"]
            assert isinstance(at, datetime)
            moment = from_datetime(at)
            found += [event for event in past if event.at == moment and event.type == step["type"]][:1]
        return tuple(found)
