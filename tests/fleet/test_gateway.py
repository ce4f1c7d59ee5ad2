from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from gateways import StandIn, until, until_known
from level1_client import (
    EventStreamConnection,
    Gone,
    Level1Client,
    LongPollConnection,
    WebSocketConnection,
    receive_all,
)
from storage.redis_server import RedisServer
from websockets.asyncio.client import connect

from engine.app import Gateway, Server
from engine.responders.base import ChatMessage
from engine.settings import Settings
from engine.storage.base import StoreUnusable
from engine.storage.opening import open_store

ASK = "how is it going?"
WITHIN_S = 20.0
RULES = "version: 1\nrules:\n  - {id: r, trigger: {event: hello}, message: {type: question, text: hi}}\n"


def settings(redis: RedisServer, **given: Any) -> Settings:
    return Settings(**{"ws_port": 0, "http_port": 0, "store": redis.url, **given})


@asynccontextmanager
async def gateways(redis: RedisServer, count: int = 2, **given: Any) -> AsyncIterator[tuple[StandIn, list[Gateway]]]:
    """Real ones with real doors, and somebody who stands in for the workers."""
    async with AsyncExitStack() as running:
        store: Any = await open_store(redis.url)
        running.push_async_callback(store.close)
        worker = StandIn(store)
        working = asyncio.create_task(worker.run())

        async def stop() -> None:
            working.cancel()
            await asyncio.wait([working])

        running.push_async_callback(stop)
        yield (
            worker,
            [await running.enter_async_context(Gateway(settings(redis, **given))) for _ in range(count)],
        )


async def hear(socket: Any) -> dict[str, Any]:
    async with asyncio.timeout(WITHIN_S):
        return dict(json.loads(await socket.recv()))


