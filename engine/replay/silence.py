"""Why a rule had no candidates, or why most of them were not sent: one line a rule, where it is certain.

It counts over the log and over the decisions, and decides nothing again but a ``where:`` on a few events; how far a
trigger came it is told (`furthest`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.core.expressions import Expression
from engine.core.feedback import EXPIRED
from engine.core.glance import glance
from engine.core.groups import MISSING, value_of
from engine.core.matcher import Matcher
from engine.core.model import Event, Reason
from engine.core.reasons import explain
from engine.core.rules import Rule, RuleSet, Timeline, Trigger
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.core.units import format_duration
from engine.core.unknown import Unknown
from engine.loading.wording import listed, nearest, shorten
from engine.replay.census import TypeCounts
from engine.replay.driver import Ran
from engine.replay.furthest import Furthest, furthest
from engine.replay.survey import SAMPLE_MAX, Survey, fields_of, first_matcher
from engine.replay.tally import RuleCount, Tally
from engine.triggers.absence import Absence
from engine.triggers.count import Count
from engine.triggers.event import EventTrigger
from engine.triggers.inactivity import Inactivity, InactivityAfter
from engine.triggers.keywords import Keywords
from engine.triggers.response import Response
from engine.triggers.sequence import Sequence as Steps
from engine.triggers.session import Lasted, Returned, SessionEnd, SessionStart

VALUES_SHOWN_MAX = 5  # of one name
REASONS_MAX = 1000  # different ones of one rule
_TOO_MANY = Reason("too many")

# Outcomes whose reasons say more than the table; those of the others hold moments, or nothing new.
_TOLD = frozenset({"condition", "render_error"})


class Reasons:
    """A study of why candidates ended where the table does not say enough: ``found`` is by rule and outcome."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], Counter[Reason]] = {}

    def see(self, ran: Ran) -> None:
        for decision in ran.evaluated[0].decisions:
            if decision.outcome in _TOLD and decision.reason is not None:
                # The values that a condition met differ from one candidate to the next: the condition is the reason.
                reason = decision.reason
                reason = Reason("false", reason.refs[:1]) if reason.code == "false" else reason
                self._count(decision.rule, decision.outcome, {reason: 1})

    def merge(self, found: Mapping[tuple[str, str], Counter[Reason]]) -> None:
        """Add what was found of other users."""
        for (rule, outcome), reasons in found.items():
            self._count(rule, outcome, reasons)

    def _count(self, rule: str, outcome: str, reasons: Mapping[Reason, int]) -> None:
        mine = self.found.setdefault((rule, outcome), Counter())
        mine.update(reasons)
        if len(mine) > REASONS_MAX or _TOO_MANY in mine:
            # Whichever it was that came first, none of so many is told.
            mine.clear()
            mine[_TOO_MANY] = 0


@dataclass(frozen=True, slots=True)
class _Run:
    """What was run, and what came of it. ``far`` is None where rules changed on the way."""

    log: TypeCounts
    survey: Survey
    rules: RuleSet
    counts: Mapping[str, RuleCount]
    far: Furthest | None


def survey_of(timeline: Timeline, tally: Tally) -> Survey:
    """What has to be looked for in the events once more: nothing where every rule had candidates."""
    waiting = [rule for rule in _silent(timeline, tally) if rule.mode != "off"] if tally.events else []
    return Survey(waiting if len(timeline.moments) == 1 else [], TypeCounts(dict(sorted(tally.types.items()))))


def explain_silence(timeline: Timeline, tally: Tally, reasons: Reasons, survey: Survey, end: int) -> list[str]:
    """Lines for below the summary; none where there is nothing to say. ``end`` is the moment to which time ran.

    Where rules changed on the way, only what holds of any rules is said.
    """
    told = _most_frequent(tally.rules, reasons)
    silent = _silent(timeline, tally)
    far = furthest(timeline, survey, end) if len(timeline.moments) == 1 else None
    ran = _Run(survey.types, survey, timeline.latest, tally.rules, far)
    asked = {rule.id for rule in silent if rule.mode != "off"} if tally.events else set()
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


def _silent(timeline: Timeline, tally: Tally) -> list[Rule]:
    return [rule for rule in timeline.latest if rule.id not in tally.rules or not tally.rules[rule.id].candidates]


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
            return _no_words(trigger, types, ran)
        case InactivityAfter():
            after = listed(trigger.event_types, "or")
            return f"nobody was idle for {format_duration(trigger.span)} after {after} while present"
        case Inactivity():
            return f"nobody was idle for {format_duration(trigger.span)} while present"
        case Count():
            return _no_field(trigger, ran) or _fell_short(trigger, ran)
        case Steps():
            return _no_field(trigger, ran) or _fell_short(trigger, ran)
        case Absence():
            return _no_field(trigger, ran) or _fell_short(trigger, ran)
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


