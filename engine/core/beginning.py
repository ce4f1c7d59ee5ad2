"""Where the part of a log that was kept begins: what all before it has come to for a user. It moves no time.

A server folds entries that are older than it keeps into states. A dry run of what is left takes such a state for the
first thing that happens to the user, so that whoever runs a user's events need not know of it.
"""

from __future__ import annotations

from engine.core.adoption import Run, adopt
from engine.core.model import Event
from engine.core.rules import RuleSet, Timeline
from engine.core.state import UserState


class Beginning(Event, frozen=True, gc=False):
    """Stands before a user's events, at the moment up to which the log was folded. No rule sees it.

    ``state`` is encoded; ``rules_hash`` names the rule set that it had adopted. ``past`` are events before it that rule
    sets which began later may ask for, oldest first.
    """

    state: bytes = b""
    rules_hash: str = ""
    past: tuple[Event, ...] = ()


def begin(timeline: Timeline, state: UserState, beginning: Beginning, run: Run) -> RuleSet | None:
    """The state becomes the one in which the log begins. The rule set that it has adopted only now, None for none.

    Under other rules than those that were recorded, these are adopted at once: what is known of the user stays, what
    triggers remember as far as they are written alike. Setting the next wake-up is left to the caller then.
    """
    known = UserState.decode(beginning.state)
    for name in UserState.__slots__:
        setattr(state, name, getattr(known, name))
    index = timeline.holding(state.rules_since)
    if timeline.rule_sets[index].hash == beginning.rules_hash:
        return None
    index = timeline.holding(beginning.at)
    adopt(timeline, index, state, [], run)
    return timeline.rule_sets[index]
