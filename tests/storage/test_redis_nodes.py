"""Which nodes of a cluster are left out, and for how long."""

from __future__ import annotations

import asyncio

import pytest

from engine.storage.redis_nodes import Node, NodeGone, Nodes
from engine.storage.redis_replicas import NotReplicated

ONE, TWO = ("a", 1), ("b", 2)


class Cluster:
    """Nodes answer a question whether they are there, or do not."""

    def __init__(self) -> None:
        self.away: set[Node] = set()
        self.asked = 0
        self.fault: Exception | None = None
        self.nodes = Nodes(is_there=self._ask, is_back=self._ask, shown=lambda node: node[0])

    async def _ask(self, node: Node) -> None:
        self.asked += 1
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        if node in self.away:
            raise ConnectionError("refused")

    async def fail(self, node: Node, error: Exception) -> None:
        with pytest.raises(type(error)):
            async with self.nodes.talking(node):
                raise error

    async def is_back(self) -> None:
        async with asyncio.timeout(20):
            while self.nodes.gone:  # noqa: ASYNC110  (nobody tells)
                await asyncio.sleep(0)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


async def test_a_connection_that_is_lost_while_its_node_is_there_leaves_nobody_out(cluster: Cluster) -> None:
    await cluster.fail(ONE, ConnectionError("reset"))
    assert (cluster.nodes.gone, cluster.asked) == (frozenset(), 1)


@pytest.mark.parametrize("error", [ConnectionError("reset"), TimeoutError()], ids=["refused", "silent"])
async def test_a_node_that_is_gone_is_left_out_until_it_is_back(cluster: Cluster, error: Exception) -> None:
    cluster.away = {ONE}
    await cluster.fail(ONE, error)
    assert cluster.nodes.gone == {ONE}
    cluster.nodes.check([TWO])
    with pytest.raises(NodeGone, match="a is left out until it answers"):
        cluster.nodes.check([TWO, ONE])
    cluster.fault = RuntimeError("a fault of ours")  # it must not be forgotten by it
    while cluster.fault is not None:  # noqa: ASYNC110  (nobody tells)
        await asyncio.sleep(0)
    cluster.away = set()
    await cluster.is_back()
    cluster.nodes.check([ONE])
    await cluster.nodes.close()


async def test_what_is_not_at_a_replica_stays_that_error(cluster: Cluster) -> None:
    cluster.away = {ONE}
    await cluster.fail(ONE, NotReplicated("no replica"))
    with pytest.raises(NotReplicated, match="no replica"):
        cluster.nodes.check([ONE])
    await cluster.nodes.close()


async def test_who_waits_for_a_node_that_has_gone_is_told_and_who_waits_for_one_that_is_there_is_not(
    cluster: Cluster,
) -> None:
    cluster.away = {ONE}
    answered = asyncio.Event()

    async def wait(node: Node) -> None:
        async with cluster.nodes.talking(node):
            await answered.wait()

    other = asyncio.create_task(wait(TWO))
    with pytest.raises(TimeoutError):
        await wait(ONE)
    assert cluster.nodes.gone == {ONE}
    assert not other.done()
    answered.set()
    await other
    await cluster.nodes.close()
