"""What may bring a trigger to fire that came near to it: one event more or less, or another number in the rule.

It proposes from how near the trigger came; whether a change will do is for `remedies` to find out by running it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from engine.core.matcher import Matcher
from engine.core.model import Event
from engine.core.rules import Rule, Trigger
from engine.core.scope import user_zone
from engine.core.units import DURATION_MAX, MILLISECOND, MINUTE, SECOND, format_duration, show_at, to_datetime
from engine.replay.changes import EVENT_LESS, EVENT_MORE, NUMBER, WORDING, Change, World
from engine.replay.gate_changes import edit, looser, shorter
from engine.replay.made_up import Maker
from engine.replay.nearby import Approach
from engine.triggers.absence import Absence
from engine.triggers.count import Count, CountDistinct
from engine.triggers.event import EventTrigger
from engine.triggers.inactivity import Inactivity, InactivityAfter
from engine.triggers.keywords import Keywords
from engine.triggers.response import WORDS, Response
from engine.triggers.schedule import CalendarSchedule, IntervalSchedule
from engine.triggers.sequence import Sequence as Steps
from engine.triggers.session import Lasted, Returned, SessionEnd

MORE_MAX = 5  # events that are added together
MOMENTS_MAX = 4  # at which it is tried to add one
NARROWER_MAX = 6  # windows that are tried to find the least that will do


@dataclass(frozen=True, slots=True)
class Place:
    """One trigger of the rule, the span in which it is to fire, and how near it came there, if at all."""

    world: World
    rule: Rule
    position: int
    start: int
    stop: int
    at: int | None
    near: Approach | None
    maker: Maker

    @property
    def path(self) -> str:
        """Where the trigger stands, as `patch` takes it."""
        number = f"[{self.position}]" if len(self.rule.triggers) > 1 else ""
        return f"{self.rule.id}.trigger{number}"

    @property
    def moment(self) -> int:
        """When something more may best happen: just after what came last, or at the moment that is asked about."""
        if self.near is not None and self.near.share > 0 and self.near.event is not None:
            return min(self.near.at + SECOND, self.latest)
        last = [event for event in self.world.events if event.at <= self.stop]
        return min(self.at if self.at is not None else last[-1].at + SECOND, self.latest)

    @property
    def latest(self) -> int:
        """Beyond the log's end somebody may have done something, but not beyond the span that is asked about."""
        return self.stop if self.at is not None else max(self.stop, self.world.events[-1].at + SECOND)

    def too_late(self, made: Callable[[int], Sequence[Event]], before: int | None) -> int | None:
        """From when on the events that are ``made`` for a moment come too late: ``before`` at the latest, or sooner at
        something that the user did. None where that is soon after `moment`.
        """
        if before is None:
            return None
        length = len(made(self.moment)) * MILLISECOND
        between = {event.at for event in self.world.events if self.moment + length < event.at < before}
        bounds = [bound for bound in sorted({*between, before}) if bound - length > self.moment]
        # Whatever spoils it does so from then on.
        found = bisect_left(bounds, True, key=lambda bound: not self._comes(made(bound - length)))
        return bounds[found - 1] if found else None

    def _comes(self, events: Sequence[Event]) -> bool:
        """Whether the last of these as more events would make a candidate."""
        ran = self.world.run([Change("", EVENT_MORE, added=tuple(events))])
        return ran is not None and any(sight.at == events[-1].at for sight in ran[0])


def trigger_changes(
    world: World, rule: Rule, misses: Sequence[Approach], start: int, stop: int, at: int | None
) -> list[Change]:
    """For every trigger of the rule, those of the nearest first."""
    if rule.mode == "off":
        return [edit(f"{rule.id}.mode", "live", "mode: live instead of off", WORDING)]
    near = {miss.position: miss for miss in misses}
    order = [miss.position for miss in misses]
    order += [position for position in range(len(rule.triggers)) if position not in near]
    maker = Maker.of(rule, world.timeline.rule_sets[world.index].policy, world.events)
    found: list[Change] = []
    for position in order:
        place = Place(world, rule, position, start, stop, at, near.get(position), maker)
        found += _OF_KIND[rule.triggers[position].kind](place, rule.triggers[position])
    return found


