"""Reasons as text. The core records a code and what it refers to; words are made here, when somebody looks."""

from __future__ import annotations

from functools import lru_cache

from engine.core.glance import glance
from engine.core.model import Reason
from engine.core.units import format_at, format_duration

_LEVELS = {"off": "nothing", "less": "less", "normal": "as much as usual", "more": "more"}


def explain(reason: Reason) -> str:
    """One line, lower case, no full stop. The same reason gives the same text."""
    if reason.code != "false":
        return _explain(reason)
    # Values of any type, of which some cannot be hashed, and 1 and true are one to a cache.
    source, *seen = reason.refs
    values = ", ".join([f"{name} is {glance(value)}" for name, value in zip(seen[::2], seen[1::2], strict=True)])
    return f"condition does not hold: {source}" + (f" ({values})" if values else "")


@lru_cache(maxsize=1024)  # most reasons are the same few again and again
def _explain(reason: Reason) -> str:
    refs = reason.refs
    match reason.code:
        case "unknown":
            return f"condition is unknown, {refs[1]}: {refs[0]}"
        case "absent":
            return "the user has no open session"
        case "warmup":
            return f"the session is younger than {format_duration(refs[0])}, until {format_at(refs[1])}"
        case "cooldown":
            return f"cooldown of {format_duration(refs[0])} until {format_at(refs[1])}"
        case "cap":
            per = refs[1] if isinstance(refs[1], str) else format_duration(refs[1])
            return f"already sent {refs[0]} of {refs[0]} per {per}"
        case "backoff":
            times = "once" if refs[3] == 1 else f"{refs[3]} times"
            span, was = format_duration(refs[0]), format_duration(refs[2])
            return f"cooldown of {span} until {format_at(refs[1])}, {was} before it was dismissed {times}"
        case "held":
            return f"its message of {format_at(refs[0])} is still held"
        case "level":
            return f"the user wants to hear {_LEVELS[refs[0]]}, the rule is of level {refs[1]}"
        case "muted":
            return "the user has muted everything" if refs[0] == "*" else f"the user has muted {refs[0]}"
        case "snoozed":
            what = "everything" if refs[0] in ("", "*") else refs[0]
            return f"the user has snoozed {what} until {format_at(refs[1])}"
        case "quiet_hours":
            return f"quiet hours {refs[0]}" + (f" until {format_at(refs[1])}" if refs[1] is not None else "")
        case "budget":
            per = refs[2] if isinstance(refs[2], str) else format_duration(refs[2])
            return f"budget {refs[0]} is used up, {refs[1]} per {per}"
        case "holdout":
            return f"the user is held out by the {refs[0]}"
        case "held_quiet":
            return f"held until quiet hours end, {format_at(refs[0])}"
        case "held_moment":
            return f"held for a good moment, until {format_at(refs[0])} at the latest"
        case "no_room":
            return f"{refs[0]} messages are held for the user already"
        case "expiry":
            return f"it expired at {format_at(refs[0])}"
        case "no_moment":
            return f"no good moment came within {format_duration(refs[0])}"
        case "cancel_on":
            return f"withdrawn by {refs[0]}"
        case "rule_gone":
            return "its rule is gone, or sends no more"
        case "outranked":
            return f"outranked by {refs[0]}"
        case "render":
            return f"the template failed: {refs[0]}"
        case "fallback":
            return f"the fallback was sent, the template failed: {refs[0]}"
    raise AssertionError(f"no words for the reason {reason.code!r}")
