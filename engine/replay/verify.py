"""Whether a replay reproduces what a server recorded: each user's decisions, in order, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.core.model import Decision
from engine.loading.diagnostic import counted
from engine.replay.driver import Ran
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


class Verification:
    """A study: whether each user's decisions are those that were ``recorded``. It keeps the first difference alone."""

    def __init__(self, recorded: Mapping[str, Sequence[bytes]]) -> None:
        self.recorded = recorded
        self._unseen = {user for user, lines in recorded.items() if lines}
        self._first: Difference | None = None

    def see(self, ran: Ran) -> None:
        self._unseen.discard(ran.user)
        self._note(difference(ran.user, self.recorded.get(ran.user, ()), ran.evaluated[0].decisions))

    def difference(self) -> Difference | None:
        """That of the first user, by name, who has one; None where all is reproduced exactly."""
        for user in sorted(self._unseen):
            self._note(difference(user, self.recorded[user], ()))
        return self._first

    def _note(self, found: Difference | None) -> None:
        if found is not None and (self._first is None or found.user < self._first.user):
            self._first = found


def difference(user: str, recorded: Sequence[bytes], reproduced: Sequence[Decision]) -> Difference | None:
    """The first one between a user's decisions, None where there is none."""
    found = [encode_decision(decision) for decision in reproduced]
    for index in range(max(len(recorded), len(found))):
        before = recorded[index] if index < len(recorded) else None
        after = found[index] if index < len(found) else None
        if before != after:
            return Difference(user, index + 1, before, after)
    return None


def verified(recorded: Mapping[str, Sequence[bytes]]) -> str:
    """What to say where there is no difference."""
    count = sum(len(lines) for lines in recorded.values())
    return f"verified: {counted(count, 'decision')} of {counted(len(recorded), 'user')} reproduced exactly"