def one_more(place: Place, event: Event | None, before: int | None = None) -> Iterator[Change]:
    """The event as one more; ``before`` is when it would have been too late, if nothing came in between."""
    if event is not None:
        text = f"one more {place.maker.told(event)}"
        too_late = place.too_late(lambda at: [place.maker.at(event, at)], before)
        by = f", at {show_at(event.at)}" if too_late is None else f", before {show_at(too_late)}"
        yield Change(text + by, EVENT_MORE, added=(event,))


def one_less(place: Place, event: Event | None) -> Iterator[Change]:
    if event is None:
        return
    for one in place.world.events:
        if (one.at, one.type, one.id) == (event.at, event.type, event.id):
            yield Change(f"without the {event.type} of {show_at(event.at)}", EVENT_LESS, removed=(one,))
            return


def _where(place: Place, kind: str, matcher: Matcher) -> Iterator[Change]:
    """The event came, and its where did not hold."""
    where = matcher.where
    if where is None or place.near is None or not place.near.missed:
        return
    values = place.near.values
    path = f"{place.path}.{kind}where"
    yield from looser("where", path, where.source, dict(zip(values[::2], values[1::2], strict=True)))
    yield edit(path, '"true"', f"drop the where {where.source}", WORDING)


def _event(place: Place, trigger: Trigger) -> Iterator[Change]:
    assert isinstance(trigger, EventTrigger)
    yield from one_more(place, place.maker.matching(trigger.matcher, place.moment))
    yield from _where(place, "event.", trigger.matcher)


def _keywords(place: Place, trigger: Trigger) -> Iterator[Change]:
    assert isinstance(trigger, Keywords)
    yield from _where(place, "keywords.", trigger.matcher)
    words = [text for text, _ in sorted(trigger.any)[:1]] + [text for text, _ in sorted(trigger.all)]
    event = place.maker.matching(trigger.matcher, place.moment)
    if event is not None and "." not in trigger.field:
        data = {**event.data, trigger.field: " ".join(words) or "hello"}
        yield from one_more(place, place.maker.at(Event(event.type, event.user, event.at, data), event.at))


def _count(place: Place, trigger: Trigger) -> Iterator[Change]:
    assert isinstance(trigger, Count)
    near = place.near
    gathered = () if near is None else near.events
    if near is not None and near.missed:
        yield from _where(place, "count.", trigger.matcher)
    if gathered and near is not None and len(gathered) < trigger.count:
        less = (trigger.count - len(gathered)) / trigger.count
        text = f"at_least: {len(gathered)} instead of {trigger.count}"
        yield edit(f"{place.path}.count.at_least", str(len(gathered)), text, NUMBER, less)
        yield from _more_of(place, trigger, gathered)
    elif trigger.count <= MORE_MAX:
        first = place.maker.matching(trigger.matcher, place.moment)
        yield from [] if first is None else _copies(place, trigger, first, trigger.count, None)
    yield from _wider(place, "count", trigger.within)


def _more_of(place: Place, trigger: Count, gathered: Sequence[Event]) -> Iterator[Change]:
    missing = trigger.count - len(gathered)
    if missing <= MORE_MAX:
        too_late = gathered[0].at + trigger.within
        if place.moment < too_late:
            yield from _copies(place, trigger, gathered[-1], missing, too_late)


