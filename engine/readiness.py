"""Whether the server should be given work, and why not: what `GET /readyz` says.

It looks at nothing itself: whoever knows the parts says how they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.core.model import Json

LISTED_MAX = 20  # problems of rule files that are listed; `/healthz` has them all


@dataclass(frozen=True, slots=True)
class Readiness:
    """``reasons`` why it is not ready, the most lasting first; none: it is. ``notes``: what somebody should look at."""

    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.reasons

    def shown(self) -> dict[str, Json]:
        """The body of the reply: ``{"ready": false, "reasons": […], "notes": […]}``."""
        return {"ready": self.ok, "reasons": list(self.reasons), "notes": list(self.notes)}


def readiness(
    *,
    stopping: bool,
    running: bool,
    store_trouble: str | None,
    memory_trouble: str | None,
    rules: int | None,
    rule_problems: Sequence[str],
    store_notes: Sequence[str] = (),
) -> Readiness:
    """Rule files that have errors make nobody wait: the rules that held go on holding. No rules at all are no server's
    purpose, but chat is answered and events are recorded, so that is a note as well; None where others evaluate."""
    reasons = []
    if stopping:
        reasons.append("the server is stopping")
    elif not running:
        reasons.append("no turns are taken: the live driver does not run")
    if store_trouble:
        reasons.append(f"the store cannot be written to: {store_trouble}")
    if memory_trouble:
        reasons.append(f"there is no memory: {memory_trouble}")
    notes = list(store_notes)
    if rules == 0:
        notes.append("there are no rules")
    if rule_problems:
        notes.append("the rule files have errors, the former rules go on holding")
        notes += rule_problems[:LISTED_MAX]
        if len(rule_problems) > LISTED_MAX:
            notes.append(f"… and {len(rule_problems) - LISTED_MAX:,} more")
    return Readiness(tuple(reasons), tuple(notes))
