"""Which event types cover which. Knows types and patterns only."""

from __future__ import annotations

from collections.abc import Iterable

from engine.core.matcher import Matcher


def covers(pattern: str, other: str) -> bool:
    """Whether every type that ``other`` stands for is one of ``pattern``'s; both may end in ``*``."""
    if pattern.endswith("*"):
        return other.removesuffix("*").startswith(pattern[:-1])
    return pattern == other


def are_covered(types: Iterable[str], matchers: Iterable[Matcher]) -> bool:
    """Whether each of the types is covered by one of the matchers, as far as types go."""
    patterns = [pattern for matcher in matchers for pattern in matcher.event_types]
    return all(any(covers(pattern, name) for pattern in patterns) for name in types)