async def talk(connection: Any, client: Level1Client, condition: Any) -> None:
    """Carry frames both ways until it holds."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            await connection.send(client.take())
            if condition():
                return
            receive_all(client, await connection.receive())


def texts(client: Level1Client) -> list[str]:
    return [frame["message"] for frame in client.messages.values()]


async def test_a_plain_client_talks_to_a_gateway_as_to_a_server(redis: RedisServer) -> None:
    async with gateways(redis, 1) as (_, [gateway]), connect(gateway.ws_url) as socket:
        await socket.send('{"type": "ping", "clientId": "ann"}')
        assert await hear(socket) == {"type": "pong"}
        await socket.send('{"type": "chat_message", "message": "hi", "clientId": "ann"}')
        assert (await hear(socket))["type"] == "chat_response"
        await socket.send('{"type": "hello.there", "clientId": "ann"}')
        await socket.send('{"type": "hello", "protocol": 1, "clientId": "ann"}')
        assert (await hear(socket))["code"] == "bad_frame"
        await gateway.broadcast_to_all_clients("all", "question")
        assert (await hear(socket))["message"] == "all"
        assert (await gateway.record_event("ann", {"type": "go"}))[0]
        assert (await hear(socket))["message"] == ASK


async def test_a_plain_client_over_http_gets_what_waits_with_its_answer(redis: RedisServer) -> None:
    async with gateways(redis, 2) as (worker, [one, two]), aiohttp.ClientSession() as http:
        await one.record_event("ann", {"type": "go"})

        async def waiting() -> int:
            return len(await worker.store.pending("ann", 0))

        await until_known(waiting, 1)
        body = {"type": "chat_message", "message": "hi", "clientId": "ann"}
        async with http.post(f"{two.http_url}/chat", json=body) as response:
            told = await response.json()
        assert (told["type"], [each["message"] for each in told["messages"]]) == ("chat_response", [ASK])
        await until_known(waiting, 0)


@pytest.mark.parametrize("kind", [WebSocketConnection, EventStreamConnection, LongPollConnection])
async def test_a_session_begins_at_one_gateway_and_goes_on_at_another(redis: RedisServer, kind: Any) -> None:
    async with gateways(redis) as (worker, [one, two]):
        url = "ws_url" if kind is WebSocketConnection else "http_url"
        client = Level1Client("phone", "ann")
        before = await kind.open(getattr(one, url), client)
        client.say("go", text="first")
        await talk(before, client, lambda: texts(client) == ["first"] and not client.unacknowledged)
        client.lost()
        after = await kind.open(getattr(two, url), client)
        client.say("go", text="second")
        await talk(after, client, lambda: texts(client) == ["first", "second"] and not client.unacknowledged)
        assert (client.resumed, len(client.sessions), client.complaints) == (1, 1, [])
        if kind is WebSocketConnection:
            with pytest.raises(Gone) as gone:
                await talk(before, Level1Client("other"), lambda: False)
            assert gone.value.code == 4001
        await before.close()
        await after.close()
        assert worker.types().count("session.start") == 1


async def test_a_chat_is_answered_at_the_gateway_and_the_answer_kept(redis: RedisServer) -> None:
    async with gateways(redis, 2, responder="echo") as (worker, [one, two]):
        phone, desk = Level1Client("phone", "ann"), Level1Client("desk", "ann")
        at_one = await WebSocketConnection.open(one.ws_url, phone)
        at_two = await WebSocketConnection.open(two.ws_url, desk)
        phone.say("chat_message", message="hi")
        await talk(at_one, phone, lambda: phone.messages)
        [answer] = phone.messages.values()
        assert answer["type"] == "chat_response"
        desk.say("go")
        await talk(at_two, desk, lambda: texts(desk) == [ASK])
        assert [entry.message is not None for entry in worker.entries].count(True) == 1
        await at_one.close()
        await at_two.close()


async def test_a_chat_that_a_gateway_did_not_come_to_answer_is_answered_at_the_next(redis: RedisServer) -> None:
    asked: list[str] = []

    async def answer(message: ChatMessage) -> str:
        asked.append(message.message)
        if len(asked) == 1:
            await asyncio.Event().wait()
        return f"answer {len(asked)}"

    async with gateways(redis, 0) as (_, _none), AsyncExitStack() as running:
        one, two = [await running.enter_async_context(Gateway(settings(redis), responder=answer)) for _ in range(2)]
        two._parts().reception.chats._look_until = 0  # it has been there for long
        client = Level1Client("phone", "ann")
        before = await WebSocketConnection.open(one.ws_url, client)
        client.say("chat_message", message="hi")
        await talk(before, client, lambda: not client.unacknowledged)
        await until(lambda: asked == ["hi"])
        client.lost()
        after = await WebSocketConnection.open(two.ws_url, client)
        await talk(after, client, lambda: texts(client) == ["answer 2"])
        assert asked == ["hi", "hi"]
        await before.close()
        await after.close()


async def test_a_message_of_a_backend_reaches_users_of_all_gateways(redis: RedisServer) -> None:
    async with gateways(redis) as (_, [one, two]), aiohttp.ClientSession() as http:
        client = Level1Client("desk", "bob")
        connection = await WebSocketConnection.open(two.ws_url, client)
        await talk(connection, client, lambda: client.is_welcome)
        async with connect(two.ws_url) as unnamed:
            await unnamed.send('{"type": "ping"}')
            await hear(unnamed)
            body = {"to": {"all": True}, "type": "notification", "text": "all"}
            async with http.post(f"{one.http_url}/messages", json=body) as response:
                assert (response.status, (await response.json())["clients"]) == (202, ["bob"])
            await talk(connection, client, lambda: texts(client) == ["all"])
            assert (await hear(unnamed))["message"] == "all"
        await connection.close()


async def test_what_a_gateway_says_of_itself(redis: RedisServer) -> None:
    async with gateways(redis, 1) as (_, [gateway]), aiohttp.ClientSession(gateway.http_url) as http:
        async with http.get("/healthz") as response:
            health = await response.json()
        assert (health["status"], health["live"]["gateway"], "rules" in health) == ("ok", gateway.name, False)
        async with http.get("/readyz") as response:
            ready = await response.json()
        assert (response.status, ready["ready"]) == (200, True)
        assert ready["notes"] == ["no worker is alive: events are taken in and wait to be evaluated"]
        async with http.get("/metrics") as response:
            figures = await response.text()
        assert "proactive_ready 1.0" in figures
        async with http.post("/rules/reload") as response:
            told = await response.json()
        assert (response.status, told["code"]) == (404, "not_found")
        assert "workers take them from their files" in told["message"]
        async with http.get("/demo") as response:
            assert response.status == 200
            assert "<title>" in await response.text()
        with pytest.raises(RuntimeError, match="a gateway has no rules"):
            _ = gateway.rules


async def test_a_store_that_is_gone_is_told_and_nothing_is_acknowledged(redis: RedisServer) -> None:
    # Written each second, a file on a busy disk would lack what was acknowledged last, and the session with it.
    redis.ask("CONFIG", "SET", "appendfsync", "always")
    async with gateways(redis, 1) as (_, [gateway]), aiohttp.ClientSession(gateway.http_url) as http:
        client = Level1Client("phone", "ann")
        connection = await WebSocketConnection.open(gateway.ws_url, client)
        await talk(connection, client, lambda: client.is_welcome)
        redis.kill()
        client.say("go")
        await talk(connection, client, lambda: client.errors)
        assert (client.errors[0]["code"], client.unacknowledged) == ("not_stored", ["e1"])
        async with http.get("/readyz") as response:
            assert (response.status, (await response.json())["ready"]) == (503, False)
        redis.start()
        client.say_again("e1")
        await talk(connection, client, lambda: not client.unacknowledged)

        async def ready() -> int:
            async with http.get("/readyz") as response:
                return response.status

        await until_known(ready, 200)
        await connection.close()


async def test_a_user_is_erased_at_all_gateways(redis: RedisServer) -> None:
    async with gateways(redis) as (worker, [one, two]), aiohttp.ClientSession() as http:
        client = Level1Client("phone", "ann")
        connection = await WebSocketConnection.open(two.ws_url, client)
        client.say("go")
        await talk(connection, client, lambda: texts(client) == [ASK])
        async with http.delete(f"{one.http_url}/users/ann") as response:
            assert response.status == 200
            assert (await response.json())["erased"] > 0
        with pytest.raises(Gone) as gone:
            await talk(connection, client, lambda: False)
        assert gone.value.code == 1008
        assert (await worker.store.where(["ann"]), await worker.store.load(["ann"])) == ({}, {})
        await connection.close()


@pytest.mark.parametrize("store", ["memory:", "sqlite:{folder}/x.db"])
async def test_a_gateway_needs_a_store_that_can_be_shared(tmp_path: Path, store: str) -> None:
    gateway = Gateway(Settings(ws_port=0, http_port=0, store=store.format(folder=tmp_path)))
    with pytest.raises(StoreUnusable, match=r"^a gateway needs a store on Redis: set store to redis://"):
        await gateway.start()


async def test_a_server_and_a_gateway_keep_out_of_each_others_store(redis: RedisServer, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES, encoding="utf-8")
    async with Gateway(settings(redis)) as gateway:
        with pytest.raises(StoreUnusable, match=f"in use by the gateway {gateway.name}, and proactive serve shares it"):
            await Server(settings(redis, rules=rules)).start()
    async with Server(settings(redis, rules=rules)):
        with pytest.raises(StoreUnusable, match=r"in use by proactive serve \(.* process \d+\), which shares it with"):
            await Gateway(settings(redis)).start()
    async with Gateway(settings(redis)):
        pass


async def test_a_gateway_that_stops_asks_its_clients_to_go_elsewhere_and_ends_nothing(redis: RedisServer) -> None:
    async with gateways(redis, 1) as (worker, [stays]):
        leaves = Gateway(settings(redis))
        await leaves.start()
        client = Level1Client("phone", "ann")
        connection = await WebSocketConnection.open(leaves.ws_url, client)
        await talk(connection, client, lambda: client.is_welcome)
        stopping = asyncio.create_task(leaves.stop())
        with pytest.raises(Gone) as gone:
            await talk(connection, client, lambda: False)
        assert gone.value.code == 1001
        await stopping
        client.lost()
        connection = await WebSocketConnection.open(stays.ws_url, client)
        client.say("go")
        await talk(connection, client, lambda: texts(client) == [ASK])
        assert client.resumed == 1
        await connection.close()
        await until(lambda: "go" in worker.types())
        assert worker.types().count("session.end") == 0
