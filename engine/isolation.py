"""One user's inputs, evaluated so that a fault of ours costs no more than the input it lies in.

Both drivers, the live one and the dry run, evaluate through here.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from engine.core.evaluate import advance, apply
from engine.core.model import Decision, Event
from engine.core.rules import Timeline
from engine.core.state import UserState


@dataclass(slots=True)
class Evaluated:
    """What came of it. ``faults``: the place of the event among the inputs (None: time itself), and the traceback."""

    state: UserState
    decisions: list[Decision]
    faults: list[tuple[int | None, str]] = field(default_factory=list)


def evaluate_user(
    timeline: Timeline, restore: Callable[[], UserState], events: Sequence[Event], until: int | None
) -> Evaluated:
    """Apply the events in order, then let time run to ``until`` (not at all where it is None).

    ``restore`` gives the state before the first of them, anew each time it is called. An event on which
    evaluation raises is left out, as if it had not been: state and decisions are those of the others.
    """
    left_out: dict[int | None, str] = {}
    while True:
        state = restore()
        decisions: list[Decision] = []
        place: int | None = None
        try:
            for place, event in enumerate(events):
                if place not in left_out:
                    apply(timeline, state, event, decisions)
            place = None
            if until is not None and None not in left_out:
                advance(timeline, state, until, decisions)
        except Exception:
            left_out[place] = traceback.format_exc(limit=-8)
            continue
        return Evaluated(state, decisions, list(left_out.items()))
