"""Whether a replay reproduces what a server recorded: each user's decisions, in order, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.core.model import Decision
from engine.loading.diagnostic import counted
from engine.storage.codec import encode_decision


@dataclass(frozen=True, slots=True)
class Difference:
    """The first decision of a user that is not the same; ``number`` counts from 1. None: there is no such one."""

    user: str
    number: int
    recorded: bytes | None
    reproduced: bytes | None

    def __str__(self) -> str:
        return (
            f'differs: decision {self.number} of user "{self.user}"\n'
            f"recorded:   {_shown(self.recorded)}\n"
            f"reproduced: {_shown(self.reproduced)}"
        )


def _shown(line: bytes | None) -> str:
    return "none" if line is None else line.decode("utf-8", "replace")


def compare(recorded: Mapping[str, Sequence[bytes]], reproduced: Mapping[str, Sequence[Decision]]) -> Difference | None:
    """The first difference of the first user, by name, who has one; None where all is reproduced exactly."""
    for user in sorted({*recorded, *reproduced}):
        expected = recorded.get(user, ())
        found = [encode_decision(decision) for decision in reproduced.get(user, ())]
        for index in range(max(len(expected), len(found))):
            before = expected[index] if index < len(expected) else None
            after = found[index] if index < len(found) else None
            if before != after:
                return Difference(user, index + 1, before, after)
    return None


def verified(recorded: Mapping[str, Sequence[bytes]]) -> str:
    """What to say where `compare` found nothing."""
    count = sum(len(lines) for lines in recorded.values())
    return f"verified: {counted(count, 'decision')} of {counted(len(recorded), 'user')} reproduced exactly"
