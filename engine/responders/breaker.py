"""A circuit breaker: who fails again and again is left alone for a while. It reads no clock and asks nobody."""

from __future__ import annotations


class Breaker:
    """Open after ``after`` failures in a row, for ``seconds``; then one try decides whether it stays so."""

    def __init__(self, after: int, seconds: float) -> None:
        self._after = after
        self._seconds = seconds
        self._failures = 0
        self._open_until = 0.0
        self._is_trying = False

    def admits(self, now: float) -> bool:
        """Whether to ask now. Each that is admitted ends in `succeeded`, `failed` or `given_up`."""
        if self._failures < self._after:
            return True
        if now < self._open_until or self._is_trying:
            return False
        self._is_trying = True
        return True

    def succeeded(self) -> None:
        self._failures = 0
        self._is_trying = False

    def failed(self, now: float) -> None:
        self._failures += 1
        self._is_trying = False
        if self._failures >= self._after:
            self._open_until = now + self._seconds

    def given_up(self) -> None:
        """The try was cancelled: it says nothing of whoever was asked."""
        self._is_trying = False

    def is_open(self, now: float) -> bool:
        return self._failures >= self._after and now < self._open_until
