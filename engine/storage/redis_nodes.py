"""Which nodes of a cluster do not answer: found out while they are talked to, and they are asked again until they do.

It sends nothing itself, and knows neither keys nor slots. Whoever is gone holds up nobody who talks to others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import chain, repeat

import structlog
from redis.exceptions import RedisError

from engine.storage.redis_replicas import NotReplicated

Node = tuple[str, int]

SUSPECT_S = 0.3  # a node that owes an answer for so long is asked whether it is there
ASKED_S = 0.5  # that it has to say so
ASKED_TIMES = 3  # before it is gone: either side may be busy for a moment. All told that is less than a lease lasts
ASKED_TIMES_MAX = 9  # those included at which this process was the one that was late
ASKED_AGAIN_S = 5.0  # after it has said so, if it owes the answer still: some wait long on purpose
PAUSES_S = (0.1, 0.2, 0.4, 0.8, 1.0)  # before it is asked whether it is back

log = structlog.get_logger("proactive")


class NodeGone(ConnectionError):
    """Nothing was sent, for the node has not answered lately, and has not been heard of since."""


class Nodes:
    """``is_there`` asks a node for a word, as another connection would. ``is_back`` asks one that was gone whether it
    takes writes; both raise `RedisError` or OSError where not. ``shown`` is how it is called in the log.
    """

    def __init__(
        self,
        *,
        is_there: Callable[[Node], Awaitable[None]],
        is_back: Callable[[Node], Awaitable[None]],
        shown: Callable[[Node], str],
    ) -> None:
        self._is_there = is_there
        self._is_back = is_back
        self._shown = shown
        self._gone: dict[Node, Exception] = {}
        self._tasks: dict[Node, asyncio.Task[None]] = {}
        self._talks: dict[asyncio.Timeout, tuple[Node, float]] = {}
        self._said: dict[Node, float] = {}  # when one that owes an answer was last asked, and was there
        self._timer: asyncio.TimerHandle | None = None

    @property
    def gone(self) -> frozenset[Node]:
        return frozenset(self._gone)

    def check(self, nodes: Iterable[Node]) -> None:
        """Raises what was the matter where one of these is gone."""
        if self._gone:
            for node in nodes:
                if node in self._gone:
                    error = self._gone[node]
                    kind = NotReplicated if isinstance(error, NotReplicated) else NodeGone
                    raise kind(f"{self._shown(node)} is left out until it answers: {_words(error)}")

    @asynccontextmanager
    async def talking(self, node: Node) -> AsyncIterator[None]:
        """While something is asked of it. Raises `TimeoutError` as soon as it is found to be gone."""
        limit = asyncio.timeout(None)
        try:
            async with limit:
                self._talks[limit] = node, _seconds()
                self._watch()
                yield
        except (RedisError, OSError) as error:
            if node not in self._gone:
                await self._failed(node, error)
            raise
        finally:
            del self._talks[limit]

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # Inside.

    async def _failed(self, node: Node, error: Exception) -> None:
        """A connection may also be lost with a restart: then the node is there."""
        if not isinstance(error, TimeoutError):
            try:
                async with asyncio.timeout(ASKED_S):
                    await self._is_there(node)
                return
            except (RedisError, OSError) as trouble:
                error = trouble
        self._leave_out(node, error)

    def _leave_out(self, node: Node, error: Exception) -> None:
        if node in self._gone:
            return
        log.error("! a node is left out until it answers", node=self._shown(node), error=_words(error))
        self._gone[node] = error
        asking = self._tasks.get(node)
        self._tasks[node] = asyncio.create_task(self._wait_for(node), name="a node that is gone")
        if asking is not None and asking is not asyncio.current_task():
            asking.cancel()

    async def _wait_for(self, node: Node) -> None:
        for pause in chain(PAUSES_S, repeat(PAUSES_S[-1])):
            await asyncio.sleep(pause)
            try:
                await self._is_back(node)
                break
            except Exception as error:  # whatever it is, it must not leave the node out for ever
                self._gone[node] = error
        log.warning("= a node is left out no longer", node=self._shown(node))
        del self._gone[node], self._tasks[node]

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SUSPECT_S, self._look)

    def _look(self) -> None:
        """Ask those that owe an answer for long."""
        self._timer = None
        now = _seconds()
        for node, since in list(self._talks.values()):
            is_late = now - since >= SUSPECT_S and now - self._said.get(node, since - ASKED_AGAIN_S) >= ASKED_AGAIN_S
            if is_late and node not in self._tasks:
                self._tasks[node] = asyncio.create_task(self._suspect(node), name="a node that is late")
        if self._talks:
            self._watch()

    async def _suspect(self, node: Node) -> None:
        trouble: Exception | None = None
        tries = 0
        for _ in range(ASKED_TIMES_MAX):
            asked = _seconds()
            try:
                async with asyncio.timeout(ASKED_S):
                    await self._is_there(node)
                self._said[node] = _seconds()
                trouble = None
                break
            except (RedisError, OSError) as error:
                trouble = error
            tries += _seconds() - asked < 1.5 * ASKED_S
            if tries == ASKED_TIMES:
                break
        del self._tasks[node]
        # Whoever waits for it learns it now; it may have answered them all meanwhile.
        late = [limit for limit, (of, since) in self._talks.items() if of == node and _seconds() - since >= SUSPECT_S]
        if trouble is not None and late:
            self._leave_out(node, trouble)
            for limit in late:
                limit.reschedule(_seconds())


def _seconds() -> float:
    return asyncio.get_running_loop().time()


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or "no answer in time"
