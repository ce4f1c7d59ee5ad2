"""A second look at a log, for rules that kept quiet: which of its events have a bearing on that, the first few of many.

It judges nothing. Two surveys of different users merge to that of all, whatever the order: the first events are those
of the earliest moments, at the same moment by the names of the users.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from engine.core.groups import MISSING, look_up, value_of
from engine.core.matcher import Matcher
from engine.core.model import LIFECYCLE_PREFIX, Event
from engine.core.rules import Rule, Trigger
from engine.replay.activity import Activity, happened
from engine.replay.census import FIELDS_MAX, TypeCounts
from engine.replay.driver import PROGRESS_EVENTS, up_to
from engine.triggers.absence import Absence
from engine.triggers.count import Count, CountDistinct
from engine.triggers.event import EventTrigger
from engine.triggers.keywords import Keywords
from engine.triggers.sequence import Sequence as Steps
from engine.triggers.session import Lasted, Returned

SAMPLE_MAX = 1000  # events on which a ``where:`` is evaluated again
EVENTS_MIN = 20_000  # that are run again however small the log is
EVENTS_SHARE = 50  # of a log: one event in so many, where that is more
EVENTS_MAX = 50_000  # that are kept to be run again
RULE_EVENTS_MIN = 1_000  # for each rule
RULES_MAX = 50  # silent rules that are run again; of further ones nothing is known

Types = tuple[str, ...]  # sorted
Asked = tuple[Types, str]  # a field of events of these types


class Look(Protocol):
    """One thing that is looked for in the events of some types."""

    @property
    def is_over(self) -> bool:
        """Whether further events make no difference."""
        ...

    def see(self, event: Event, place: int) -> None:
        """``place`` is that of the event among its user's."""
        ...

    def merge(self, other: Self) -> None: ...


@dataclass(slots=True)
class Sample:
    """The first events, at most `SAMPLE_MAX`."""

    kept: list[tuple[int, str, int, Event]] = field(default_factory=list)
    limit: tuple[int, str, int] | None = None  # what comes after this is not among the first

    @property
    def is_over(self) -> bool:
        return False

    def see(self, event: Event, place: int) -> None:
        if self.limit is None or (event.at, event.user, place) < self.limit:
            self.kept.append((event.at, event.user, place, event))
            if len(self.kept) > 2 * SAMPLE_MAX:
                self._cut()

    def merge(self, other: Sample) -> None:
        self.kept += other.kept
        self._cut()

    def events(self) -> list[Event]:
        self._cut()
        return [event for *_, event in self.kept]

    def _cut(self) -> None:
        self.kept.sort(key=lambda one: one[:3])
        if len(self.kept) > SAMPLE_MAX:
            del self.kept[SAMPLE_MAX:]
            self.limit = self.kept[-1][:3]


@dataclass(slots=True)
class Field:
    """Whether any of the events has a field, and until one has: which fields they have; too many are not meant."""

    name: str
    seen: bool = False
    others: set[str] = field(default_factory=set)
    too_many: bool = False

    @property
    def is_over(self) -> bool:
        return self.seen

    def see(self, event: Event, place: int) -> None:
        if self.seen or value_of(event, self.name) is not MISSING:
            self.seen = True
            self.others.clear()
        else:
            self._add(event.data)

    def merge(self, other: Field) -> None:
        self.seen |= other.seen
        self.too_many |= other.too_many
        self._add(other.others)

    def names(self) -> list[str]:
        return [] if self.too_many else sorted(name for name in self.others if name.isprintable())

    def _add(self, names: Iterable[str]) -> None:
        if not self.too_many:
            self.others.update(names)
            if len(self.others) > FIELDS_MAX:
                self.too_many = True
                self.others.clear()


@dataclass(slots=True)
class Text:
    """Whether any of the events has a text in a field."""

    name: str
    seen: bool = False

    @property
    def is_over(self) -> bool:
        return self.seen

    def see(self, event: Event, place: int) -> None:
        self.seen = self.seen or isinstance(look_up(event.data, self.name), str)

    def merge(self, other: Text) -> None:
        self.seen |= other.seen