def _no_field(trigger: Count | Steps | Absence, ran: _Run) -> str:
    """That no event has a field by which it is grouped, or whose values it counts."""
    matcher = first_matcher(trigger)
    types = ran.log.types(matcher.event_types)
    for name, why in fields_of(trigger):
        look = ran.survey.fields[tuple(types), name]
        if not look.seen:
            near = nearest(name, look.names()) if "." not in name else None
            meant = f'; did you mean "{near}"?' if near else ""
            return f'none of {_events(matcher, types, ran.log)} has the field "{name}" {why}{meant}'
    return ""


def _fell_short(trigger: Count | Steps | Absence, ran: _Run) -> str:
    """How far it came; where it never began, why nothing matched."""
    assert ran.far is not None
    reach = ran.far.reaches.get(trigger.key)
    if reach is None:
        return ""
    matcher = first_matcher(trigger)
    few, looked = _without_fields(trigger, matcher, ran)
    lacking = " or ".join(f'"{name}"' for name, _ in fields_of(trigger))
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


def _without_fields(trigger: Count | Steps | Absence, matcher: Matcher, ran: _Run) -> tuple[int, int]:
    """How many of the first events lack a field that they have to have, and of how many."""
    fields = [name for name, _ in fields_of(trigger)]
    events = ran.survey.first_of(matcher.event_types) if fields else []
    return sum(any(value_of(event, name) is MISSING for name in fields) for event in events), len(events)


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
    why = _missing(where, types, ran.survey.first_of(matcher.event_types), ran)
    return f"none of {_events(matcher, types, ran.log)} satisfied the where{why}"


def _events(matcher: Matcher, types: Sequence[str], log: TypeCounts) -> str:
    """``the 2 test.failed events``; of several types without a name."""
    count = sum(log.counts[name] for name in types)
    return f"{'' if count == 1 else 'the '}{count:,} {_called(matcher, types)}"


def _called(matcher: Matcher, types: Sequence[str]) -> str:
    return f"{shorten(types[0])} events" if len(types) == 1 and types[0] in matcher.event_types else "events"


def _missing(where: Expression, types: Sequence[str], first: Sequence[Event], ran: _Run) -> str:
    """A name of the event's data that none of the events has, as far as it was asked for in all of them; where there is
    none, the values of the names that the events do have.
    """
    counts: Counter[str] = Counter()
    values: dict[str, Counter[str]] = {name: Counter() for name, _ in where.names if name.startswith("event.")}
    fields: set[str] = set()
    looked = len(first)
    for event in first:
        # A state without a past: what is missing of the user and the session in it is no news, and not told.
        scope = Scope(UserState(event.user), event, event.at, ran.rules.policy)
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
    near = nearest(field, sorted(fields)) if field.isidentifier() else None
    of_all = "it" if looked == 1 else "all of them" if sum(map(ran.log.counts.__getitem__, types)) == looked else ""
    meant = f'; did you mean "event.{near}"?' if near else ""
    return f"; {missing[0]} is missing in {of_all or f'the first {looked:,}'}{meant}"


def _most_common(met: Counter[str]) -> str:
    """``3, 2 or 1``, the most frequent first."""
    shown = [text for text, _ in met.most_common(VALUES_SHOWN_MAX)]
    if len(met) > len(shown):
        return ", ".join(shown) + " …"
    return " or ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _no_words(trigger: Keywords, types: Sequence[str], ran: _Run) -> str:
    of = f"none of {_events(trigger.matcher, types, ran.log)}"
    if not ran.survey.texts[tuple(types), trigger.field].seen:
        return f'{of} has a text in the field "{trigger.field}"'
    return f"{of} has the words" + ("" if trigger.matcher.where is None else " and satisfied the where")


def _most_frequent(counts: Mapping[str, RuleCount], reasons: Reasons) -> dict[str, str]:
    """Of each rule most of whose candidates came to one end that is worth a word: which, and mostly why."""
    told = {}
    for rule, count in counts.items():
        (outcome, number), *_ = count.outcomes.most_common(1)
        if outcome in _TOLD and 2 * number > count.candidates:
            (reason, most), *_ = reasons.found.get((rule, outcome), Counter({_TOO_MANY: 0})).most_common(1)
            mostly = "all" if most == number else "mostly"
            told[rule] = f"{outcome} {number:,}" + (f", {mostly}: {explain(reason)}" if 2 * most > number else "")
    return told
