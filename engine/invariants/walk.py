"""A stream of one user's events, made up as it happens: it looks at what the rules do and goes on from there.

It chooses nothing by itself and knows no trigger: what happens next is said by `streams` and `goals`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from random import Random
from typing import TypeVar

from engine.core.calendar import moment_of
from engine.core.model import Decision, Event, Json
from engine.core.remembered import Outstanding
from engine.core.rules import Rule, RuleSet, Timeline
from engine.core.scope import user_zone
from engine.core.state import UserState
from engine.core.units import DAY, MINUTE, SECOND, to_datetime
from engine.invariants.check import Sending, Watch
from engine.invariants.vocabulary import ACTIVITY, Template, Vocabulary
from engine.loading.scenarios import USER_DEFAULT

EVENTS_MAX = 100
SOMETHING_ELSE = "something else"  # an answer that is no option

One = TypeVar("One")


class Walk:
    """``events`` so far, and in ``watch`` what came of them. The user's time stands at ``at`` and ends at ``end``.

    When it has ended, or there are `EVENTS_MAX` events, nothing happens any more, whatever is asked for.
    ``fresh`` are messages that were sent and that nobody has looked at, the latest last.
    """

    def __init__(
        self, timeline: Timeline, vocabulary: Vocabulary, random: Random, *, start: int, length: int, presence: int
    ) -> None:
        """``presence``: how long the user waits in all with a session open, before they end it."""
        self.rules: RuleSet = timeline.latest
        self.vocabulary = vocabulary
        self.random = random
        self.watch = Watch(timeline, USER_DEFAULT)
        self.events: list[Event] = []
        self.start = self.at = start
        self.end = start + length
        self.fresh: list[Sending] = []
        self.latest: dict[str, Decision] = {}  # of each rule
        self.gaps: Sequence[int] = (0,)
        self.presence_left = presence
        self._seen = (0, 0)

    @property
    def over(self) -> bool:
        return self.at >= self.end or len(self.events) >= EVENTS_MAX

    @property
    def state(self) -> UserState:
        return self.watch.state

    def say(self, event_type: str, data: Mapping[str, Json] | None = None) -> None:
        """Let an event happen now."""
        if self.over:
            return
        event = Event(event_type, USER_DEFAULT, self.at, dict(data or {}))
        self.events.append(event)
        self.watch.apply(event)
        self._look()

    def wait(self, span: int) -> None:
        self.wait_until(self.at + span)

    def wait_until(self, moment: int) -> None:
        """Let time run to a moment, if it is still to come."""
        if self.over or moment <= self.at:
            return
        moment = min(moment, self.end)
        stays = self.at + self.presence_left
        if self.state.sessions and moment > stays:
            self._run_to(stays)
            self.say("session.end")
        self._run_to(moment)

    def _run_to(self, moment: int) -> None:
        if self.state.present_since is not None:
            self.presence_left = max(self.presence_left - (moment - self.at), 0)
        self.at = moment
        self.watch.advance(moment)
        self._look()

    def pause(self) -> None:
        """Let some time pass, as much as this user takes between two things."""
        self.wait(self.one_of(self.gaps))

    def replay(self, events: Sequence[Event]) -> None:
        """Let the same happen as elsewhere, at the same moments, before anything else."""
        self.end += events[0].at - self.start
        self.start = self.at = events[0].at
        for event in events:
            self.wait_until(event.at)
            self.say(event.type, event.data)

    def one_of(self, choices: Sequence[One]) -> One:
        return choices[int(self.random.random() * len(choices))]

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def such(self, template: Template) -> dict[str, Json]:
        """Data of such an event: most often what is watched for, and among that what is likeliest."""
        draw = self.random.random()
        if template.fitting and draw < 0.85:
            return dict(template.fitting[0] if draw < 0.6 else self.one_of(template.fitting))
        data = {name: self.one_of(values) for name, values in template.fields.items() if values}
        return {name: value for name, value in data.items() if self.chance(0.9)}

    def outstanding(self, rule: str) -> Outstanding | None:
        """The latest message of the rule that may still be answered."""
        found = [message for message in self.state.messages.values() if message.rule == rule]
        return found[-1] if found else None

    def answer(self, rule: str, response: str | None) -> None:
        self.say("message.answered", {"rule": rule} if response is None else {"rule": rule, "response": response})

    def leave(self) -> None:
        """End the user's session."""
        if self.state.sessions:
            self.say("session.end")
        if self.state.present_since is not None and self.state.idle_since is not None:
            self.wait_until(self.state.idle_since + self.rules.policy.session_timeout)

    def wait_for_an_edge(self) -> None:
        """Until quiet hours begin or end, or just before, on the user's clock."""
        hours = list(self.rules.policy.quiet_hours.values())
        if not hours:
            return
        chosen = self.one_of(hours)
        minute = self.one_of((chosen.start, chosen.end)) % (24 * 60)
        zone = user_zone(self.state.attributes, self.rules.policy)
        local = to_datetime(self.at, zone)
        edge = datetime.combine(local.date(), time(minute // 60, minute % 60))
        moment = moment_of(edge, zone)
        if moment <= self.at:
            moment = moment_of(edge + timedelta(days=1), zone)
        self.wait_until(moment - self.one_of((0, SECOND, MINUTE, self.one_of(self.vocabulary.spans))))

    def wait_for_gate(self, rule: Rule) -> None:
        """Do what opens the gate that closed on the rule's latest candidate, as its reason says."""
        decision = self.latest.get(rule.id)
        if decision is None or decision.reason is None:
            return
        refs = decision.reason.refs
        match decision.reason.code:
            case "cooldown" | "backoff" | "warmup" | "snoozed" | "quiet_hours":
                until = refs[1]
                self.wait_until(self.at + DAY if until is None else until)
            case "cap":
                self._renew(refs[1])
            case "budget":
                self._renew(refs[2])
            case "absent":
                self.say("session.start")
            case "false" | "unknown":
                self._change(refs[0])

    def _renew(self, per: int | str) -> None:
        if per == "session":
            self.leave()
        else:
            self.wait(per if isinstance(per, int) else DAY)

    def _change(self, condition: str) -> None:
        """What the condition is about, as far as its text says so: what was done, the time, or the user."""
        if "session.events" in condition:
            times = self.vocabulary.times
            for _ in range(min(max(times) if self.chance(0.5) else self.one_of(times), EVENTS_MAX)):
                self.say(ACTIVITY)
        elif "session." in condition or "now." in condition:
            if not self.state.sessions:
                self.say("session.start")
            self.wait(self.one_of(self.vocabulary.spans) + self.one_of((0, SECOND)))
        elif "user." in condition:
            self.identify()

    def identify(self) -> None:
        attributes = {name: self.one_of(some) for name, some in sorted(self.vocabulary.attributes.items()) if some}
        if attributes:
            self.say("user.identify", attributes)

    def _look(self) -> None:
        decisions, sendings = self._seen
        for decision in self.watch.decisions[decisions:]:
            self.latest[decision.rule] = decision
        self.fresh += self.watch.sendings[sendings:]
        self._seen = (len(self.watch.decisions), len(self.watch.sendings))