def _copies(place: Place, trigger: Count, like: Event, missing: int, too_late: int | None) -> Iterator[Change]:
    """As many more like that one, a millisecond apart."""
    name = trigger.distinct.fields[0] if isinstance(trigger, CountDistinct) else None

    def made(since: int) -> list[Event]:
        events = [place.maker.at(like, since + number * MILLISECOND) for number in range(missing)]
        if name is not None:
            for number, event in enumerate(events):
                events[number] = replace(event, data={**event.data, name: f"new {number + 1}"})
        return events

    events = made(place.moment)
    count = "one more" if missing == 1 else f"{missing} more"
    apart = f" and so on, each with another {name}" if missing > 1 and name is not None else ""
    by = f", from {show_at(place.moment)} on" if missing > 1 else f", at {show_at(place.moment)}"
    before = place.too_late(made, too_late)
    by = by if before is None else f", before {show_at(before)}"
    yield Change(f"{count} {place.maker.told(events[0])}{apart}{by}", EVENT_MORE, added=tuple(events))


def _wider(place: Place, kind: str, within: int) -> Iterator[Change]:
    """With all the time there is, how long did it take at least? Of that, whole seconds."""
    path = f"{place.path}.{kind}.within"
    wide, narrower = None, DURATION_MAX
    # What a window takes in depends on how wide it is, for it is emptied when it is full: a shorter span may be found
    # with a window that is just too narrow for the last one.
    for _ in range(NARROWER_MAX):
        span = _took(place, kind, path, narrower)
        if span is None or span < within:
            break
        # What is exactly as old as the window is out of it; of a sequence it is the last that will do.
        wide = span + (SECOND - span % SECOND if kind == "count" else -span % SECOND)
        narrower = wide - SECOND
        if narrower <= within:
            break
    if wide is not None:
        text = f"within: {format_duration(wide)} instead of {format_duration(within)}"
        yield edit(path, format_duration(wide), text, NUMBER, (wide - within) / within)


def _took(place: Place, kind: str, path: str, within: int) -> int | None:
    """The least span from the first to the last event of a candidate with such a window, None where there is none."""
    ran = place.world.run([edit(path, format_duration(within), "")])
    spans = []
    for sight in ran[0] if ran is not None else ():
        made = sight.made_by
        if place.start <= sight.at <= place.stop and sight.decision.trigger["kind"] == kind and made:
            spans.append(made[-1].at - made[0].at)
    return min(spans, default=None)


def _sequence(place: Place, trigger: Trigger) -> Iterator[Change]:
    assert isinstance(trigger, Steps)
    done = () if place.near is None else place.near.events
    at, events = place.moment, list[Event]()
    for step in trigger.steps[len(done) :]:
        event = place.maker.matching(step, at, done[-1] if done else None, trigger.grouping)
        if event is None:
            return
        events.append(event)
        at += MILLISECOND
    if len(events) == 1 and done:
        yield from one_more(place, events[0], done[0].at + trigger.within + MILLISECOND)
    elif events:
        told = ", then ".join(place.maker.told(event) for event in events)
        yield Change(f"{told}, from {show_at(events[0].at)} on", EVENT_MORE, added=tuple(events))
    yield from _wider(place, "sequence", trigger.within)


def _inactivity(place: Place, trigger: Trigger) -> Iterator[Change]:
    assert isinstance(trigger, Inactivity)
    near = place.near
    if near is not None and near.span is not None and not near.missed:
        yield shorter("for", f"{place.path}.inactivity.for", near.span, trigger.span)
        yield from one_less(place, near.event)
    if isinstance(trigger, InactivityAfter):
        if near is not None and near.event is not None and trigger.after.covers(near.event.type):
            yield from _where(place, "inactivity.after.", trigger.after)
        for at in _moments(place, trigger.span):
            yield from one_more(place, place.maker.matching(trigger.after, at))
        after = f"{place.path}.inactivity.after"
        yield edit(after, '{event: "*"}', "drop the after, so that any activity will do", WORDING)


