"""How long users were there, by the engine's own notion of presence. It evaluates nothing itself."""

from __future__ import annotations

from collections.abc import Iterable

from engine.core.model import Decision
from engine.core.rules import Timeline
from engine.core.units import format_duration
from engine.loading.load import load
from engine.triggers import KINDS

ARRIVAL, DEPARTURE = "arrival", "departure"


def presence_timeline(session_timeout: int) -> Timeline:
    """Rules whose decisions are the moments at which presence begins and ends, for `present_for`.

    To be run beside others: the engine then says itself who is present, and no second account of it can differ.
    """
    rules = "".join(
        f"  - {{id: {name}, trigger: {{session: {on}}}, mode: shadow, message: {{type: note, text: '-'}}}}\n"
        for name, on in ((ARRIVAL, "start"), (DEPARTURE, "end"))
    )
    timeout = format_duration(session_timeout)
    return Timeline(load({"": f"version: 1\npolicy: {{session_timeout: {timeout}}}\nrules:\n{rules}"}, KINDS))


def present_for(decisions: Iterable[Decision], end: int) -> int:
    """How long a user was present until ``end``, in microseconds. ``decisions`` are those of `presence_timeline`."""
    total, since = 0, None
    for decision in decisions:
        if decision.rule == ARRIVAL:
            since = decision.at
        elif since is not None:
            total += decision.at - since
            since = None
    return total if since is None else total + max(end - since, 0)
