"""What turns did, told to the operator: counters since the start, and a line of the log for each decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from engine.core.model import Decision, Json, Reason
from engine.core.reasons import explain
from engine.core.units import MINUTE, format_at
from engine.turn_work import STATE_UNREADABLE, TurnResult

_WITHOUT_VALUES: Mapping[str, str] = {
    "false": "its condition does not hold",
    "unknown": "its condition is unknown",
    "render": "its template failed",
    "fallback": "its fallback was sent, the template failed",
}

CLOCK_BEHIND_MAX = MINUTE  # a clock is set back by so much only where something is wrong

log = structlog.get_logger("live")


@dataclass(slots=True)
class Counters:
    """What the driver has done since it started, for `/healthz`."""

    events: int = 0
    decisions: int = 0
    commits: int = 0
    retries: int = 0
    faults: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)

    def shown(self) -> dict[str, Json]:
        return {
            "events": self.events,
            "decisions": self.decisions,
            "outcomes": dict(sorted(self.outcomes.items())),
            "commits": self.commits,
            "retries": self.retries,
            "faults": self.faults,
        }

    def count(self, result: TurnResult) -> None:
        """The turn is durable."""
        self.commits += 1
        self.events += sum(1 for entry in result.entries if entry.kind == "event") - len(result.repeated)
        self.decisions += len(result.decisions)
        self.faults += len(result.faults)
        for decision in result.decisions:
            self.outcomes[decision.outcome] = self.outcomes.get(decision.outcome, 0) + 1
            if decision.was is not None and self.outcomes.get(decision.was):
                self.outcomes[decision.was] -= 1  # the same candidate, which has come further


def tell(result: TurnResult) -> None:
    """A line for each decision and for each entry that was set aside."""
    if not (result.decisions or result.faults):
        return
    bound = log.bind()  # once for all of them: it looks up how lines are to be written
    for decision in result.decisions:
        bound.info(
            "> message" if decision.outcome == "sent" else "= decision",
            user_id=decision.user,
            rule_id=decision.rule,
            outcome=decision.outcome,
            at=format_at(decision.at),
            **_told(decision),
        )
    for fault in result.faults:
        # An error may quote what the user wrote; the store keeps all of it, beside the entry.
        if not fault.trace.startswith(STATE_UNREADABLE):  # that is told once, and not for each of the user's inputs
            bound.error("! set aside", user_id=fault.user, at=format_at(fault.at), trace=places_of(fault.trace))
        bound.debug("! set aside", user_id=fault.user, trace=fault.trace)


def tell_if_behind(now: int, recorded: int) -> None:
    """An error where the clock is behind ``recorded``, the latest moment of the log, by more than clocks are set."""
    if recorded > now + CLOCK_BEHIND_MAX:
        log.error(
            "! the clock is behind what was recorded: until it is there, no time passes and no timer fires",
            recorded=format_at(recorded),
        )


def _explained(reason: Reason) -> str:
    """Without what the user wrote: values that a condition saw, and what a template made of them, are not for a log."""
    return _WITHOUT_VALUES.get(reason.code) or explain(reason)


def places_of(trace: str) -> str:
    """Of a trace the places and the names of errors, without what these say; of any other text all."""
    if not trace.startswith("Traceback"):
        return trace
    kept: list[str] = []
    for line in trace.splitlines():
        if line.startswith(("Traceback", "  ")):
            kept.append(line)
        elif kept and kept[-1].startswith("  "):
            kept.append(line.partition(":")[0])
    return "\n".join(kept)


def _told(decision: Decision) -> dict[str, str]:
    """What a decision has besides its outcome, as far as it has it: the line of the log has no empty fields."""
    reason = None if decision.reason is None else _explained(decision.reason)
    told = {"reason": reason, "was": decision.was, "variant": decision.variant}
    return {name: value for name, value in told.items() if value is not None}