def _absence(place: Place, trigger: Trigger) -> Iterator[Change]:
    assert isinstance(trigger, Absence)
    near = place.near
    if near is not None and near.span is not None:
        yield shorter("within", f"{place.path}.absence.within", near.span, trigger.within)
        yield from one_less(place, near.event)
        return
    yield from _where(place, "absence.after.", trigger.after)
    for at in _moments(place, trigger.within):
        yield from one_more(place, place.maker.matching(trigger.after, at))


def _moments(place: Place, span: int) -> list[int]:
    """After which events there was so long a time that something could have been missing."""
    events = [event.at for event in place.world.events if place.start - span <= event.at <= place.stop]
    ends = [*events[1:], place.world.end]
    found = [at + MILLISECOND for at, end in zip(events, ends, strict=True) if end - at > span]
    return found[-MOMENTS_MAX:]


def _session(place: Place, trigger: Trigger) -> Iterator[Change]:
    near = place.near
    span = None if near is None else near.span
    if isinstance(trigger, Lasted) and span is not None:
        yield shorter("lasted", f"{place.path}.session.lasted", span, trigger.span)
    elif isinstance(trigger, Returned) and span is not None:
        yield shorter("returned_after", f"{place.path}.session.returned_after", span, trigger.span)
    elif isinstance(trigger, SessionEnd):
        event = place.maker.at(Event("session.end", place.world.events[0].user, place.moment, {}), place.moment)
        yield from one_more(place, event)


def _schedule(place: Place, trigger: Trigger) -> Iterator[Change]:
    near = place.near
    if isinstance(trigger, IntervalSchedule):
        if near is not None and near.span is not None:
            yield shorter("every", f"{place.path}.schedule.every", near.span, trigger.span)
        return
    assert isinstance(trigger, CalendarSchedule)
    if near is not None and near.span == 0:
        yield from one_more(place, place.maker.activity(near.at - SECOND))
    events = [event for event in place.world.events if place.start <= event.at <= place.stop]
    zone = trigger.zone
    for event in events[:MOMENTS_MAX]:
        minute = event.at + MINUTE - event.at % MINUTE
        policy = place.maker.policy
        attributes = next((one.data for one in reversed(place.world.events) if one.type == "user.identify"), {})
        where = policy.zone if zone is None else user_zone(attributes, policy) if zone == "user" else zone
        local = to_datetime(minute, where)
        at, cron = f"{local:%H:%M}", f"{local.minute} {local.hour} * * *"
        path = f"{place.path}.schedule"
        yield edit(f"{path}.at", f'["{at}"]', f'at: ["{at}"]', WORDING)
        yield edit(f"{path}.cron", f'"{cron}"', f'cron: "{cron}"', WORDING)


def _response(place: Place, trigger: Trigger) -> Iterator[Change]:
    """An answer to a message of the other rule that was there to be answered."""
    assert isinstance(trigger, Response)
    sent = [at for at in _sent_by(place, trigger.to) if at <= place.stop]
    word = min(trigger.words, default="answered")
    for at in sent[-MOMENTS_MAX:]:
        moment = min(max(at + SECOND, place.start), place.latest)
        data = {"rule": trigger.to}
        if word == "answered":
            data["response"] = min(trigger.options, default="yes")
        if word != "ignored":
            yield from one_more(
                place, place.maker.at(Event(WORDS[word], place.world.events[0].user, moment, data), moment)
            )


def _sent_by(place: Place, rule_id: str) -> list[int]:
    other = World(place.world.timeline, rule_id, place.world.events, place.world.end, place.world.index)
    ran = other.run(())
    return [] if ran is None else [one.at for sight in ran[0] if (one := sight.sent) is not None]


_OF_KIND: dict[str, Callable[[Place, Trigger], Iterator[Change]]] = {
    "event": _event,
    "keywords": _keywords,
    "inactivity": _inactivity,
    "count": _count,
    "sequence": _sequence,
    "absence": _absence,
    "schedule": _schedule,
    "session": _session,
    "response": _response,
}
