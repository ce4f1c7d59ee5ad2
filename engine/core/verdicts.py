"""What every gate says of a candidate, also those behind the first that is closed. It decides and changes nothing.

`gates.closed` stops at the first; whoever wants to know what else would have stood in the way asks here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from engine.core.gates import GATES
from engine.core.model import Outcome, Reason
from engine.core.rules import Rule
from engine.core.scope import Scope

# As the gates are called where they are documented; those that are not here are called as their outcome.
_CALLED: Mapping[str, str] = MappingProxyType(
    {"absent": "presence", "muted": "preferences", "outranked": "simultaneous", "quiet_hours": "quiet hours"}
)


class Verdict(NamedTuple):
    """One gate: its name, the outcome that it gives a candidate, and why it is closed, None where it is open."""

    gate: str
    outcome: Outcome
    reason: Reason | None


def verdicts(rule: Rule, scope: Scope, sent_now: list[str]) -> tuple[Verdict, ...]:
    """Of all gates in their order; ``sent_now`` are the rules that have sent something by the same input."""
    return tuple([Verdict(_CALLED.get(name, name), name, gate(rule, scope, sent_now)) for name, gate in GATES])
