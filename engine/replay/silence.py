"""Why a rule had no candidates, or why most of them were not sent: one line a rule, where it is certain.

It counts over the log and over the decisions, and decides nothing again but a ``where:`` on a few events; how far a
trigger came it is told (`furthest`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from engine.core.expressions import Expression
from engine.core.feedback import EXPIRED
from engine.core.glance import glance
from engine.core.groups import MISSING, look_up, value_of
from engine.core.matcher import Matcher
from engine.core.model import Decision, Event, Reason
from engine.core.reasons import explain
from engine.core.rules import Policy, RuleSet, Timeline, Trigger
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.core.units import format_duration
from engine.core.unknown import Unknown
from engine.loading.wording import listed, nearest, shorten
from engine.replay.census import Census
from engine.replay.furthest import Furthest, furthest
from engine.replay.report import RuleCount
from engine.triggers.absence import Absence
from engine.triggers.count import Count, CountDistinct
from engine.triggers.event import EventTrigger
from engine.triggers.inactivity import Inactivity, InactivityAfter
from engine.triggers.keywords import Keywords
from engine.triggers.response import Response
from engine.triggers.sequence import Sequence as Steps
from engine.triggers.session import Lasted, Returned, SessionEnd, SessionStart

SAMPLE_MAX = 1000  # events on which a ``where:`` is evaluated again
VALUES_SHOWN_MAX = 5  # of one name

# Outcomes whose reasons say more than the table; those of the others hold moments, or nothing new.
_TOLD = frozenset({"condition", "render_error"})


@dataclass(frozen=True, slots=True)
class _Run:
    """What was run, and what came of it. ``far`` is None where rules changed on the way."""

    log: Census
    rules: RuleSet
    counts: Mapping[str, RuleCount]
    far: Furthest | None


def explain_silence(
    timeline: Timeline,
    events: Sequence[Event],
    counts: Mapping[str, RuleCount],
    made: Iterable[Decision],
    end: int | None = None,
) -> list[str]:
    """Lines for below the summary; none where there is nothing to say. ``events`` are those replayed, and ``end`` is
    the moment to which time ran, None for that of the last event.

    Where rules changed on the way, only what holds of any rules is said.
    """
    told = _most_frequent(counts, made)
    silent = [rule for rule in timeline.latest if rule.id not in counts or not counts[rule.id].candidates]
    waiting = [rule for rule in silent if rule.mode != "off"] if events else []
    log = Census(events)
    far = None
    if waiting and len(timeline.moments) == 1:
        far = furthest(timeline, waiting, log, max(event.at for event in events) if end is None else end)
    ran = _Run(log, timeline.latest, counts, far)
    asked = {rule.id for rule in waiting}
    off = {rule.id for rule in silent if rule.mode == "off"}
    lines: list[str] = []
    for rule in timeline.latest:
        if rule.id in asked:
            causes = (_cause(trigger, ran) for trigger in rule.triggers)
            text = "; ".join(dict.fromkeys(filter(None, causes)))
        else:
            text = "off" if rule.id in off else told.get(rule.id, "")
        if text:
            lines.append(f"{rule.id}: {text}")
    return lines


def _cause(trigger: Trigger, ran: _Run) -> str:
    """Why it did not fire, or "" where that cannot be said."""
    if isinstance(trigger, Response):
        return _no_response(trigger, ran)
    for patterns in _needed(trigger):
        if not ran.log.types(patterns):
            # What makes messages expire is the engine, never the log.
            if EXPIRED not in patterns:
                return ran.log.no_type(patterns)
            return "no message expired" if isinstance(trigger, EventTrigger) and trigger.matcher.where is None else ""
    if ran.far is None:
        return ""
    types = ran.log.types(trigger.event_types)
    match trigger:
        case EventTrigger(matcher=Matcher(where=Expression())):
            return _no_match(trigger, trigger.matcher, ran)
        case Keywords():
            return _no_words(trigger, types, ran.log)
        case InactivityAfter():
            after = listed(trigger.event_types, "or")
            return f"nobody was idle for {format_duration(trigger.span)} after {after} while present"
        case Inactivity():
            return f"nobody was idle for {format_duration(trigger.span)} while present"
        case Count():
            return _no_field(trigger, trigger.matcher, ran) or _fell_short(trigger, trigger.matcher, ran)
        case Steps():
            return _no_field(trigger, trigger.steps[0], ran) or _fell_short(trigger, trigger.steps[0], ran)
        case Absence():
            return _no_field(trigger, trigger.after, ran) or _fell_short(trigger, trigger.after, ran)
        case Lasted() | Returned():
            gone = "nobody who had left came back" if isinstance(trigger, Returned) else "there was no session"
            return _reached(trigger, ran) or ("" if ran.far.looked.get(trigger.key, 0) is not None else gone)
        case SessionStart() | SessionEnd():
            return f"no session {'began' if isinstance(trigger, SessionStart) else 'ended'}"
    return "no time of it came while somebody was present" if trigger.kind == "schedule" else ""


def _needed(trigger: Trigger) -> list[tuple[str, ...]]:
    """Patterns of types, of each of which there has to be an event."""
    match trigger:
        case Count():
            return [trigger.matcher.event_types]
        case Steps():
            return [step.event_types for step in trigger.steps]
        case Absence():
            return [trigger.after.event_types]
    return [trigger.event_types] if trigger.event_types else []


def _no_response(trigger: Response, ran: _Run) -> str:
    count = ran.counts.get(trigger.to)
    sent = 0 if count is None else count.outcomes["sent"]
    if not sent:
        return f'"{trigger.to}" sent nothing that could be answered'
    options = [f'answered "{shorten(option)}"' for option in sorted(trigger.options)]
    how = " or ".join([*options, *sorted(trigger.words)])
    text = f'none of the {sent:,} messages of "{trigger.to}" was {how}'
    if sent == 1:
        text = f'the only message of "{trigger.to}" was not {how}'
    asked = [name for name in trigger.event_types if name != EXPIRED]
    rule = ran.rules.by_id.get(trigger.to)
    if EXPIRED in trigger.event_types and rule is not None and rule.expires is None:
        text += ", for they never expire"
    return f"{text}; {ran.log.no_type(asked)}" if asked and not ran.log.types(asked) else text


def _no_field(trigger: Count | Steps | Absence, matcher: Matcher, ran: _Run) -> str:
    """That no event has a field by which it is grouped, or whose values it counts."""
    types = ran.log.types(matcher.event_types)
    for field, why in _fields(trigger):
        if not ran.log.has_field(types, field):
            near = nearest(field, ran.log.fields(types)) if "." not in field else None
            meant = f'; did you mean "{near}"?' if near else ""
            return f'none of {_events(matcher, types, ran.log)} has the field "{field}" {why}{meant}'
    return ""


def _fields(trigger: Count | Steps | Absence) -> list[tuple[str, str]]:
    grouped = (
        [] if trigger.grouping is None else [(field, "that it is grouped by") for field in trigger.grouping.fields]
    )
    if isinstance(trigger, CountDistinct):
        grouped += [(field, "whose values it counts") for field in trigger.distinct.fields]
    return grouped


def _fell_short(trigger: Count | Steps | Absence, matcher: Matcher, ran: _Run) -> str:
    """How far it came; where it never began, why nothing matched."""
    assert ran.far is not None
    reach = ran.far.reaches.get(trigger.key)
    if reach is None:
        return ""
    few, looked = _without_fields(trigger, matcher, ran.log)
    lacking = " or ".join(f'"{field}"' for field, _ in _fields(trigger))
    if not reach.best:
        if matcher.where is None or ran.far.looked[trigger.key] is not None:
            return ""
        both = f" and has {lacking}" if few else ""
        return _no_match(trigger, matcher, ran) + both
    text = _reached(trigger, ran)
    if few:
        of = f"the first {looked:,}" if looked == SAMPLE_MAX else f"{looked:,}"
        events = _called(matcher, ran.log.types(matcher.event_types))
        text += f"; {few:,} of {of} {events} have no {lacking} and do not count"
    return text


def _without_fields(trigger: Count | Steps | Absence, matcher: Matcher, log: Census) -> tuple[int, int]:
    """How many of the first events lack a field that they have to have, and of how many."""
    fields = [field for field, _ in _fields(trigger)]
    events = log.first(log.types(matcher.event_types), SAMPLE_MAX) if fields else []
    return sum(any(value_of(event, field) is MISSING for field in fields) for event in events), len(events)


def _reached(trigger: Trigger, ran: _Run) -> str:
    assert ran.far is not None
    reach = ran.far.reaches.get(trigger.key)
    if reach is None or not reach.text:
        return ""
    looked = ran.far.looked[trigger.key]
    return reach.text + (f" (as far as {looked:,} of the events show)" if looked is not None else "")


def _no_match(trigger: Trigger, matcher: Matcher, ran: _Run) -> str:
    types = ran.log.types(matcher.event_types)
    where = matcher.where
    assert where is not None
    why = _missing(where, types, ran.log, ran.rules.policy)
    return f"none of {_events(matcher, types, ran.log)} satisfied the where{why}"


def _events(matcher: Matcher, types: Sequence[str], log: Census) -> str:
    """``the 2 test.failed events``; of several types without a name."""
    count = sum(log.counts[name] for name in types)
    return f"{'' if count == 1 else 'the '}{count:,} {_called(matcher, types)}"


def _called(matcher: Matcher, types: Sequence[str]) -> str:
    return f"{shorten(types[0])} events" if len(types) == 1 and types[0] in matcher.event_types else "events"


def _missing(where: Expression, types: Sequence[str], log: Census, policy: Policy) -> str:
    """A name of the event's data that none of the events has, as far as it was asked for in all of them; where there is
    none, the values of the names that the events do have.
    """
    counts: Counter[str] = Counter()
    values: dict[str, Counter[str]] = {name: Counter() for name, _ in where.names if name.startswith("event.")}
    fields: set[str] = set()
    looked = 0
    for event in log.of(types):
        if looked == SAMPLE_MAX:
            break
        looked += 1
        # A state without a past: what is missing of the user and the session in it is no news, and not told.
        scope = Scope(UserState(event.user), event, event.at, policy)
        value = where.evaluate(scope)
        for name, read in where.names if values else ():
            if name in values and (there := read(scope)).__class__ is not Unknown:
                values[name][glance(there)] += 1
        if value.__class__ is Unknown:
            counts.update({name for name in value.missing if name.startswith("event.")})
            fields.update(name for name in event.data if name.isprintable())
    missing = sorted(name for name, count in counts.items() if count == looked)
    if not missing:
        return "".join(f"; {name} was {_most_common(met)}" for name, met in values.items() if met)
    field = missing[0].removeprefix("event.")
    near = nearest(field, fields) if field.isidentifier() else None
    of_all = "it" if looked == 1 else "all of them" if sum(map(log.counts.__getitem__, types)) == looked else ""
    meant = f'; did you mean "event.{near}"?' if near else ""
    return f"; {missing[0]} is missing in {of_all or f'the first {looked:,}'}{meant}"


def _most_common(met: Counter[str]) -> str:
    """``3, 2 or 1``, the most frequent first."""
    shown = [text for text, _ in met.most_common(VALUES_SHOWN_MAX)]
    if len(met) > len(shown):
        return ", ".join(shown) + " …"
    return " or ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _no_words(trigger: Keywords, types: Sequence[str], log: Census) -> str:
    of = f"none of {_events(trigger.matcher, types, log)}"
    if not any(isinstance(look_up(event.data, trigger.field), str) for event in log.of(types)):
        return f'{of} has a text in the field "{trigger.field}"'
    return f"{of} has the words" + ("" if trigger.matcher.where is None else " and satisfied the where")


def _most_frequent(counts: Mapping[str, RuleCount], made: Iterable[Decision]) -> dict[str, str]:
    """Of each rule most of whose candidates came to one end that is worth a word: which, and mostly why."""
    ends: dict[str, tuple[str, int]] = {}
    for rule, count in counts.items():
        (outcome, number), *_ = count.outcomes.most_common(1)
        if outcome in _TOLD and 2 * number > count.candidates:
            ends[rule] = (outcome, number)
    reasons: dict[str, Counter[Reason]] = {rule: Counter() for rule in ends}
    for decision in made if ends else ():
        end = ends.get(decision.rule)
        if end is not None and end[0] == decision.outcome and decision.reason is not None:
            # The values that a condition met differ from one candidate to the next: the condition is the reason.
            reason = decision.reason
            reasons[decision.rule][Reason("false", reason.refs[:1]) if reason.code == "false" else reason] += 1
    told = {}
    for rule, (outcome, number) in ends.items():
        (reason, most), *_ = reasons[rule].most_common(1)
        mostly = "all" if most == number else "mostly"
        told[rule] = f"{outcome} {number:,}" + (f", {mostly}: {explain(reason)}" if 2 * most > number else "")
    return told