@dataclass(slots=True)
class Pasts:
    """What the first users did whom a rule concerns, each with the moment from which it does: as far as ``most`` events
    reach. ``types`` are those that have a bearing; ``concerns`` those by which users are picked, None for all.
    """

    types: frozenset[str] | None
    concerns: frozenset[str] | None
    most: int
    kept: list[tuple[int, str, list[Event]]] = field(default_factory=list)
    room: int = 0
    limit: tuple[int, str] | None = None

    def see(self, user: str, events: Sequence[Event], firsts: Mapping[str, int]) -> None:
        """``firsts`` has for each type the moment of the user's first event of it."""
        concerned = firsts.values() if self.concerns is None else [firsts[it] for it in self.concerns & firsts.keys()]
        first = min(concerned, default=None)
        if first is None or (self.limit is not None and (first, user) > self.limit):
            return
        # One more than can be run, so that it shows that there are more.
        mine = (event for event in events if self.types is None or event.type in self.types)
        self._keep(first, user, [event for _, event in zip(range(self.most + 1), mine, strict=False)])

    def merge(self, other: Pasts) -> None:
        for first, user, events in other.kept:
            self._keep(first, user, events)

    def users(self) -> Iterator[list[Event]]:
        self.kept.sort(key=lambda one: one[:2])
        return (events for _, _, events in self.kept)

    def _keep(self, first: int, user: str, events: list[Event]) -> None:
        self.kept.append((first, user, events))
        self.room += len(events)
        if self.room > 2 * self.most:
            self._cut()

    def _cut(self) -> None:
        self.kept.sort(key=lambda one: one[:2])
        self.room = 0
        for place, (first, user, events) in enumerate(self.kept):
            self.room += len(events)
            if self.room > self.most:
                del self.kept[place + 1 :]
                self.limit = (first, user)
                return


