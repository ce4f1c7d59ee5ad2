"""Two primaries of one store: the former, and the replica that took its place without the last it had."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis_server import replicated
from samples_for_fleets import told
from samples_for_stores import ANN, PARTITION_COUNT

from engine.storage.base import Commit, Conflict
from engine.storage.redis_fleet import RedisFleetStore


async def test_what_was_to_be_committed_at_the_former_primary_is_refused_where_others_have_gone_on(
    tmp_path: Path,
) -> None:
    async with AsyncExitStack() as opened:
        primary, replica = opened.enter_context(replicated(tmp_path))
        former = await RedisFleetStore.open(primary.address, partition_count=PARTITION_COUNT)
        opened.push_async_callback(former.close)
        await former.ingest([told(ANN, 1)])
        [share] = await former.take("w1", [0], lease_ms=1)
        primary.waits_for_replica()
        replica.ask("REPLICAOF", "NO", "ONE")
        await former.commit([Commit(0, share.batch.version, 0)])
        late = Commit(0, share.batch.version + 1, 1)
        new = await RedisFleetStore.open(replica.address, partition_count=PARTITION_COUNT)
        opened.push_async_callback(new.close)
        while not (taken := await new.take("w2", [0], lease_ms=60_000)):
            pass  # until the lease of the other is over
        with pytest.raises(Conflict):
            await new.commit([late])
        await new.commit([Commit(0, taken[0].batch.version, 1)])
