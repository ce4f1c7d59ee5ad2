"""An account of a rule and a user as text and as JSON. It finds nothing out, and prints nothing."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from textwrap import wrap
from typing import Any

from engine.core.glance import glance
from engine.core.model import Decision, Event, Json, plain
from engine.core.reasons import explain
from engine.core.units import AT_MAX, show_at, show_moments
from engine.core.verdicts import Verdict
from engine.loading.diagnostic import counted
from engine.near import ended
from engine.replay.nearby import Approach
from engine.replay.remedies import Remedy
from engine.replay.why import Account
from engine.replay.witness import Sight

WIDTH = 80
SIGHTS_SHOWN_MAX = 20  # candidates that are listed, the latest
DETAILED_MAX = 5  # candidates near a moment of which all is told, the nearest
MADE_BY_SHOWN_MAX = 10  # events that made one, the latest
FIELDS_SHOWN_MAX = 4
_SET = "     --set "


def text(account: Account, path: str | None = None) -> list[str]:
    """As lines, at most `WIDTH` wide where they can be broken. ``path`` is how the user opens the rule's file."""
    lines = _head(account, account.rule.path if path is None else path)
    if account.at is None:
        lines += _listed(account)
    else:
        lines += _detailed(account)
    if account.misses or account.state:
        lines += ["", *_misses(account)]
    lines += _remedies(account)
    return [part for line in lines for part in _fitted(line)]


def _head(account: Account, path: str) -> list[str]:
    rule = account.rule
    sent = sum(sight.sent is not None for sight in account.sights)
    where = f"{path}:{rule.line}"
    mode = "" if rule.mode == "live" else f", mode: {rule.mode}"
    span = f"{show_at(account.start)} to {show_at(account.stop)}"
    made = f"{counted(len(account.sights), 'candidate')}, {sent:,} sent"
    if account.at is not None:
        made += f"; {account.made:,} in all"
    lines = [f"{rule.id} ({where}{mode}) and {account.user}", f"{span}: {made}"]
    if account.faults:
        lines.append(f"{counted(account.faults, 'event')} left out, because the engine failed on them")
    return lines


def _listed(account: Account) -> list[str]:
    if not account.sights:
        return []
    lines = [""]
    left_out = len(account.sights) - SIGHTS_SHOWN_MAX
    if left_out > 0:
        lines.append(f"… and {left_out:,} before these; --at TIME shows any of them")
    for sight in account.sights[-SIGHTS_SHOWN_MAX:]:
        lines += [f"{show_at(sight.at)}  {_outcome(sight.decision)}", *_became(sight, "    ")]
    return lines


def _detailed(account: Account) -> list[str]:
    assert account.at is not None
    at = account.at
    near = sorted(account.sights, key=lambda sight: (abs(sight.at - at), sight.at))[:DETAILED_MAX]
    lines: list[str] = []
    if len(account.sights) > len(near):
        lines += ["", f"the {len(near)} nearest to {show_at(at)}; --around SPAN looks less far"]
    for sight in sorted(near, key=account.sights.index):
        lines += ["", *_sight(sight)]
    return lines


def _outcome(decision: Decision) -> str:
    told = _ended(decision)
    message = decision.message
    if message is not None and decision.outcome in ("sent", "held", "shadow") and decision.was is None:
        variant = "" if decision.variant is None else f" (variant {decision.variant})"
        told += f'{variant} "{" ".join(message.text.split())}"'
    return told


def _became(sight: Sight, indent: str) -> list[str]:
    """What became of its message afterwards."""
    return [f"{indent}{show_at(later.at)}  {_ended(later)}" for later in sight.later]


def _ended(decision: Decision) -> str:
    """What became of it and why, with the moments themselves."""
    return show_moments(ended(decision, AT_MAX + 1))


def _sight(sight: Sight) -> Iterator[str]:
    yield f"{show_at(sight.at)}  {_outcome(sight.decision)}"
    yield from _became(sight, "  ")
    facts = {name: value for name, value in sight.decision.trigger.items() if name not in ("kind", "steps")}
    told = ", ".join(f"{name} {_value(value)}" for name, value in facts.items())
    yield f"  made by {sight.decision.trigger['kind']}" + (f": {told}" if told else "")
    message = sight.decision.message
    if message is not None and message.prompt:
        yield f'  to be written by "{" ".join(message.prompt.split())}"'
    made_by = sight.made_by
    if len(made_by) > MADE_BY_SHOWN_MAX:
        yield f"    … and {len(made_by) - MADE_BY_SHOWN_MAX:,} before these"
    for event in made_by[-MADE_BY_SHOWN_MAX:]:
        yield f"    {_event(event)}"
    yield "  gates"
    for verdict in sight.gates:
        yield f"    {verdict.gate:<13} {_verdict(verdict)}"
    if sight.decision.outcome == "render_error" and sight.decision.reason is not None:
        yield f"    {'render':<13} {show_moments(explain(sight.decision.reason))}"


def _value(value: Any) -> str:
    told = plain(value)
    return show_moments(told) if isinstance(told, str) and not isinstance(value, str) else glance(told)