class Survey:
    """What the ``silent`` rules need to know of a log beyond its ``types``."""

    def __init__(self, silent: Sequence[Rule], types: TypeCounts) -> None:
        self.rules = tuple(silent)
        self.types = types
        self.samples: dict[Types, Sample] = {}
        self.fields: dict[Asked, Field] = {}
        self.texts: dict[Asked, Text] = {}
        self.pasts: dict[str, Pasts] = {}
        for rule in silent:
            for trigger in rule.triggers:
                self._ask(trigger)
        told = [rule for rule in silent if any(can_be_told(trigger, types) for trigger in rule.triggers)][:RULES_MAX]
        share = min(max(EVENTS_MIN, types.total // EVENTS_SHARE), EVENTS_MAX)
        most = max(share // max(len(told), 1), RULE_EVENTS_MIN)
        for rule in told:
            named = frozenset(types.types(patterns_of(rule)))
            of_sessions = any(trigger.kind == "session" for trigger in rule.triggers)
            self.pasts[rule.id] = Pasts(
                named if needs_no_past(rule) else None, None if of_sessions else named, most
            )  # fmt: skip
        self._by_type: dict[str, list[Look]] = {}
        looks: list[tuple[Types, Look]] = [*self.samples.items()]
        looks += [(asked[0], look) for asked, look in self.fields.items()]
        looks += [(asked[0], look) for asked, look in self.texts.items()]
        for wanted, look in looks:
            for name in wanted:
                self._by_type.setdefault(name, []).append(look)

    def _ask(self, trigger: Trigger) -> None:
        match trigger:
            case EventTrigger():
                self._sample(trigger.event_types)
            case Keywords():
                asked = self.of(trigger.event_types), trigger.field
                self.texts[asked] = Text(trigger.field)
            case Count() | Steps() | Absence():
                matcher = first_matcher(trigger)
                self._sample(matcher.event_types)
                for name, _ in fields_of(trigger):
                    self.fields[self.of(matcher.event_types), name] = Field(name)

    def _sample(self, patterns: Iterable[str]) -> None:
        self.samples[self.of(patterns)] = Sample()

    def of(self, patterns: Iterable[str]) -> Types:
        """The types of the log that any of the patterns names."""
        return tuple(self.types.types(patterns))

    def first_of(self, patterns: Iterable[str]) -> list[Event]:
        """The first events of types that were asked for."""
        return self.samples[self.of(patterns)].events()

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to look for."""
        return not (self._by_type or self.pasts)

    def look_at(
        self, activity: Activity, until: int | None = None, progress: Callable[[int], None] | None = None
    ) -> None:
        """Go through all events up to ``until``."""
        untold = 0
        for user, events in activity:
            mine = happened(up_to(events, until))
            if mine:
                self._see(user, mine)
            untold += len(events)
            if progress is not None and untold >= PROGRESS_EVENTS:
                progress(untold)
                untold = 0

    def _see(self, user: str, events: Sequence[Event]) -> None:
        firsts: dict[str, int] = {}
        by_type = self._by_type
        over = False
        for place, event in enumerate(events):
            name = event.type
            if name not in firsts:
                firsts[name] = event.at
            for look in by_type.get(name, ()):
                look.see(event, place)
                over |= look.is_over
        if over:
            self._by_type = {
                name: left for name, looks in by_type.items() if (left := [one for one in looks if not one.is_over])
            }
        for past in self.pasts.values():
            past.see(user, events, firsts)

    def found(self) -> Found:
        """What another process needs to know of it."""
        return self.samples, self.fields, self.texts, self.pasts

    def merge(self, found: Found) -> None:
        """Add what was found of other users."""
        samples, fields, texts, pasts = found  # of the same rules, so the keys are the same
        for types, sample in samples.items():
            self.samples[types].merge(sample)
        for asked, one in fields.items():
            self.fields[asked].merge(one)
        for asked, text in texts.items():
            self.texts[asked].merge(text)
        for rule, past in pasts.items():
            self.pasts[rule].merge(past)


Found = tuple[dict[Types, Sample], dict[Asked, Field], dict[Asked, Text], dict[str, Pasts]]


def patterns_of(rule: Rule) -> list[str]:
    return [name for trigger in rule.triggers for name in trigger.event_types]


def can_be_told(trigger: Trigger, types: TypeCounts) -> bool:
    """Whether there is anything to say of how far it came."""
    has_reach = isinstance(trigger, Count | Steps | Absence | Lasted | Returned)
    return has_reach and (not trigger.event_types or bool(types.types(trigger.event_types)))


def needs_no_past(rule: Rule) -> bool:
    """Whether nothing but the events of its types has a bearing on how far its triggers come."""
    if listens_to_messages(rule):
        return False
    for trigger in rule.triggers:
        if not isinstance(trigger, Count | Steps):
            return False
        if any(matcher.where is not None and not matcher.where.needs <= {"event"} for matcher in matchers_of(trigger)):
            return False
    return True


def listens_to_messages(rule: Rule) -> bool:
    """Whether it hears what becomes of messages, also those of other rules."""
    return any(name.startswith(LIFECYCLE_PREFIX) or name == "*" for name in patterns_of(rule))


def matchers_of(trigger: Count | Steps) -> list[Matcher]:
    """The matchers of the events that bring it further, and of those that throw it back."""
    if isinstance(trigger, Count):
        return [trigger.matcher, *([trigger.reset_on] if trigger.reset_on else [])]
    return [*trigger.steps, *([trigger.without] if trigger.without else [])]


def first_matcher(trigger: Count | Steps | Absence) -> Matcher:
    """The matcher of the events with which it begins."""
    if isinstance(trigger, Count):
        return trigger.matcher
    return trigger.steps[0] if isinstance(trigger, Steps) else trigger.after


def fields_of(trigger: Count | Steps | Absence) -> list[tuple[str, str]]:
    """The fields that an event has to have, each with what it is for."""
    found = [] if trigger.grouping is None else [(name, "that it is grouped by") for name in trigger.grouping.fields]
    if isinstance(trigger, CountDistinct):
        found += [(name, "whose values it counts") for name in trigger.distinct.fields]
    return found
