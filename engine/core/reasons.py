"""Reasons as text. The core records a code and what it refers to; words are made here, when somebody looks."""

from __future__ import annotations

from functools import lru_cache

from engine.core.glance import glance
from engine.core.model import Reason
from engine.core.units import format_at, format_duration


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
        case "outranked":
            return f"outranked by {refs[0]}"
        case "render":
            return f"the template failed: {refs[0]}"
        case "fallback":
            return f"the fallback was sent, the template failed: {refs[0]}"
    raise AssertionError(f"no words for the reason {reason.code!r}")
