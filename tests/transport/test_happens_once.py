"""What is sent again with its id happens once, whoever sends it and whatever it is; nothing else is taken for it."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import aiohttp
import jwt
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from engine import Server
from engine.settings import Auth, Limits, Tokens

WITHIN_S = 20.0  # only a hang takes as long
SECRET = "a secret of more than thirty-two bytes"
THANKS = """\
version: 1
rules:
  - {id: thanks, trigger: {event: message.answered}, message: {type: notification, text: Thanks}}
"""


async def say(socket: ClientConnection, **frame: Any) -> None:
    await socket.send(json.dumps(frame))


async def hear(socket: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(WITHIN_S):
        while True:
            frame = json.loads(await socket.recv())
            assert isinstance(frame, dict)
            if frame["type"] == kind:
                return frame


async def hello(socket: ClientConnection, client: str, user: str = "ann") -> None:
    await say(socket, type="hello", protocol=1, clientId=client, user=user)
    await hear(socket, "preferences")


async def logged(server: Server, kind: str) -> list[str]:
    """The types of the events, or the texts of the sends, that stand in the log."""
    store = server._parts().store
    entries = [entry for part in range(store.partition_count) for entry in await store.log(part, 0, 100_000)]
    if kind == "send":
        return [entry.message.text for entry in entries if entry.message is not None]
    return [entry.event.type for entry in entries if entry.event is not None]


async def test_a_response_that_is_sent_again_answers_once_and_is_told_once(start_server: Any) -> None:
    told: list[tuple[str, str, str]] = []

    async def on_user_response(user: str, question: str, response: str) -> None:
        told.append((user, question, response))

    server = await start_server(THANKS, on_user_response=on_user_response)
    async with connect(server.ws_url) as socket:
        await hello(socket, "laptop")
        for _ in range(3):
            await say(socket, type="user_response", questionId="q1", response="Yes", id="r1")
            assert (await hear(socket, "ack"))["ids"] == ["r1"]
        # Another one, of the same words, is told as well; and calls begin in their order.
        await say(socket, type="user_response", questionId="q1", response="Yes", id="r2")
        await hear(socket, "ack")
    await server.stop()
    assert told == [("ann", "q1", "Yes")] * 2


async def test_what_rules_hear_of_a_response_that_is_sent_again_happens_once(start_server: Any) -> None:
    server = await start_server(THANKS)
    async with aiohttp.ClientSession(server.http_url) as http, connect(server.ws_url) as socket:
        await hello(socket, "laptop")
        response = {"type": "user_response", "questionId": "q1", "response": "Yes", "id": "r1"}
        for _ in range(2):
            await say(socket, **response)
            await hear(socket, "ack")
        for _ in range(2):
            async with http.post("/events", json={**response, "id": "r2", "clientId": "ann"}) as reply:
                assert reply.status == 202
        assert (await logged(server, "event")).count("message.answered") == (await logged(server, "event")).count(
            "user_response"
        )


@pytest.mark.parametrize(("one", "other"), [(("a", "b/c"), ("a/b", "c")), (("a%2Fb", "c"), ("a/b", "c"))])
async def test_two_devices_whose_names_have_slashes_lose_no_event(
    server: Server, one: tuple[str, str], other: tuple[str, str]
) -> None:
    for number, (client, event_id) in enumerate((one, other)):
        async with connect(server.ws_url) as socket:
            await hello(socket, client)
            await say(socket, type=f"event.{number}", id=event_id)
            assert (await hear(socket, "ack"))["ids"] == [event_id]
    assert {"event.0", "event.1"} <= set(await logged(server, "event"))


async def test_a_message_with_an_id_is_sent_once_however_much_happens_between(start_server: Any) -> None:
    server = await start_server(limits=Limits(user_events_per_s=None, client_events_per_s=None))
    order = {"to": {"user": "ann"}, "type": "question", "text": "How is it going?", "id": "monday-1"}
    async with aiohttp.ClientSession(server.http_url) as http:
        replies = []
        for between in (3, 0, 0):
            async with http.post("/messages", json=order) as reply:
                replies.append(await reply.json())
            for _ in range(between):
                await http.post("/events", json=[{"type": "edit", "clientId": "ann"}] * 350)
        together = await asyncio.gather(*(http.post("/messages", json={**order, "id": "monday-2"}) for _ in range(5)))
        assert {reply.status for reply in together} == {202}
    assert replies == replies[:1] * 3
    assert await logged(server, "send") == ["How is it going?"] * 2


async def test_a_message_for_all_with_an_id_reaches_those_without_a_name_once(server: Server) -> None:
    order = {"to": {"all": True}, "type": "notification", "text": "Down at noon", "id": "noon"}
    async with connect(server.ws_url) as unnamed, aiohttp.ClientSession(server.http_url) as http:
        await say(unnamed, type="ping")
        await hear(unnamed, "pong")
        told = []
        for _ in range(2):
            async with http.post("/messages", json=order) as reply:
                told.append((await reply.json())["unnamed"])
        assert told == [1, 0]


async def test_a_client_of_a_user_is_no_other_user_s_client_of_the_same_name(server: Server) -> None:
    async with (
        connect(server.ws_url) as ann, connect(server.ws_url) as other,
        aiohttp.ClientSession(server.http_url) as http,
    ):  # fmt: skip
        await hello(ann, "phone", "ann")
        await hello(other, "phone", "mallory")
        order = {"to": {"user": "ann", "client": "phone"}, "type": "question", "text": "For ann"}
        async with http.post("/messages", json=order) as reply:
            assert (await reply.json())["clients"] == ["ann"]
        assert (await hear(ann, "backend_message"))["message"] == "For ann"
        await say(other, type="ping")
        assert json.loads(await other.recv())["type"] == "pong"


async def test_who_says_hello_again_and_again_is_held_to_the_limits_of_events(start_server: Any) -> None:
    server = await start_server(limits=Limits(client_events_per_s=10, user_events_per_s=10))
    async with connect(server.ws_url) as socket:
        await say(socket, type="hello", protocol=1, clientId="laptop", user="ann")
        session = (await hear(socket, "welcome"))["session"]
        again = {"session": session, "received": 0}
        with suppress(ConnectionClosed):
            for number in range(300):
                traits = {"number": number}
                await say(socket, type="hello", protocol=1, clientId="laptop", user="ann", traits=traits, resume=again)
            await hear(socket, "never")
        assert socket.close_code == 4008
    # The bucket holds ten seconds' worth; the test itself takes a few.
    assert (await logged(server, "event")).count("user.identify") < 200


async def test_plain_connections_count_as_their_token_s_user_s(start_server: Any) -> None:
    tokens = Auth(tokens=Tokens(secret=SECRET))
    server = await start_server(auth=tokens, limits=Limits(user_connections=1))
    token = jwt.encode({"sub": "ann", "exp": 4_000_000_000}, SECRET, algorithm="HS256")
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        connect(server.ws_url, additional_headers=headers) as one,
        connect(server.ws_url, additional_headers=headers) as two,
    ):
        await say(one, type="ping", clientId="ann")
        await hear(one, "pong")
        await say(two, type="ping", clientId="ann")
        assert (await hear(two, "error"))["code"] == "too_many_connections"
        with suppress(ConnectionClosed):
            await hear(two, "never")
        assert two.close_code == 4008
