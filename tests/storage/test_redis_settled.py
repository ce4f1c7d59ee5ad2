"""What a user settled is looked for where it lies, in calls of bounded size; little of what is looked at comes here."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from redis_server import running
from samples_for_stores import ANN, PARTITION_COUNT
from test_fleet_big_entries import MANY, MIB, big

from engine.core.model import Event
from engine.storage.base import Entry
from engine.storage.redis_fleet import RedisFleetStore
from engine.storage.redis_settled import BYTES_AT_ONCE, CALLS_MAX, LOOKED_AT_ONCE

ANSWERED = frozenset({"message.answered"})


def answered(text: str = "") -> Entry:
    return Entry("event", 0, ANN, Event("message.answered", ANN, 0, {"response": text}))


async def test_of_big_entries_fewer_are_looked_at_in_one_call_and_of_many_there_is_an_end(tmp_path: Path) -> None:
    async with AsyncExitStack() as opened:
        server = opened.enter_context(running(tmp_path))
        store = await RedisFleetStore.open(server.address, partition_count=PARTITION_COUNT)
        opened.push_async_callback(store.close)
        replies: list[list[Any]] = []
        ask = store._ask

        async def asked(calls: Any, **how: Any) -> list[Any]:
            found = await ask(calls, **how)
            replies.append(found[0])
            return found

        first = (await store.ingest([answered("x" * MIB)]))[0].entry
        for number in range(MANY):
            await store.ingest([big(number)])
        store._ask = asked  # type: ignore[method-assign]
        assert (await store.settled(ANN, first.at, ANSWERED)).entries == [first]
        assert len(replies) == MANY * MIB // BYTES_AT_ONCE + 1
        assert [len(entries) for entries, *_ in replies] == [0] * (len(replies) - 1) + [2]
        replies.clear()
        for _ in range(MANY):
            await store.ingest([answered("x" * MIB)])
        replies.clear()
        assert len((await store.settled(ANN, first.at, ANSWERED)).entries) == MANY + 1
        assert max(sum(map(len, entries)) for entries, *_ in replies) < BYTES_AT_ONCE + 2 * MIB
        replies.clear()
        for start in range(CALLS_MAX):
            await store.ingest([big(100 + start * LOOKED_AT_ONCE + n, 1) for n in range(LOOKED_AT_ONCE)])
        replies.clear()
        assert (await store.settled(ANN, first.at, ANSWERED)).entries == []
        assert len(replies) == CALLS_MAX
