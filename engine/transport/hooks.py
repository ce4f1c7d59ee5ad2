"""The application's own code that hears of responses: called in their order, so many at once, never without a bound.

It makes nothing durable: a response that is told here stands in the log already, whatever becomes of the call.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

AT_ONCE = 64  # calls that are under way; what comes meanwhile waits for its turn
WAITING_MAX = 1_000  # responses that wait for a call; of those beyond it the application does not hear
KNOWN_MAX = 10_000  # responses, the latest, by which one that is sent again is known

# Called with the user, the id of the question, and the response, after the response is durable.
ResponseHook = Callable[[str, str, str], Awaitable[None]]

log = structlog.get_logger("proactive")


@dataclass(slots=True, eq=False)
class _Call:
    """``told`` is done when the hook has returned or raised, or will not be called."""

    user: str
    question: str
    response: str
    told: asyncio.Future[None]


class ResponseHooks:
    """Calls begin in the order of the responses; with more than one at once they may end in another."""

    def __init__(self, hook: ResponseHook, *, at_once: int = AT_ONCE, waiting_max: int = WAITING_MAX) -> None:
        self._hook = hook
        self._at_once = at_once
        self._waiting_max = waiting_max
        self._waiting: deque[_Call] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def tell(self, user: str, question: str, response: str, once_id: str = "") -> asyncio.Future[None]:
        """The application is to hear of it. What is returned is done when it has, or when it never will.

        A response of the user that is sent again with the same ``once_id`` is told once. It never fails; and whoever
        gives up waiting for it takes nothing back.
        """
        call = _Call(user, question, response, asyncio.get_running_loop().create_future())
        if once_id and (user, once_id) in self._known:
            _settle(call)
            return call.told
        if once_id:
            self._known[user, once_id] = None
            if len(self._known) > KNOWN_MAX:
                self._known.popitem(last=False)
        if len(self._tasks) < self._at_once:
            self._begin(call)
        elif len(self._waiting) < self._waiting_max:
            self._waiting.append(call)
        else:
            why = f"{self._at_once} calls are under way and {self._waiting_max} wait: let it return sooner"
            log.error("! on_user_response not called", user_id=user, message_id=question, why=why)
            _settle(call)
        return call.told

    def forget(self, user: str) -> None:
        """What waits of the user's is told to nobody. What the application has been told already is its own affair."""
        for known in [known for known in self._known if known[0] == user]:
            del self._known[known]
        for call in self._waiting:
            if call.user == user:
                _settle(call)
        self._waiting = deque(call for call in self._waiting if call.user != user)

    async def close(self) -> None:
        """Call it no more, and wait until the calls under way have been cancelled."""
        waiting, self._waiting = self._waiting, deque()
        for call in waiting:
            _settle(call)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(self, call: _Call) -> None:
        task = asyncio.get_running_loop().create_task(self._make(call))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._waiting:
            self._begin(self._waiting.popleft())

    async def _make(self, call: _Call) -> None:
        try:
            await self._hook(call.user, call.question, call.response)
        except Exception as error:
            # The hook is the application's code; the response is durable, and its client did nothing wrong.
            log.error("! on_user_response failed", user_id=call.user, why=f"{type(error).__name__}: {error}")
        finally:
            _settle(call)


def _settle(call: _Call) -> None:
    if not call.told.done():  # whoever waited may have gone away
        call.told.set_result(None)
