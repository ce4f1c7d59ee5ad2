"""Streams of events that may break an invariant, made up with hypothesis from what a rule set looks at.

They are bounded, the simplest comes first, and which ones are tried depends on the seed alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import cycle, islice
from random import Random

from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.errors import NoSuchExample

from engine.core.calendar import moment_of
from engine.core.model import Event, Json
from engine.core.rules import RuleSet
from engine.core.units import DAY, HOUR, MINUTE, SECOND
from engine.invariants.vocabulary import ACTIVITY, Template, Vocabulary
from engine.loading.scenarios import START_DEFAULT, USER_DEFAULT, parse_moment

STEPS_MAX = 24
SCRIPTS_MAX = 10  # that are tried without a search
EVENTS_MAX = 100
LENGTH_MIN = 2 * DAY  # a stream may be as long as that, or twice as long as any span that matters
REPEATS_MAX = 50
GAPS = (0, SECOND, MINUTE, HOUR)
ZONES = ("Etc/UTC", "America/New_York", "Asia/Kolkata", "Pacific/Auckland")
START = parse_moment(START_DEFAULT)


Data = tuple[tuple[str, Json], ...]
Part = tuple[str, Data]  # an event: its type and its data


@dataclass(frozen=True, slots=True)
class Step:
    """The ``parts`` one after the other, so many ``times``: first a ``gap``, and later ones each ``apart``."""

    gap: int
    parts: tuple[Part, ...]
    times: int
    apart: int


@dataclass(frozen=True, slots=True)
class Stream:
    """What one user does. ``tail`` is how long time runs on after the last event; all of it is cut at ``length``."""

    length: int
    start: int
    attributes: tuple[tuple[str, Json], ...]
    steps: tuple[Step, ...]
    tail: int

    def events(self) -> list[Event]:
        at = self.start
        events = []
        if self.attributes:
            events.append(Event("user.identify", USER_DEFAULT, at, dict(self.attributes)))
        for step in self.steps:
            gap = step.gap
            for name, data in islice(cycle(step.parts), step.times * len(step.parts)):
                at += gap
                gap = step.apart
                if at - self.start > self.length:
                    return events[:EVENTS_MAX]
                events.append(Event(name, USER_DEFAULT, at, dict(data)))
        return events[:EVENTS_MAX]

    @property
    def until(self) -> int:
        events = self.events()
        last = events[-1].at if events else self.start
        return min(last + self.tail, self.start + self.length)


def streams(rules: RuleSet, vocabulary: Vocabulary) -> st.SearchStrategy[Stream]:
    """Streams in which those words come, at and around the spans that matter to the rules."""
    around = sorted({0, *(moment for span in vocabulary.spans for moment in (span - SECOND, span, span + SECOND))})
    spans = st.sampled_from([gap for gap in around if gap >= 0])
    gaps = st.one_of(st.sampled_from(GAPS), spans)
    times = st.sampled_from(sorted({min(count, REPEATS_MAX) for count in vocabulary.times}))
    parts = st.one_of(*_parts(vocabulary))
    steps = st.builds(Step, gap=gaps, parts=parts, times=times, apart=gaps)
    zones = st.sampled_from(_zones(rules))
    optional = {"timezone": zones} | {name: st.sampled_from(some) for name, some in vocabulary.attributes.items()}
    return st.builds(
        Stream,
        length=st.just(max(LENGTH_MIN, 2 * max(vocabulary.spans, default=0))),
        start=st.sampled_from(starts(rules)),
        attributes=st.fixed_dictionaries({}, optional=optional).map(lambda known: tuple(sorted(known.items()))),
        steps=st.lists(steps, min_size=1, max_size=STEPS_MAX).map(tuple),
        tail=spans,
    )


def plain_streams(vocabulary: Vocabulary) -> Iterator[Stream]:
    """The few streams that most often do what one rule waits for, before any are searched for."""
    length = max(LENGTH_MIN, 2 * max(vocabulary.spans, default=0))
    attributes = tuple([(name, values[0]) for name, values in vocabulary.attributes.items() if values])
    scripts = [*vocabulary.scripts, *((template,) for template in vocabulary.templates)]
    for script in scripts[:SCRIPTS_MAX]:
        parts = tuple([(template.type, _likely(template)) for template in script])
        for times in sorted({1, min(max(vocabulary.times), REPEATS_MAX)}):
            for known in dict.fromkeys([(), attributes]):
                yield Stream(length, START, known, (Step(0, parts, times, SECOND),), tail=length)


def _likely(template: Template) -> Data:
    if template.fitting:
        return tuple(template.fitting[0].items())
    return tuple([(name, values[0]) for name, values in template.fields.items() if values])


def _parts(vocabulary: Vocabulary) -> Iterator[st.SearchStrategy[tuple[Part, ...]]]:
    """What may happen, what rules watch for first."""
    for template in vocabulary.templates:
        yield st.tuples(_event(template))
    for script in vocabulary.scripts:
        yield st.tuples(*map(_event, script))
    yield st.sampled_from([((name, ()),) for name in ("session.start", "session.end", ACTIVITY)])
    rule_ids = sorted(vocabulary.options)
    if rule_ids:
        answers: list[tuple[Part, ...]] = [
            (("message.answered", (("rule", rule), ("response", option))),)
            for rule in rule_ids
            for option in (*vocabulary.options[rule], "something else")
        ]
        dismissals: list[tuple[Part, ...]] = [(("message.dismissed", (("rule", rule),)),) for rule in rule_ids]
        yield st.sampled_from(answers + dismissals)


def _event(template: Template) -> st.SearchStrategy[Part]:
    return st.tuples(st.just(template.type), _data(template))


def _data(template: Template) -> st.SearchStrategy[Data]:
    absent = object()  # the last of the values
    fields = {name: st.sampled_from([*values, absent]) for name, values in template.fields.items() if values}
    anything = st.fixed_dictionaries(fields).map(
        lambda data: tuple((name, value) for name, value in data.items() if value is not absent)
    )
    if not template.fitting:
        return anything
    return st.one_of(st.sampled_from([tuple(data.items()) for data in template.fitting]), anything)


def _zones(rules: RuleSet) -> list[str]:
    return list(dict.fromkeys([rules.policy.zone_name, *ZONES]))


def starts(rules: RuleSet) -> list[int]:
    """A Monday morning, and the edges of the policy's quiet hours on that day and the following Saturday."""
    zone = rules.policy.zone
    found = dict.fromkeys([START])
    for _, hours in sorted(rules.policy.quiet_hours.items()):
        for minute in (hours.start, hours.end):
            local = datetime(2026, 1, 5, minute // 60 % 24, minute % 60)
            moment = moment_of(local, zone)
            found.update(dict.fromkeys([moment - MINUTE, moment, moment + MINUTE, moment + 5 * DAY]))
    return list(found)


def search(
    strategy: st.SearchStrategy[Stream], breaks: Callable[[Stream], bool], *, seed: int, examples: int, shrink: bool
) -> Stream | None:
    """The first stream that ``breaks``, the simplest that is found from it if it is to ``shrink``; None where none."""
    chosen = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.target, Phase.shrink) if shrink else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    with _nothing_left_behind():
        try:
            return find(strategy, breaks, settings=chosen, random=Random(seed))
        except NoSuchExample:
            return None


@contextmanager
def _nothing_left_behind() -> Iterator[None]:
    # Hypothesis notes things in the current folder, which is the user's.
    with tempfile.TemporaryDirectory() as folder:
        set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            set_hypothesis_home_dir(None)
