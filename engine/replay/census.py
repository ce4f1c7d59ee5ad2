"""Which events a log has: their types, and the fields of their data. It judges nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

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


class TypeCounts:
    """How many events there are of each type. What it tells of several types is in the order of ``counts``."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self.counts: Counter[str] = Counter(counts)
        self.total = self.counts.total()

    def types(self, patterns: Iterable[str]) -> list[str]:
        """The types of the log that any of the patterns names."""
        exact = {pattern for pattern in patterns if not pattern.endswith("*")}
        prefixes = tuple(pattern[:-1] for pattern in patterns if pattern.endswith("*"))
        return [name for name in self.counts if name in exact or name.startswith(prefixes)]

    def no_type(self, patterns: Sequence[str]) -> str:
        """That the log has none of the types, with a near name that it has."""
        text = f"the log has no event of type {listed(patterns, 'or')}"
        known = [name for name in self.counts if name.isprintable()]
        # What becomes of messages has fixed names: one that the log has not is no slip for another.
        plain = [pattern for pattern in patterns if "*" not in pattern and pattern not in MESSAGE_EVENTS]
        near = [name for name in (nearest(pattern, known) for pattern in plain) if name]
        return f'{text}; did you mean "{shorten(near[0])}"?' if near else text


class Census(TypeCounts):
    """All events by type, at hand."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.by_type: dict[str, list[Event]] = {}
        for event in events:
            self.by_type.setdefault(event.type, []).append(event)
        super().__init__({name: len(mine) for name, mine in self.by_type.items()})

    def of(self, types: Iterable[str]) -> Iterator[Event]:
        """The events of the types, type by type."""
        return (event for name in types for event in self.by_type.get(name, ()))

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
