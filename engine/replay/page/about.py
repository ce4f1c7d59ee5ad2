"""What a report was made from, and words that all reports share. It gathers nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.core.units import SECOND, format_at
from engine.replay.page.document import Card
from engine.replay.report import span_told


@dataclass(frozen=True, slots=True)
class About:
    """What a report was made from. ``bad`` are the records that could not be read, by reason; ``declared`` is
    what logs say of themselves, such as that nobody did any of it; ``partial`` how far the run came where it was broken
    off, else "".
    """

    logs: Sequence[str] = ()
    rules: str = ""
    bad: Mapping[str, int] = field(default_factory=dict)
    until: int | None = None
    declared: Sequence[str] = ()
    partial: str = ""

    def labels(self) -> list[str]:
        found = [f"Partial: {self.partial}"] if self.partial else []
        return [*found, *self.declared]

    def origin(self) -> list[tuple[str, str]]:
        found = [("Log" if len(self.logs) == 1 else "Logs", ", ".join(self.logs))] if self.logs else []
        return found + ([("Rules", self.rules)] if self.rules else [])

    def bad_records(self) -> Card:
        reasons = ", ".join([f"{reason} {count:,}" for reason, count in self.bad.items()])
        return Card("Bad records", f"{sum(self.bad.values()):,}", reasons)


def span_text(first: int | None, last: int | None) -> str:
    """From when to when, and how long that is; "" where nothing happened."""
    if first is None or last is None:
        return ""
    return f"{moment(first)} to {moment(last)} ({span_told(last - first)})"


def number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def moment(at: int) -> str:
    """As the tables of the commands show it, to the second."""
    return format_at(at - at % SECOND).replace(".000000Z", "Z")
