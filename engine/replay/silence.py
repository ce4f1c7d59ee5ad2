"""Why a rule had no candidates, or why most of them were not sent: one line a rule, where it is certain.

It counts over the log and over the decisions, and decides nothing again but a ``where:`` on a few events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from engine.core.expressions import Expression
from engine.core.groups import look_up
from engine.core.matcher import Matcher
from engine.core.model import Decision, Event, Reason
from engine.core.reasons import explain
from engine.core.rules import Policy, Timeline, Trigger
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.core.units import format_duration
from engine.core.unknown import Unknown
from engine.loading.wording import listed, nearest, shorten
from engine.replay.census import Census
from engine.replay.report import RuleCount
from engine.triggers.event import EventTrigger
from engine.triggers.inactivity import Inactivity, InactivityAfter
from engine.triggers.keywords import Keywords

SAMPLE_MAX = 1000  # events on which a ``where:`` is evaluated again

# Outcomes whose reasons say more than the table; those of the others hold moments, or nothing new.
_TOLD = frozenset({"condition", "render_error"})


def explain_silence(
    timeline: Timeline, events: Sequence[Event], counts: Mapping[str, RuleCount], made: Iterable[Decision]
) -> list[str]:
    """Lines for below the summary; none where there is nothing to say. ``events`` are those replayed.

    Where rules changed on the way, only what holds of any rules is said.
    """
    rules = timeline.latest
    log = Census(events)
    told = _most_frequent(counts, made)
    lines: list[str] = []
    for rule in rules:
        count = counts.get(rule.id)
        if count is not None and count.candidates:
            text = told.get(rule.id, "")
        elif rule.mode == "off":
            text = "off"
        else:
            causes = (_cause(trigger, log, rules.policy, len(timeline.moments) == 1) for trigger in rule.triggers)
            text = "; ".join(dict.fromkeys(filter(None, causes))) if events else ""
        if text:
            lines.append(f"{rule.id}: {text}")
    return lines


def _cause(trigger: Trigger, log: Census, policy: Policy, one_rule_set: bool) -> str:
    """Why it did not fire, or "" where that cannot be said."""
    types: list[str] = []
    if trigger.event_types:
        types = log.types(trigger.event_types)
        if not types:
            return log.no_type(trigger.event_types)
    if not one_rule_set:
        return ""
    match trigger:
        case EventTrigger(matcher=Matcher(where=Expression() as where)):
            return f"none of {_events(trigger, types, log)} satisfied the where{_missing(where, types, log, policy)}"
        case Keywords():
            return _no_words(trigger, types, log)
        case InactivityAfter():
            after = listed(trigger.event_types, "or")
            return f"nobody was idle for {format_duration(trigger.span)} after {after} while present"
        case Inactivity():
            return f"nobody was idle for {format_duration(trigger.span)} while present"
    return "no time of it came while somebody was present" if trigger.kind == "schedule" else ""


def _events(trigger: Trigger, types: Sequence[str], log: Census) -> str:
    """``the 2 test.failed events``; of several types without a name."""
    count = sum(log.counts[name] for name in types)
    name = f" {shorten(types[0])}" if len(types) == 1 and types[0] in trigger.event_types else ""
    return f"{'' if count == 1 else 'the '}{count:,}{name} events"


def _missing(where: Expression, types: Sequence[str], log: Census, policy: Policy) -> str:
    """A name of the event's data that none of the events has, as far as it was asked for in all of them."""
    counts: Counter[str] = Counter()
    fields: set[str] = set()
    looked = 0
    for event in log.of(types):
        if looked == SAMPLE_MAX:
            break
        looked += 1
        # A state without a past: what is missing of the user and the session in it is no news, and not told.
        value = where.evaluate(Scope(UserState(event.user), event, event.at, policy))
        if value.__class__ is Unknown:
            counts.update({name for name in value.missing if name.startswith("event.")})
            fields.update(name for name in event.data if name.isprintable())
    missing = sorted(name for name, count in counts.items() if count == looked)
    if not missing:
        return ""
    field = missing[0].removeprefix("event.")
    near = nearest(field, fields) if field.isidentifier() else None
    of_all = "it" if looked == 1 else "all of them" if sum(map(log.counts.__getitem__, types)) == looked else ""
    meant = f'; did you mean "event.{near}"?' if near else ""
    return f"; {missing[0]} is missing in {of_all or f'the first {looked:,}'}{meant}"


def _no_words(trigger: Keywords, types: Sequence[str], log: Census) -> str:
    of = f"none of {_events(trigger, types, log)}"
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
