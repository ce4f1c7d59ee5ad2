"""What a store on Redis promises of its writes: refused where it cannot be kept, and kept by what is asked of Redis."""

from __future__ import annotations

from typing import Any

import pytest
from redis_pairs import DEGRADE, STOP
from redis_server import RedisServer
from samples_for_stores import ANN, event
from structlog.testing import capture_logs

from engine.storage.base import StoreUnusable
from engine.storage.opening import notes_of, open_store
from engine.storage.redis_link import Address, told_of
from engine.storage.redis_opening import check_replicas
from engine.storage.redis_replicas import Level, NotReplicated, OnLoss, Promise, Replicas, asked

# When it starts


async def test_without_a_replica_it_stops_at_the_start_or_warns(server: RedisServer) -> None:
    with pytest.raises(StoreUnusable) as refused:
        await open_store(server.url, durability="replicated")
    assert "has no replica that is in step with it" in str(refused.value)
    assert "set on_replica_loss: degrade, or durability: local" in str(refused.value)
    with capture_logs() as logs:
        store = await open_store(server.url, durability="replicated", on_replica_loss="degrade")
        await store.append([event(ANN, 1)])
    assert [line["event"] for line in logs] == [
        "! no replica yet",
        "! no replica has what is written",
    ]
    assert len(notes_of(store)) == 1
    await store.close()
    reader = await open_store(server.url, read_only=True, durability="replicated")
    assert (await reader.describe())["entries"] == 1
    await reader.close()


def test_a_redis_that_refuses_writes_without_replicas_cannot_go_on_without_one() -> None:
    info = {"redis_version": "7.0.15", "slave0": "ip=1,state=online", "min_slaves_good_slaves": "1"}
    with capture_logs() as logs:
        check_replicas(info, "it", STOP)
        assert logs == []
        check_replicas(info, "it", DEGRADE)
    assert [line["event"] for line in logs] == ["! writes stop without a replica all the same"]


@pytest.mark.parametrize(
    ("url", "durability", "said"),
    [
        ("redis://localhost", "full", "expected local, replicated or strict with a store on Redis"),
        ("redis+cluster://localhost", "normal", "expected local, replicated or strict with a store on Redis"),
        ("sqlite:a.db", "local", "expected full or normal with a store in a file"),
        ("memory:", "strict", "expected full or normal with a store in a file"),
    ],
)
async def test_a_durability_of_another_kind_of_store_is_refused(url: str, durability: Any, said: str) -> None:
    with pytest.raises(StoreUnusable, match=said):
        await open_store(url, durability=durability)


def test_a_redis_that_does_not_know_its_disk_is_refused_where_the_disk_matters() -> None:
    later = {"redis_version": "7.2.0", "slave0": "ip=1,state=online"}
    check_replicas(later, "it", Promise("strict"))
    with pytest.raises(StoreUnusable, match=r"it is Redis 7.0.15, .*durability strict needs Redis 7.2 or later"):
        check_replicas(later | {"redis_version": "7.0.15"}, "it", Promise("strict"))
    with pytest.raises(StoreUnusable, match="has no replica that is in step"):
        check_replicas(later | {"slave0": "ip=1,state=wait_bgsave"}, "it", Promise("strict"))
    with pytest.raises(StoreUnusable, match=r"^it never says .*\(appendfsync no\).*: CONFIG SET appendfsync always"):
        check_replicas(later | {"appendfsync": "no"}, "it", Promise("strict"))
    check_replicas(later | {"appendfsync": "no"}, "it", Promise("replicated"))


# What is asked, and what its answer means


@pytest.mark.parametrize(
    ("level", "answer", "is_enough"),
    [
        ("replicated", 0, False),
        ("replicated", 1, True),
        ("replicated", 2, True),
        ("replicated", RuntimeError("WAIT is not for replicas"), False),
        ("strict", [1, 1], True),
        ("strict", [0, 1], False),
        ("strict", [1, 0], False),
    ],
)
def test_an_answer_is_enough_where_all_have_it_who_have_to(level: Level, answer: Any, is_enough: bool) -> None:
    stopping, going_on = Replicas(Promise(level), "it"), Replicas(Promise(level, "degrade"), "it")
    if is_enough:
        stopping.heard(answer, 0.0)
    else:
        with pytest.raises(NotReplicated) as refused:
            stopping.heard(answer, 0.0)
        assert told_of(refused.value, Address("it", 1, 0)).state == "read_only"
    with capture_logs():
        going_on.heard(answer, 0.0)
    assert going_on.are_lost is not is_enough


@pytest.mark.parametrize(
    ("level", "question"), [("local", None), ("replicated", ("WAIT", 1, 2000)), ("strict", ("WAITAOF", 1, 1, 3500))]
)
def test_what_is_asked_is_what_was_promised(level: Level, question: Any) -> None:
    assert Replicas(Promise(level), "it").question(0.0) == question


@pytest.mark.parametrize("patience", [1, 7, 8, 9, 900, 3500])
def test_for_disks_is_asked_in_parts_behind_the_writes_and_as_long_in_all(patience: int) -> None:
    assert asked(("WAIT", 1, patience)) == ([("WAIT", 1, patience)], [])
    at_once, later = asked(("WAITAOF", 1, 1, patience))
    assert at_once == []
    assert {part[:-1] for part in later} == {("WAITAOF", 1, 1)}
    lengths = [int(part[-1]) for part in later]
    assert lengths[0] == min(8, patience)
    assert sum(lengths) == patience
    assert all(0 < length <= 512 for length in lengths)


@pytest.mark.parametrize("on_loss", ["stop", "degrade"])
@pytest.mark.parametrize(
    ("promised", "none", "one", "looks_after_s", "look", "question"),
    [
        (("replicated", None), 0, 1, 1.0, ("WAIT", 1, 100), ("WAIT", 1, 2000)),
        (("strict", None), [1, 0], [1, 1], 20.0, ("WAITAOF", 1, 1, 2000), ("WAITAOF", 1, 1, 3500)),
        (("strict", 300), [0, 0], [1, 1], 3.0, ("WAITAOF", 1, 1, 300), ("WAITAOF", 1, 1, 300)),
    ],
    ids=["replicated", "strict", "impatient"],
)
def test_who_goes_on_without_replicas_looks_for_them_once_in_a_while(
    on_loss: OnLoss, promised: Any, none: Any, one: Any, looks_after_s: float, look: Any, question: Any
) -> None:
    level, patience_ms = promised
    replicas = Replicas(Promise(level, on_loss, patience_ms), "it")
    with capture_logs():
        try:
            replicas.heard(none, 10.0)
        except NotReplicated:
            assert replicas.question(10.0) == question
            return
        for at in (10.0, 10.0 + looks_after_s):
            assert replicas.question(at + looks_after_s - 0.01) is None
            assert replicas.question(at + looks_after_s) == look
            assert replicas.question(at + looks_after_s) is None
        replicas.heard(one, 60.0)
    assert replicas.question(60.0) == question
