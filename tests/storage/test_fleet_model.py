"""Any course of sessions and messages leaves the store on Redis as it leaves the model: Lua does what Python does."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from samples_for_fleets import Clock, end_of, taken_up, told
from samples_for_stores import ANN, BOB, DAN, PARTITION_COUNT, outgoing

from engine.storage.base import OutboxMessage
from engine.storage.fleet import FleetStore, Presence
from engine.storage.memory_fleet import MemoryFleetStore

USERS = [ANN, BOB, DAN]
GATEWAYS = ["g1", "g2", "g3"]
SESSIONS = ["s1", "s2", "s3"]


async def test_a_gateway_that_was_lost_long_ago_is_lost_until_somebody_says_farewell_for_it() -> None:
    clock = Clock()
    model = MemoryFleetStore(clock, PARTITION_COUNT)
    await model.beat("gateway", "g1", 10_000)
    clock.now += 40 * 24 * 3_600_000_000
    for _ in range(2):
        assert list((await model.beat("worker", "w1", 10_000)).lost) == ["g1"]
    await model.leave("gateway", "g1")
    assert (await model.beat("worker", "w1", 10_000)).lost == {}
    await model.close()


async def look(store: FleetStore) -> object:
    return (
        await store.where(USERS),
        sorted(await store.connected()),
        [await store.former(user, session) for user in USERS for session in SESSIONS],
        [await store.users_of(client) for client in ("phone", "desk", "")],
        [await store.sessions_at(gateway, number) for gateway in GATEWAYS for number in (0, 1)],
        [[each.message.id for each in await store.pending(user, 0)] for user in USERS],
        [[waiting.message.id for _, waiting in (await store.unsent({number: 0}, 999))[number]] for number in (0, 1)],
        [[entry.once_id for entry in await store.log(number, 0, 999)] for number in (0, 1)],
    )


async def put(store: FleetStore, messages: list[OutboxMessage]) -> None:
    for number, users in ((0, (ANN, BOB)), (1, (DAN,))):
        commit = await taken_up(store, partition=number)
        commit.outbox = [message for message in messages if message.user in users]
        await store.commit([commit])


def course(chance: Random, count: int) -> list[tuple[str, list[object]]]:
    """Names of calls with what they are given, each likely to concern what others did."""
    calls: list[tuple[str, list[object]]] = []
    ids: dict[str, list[str]] = {user: ["unknown"] for user in USERS}
    for number in range(count):
        user, gateway, session = chance.choice(USERS), chance.choice(GATEWAYS), chance.choice(SESSIONS)
        messages = [(user, chance.choice(ids[user][-5:])) for _ in range(3)]
        kind = chance.choice(("ingest", "ingest", "ingest", "resume", "put", "put", "reached", "reached", "withdraw"))
        if kind == "ingest":
            entries = [told(chance.choice(USERS), chance.randint(0, 40)) for _ in range(chance.randint(0, 4))]
            presence = [
                Presence(user, chance.choice(SESSIONS), chance.random() < 0.6, chance.choice(("", "phone", "desk")))
                for _ in range(chance.randint(0, 3))
            ]
            ending = [each for each in presence if chance.random() < 0.5]
            entries += [end_of(each.user, each.session, once=chance.random() < 0.2) for each in ending]
            chance.shuffle(entries)
            calls.append((kind, [entries, presence, gateway]))
        elif kind == "resume":
            calls.append((kind, [gateway, user, session]))
        elif kind == "put":
            calls.append((kind, [[outgoing(user, number)]]))
            ids[user].append(f"{user}-{number}")
        elif kind == "reached":
            calls.append((kind, [gateway, messages]))
        else:
            calls.append((kind, [messages[:1]]))
    return calls


async def does(store: FleetStore, name: str, given: list[object]) -> object:
    if name == "put":
        return await put(store, *given)  # type: ignore[arg-type]
    done = await getattr(store, name)(*given)
    return [each.is_repeated for each in done] if name == "ingest" else done


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_to_sessions_and_messages_the_store_is_as_the_model(
    fleet_store: FleetStore, seed: int
) -> None:
    model: FleetStore = MemoryFleetStore(Clock(), PARTITION_COUNT)
    for place, (name, given) in enumerate(course(Random(seed), 150)):
        assert await does(fleet_store, name, given) == await does(model, name, given), (place, name, given)
        if place % 5 == 0:
            assert await look(fleet_store) == await look(model), (place, name, given)
    await asyncio.gather(fleet_store.close(), model.close())
