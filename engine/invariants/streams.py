"""Streams of events that may break an invariant: the rules are driven to fire, and what they say is answered.

They are bounded, the simplest come first, and which ones there are depends on the rules, the seed and their number
alone, and not on the machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from random import Random

from engine.core.calendar import moment_of
from engine.core.model import Event
from engine.core.rules import Rule, RuleSet, Timeline
from engine.core.state import UserState
from engine.core.units import DAY, HOUR, MINUTE, SECOND
from engine.invariants.goals import pursue, react, wander
from engine.invariants.vocabulary import Vocabulary
from engine.invariants.walk import Walk
from engine.loading.scenarios import START_DEFAULT, parse_moment

STEPS_MAX = 24
STREAMS_PER_STEP = 6  # so many streams of one step, then as many of two …
LENGTH_MIN = 2 * DAY  # a stream may be as long as that, or twice as long as any span that matters
TIMES_MAX = 50
FIRES_MAX = 100  # of the busiest schedule, as long as a session is kept open for its own sake
PRESENCE_MIN = HOUR
GAPS_NONE = (0,)
GAPS_SHORT = (0, SECOND, SECOND, MINUTE)
ZONES = ("Etc/UTC", "America/New_York", "Asia/Kolkata", "Pacific/Auckland")
START = parse_moment(START_DEFAULT)


class Maker:
    """Makes up streams for a rule set. A stream is known by its number, counted from 0, and its ``purpose``."""

    def __init__(self, timeline: Timeline, vocabulary: Vocabulary, seed: int) -> None:
        self.timeline = timeline
        self.vocabulary = vocabulary
        self.seed = seed
        rules = timeline.latest
        self.rules = [rule for rule in rules if rule.mode != "off"]
        self.starts = starts(rules)
        self.zones = list(dict.fromkeys([rules.policy.zone_name, *ZONES]))
        self.length = max(LENGTH_MIN, 2 * max(vocabulary.spans, default=0))
        interval = shortest_interval(rules)
        self.presence = self.length if interval is None else max(PRESENCE_MIN, FIRES_MAX * interval)

    def stream(
        self,
        number: int,
        purpose: str,
        rules: Sequence[Rule],
        *,
        repeats: Sequence[int] = (1,),
        after: Sequence[Event] = (),
    ) -> Walk:
        """A stream that drives some of those rules: one in the first ones, later several, each ``repeats`` times.

        It goes on from what happened in another, where ``after`` has the events of that.
        """
        # A text as the seed means the same to all versions of Python.
        random = Random(f"{self.seed} {purpose} {number}")
        walk = Walk(self.timeline, self.vocabulary, random, start=START, length=self.length, presence=self.presence)
        steps = min(1 + number // STREAMS_PER_STEP, STEPS_MAX)
        if after:
            walk.replay(after)
        self._begin(walk, plain=bool(after) or number < STREAMS_PER_STEP)
        if not rules:
            return walk
        eager = walk.one_of((0.95, 0.95, 0.5, 0.0))
        focus = [walk.one_of(rules) for _ in range(walk.one_of((1, 2, 3, len(rules))))]
        if number < len(rules) and not after:
            # No rule is left to chance.
            focus = [rules[number]]
        for _ in range(steps):
            if walk.over:
                break
            if walk.chance(0.8) or steps == 1:
                rule = walk.one_of(focus)
                for _ in range(min(walk.one_of(repeats), TIMES_MAX) if walk.chance(0.5) and number else 1):
                    pursue(walk, rule)
                    react(walk, eager)
                    walk.pause()
            else:
                wander(walk)
                react(walk, eager)
                walk.pause()
        if walk.chance(0.5):
            walk.wait(walk.one_of(self.vocabulary.spans) + SECOND)
        return walk

    def _begin(self, walk: Walk, *, plain: bool) -> None:
        spans = self.vocabulary.spans
        walk.gaps = walk.one_of((GAPS_NONE, GAPS_SHORT, (*GAPS_SHORT, HOUR, *spans)))
        if plain:
            return
        if walk.chance(0.6):
            walk.start = walk.at = walk.one_of(self.starts)
            walk.end = walk.start + self.length
        attributes = {name: walk.one_of(some) for name, some in sorted(self.vocabulary.attributes.items()) if some}
        if walk.chance(0.2):
            attributes["timezone"] = walk.one_of(self.zones)
        if attributes and walk.chance(0.6):
            walk.say("user.identify", attributes)
        if walk.chance(0.3):
            walk.say("session.start")


def starts(rules: RuleSet) -> list[int]:
    """A Monday morning, the edges of the policy's quiet hours on that day and the following Saturday, and shortly
    before what is due by a calendar.
    """
    zone = rules.policy.zone
    found = dict.fromkeys([START])
    for _, hours in sorted(rules.policy.quiet_hours.items()):
        for minute in (hours.start, hours.end):
            local = datetime(2026, 1, 5, minute // 60 % 24, minute % 60)
            moment = moment_of(local, zone)
            found.update(dict.fromkeys([moment - MINUTE, moment, moment + MINUTE, moment + 5 * DAY]))
    for dues in _dues(rules):
        found[dues[0] - MINUTE] = None
    return list(found)


def shortest_interval(rules: RuleSet) -> int | None:
    """How often the busiest schedule comes, None where none does so twice."""
    return min([dues[1] - dues[0] for dues in _dues(rules) if len(dues) > 1], default=None)


def _dues(rules: RuleSet) -> Iterator[list[int]]:
    """The first two moments at which each trigger comes by itself, for somebody who is there and does nothing."""
    for rule in rules:
        for trigger in rule.triggers if rule.mode != "off" else ():
            if not trigger.has_timer or trigger.has_memory:
                continue
            present = UserState("")
            present.now = present.present_since = START
            dues = []
            for _ in range(2):
                due = trigger.due(present, rules.policy)
                if due is None:
                    break
                dues.append(due)
                present.now = due
            if dues:
                yield dues
