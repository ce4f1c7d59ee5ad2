"""The rules read slowly: at every event the user's whole history is scanned for what `rules` says of each.

It is what the others are judged by, and takes part in no race. It must share no code with any engine, and remembers
nothing from one event to the next but what has been consumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.peers import rules
from benchmarks.peers.rules import Event, Firing, Rule


def firings(events: Iterable[Event], told: Sequence[Rule]) -> set[Firing]:
    """What the rules do on events in order of time, up to the moment of the last event of all."""
    by_user: dict[str, list[Event]] = {}
    for event in events:
        by_user.setdefault(event["user"], []).append(event)
    end = max((event["at"] for history in by_user.values() for event in history), default=0)
    return {
        (user, rule.id, moment)
        for user, history in by_user.items()
        for rule in told
        for moment in _moments(rule, history, end)
    }


def _moments(rule: Rule, history: list[Event], end: int) -> list[int]:
    match rule:
        case rules.Plain():
            return [event["at"] for event in history if rule.on.holds(event)]
        case rules.Count():
            return _counted(rule, history)
        case rules.Sequence():
            return _followed(rule, history)
        case rules.Idle():
            nexts = [event["at"] for event in history[1:]] + [end + 1]
            moments = [event["at"] + rule.after for event in history]
            return [moment for moment, after in zip(moments, nexts, strict=True) if moment <= after and moment <= end]


def _counted(rule: rules.Count, history: list[Event]) -> list[int]:
    moments = []
    since: dict[object, int] = {}  # group → the place after the event at which it fired
    for place, event in enumerate(history):
        group = event.get(rule.by) if rule.by else None
        if not rule.on.holds(event) or (rule.by and group is None):
            continue
        window = [
            other
            for other in history[since.get(group, 0) : place + 1]
            if rule.on.holds(other)
            and (rule.by is None or other.get(rule.by) == group)
            and other["at"] > event["at"] - rule.within
        ]
        if len(window) >= rule.at_least:
            moments.append(event["at"])
            since[group] = place + 1
    return moments


def _followed(rule: rules.Sequence, history: list[Event]) -> list[int]:
    moments = []
    since = 0
    for place, event in enumerate(history):
        if rule.then.holds(event) and any(
            rule.first.holds(other) and other["at"] >= event["at"] - rule.within for other in history[since:place]
        ):
            moments.append(event["at"])
            since = place
    return moments
