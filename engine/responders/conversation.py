"""What was said between a user and a responder, for the next answer: bounded, and known again after a restart.

It is read out of the log, where the user's messages and the answers stand as events; it writes nothing.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable

import structlog

from engine.core.model import Event
from engine.responders.base import Turn

USERS_MAX = 5_000  # whose conversations are kept at hand; the others are read again when they come back
CHARACTERS_MAX = 32_000  # of one conversation; the oldest beyond it are left out
EVENTS_MAX = 500  # of a user that are looked at for what was said
SAID_TYPES = {"chat_message": "user", "message.chat_response": "assistant"}

log = structlog.get_logger("proactive")


class Conversations:
    """The latest ``turns_max`` turns of each user. ``past`` gives a user's newest events of the log, oldest first."""

    def __init__(self, turns_max: int, past: Callable[[str, int], Awaitable[list[Event]]]) -> None:
        self._turns_max = turns_max
        self._past = past
        self._by_user: OrderedDict[str, deque[Turn]] = OrderedDict()

    async def history(self, user: str) -> tuple[Turn, ...]:
        """Oldest first. Nothing where the log cannot be read: an answer without a past is better than none."""
        if not self._turns_max:
            return ()
        if user not in self._by_user:
            try:
                events = await self._past(user, EVENTS_MAX)
            except Exception as error:
                log.error("! conversation not read", user_id=user, why=f"{type(error).__name__}: {error}")
                return ()
            # Another message of the user may have brought it meanwhile, and more may have been said since.
            if user not in self._by_user:
                self._of(user).extend([turn for event in events if (turn := _turn_of(event)) is not None])
        self._by_user.move_to_end(user)
        return _within(self._by_user[user])

    def heard(self, user: str, text: str) -> None:
        """The user has said this."""
        if user in self._by_user:
            self._by_user[user].append(Turn("user", text))

    def said(self, user: str, text: str) -> None:
        """The responder has said this to the user."""
        if user in self._by_user:
            self._by_user[user].append(Turn("assistant", text))

    def forget(self, user: str) -> None:
        self._by_user.pop(user, None)

    def _of(self, user: str) -> deque[Turn]:
        turns = self._by_user[user] = deque(maxlen=self._turns_max)
        if len(self._by_user) > USERS_MAX:
            self._by_user.popitem(last=False)
        return turns


def _turn_of(event: Event) -> Turn | None:
    role = SAID_TYPES.get(event.type)
    text = event.data.get("message")
    if role is None or not isinstance(text, str):
        return None
    return Turn("user" if role == "user" else "assistant", text)


def _within(turns: deque[Turn]) -> tuple[Turn, ...]:
    """The newest turns that together have no more than `CHARACTERS_MAX`."""
    kept: list[Turn] = []
    characters = 0
    for turn in reversed(turns):
        characters += len(turn.text)
        if characters > CHARACTERS_MAX:
            break
        kept.append(turn)
    return tuple(reversed(kept))
