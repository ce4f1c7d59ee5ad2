"""What makes a rule fire: for each kind of trigger the events and the silence that it waits for, one after the other.

It decides for no rule: which one is driven, and how often, is said by `streams`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.core.delivery import soonest_delivery
from engine.core.matcher import Matcher
from engine.core.model import LIFECYCLE_PREFIX, Json
from engine.core.rules import Rule, Trigger
from engine.core.units import SECOND
from engine.invariants.vocabulary import ACTIVITY, Template
from engine.invariants.walk import EVENTS_MAX, SOMETHING_ELSE, Walk

CHAIN_MAX = 8  # answers to answers to messages
SILENCES_MAX = 4  # moments on which something that is held may be sent


def pursue(walk: Walk, rule: Rule, depth: int = 0) -> None:
    """Make one of the rule's triggers fire, and its message be sent; what stood in its way is waited for."""
    if depth > CHAIN_MAX or walk.over:
        return
    if walk.chance(0.8):
        walk.wait_for_gate(rule)
    sent = walk.state.sent.get(rule.id)
    if rule.cooldown is not None and sent is not None and walk.chance(0.5):
        walk.wait_until(sent.last + rule.cooldown)
    trigger = walk.one_of(rule.triggers)
    _GOALS.get(trigger.kind, _in_order)(walk, trigger, depth)
    _let_go(walk, rule)


def _let_go(walk: Walk, rule: Rule) -> None:
    """Bring about the good moment that a held message of the rule waits for."""
    if rule.deliver is None or not _is_held(walk, rule):
        return
    if rule.deliver.breakpoints and walk.chance(0.7):
        walk.pause()
        _see(walk, walk.one_of(rule.deliver.breakpoints), 0)
    for _ in range(SILENCES_MAX):
        moment = soonest_delivery(walk.rules, walk.state) if _is_held(walk, rule) else None
        if moment is None:
            return
        walk.wait_until(moment)


def _is_held(walk: Walk, rule: Rule) -> bool:
    return any(held.rule == rule.id for held in walk.state.held)