def _verdict(verdict: Verdict) -> str:
    return "open" if verdict.reason is None else f"closed: {show_moments(explain(verdict.reason))}"


def _event(event: Event) -> str:
    fields = " ".join(f"{name}={glance(value)}" for name, value in list(event.data.items())[:FIELDS_SHOWN_MAX])
    rest = " …" if len(event.data) > FIELDS_SHOWN_MAX else ""
    return " ".join(filter(None, [show_at(event.at), event.type, event.id, fields])) + rest


def _misses(account: Account) -> list[str]:
    title = "no candidate; the nearest miss" if account.state else "the nearest miss besides"
    if not account.misses:
        return [f"no candidate; at {show_at(account.stop)}", *[f"  {line}" for line in account.state]]
    lines = [title]
    told = {miss.position for miss in account.misses}
    lines += [f"  {show_at(miss.at)}  {miss.trigger.kind}: {show_moments(miss.text)}" for miss in account.misses]
    if account.state:
        count = len(account.rule.triggers)
        lines += [
            f"  {show_at(account.stop)}  {line}"
            for place, line in enumerate(account.state)
            if place not in told and (place < count or not told)
        ]
    return lines


def _remedies(account: Account) -> list[str]:
    if not account.remedies:
        if not account.tried:
            return []
        nothing = account.sought is not None or bool(account.state)
        return ["", "no small change was found that would have made it speak"] if nothing else []
    what = "it" if account.sought is None else f"that of {show_at(account.sought.at)}"
    lines = ["", f"would have sent {what}, verified by running it again:"]
    if not account.remedies[0].is_whole:
        lines = ["", "would have made a candidate, though no message, verified by running it again:"]
    for number, remedy in enumerate(account.remedies, 1):
        lines.append(f"  {number}. {'; and '.join(step.text for step in remedy.steps)}")
        lines += [f"{_SET}{quote(f'{path}={value}')}" for path, value in remedy.edits]
        lines.append(f"     → {_result(remedy)}")
    return lines


def _result(remedy: Remedy) -> str:
    sight = remedy.sight
    sent = sight.sent
    if sent is not None:
        message = "" if sent.message is None else f' "{" ".join(sent.message.text.split())}"'
        return f"sent at {show_at(sent.at)}{message}"
    return f"{_outcome(sight.last)}, at {show_at(sight.last.at)}"


def _fitted(line: str) -> list[str]:
    """The line in several, those behind the first as far in as its text begins. What is to be copied stays whole."""
    if len(line) <= WIDTH or line.startswith(_SET):
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return wrap(line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def as_json(account: Account) -> Json:
    """All of it, moments as RFC 3339."""
    return {
        "rule": account.rule.id,
        "path": account.rule.path,
        "line": account.rule.line,
        "mode": account.rule.mode,
        "user": account.user,
        "at": None if account.at is None else show_at(account.at),
        "from": show_at(account.start),
        "to": show_at(account.stop),
        "faults": account.faults,
        "candidates": [_sight_json(sight) for sight in account.sights],
        "candidates_in_all": account.made,
        "misses": [_miss_json(miss) for miss in account.misses],
        "state": list(account.state),
        "changes": [_remedy_json(remedy) for remedy in account.remedies],
        "changes_for": None if account.sought is None else show_at(account.sought.at),
    }


def _sight_json(sight: Sight) -> Json:
    decision = sight.decision
    return {
        **_decision_json(decision),
        "trigger": plain(decision.trigger),
        "event_id": decision.event_id,
        "variant": decision.variant,
        "message": None if decision.message is None else decision.message.text,
        "prompt": None if decision.message is None else decision.message.prompt or None,
        "made_by": [_event_json(event) for event in sight.made_by],
        "gates": [
            {"gate": gate, "open": reason is None, "reason": None if reason is None else explain(reason)}
            for gate, _, reason in sight.gates
        ],
        "later": [_decision_json(later) for later in sight.later],
    }


def _decision_json(decision: Decision) -> dict[str, Json]:
    return {
        "at": show_at(decision.at),
        "outcome": decision.outcome,
        "was": decision.was,
        "reason": None if decision.reason is None else explain(decision.reason),
    }


def _event_json(event: Event) -> Json:
    return {
        "at": show_at(event.at),
        "type": event.type,
        "id": event.id,
        "session": event.session,
        "data": event.data,
    }


def _miss_json(miss: Approach) -> Json:
    return {
        "trigger": miss.trigger.kind,
        "position": miss.position,
        "at": show_at(miss.at),
        "share": round(miss.share, 6),
        "text": miss.text,
        "event": None if miss.event is None else _event_json(miss.event),
    }


def _remedy_json(remedy: Remedy) -> Json:
    sent = remedy.sight.sent
    last = sent or remedy.sight.last
    return {
        "steps": [step.text for step in remedy.steps],
        "set": [{"path": path, "value": value} for path, value in remedy.edits],
        "added": [_event_json(event) for step in remedy.steps for event in step.added],
        "removed": [_event_json(event) for step in remedy.steps for event in step.removed],
        "verified": True,
        **_decision_json(last),
        "message": None if last.message is None else last.message.text,
    }
