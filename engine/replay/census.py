"""Which events a log has: their types, and the fields of their data. It judges nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from operator import attrgetter

from engine.core.groups import MISSING, value_of
from engine.core.model import LIFECYCLE_PREFIX, Event
from engine.loading.wording import listed, nearest, shorten

MESSAGE_EVENTS = frozenset(
    f"{LIFECYCLE_PREFIX}{word}"
    for word in ("delivered", "seen", "engaged", "answered", "dismissed", "muted", "expired")
)
FIELDS_MAX = 1000  # names that are kept to find near ones among


_KINDS: Mapping[type, str] = {
    str: "text", int: "number", float: "number", bool: "truth", list: "list", dict: "mapping",
}  # fmt: skip


class Census:
    """The events by type, counted and picked when first asked for: most replays have no rule that is silent."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self._counts: Counter[str] | None = None
        self._by_type: dict[str, list[Event]] | None = None

    @property
    def counts(self) -> Counter[str]:
        if self._counts is None:
            self._counts = Counter(map(attrgetter("type"), self.events))
        return self._counts

    def types(self, patterns: Iterable[str]) -> list[str]:
        """The types of the log that any of the patterns names."""
        exact = {pattern for pattern in patterns if not pattern.endswith("*")}
        prefixes = tuple(pattern[:-1] for pattern in patterns if pattern.endswith("*"))
        return [name for name in self.counts if name in exact or name.startswith(prefixes)]

    def of(self, types: Iterable[str]) -> Iterable[Event]:
        wanted = frozenset(types)
        return (event for event in self.events if event.type in wanted)

    def first(self, types: Sequence[str], most: int) -> Sequence[Event]:
        """The first events of the types, at most so many: in the order of the log, where there are more of them."""
        if len(types) == 1:
            return self.by_type.get(types[0], [])[:most]
        if sum(self.counts[name] for name in types) <= most:
            return [event for name in types for event in self.by_type[name]]
        return list(islice(self.of(types), most))

    def no_type(self, patterns: Sequence[str]) -> str:
        """That the log has none of the types, with a near name that it has."""
        text = f"the log has no event of type {listed(patterns, 'or')}"
        known = [name for name in self.counts if name.isprintable()]
        # What becomes of messages has fixed names: one that the log has not is no slip for another.
        plain = [pattern for pattern in patterns if "*" not in pattern and pattern not in MESSAGE_EVENTS]
        near = [name for name in (nearest(pattern, known) for pattern in plain) if name]
        return f'{text}; did you mean "{shorten(near[0])}"?' if near else text

    def has_field(self, types: Iterable[str], field: str) -> bool:
        """Whether any event of the types has a value, or null, at the path of ``field``."""
        return any(value_of(event, field) is not MISSING for name in types for event in self.by_type.get(name, ()))

    def kinds(self, types: Iterable[str], field: str) -> frozenset[str]:
        """The kinds of the values, but null, at the path of ``field`` in all events of the types: "text", "number" …"""
        found = {
            type(value_of(event, field)) for name in types for event in self.by_type.get(name, ())
        }  # types of values are few, however many events there are
        return frozenset(_KINDS[kind] for kind in found if kind in _KINDS)

    def fields(self, types: Iterable[str]) -> list[str]:
        """The names of the data fields of such events, as far as they are few enough to be meant one by one."""
        names: dict[str, None] = {}
        for name in types:
            for event in self.by_type.get(name, ()):
                names.update(dict.fromkeys(event.data))
                if len(names) > FIELDS_MAX:
                    return []
        return [name for name in names if name.isprintable()]

    @property
    def by_type(self) -> dict[str, list[Event]]:
        if self._by_type is None:
            self._by_type = {}
            for event in self.events:
                self._by_type.setdefault(event.type, []).append(event)
        return self._by_type