def _see(walk: Walk, matcher: Matcher, depth: int, data: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """Let an event happen that the matcher asks for, with those ``data`` where it can have them; what it had."""
    template = _template(walk, matcher)
    said = {**walk.such(template), **(data or {})}
    if template.type.startswith(LIFECYCLE_PREFIX):
        said = _about_a_message(walk, template.type, said, depth)
        if template.type == "message.expired":
            return said
    walk.say(template.type, said)
    return said


def _template(walk: Walk, matcher: Matcher) -> Template:
    templates = walk.vocabulary.by_matcher.get(matcher, ())
    if not templates:
        return Template(ACTIVITY)
    # The types of a list are most often of equal worth, and the first alone would do.
    return templates[0] if walk.chance(0.5) else walk.one_of(templates)


def _about_a_message(walk: Walk, event_type: str, data: dict[str, Json], depth: int) -> dict[str, Json]:
    """The same, of a message that there is: it is brought about first."""
    named = data.get("rule")
    rule = walk.rules.by_id.get(named) if isinstance(named, str) else None
    if rule is None:
        others = [message.rule for message in walk.state.messages.values()]
        rule = walk.rules.by_id[walk.one_of(others)] if others else walk.one_of(walk.rules.rules)
    _have_asked(walk, rule, depth)
    if event_type == "message.expired":
        _let_expire(walk, rule.id)
    return {**data, "rule": rule.id}


def _have_asked(walk: Walk, rule: Rule, depth: int) -> None:
    if walk.outstanding(rule.id) is None:
        pursue(walk, rule, depth + 1)
        walk.pause()


def _let_expire(walk: Walk, rule: str) -> None:
    message = walk.outstanding(rule)
    if message is not None and message.expires_at is not None:
        walk.wait_until(message.expires_at)


def _let_it_be_due(walk: Walk, trigger: Trigger) -> None:
    """Wait until it fires by itself, if nothing else happens."""
    moment = trigger.due(walk.state, walk.rules.policy)
    if moment is not None:
        walk.wait_until(moment)


def _in_order(walk: Walk, trigger: Trigger, depth: int) -> None:
    """What a trigger names, once each in its order, and then silence: what most kinds wait for."""
    for matcher in walk.vocabulary.scripts.get(trigger.key, ()):
        _see(walk, matcher, depth)
        walk.wait(_short(walk, SECOND))
    _let_it_be_due(walk, trigger)


def _event(walk: Walk, trigger: Any, depth: int) -> None:
    _see(walk, trigger.matcher, depth)


def _count(walk: Walk, trigger: Any, depth: int) -> None:
    """So many of one group, within the window."""
    fields = () if trigger.grouping is None else trigger.grouping.fields
    apart = _short(walk, trigger.within // trigger.count)
    data = _grouped(walk, trigger.matcher, fields)
    distinct = getattr(trigger, "distinct", None)
    for number in range(min(trigger.count, EVENTS_MAX)):
        if number:
            walk.wait(apart)
        if distinct is not None:
            data = {**data, distinct.fields[0]: _value(walk, trigger.matcher, distinct.fields[0], number)}
        data = _see(walk, trigger.matcher, depth, data)


def _grouped(walk: Walk, matcher: Matcher, fields: Sequence[str]) -> dict[str, Json]:
    """Values for the fields by which a trigger tells groups apart."""
    template = _template(walk, matcher)
    likely = walk.such(template)
    return {name: likely.get(name, walk.one_of(template.fields.get(name) or ("a",))) for name in fields}


def _value(walk: Walk, matcher: Matcher, name: str, number: int) -> Json:
    values = _template(walk, matcher).fields.get(name, ())
    return values[number] if number < len(values) else f"v{number}"


def _sequence(walk: Walk, trigger: Any, depth: int) -> None:
    fields = () if trigger.grouping is None else trigger.grouping.fields
    apart = _short(walk, trigger.within // len(trigger.steps))
    same = _grouped(walk, trigger.steps[0], fields)
    for number, step in enumerate(trigger.steps):
        if number:
            walk.wait(apart)
        _see(walk, step, depth, same)


def _absence(walk: Walk, trigger: Any, depth: int) -> None:
    fields = () if trigger.grouping is None else trigger.grouping.fields
    _see(walk, trigger.after, depth, _grouped(walk, trigger.after, fields))
    _let_it_be_due(walk, trigger)


def _inactivity(walk: Walk, trigger: Any, depth: int) -> None:
    after = getattr(trigger, "after", None)
    if after is not None:
        _see(walk, after, depth)
    elif walk.state.idle_since is None or walk.chance(0.5):
        _do_something(walk)
    _let_it_be_due(walk, trigger)


def _do_something(walk: Walk) -> None:
    """Any activity; now and then one that rules watch for."""
    template = walk.one_of(walk.vocabulary.templates)
    if template.type.startswith(LIFECYCLE_PREFIX) or walk.chance(0.5):
        walk.say(ACTIVITY)
    else:
        walk.say(template.type, walk.such(template))


def _schedule(walk: Walk, trigger: Any, depth: int) -> None:
    # A session that opens by itself would be over before most times of a calendar.
    if not walk.state.sessions:
        walk.say("session.start")
    _let_it_be_due(walk, trigger)


def _session(walk: Walk, trigger: Any, depth: int) -> None:
    """That presence begins, ends, lasts, or begins again after a while: a trigger says by its span which."""
    span = getattr(trigger, "span", None)
    if trigger.has_timer:
        if walk.state.present_since is not None and trigger.due(walk.state, walk.rules.policy) is None:
            walk.leave()
        if not walk.state.sessions:
            walk.say("session.start")
        _let_it_be_due(walk, trigger)
        return
    if walk.state.present_since is None and (span is not None or trigger.presence == "departure"):
        walk.say("session.start")
    if walk.state.present_since is not None:
        walk.leave()
    if trigger.presence == "arrival":
        walk.wait(_short(walk, SECOND) if span is None else span)
        if walk.chance(0.7):
            walk.say("session.start")
        else:
            _do_something(walk)


def _response(walk: Walk, trigger: Any, depth: int) -> None:
    rule = walk.rules.by_id.get(trigger.to)
    if rule is None:
        return
    _have_asked(walk, rule, depth)
    words = sorted(trigger.words | trigger.options)
    word = walk.one_of(words)
    if word == "ignored":
        _let_expire(walk, rule.id)
    elif word == "dismissed":
        walk.say("message.dismissed", {"rule": rule.id})
    elif word == "answered":
        walk.answer(rule.id, walk.one_of((*rule.message.options, SOMETHING_ELSE)))
    else:
        walk.answer(rule.id, word)


def _short(walk: Walk, span: int) -> int:
    """A time between two events that belong together, most often none."""
    return walk.one_of((0, 0, 0, min(SECOND, span), span))


_GOALS: Mapping[str, Callable[[Walk, Any, int], None]] = {
    "absence": _absence,
    "count": _count,
    "event": _event,
    "inactivity": _inactivity,
    "keywords": _event,
    "response": _response,
    "schedule": _schedule,
    "sequence": _sequence,
    "session": _session,
}


def react(walk: Walk, eager: float) -> None:
    """Do something about the messages that have come, the latest first, and about those that come of that."""
    while walk.fresh and not walk.over and walk.chance(eager):
        decision = walk.fresh.pop().decision
        if decision.message is None or walk.outstanding(decision.rule) is None:
            continue
        walk.pause()
        what = walk.random.random()
        if what < 0.7:
            options = decision.message.options
            walk.answer(decision.rule, walk.one_of(options) if options and what < 0.63 else SOMETHING_ELSE)
        elif what < 0.85:
            walk.say("message.dismissed", {"rule": decision.rule})
        else:
            _let_expire(walk, decision.rule)
    walk.fresh.clear()


def wander(walk: Walk) -> None:
    """Something that is meant for no rule in particular."""
    what = walk.random.random()
    if what < 0.35:
        template = walk.one_of(walk.vocabulary.templates)
        walk.say(template.type, walk.such(template))
    elif what < 0.5:
        walk.wait_for_an_edge()
    elif what < 0.6:
        walk.identify()
    elif what < 0.75:
        walk.say(walk.one_of(("session.start", "session.end", ACTIVITY)))
    else:
        span = walk.one_of(walk.vocabulary.spans)
        walk.wait(span + walk.one_of((-SECOND, 0, SECOND)))
