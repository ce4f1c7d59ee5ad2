"""How much of a long piece of work is done at once, so that what waits beside it gets its turn soon.

It reads no clock: whoever works says how long it took.
"""

from __future__ import annotations

PIECE_S = 0.03  # of one piece: what an event may have to wait for behind it


class Pace:
    """``size`` things at once, ``first`` of them to begin with and never more than ``most``."""

    def __init__(self, first: int, most: int, piece_s: float = PIECE_S) -> None:
        self.size = first
        self._most = most
        self._piece_s = piece_s

    def took(self, seconds: float) -> None:
        """A piece of ``size`` took so long. The next is at most twice as large, for things are not all alike."""
        fitting = int(self.size * self._piece_s / max(seconds, 1e-6))
        self.size = max(1, min(fitting, 2 * self.size, self._most))
