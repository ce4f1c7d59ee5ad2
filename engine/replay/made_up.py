"""Events that a rule waits for and that did not come: like one that did where there is one, else from what it looks at.

It makes them up and knows nothing of whether they will do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from engine.core.glance import glance
from engine.core.groups import MISSING, Grouping, value_of
from engine.core.matcher import Matcher
from engine.core.model import Event, Json, is_activity
from engine.core.render import RenderFailed, Template
from engine.core.rules import MessageSpec, Policy, Rule, Variant
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.invariants.vocabulary import Template as Wanted
from engine.invariants.vocabulary import Vocabulary, vocabulary_of
from engine.replay.reads import Reads, reads_of
from engine.triggers import KINDS

ADDED_ID = "added"
FIELDS_SHOWN_MAX = 3
FIELDS_NEEDED_MAX = 10  # that are made up for one message
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
            data = dict(template.fitting[0]) if template.fitting else self._pieced(matcher, template, at)
            data.update(self._needed(kind, data, at))
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

    def _pieced(self, matcher: Matcher, template: Wanted, at: int) -> dict[str, Json]:
        """Data whose texts have all at once that the matcher may look for in them; none where that will not do."""
        for way in (1, -1):
            data: dict[str, Json] = {}
            for name, values in template.fields.items():
                texts = [value for value in values if isinstance(value, str)]
                data[name] = "".join(texts[::way]) if texts else next(iter(values), "…")
            if self._holds(matcher, Event(template.type, self.events[0].user, at, data)):
                return data
        return {}

    def _needed(self, kind: str, data: dict[str, Json], at: int) -> dict[str, Json]:
        """The fields without which the message cannot be written, with values that the user's events have for them."""
        needed: dict[str, Json] = {}
        spec = self.rule.message
        facts = {name: "…" for trigger in self.rule.triggers for name in KINDS[trigger.kind].facts}
        ways: tuple[MessageSpec | Variant, ...] = (*spec.variants, spec)
        for template in (*[way.text for way in ways], *[way.compose for way in ways if way.compose is not None]):
            for _ in range(FIELDS_NEEDED_MAX):
                event = Event(kind, self.events[0].user, at, {**data, **needed})
                lacking = self._lacking(template, Scope(UserState(event.user), event, at, self.policy, facts))
                if lacking is None:
                    break
                values = [one.data[lacking] for one in reversed(self.events) if lacking in one.data]
                needed[lacking] = values[0] if values else "…"
        return needed

    def _lacking(self, template: Template, scope: Scope) -> str | None:
        """The field of the event that a template fails for."""
        try:
            template.render(scope)
        except RenderFailed as failed:
            match = re.match(r'"event\.(\w+)" is missing', failed.reason)
            return None if match is None or scope.event is None or match[1] in scope.event.data else match[1]
        return None

    def told(self, event: Event) -> str:
        """``test.failed with test = "t1"``: the type, and of its fields those that the rule looks at."""
        shown: list[tuple[str, Any]] = [
            (name, value) for name, value in event.data.items() if self.reads.looks_at("event", name)
        ]
        fields = ", ".join(f"{name} = {glance(value)}" for name, value in shown[:FIELDS_SHOWN_MAX])
        return f"{event.type} with {fields}" if fields else event.type
