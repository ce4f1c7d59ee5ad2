"""What is asked of a primary's replicas behind a write, and what comes of it when none of them has it in time.

It sends nothing. One object is about one primary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import structlog

Question = tuple[str | int, ...]
Level = Literal["local", "replicated", "strict"]
OnLoss = Literal["stop", "degrade"]

# How long a write waits. A replica answers within a round trip; its disk, with appendfsync everysec, within two
# seconds. Both leave room in the five seconds of an exchange.
PATIENCE_MS = {"replicated": 2_000, "strict": 3_500}
# While it goes on without replicas it looks for one. So long a look may hold up the one write that takes it:
# with `strict`, as long as files take that are synced each second, or it would never find them.
LOOK_MS = {"replicated": 100, "strict": 2_000}
LOOK_EVERY = 10  # times as long passes between looks
FIRST_MS, LAST_MS = 8, 512  # of the parts of a question

log = structlog.get_logger("proactive")


class NotReplicated(TimeoutError):
    """It is written at the primary, and no replica has said in time that it has it too. Nobody may rely on it."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What holds of a write that was acknowledged, and what is done where that cannot be had.

    ``local``: the primary has it. ``replicated``: so has a replica, in its memory. ``strict``: the disks of both.
    ``patience_ms``: how long a write waits; None for that of `PATIENCE_MS`.
    """

    level: Level = "local"
    on_loss: OnLoss = "stop"
    patience_ms: int | None = None


LOCAL = Promise()


class Replicas:
    """``shown`` is how the primary is called in the log."""

    def __init__(self, promise: Promise, shown: str) -> None:
        self.are_lost = False  # it goes on without them
        self._promise = promise
        self._patience_ms = promise.patience_ms or PATIENCE_MS.get(promise.level, 0)
        self._look_ms = min(self._patience_ms, LOOK_MS.get(promise.level, 0))
        self._shown = shown
        self._look_at = 0.0

    def question(self, seconds: float) -> Question | None:
        """What to send behind writes, None for nothing. ``seconds`` only go forward."""
        level = self._promise.level
        if level == "local":
            return None
        patience = self._patience_ms
        if self.are_lost:
            if seconds < self._look_at:
                return None
            self._put_off(seconds)
            patience = self._look_ms
        return ("WAIT", 1, patience) if level == "replicated" else ("WAITAOF", 1, 1, patience)

    def heard(self, answer: Any, seconds: float) -> None:
        """What was answered to the question. Raises `NotReplicated` where nothing is to be acknowledged."""
        if is_enough(answer):
            if self.are_lost:
                log.warning("= replicas have what is written again", store=self._shown, durability=self._promise.level)
            self.are_lost = False
        elif self._promise.on_loss == "stop":
            raise NotReplicated(self._words(answer))
        elif not self.are_lost:
            self.are_lost = True
            self._put_off(seconds)
            log.warning(
                "! no replica has what is written",
                store=self._shown,
                durability="local",
                why=self._words(answer),
            )

    def _put_off(self, seconds: float) -> None:
        self._look_at = seconds + LOOK_EVERY * self._look_ms / 1000

    def _words(self, answer: Any) -> str:
        level = self._promise.level
        if isinstance(answer, Exception):
            return f"replicas cannot be waited for (durability {level}): {answer}"
        where = "a replica" if level == "replicated" else "the disks of the primary and a replica"
        said = f"not on {where} within {self._patience_ms / 1000:g} s (durability {level})"
        if isinstance(answer, list) and answer[0] and not answer[1]:
            said += "; the primary's has it, so look whether a replica has appendonly yes"
        return said


def is_enough(answer: Any) -> bool:
    """Whether it says that all have it who have to."""
    counts = answer if isinstance(answer, list) else [answer]
    return all(isinstance(count, int) and count >= 1 for count in counts)


def asked(question: Question) -> tuple[list[Question], list[Question]]:
    """What of it goes along with the writes; and what is asked when they are answered, until an answer is enough.

    A question for disks has the primary ask its replica once, which answers at once, and says more by itself only a
    second later. Along with the write it would be asked too early, before it has synced anything: so that is asked
    behind it, and again, in parts that take as long as the whole.
    """
    *words, left = question
    if words[0] != "WAITAOF" or not isinstance(left, int):
        return [question], []
    parts: list[Question] = []
    part = FIRST_MS
    while left > 0:
        parts.append((*words, min(part, left)))
        left -= part
        part = min(2 * part, LAST_MS)
    return [], parts
