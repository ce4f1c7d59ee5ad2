"""States at hand: copies of what the store has, so that it need not be asked for each. It reads and writes no store.

Of users who do something now the state is kept ready, of the others as bytes, which take a fifth of the room.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable

import structlog

from engine.core.state import StateUnreadable, StateVersionUnknown, UserState

READY_MAX = 2_000  # users whose states are kept ready, the latest
ENCODED_MAX = 100_000  # users of whom anything is kept; some 500 bytes each
LOOKED_AT_ONCE = 500  # states that are decoded without giving way
UNREADABLE = (StateUnreadable, StateVersionUnknown)  # what `restored` raises where the store is damaged
TOLD_MAX = 1_000  # users whose damage is not told again; beyond them the oldest may be

log = structlog.get_logger("states")


class StatesAtHand:
    """The latest states of users, each as it was last put here and as its bytes ("" for one that is not stored)."""

    def __init__(self, ready_max: int = READY_MAX, encoded_max: int = ENCODED_MAX) -> None:
        self._ready_max = ready_max
        self._encoded_max = encoded_max
        self._ready: OrderedDict[str, UserState] = OrderedDict()
        self._encoded: OrderedDict[str, bytes] = OrderedDict()
        self._marks: dict[str, tuple[int | None, bool]] = {}

    def __contains__(self, user: str) -> bool:
        return user in self._encoded

    def __len__(self) -> int:
        return len(self._encoded)

    def missing(self, users: Iterable[str]) -> list[str]:
        """Those of them of whom there is nothing here."""
        encoded = self._encoded
        return [user for user in users if user not in encoded]

    def get(self, user: str) -> tuple[UserState, bytes]:
        """The state, to be changed and put back, and its bytes before that. Raises KeyError and `UNREADABLE`."""
        encoded = self._encoded[user]
        state = self._ready.get(user)
        if state is None:
            state = self._ready[user] = restored(user, encoded)
        return state, encoded

    def encoded(self, user: str) -> bytes:
        """The bytes, be they a state or not. Raises KeyError."""
        return self._encoded[user]

    def put(self, user: str, encoded: bytes, state: UserState | None = None) -> None:
        """``state`` is what the bytes say, where it is at hand."""
        self._encoded[user] = encoded
        self._encoded.move_to_end(user)
        if state is not None:
            self._ready[user] = state
            self._ready.move_to_end(user)

    def has_moved(self, user: str, wake: int | None, is_present: bool) -> bool:
        """Whether these differ from what was told here last of the user; also where nothing was told yet."""
        mark = wake, is_present
        if self._marks.get(user) == mark:
            return False
        self._marks[user] = mark
        return True

    def forget_mark(self, user: str) -> None:
        """The store has something else than the state says."""
        self._marks.pop(user, None)

    def trim(self) -> None:
        """Forget what goes beyond the bounds, the users first who were put here longest ago."""
        while len(self._ready) > self._ready_max:
            self._ready.popitem(last=False)
        while len(self._encoded) > self._encoded_max:
            user, _ = self._encoded.popitem(last=False)
            self._ready.pop(user, None)
            self._marks.pop(user, None)

    def forget(self, user: str) -> None:
        self._ready.pop(user, None)
        self._encoded.pop(user, None)
        self._marks.pop(user, None)

    def forget_those(self, gone: Callable[[str], bool]) -> None:
        for user in [user for user in self._encoded if gone(user)]:
            self.forget(user)

    def clear(self) -> None:
        self._ready.clear()
        self._marks.clear()
        self._encoded.clear()


class Damage:
    """Users whose stored states cannot be read: an operator hears of each once, however often it is found out."""

    def __init__(self) -> None:
        self._told: OrderedDict[str, None] = OrderedDict()

    def tell(self, user: str, error: Exception) -> None:
        if user in self._told:
            return
        self._told[user] = None
        if len(self._told) > TOLD_MAX:
            self._told.popitem(last=False)
        log.error("! state cannot be read", user_id=user, why=str(error))

    def forget(self, user: str) -> None:
        self._told.pop(user, None)


def restored(user: str, encoded: bytes) -> UserState:
    """The state of these bytes, or of a user of whom nothing is known where there are none. Raises `UNREADABLE`."""
    return UserState.decode(encoded) if encoded else UserState(user)


async def readable(
    states: Iterable[tuple[str, bytes]], on_unreadable: Callable[[str, Exception], None]
) -> AsyncIterator[UserState]:
    """Those of many users' states that can be read, to be looked at; it gives way now and then, for others wait."""
    for number, (user, encoded) in enumerate(states, 1):
        try:
            state = restored(user, encoded)
        except UNREADABLE as error:
            on_unreadable(user, error)
            continue
        yield state
        if number % LOOKED_AT_ONCE == 0:
            await asyncio.sleep(0)


def at_hand_once(state: UserState, user: str, encoded: bytes) -> Callable[[], UserState]:
    """The state at hand the first time; after that it has been changed, and is decoded anew."""
    at_hand = [state]
    return lambda: at_hand.pop() if at_hand else restored(user, encoded)
