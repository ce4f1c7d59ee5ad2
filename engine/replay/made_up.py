"""Events that a rule waits for and that did not come: like one that did where there is one, else from what it looks at.

It makes them up and knows nothing of whether they will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from engine.core.glance import glance
from engine.core.groups import MISSING, Grouping, value_of
from engine.core.matcher import Matcher
from engine.core.model import Event, Json, is_activity
from engine.core.rules import Policy, Rule
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.invariants.vocabulary import Vocabulary, vocabulary_of
from engine.replay.reads import Reads, reads_of

ADDED_ID = "added"
FIELDS_SHOWN_MAX = 3
ACTIVITY = "activity"


@dataclass(slots=True)
class Maker:
    """For one rule and one user, whose ``events`` are in order of time."""

    rule: Rule
    policy: Policy
    events: Sequence[Event]
    reads: Reads
    vocabulary: Vocabulary

    @classmethod
    def of(cls, rule: Rule, policy: Policy, events: Sequence[Event]) -> Maker:
        return cls(rule, policy, events, reads_of([rule], policy), vocabulary_of([rule], policy))

    def matching(
        self, matcher: Matcher, at: int, like: Event | None = None, by: Grouping | None = None
    ) -> Event | None:
        """An event that the matcher asks for, as far as the event alone says so; of the group that ``like`` is of."""
        real = [event for event in self.events if matcher.covers(event.type) and self._holds(matcher, event)]
        before = [event for event in real if event.at <= at]
        if real:
            found = before[-1] if before else real[0]
            kind, data = found.type, dict(found.data)
        else:
            template = next((one for one in self.vocabulary.by_matcher.get(matcher, ())), None)
            if template is None:
                return None
            kind = template.type
            data = dict(template.fitting[0]) if template.fitting else {}
            for name in sorted(self.reads.event - data.keys()):
                if "." not in name and name not in ("type", "session", "at", "id", "at_reported"):
                    data[name] = self._value(name)
        if by is not None and like is not None:
            for name in by.fields:
                value = value_of(like, name)
                if value is not MISSING and name not in ("type", "session"):
                    data[name] = value
        return self.at(Event(kind, self.events[0].user, at, data), at)

    def at(self, event: Event, at: int) -> Event:
        """The same, to happen at that moment as one event more, in the session that there was."""
        before = [one for one in self.events if one.at <= at]
        session = before[-1].session if before else self.events[0].session
        return msgspec.structs.replace(event, at=at, id=ADDED_ID, session=session, at_reported=None)

    def activity(self, at: int) -> Event:
        """Something that the user often does, or anything."""
        last = [event for event in self.events if event.at <= at and is_activity(event.type)]
        return self.at(last[-1] if last else Event(ACTIVITY, self.events[0].user, at, {}), at)

    def _holds(self, matcher: Matcher, event: Event) -> bool:
        return matcher.holds(Scope(UserState(event.user), event, event.at, self.policy))

    def _value(self, name: str) -> Json:
        """A value of the field, as the user's events have it."""
        return next((event.data[name] for event in reversed(self.events) if name in event.data), "…")

    def told(self, event: Event) -> str:
        """``test.failed with test = "t1"``: the type, and of its fields those that the rule looks at."""
        shown: list[tuple[str, Any]] = [
            (name, value) for name, value in event.data.items() if self.reads.looks_at("event", name)
        ]
        fields = ", ".join(f"{name} = {glance(value)}" for name, value in shown[:FIELDS_SHOWN_MAX])
        return f"{event.type} with {fields}" if fields else event.type
