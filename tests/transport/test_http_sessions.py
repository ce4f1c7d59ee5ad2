"""Level 1 over HTTP, on real sockets: nothing lost and nothing twice, over cuts, devices and restarts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from described import problems
from event_source import EventSource

from engine import Server

WISHES = {"type": "preferences", "level": "normal", "muted": [], "snoozedUntil": None, "snoozed": {}}
FAILED = {"type": "test.failed", "test": "t1"}


@pytest.fixture
async def http(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.http_url) as session:
        yield session


Opens = Callable[[str], Awaitable[EventSource]]


@pytest.fixture
async def listen(server: Server) -> AsyncIterator[Opens]:
    """Open a stream; all that were opened are cut."""
    opened: list[EventSource] = []
    async with aiohttp.ClientSession(server.http_url) as session:

        async def open_stream(path: str) -> EventSource:
            opened.append(EventSource(session, path))
            return await opened[-1].open()

        yield open_stream
        for stream in opened:
            stream.cut()


async def post(http: aiohttp.ClientSession, path: str, body: Any, status: int = 202) -> Any:
    async with http.post(path, data=json.dumps(body)) as response:
        reply = await response.json()
        assert response.status == status, reply
        assert any(problems(name, reply) == [] for name in ("Taken", "ServerFrame")), reply
        return reply


async def poll(http: aiohttp.ClientSession, session: str, after: int, **more: Any) -> list[dict[str, Any]]:
    params = {"session": session, "after": after, **more}
    async with http.get("/poll", params=params) as response:
        reply = await response.json()
        assert response.status == 200, reply
        assert problems("Polled", reply) == []
        frames: list[dict[str, Any]] = reply["frames"]
        return frames


async def hello(http: aiohttp.ClientSession, client: str, user: str = "ann", **more: Any) -> str:
    reply = await post(http, "/hello", {"type": "hello", "protocol": 1, "clientId": client, "user": user, **more}, 200)
    assert (reply["type"], reply["user"], reply["resumed"]) == ("welcome", user, "resume" in more)
    [wishes] = await poll(http, reply["session"], 0)
    assert wishes["type"] == "preferences"
    return str(reply["session"])


async def frames_with(stream: EventSource, text: str) -> list[dict[str, Any]]:
    """All frames up to and with the message of that text."""
    frames = [await stream.frame()]
    while frames[-1].get("message") != text:
        frames.append(await stream.frame())
    return frames


async def say(http: aiohttp.ClientSession, session: str, *frames: dict[str, Any]) -> Any:
    return await post(http, f"/events?session={session}", list(frames))


async def test_a_stream_goes_on_after_a_cut_without_loss_and_without_repeats(
    http: aiohttp.ClientSession, server: Server, listen: Opens
) -> None:
    session = await hello(http, "tab")
    stream = await listen(f"/stream?session={session}")
    for text in ("one", "two", "three"):
        await server.send_backend_message_to_client("ann", text)
    seen = [(await stream.frame())["message"] for _ in range(2)]
    assert stream.last_event_id == "2"
    stream.cut()
    await server.send_backend_message_to_client("ann", "four")
    await stream.open()
    frames = [await stream.frame() for _ in range(2)]
    assert [*seen, *(frame["message"] for frame in frames)] == ["one", "two", "three", "four"]
    assert [frame["seq"] for frame in frames] == [3, 4]


async def test_a_stream_that_opens_its_own_session_resumes_it_by_the_last_event_id(
    http: aiohttp.ClientSession, server: Server, listen: Opens
) -> None:
    stream = await listen("/stream?clientId=tab&user=ann")
    welcome = await stream.frame()
    assert (welcome["type"], welcome["user"], welcome["resumed"]) == ("welcome", "ann", False)
    assert await stream.frame() == WISHES
    await server.send_backend_message_to_client("ann", "one")
    assert (await stream.frame())["message"] == "one"
    assert stream.last_event_id == f"{welcome['session']}:1"
    stream.cut()
    await server.send_backend_message_to_client("ann", "two")
    await stream.open()
    again = await stream.frame()
    assert (again["type"], again["session"], again["resumed"]) == ("welcome", welcome["session"], True)
    assert await stream.frame() == WISHES
    two = await stream.frame()
    assert (two["message"], two["seq"]) == ("two", 2)


async def test_a_stream_goes_on_with_the_next_server(start_server: Any) -> None:
    server = await start_server()
    async with aiohttp.ClientSession() as http:
        stream = await EventSource(http, f"{server.http_url}/stream?clientId=tab&user=ann").open()
        welcome = await stream.frame()
        await server.send_backend_message_to_client("ann", "one")
        [_, one] = await frames_with(stream, "one")
        await server.stop()
        goodbye = await stream.next()
        assert goodbye is not None
        assert (goodbye.kind, goodbye.frame["code"], stream.retry_ms) == ("close", 1001, 1000)
        assert await stream.next() is None
        server = await start_server()
        await server.send_backend_message_to_client("ann", "two")
        later = EventSource(http, f"{server.http_url}/stream?clientId=tab&user=ann")
        later.last_event_id = stream.last_event_id
        await later.open()
        frames = [await later.frame(), *await frames_with(later, "two")]
        assert (frames[0]["session"], frames[0]["resumed"]) == (welcome["session"], True)
        # The next server only knows that the first waits in the outbox: it may come again, with the same id.
        assert [frame["message"] for frame in frames if frame.get("id") not in (None, one["id"])] == ["two"]
        later.cut()
        stream.cut()


async def test_a_client_that_only_polls_lives_through_a_whole_story(http: aiohttp.ClientSession) -> None:
    session = await hello(http, "old-phone")
    taken = await say(http, session, {**FAILED, "id": "e1"}, {"type": "ping"})
    assert len(taken["ids"]) == 1
    assert taken["frames"] == [{"type": "pong"}, {"type": "ack", "ids": ["e1"]}]
    [hint] = await poll(http, session, 0)
    assert (hint["message"], hint["seq"], hint["options"]) == ("t1 fails. Want a hint?", 1, ["Yes please", "Not now"])
    # Asked again without having said that it came, it comes again; then no more.
    assert await poll(http, session, 0) == [hint]
    assert await poll(http, session, 1, timeout=0) == []
    answer = {"type": "outcome", "id": hint["id"], "outcome": "answered", "response": "Not now"}
    wish = {"type": "preferences", "level": "more", "id": "e2"}
    taken = await say(http, session, answer, wish, {**FAILED, "id": "e1"})
    assert taken["frames"][-1]["type"] == "ack"
    assert {"e1", "e2"} <= set(taken["frames"][-1]["ids"])
    [wishes] = await poll(http, session, 1)
    assert (wishes["type"], wishes["level"]) == ("preferences", "more")
    await say(http, session, {"type": "chat_message", "message": "I am stuck", "id": "c1"})
    frames: list[dict[str, Any]] = []
    for _ in range(4):
        if len(frames) < 2:
            frames += await poll(http, session, 1 + len(frames))
    assert {frame["type"] for frame in frames} == {"backend_message", "chat_response"}
    assert [frame["seq"] for frame in frames] == [2, 3]
    reply = next(frame for frame in frames if frame["type"] == "chat_response")
    assert reply["to"] == "c1"


async def test_an_answer_on_one_device_withdraws_the_message_on_the_other(
    http: aiohttp.ClientSession, listen: Opens
) -> None:
    phone, laptop = await hello(http, "phone"), await hello(http, "laptop")
    stream = await listen(f"/stream?session={laptop}")
    await say(http, phone, {**FAILED, "id": "e1"})
    [on_phone] = await poll(http, phone, 0)
    [on_laptop] = await stream.frames_until("backend_message")
    assert on_phone["id"] == on_laptop["id"]
    await say(http, phone, {"type": "user_response", "questionId": on_phone["id"], "response": "Yes please"})
    assert await stream.frames_until("withdrawn") == [{"type": "withdrawn", "id": on_phone["id"], "reason": "answered"}]


async def test_the_same_client_elsewhere_replaces_a_stream_and_a_browser_stays_away(
    http: aiohttp.ClientSession, listen: Opens
) -> None:
    session = await hello(http, "tab")
    first = await listen(f"/stream?session={session}")
    second = await listen(f"/stream?session={session}")
    goodbye = await first.next()
    assert goodbye is not None
    assert (goodbye.kind, goodbye.frame) == ("close", {"code": 4001, "reason": '{"code":"replaced"}'})
    assert first.retry_ms == 24 * 3600 * 1000
    await say(http, session, {**FAILED})
    assert (await second.frames_until("backend_message"))[-1]["seq"] == 1


async def test_a_poll_takes_over_from_a_stream(http: aiohttp.ClientSession, listen: Opens) -> None:
    session = await hello(http, "tab")
    stream = await listen(f"/stream?session={session}")
    await say(http, session, FAILED)
    assert (await stream.frame())["seq"] == 1
    [frame] = await poll(http, session, 0)
    assert frame["message"] == "t1 fails. Want a hint?"
    goodbye = await stream.next()
    assert goodbye is not None
    assert goodbye.kind == "close"


async def test_a_poll_is_told_at_once_that_its_session_is_over(http: aiohttp.ClientSession, server: Server) -> None:
    session = await hello(http, "tab")
    waiting = asyncio.create_task(http.get(f"/poll?session={session}"))
    while not server._parts().sessions.find(session).polls:
        await http.get("/healthz")
    await http.delete("/users/ann")
    async with await waiting as response:
        assert (response.status, (await response.json())["code"]) == (410, "erased")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/poll?session={}"), ("POST", "/events?session={}"), ("GET", "/stream?session={}")]
)
async def test_who_was_replaced_by_the_same_client_elsewhere_is_told_so(
    http: aiohttp.ClientSession, server: Server, method: str, path: str
) -> None:
    session = await hello(http, "tab")
    waiting = asyncio.create_task(http.get(f"/poll?session={session}"))
    while not server._parts().sessions.find(session).polls:
        await http.get("/healthz")
    newer = await hello(http, "tab")
    for reply in (await waiting, await http.request(method, path.format(session), data="[]")):
        async with reply as response:
            frame = await response.json()
            assert (response.status, frame["code"]) == (409, "replaced")
            assert problems("Error", frame) == []
    await say(http, newer, FAILED)
    assert [frame["seq"] for frame in await poll(http, newer, 0)] == [1]


async def test_a_hello_that_comes_long_after_its_client_gave_it_up_changes_nothing(http: aiohttp.ClientSession) -> None:
    session = await hello(http, "tab", attempt={"run": "r", "number": 2})
    late = {"type": "hello", "protocol": 1, "clientId": "tab", "user": "ann", "attempt": {"run": "r", "number": 1}}
    for more in ({}, {"resume": {"session": session, "received": 0}}):
        assert (await post(http, "/hello", {**late, **more}, 409))["code"] == "replaced"
    await say(http, session, FAILED)
    assert [frame["seq"] for frame in await poll(http, session, 0)] == [1]


async def test_of_two_polls_the_older_is_answered_with_nothing(http: aiohttp.ClientSession, server: Server) -> None:
    session = await hello(http, "tab")
    older = asyncio.create_task(poll(http, session, 0))
    while not server._parts().sessions.find(session).polls:
        await http.get("/healthz")
    newer = asyncio.create_task(poll(http, session, 0))
    assert await older == []
    await say(http, session, FAILED)
    assert [frame["seq"] for frame in await newer] == [1]


async def test_frames_that_cannot_be_taken_keep_no_others_from_it(http: aiohttp.ClientSession) -> None:
    session = await hello(http, "tab")
    taken = await say(http, session, {"type": "received"}, {"id": "x", "type": "session.end"}, {**FAILED, "id": 7})
    assert len(taken["ids"]) == 1
    bad, reserved, ack = taken["frames"]
    assert (bad["code"], reserved["code"], reserved["frameId"]) == ("bad_frame", "reserved_type", "x")
    assert ack == {"type": "ack", "ids": [7]}


async def test_a_session_that_is_not_there_is_told_so(http: aiohttp.ClientSession) -> None:
    for method, path in (
        ("GET", "/stream?session=s_0"),
        ("GET", "/poll?session=s_0"),
        ("GET", "/poll"),
        ("POST", "/events?session=s_0"),
    ):
        async with http.request(method, path, data="[]") as response:
            assert response.status == 404
            assert (await response.json())["code"] == "no_session"


EITHER = 'expected either "session", of a session that is open, or "clientId", to open one'
PARAMETERS = "session, clientId, user, timezone, token, after"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/stream", EITHER),
        ("/stream?session=a&clientId=b", EITHER),
        ("/stream?clientId=", 'expected "clientId" to have 1 to 128 characters, got 0'),
        (
            "/stream?clientId=a&timezone=Paris",
            'expected "timezone" to be an IANA time zone such as "Europe/Paris", got "Paris"',
        ),
        ("/stream?clientId=a&clientId=b", "expected every parameter once, got one of them twice"),
        ("/stream?client=a", f'expected of parameters only {PARAMETERS}, got "client"'),
        ("/poll?session=a&after=-1", 'expected "after" to be a whole number from 0 to 9007199254740991, got "-1"'),
        ("/poll?session=a&timeout=26", 'expected "timeout" to be a whole number from 0 to 25, got "26"'),
        ("/poll?session=a&timeout=٣", 'expected "timeout" to be a whole number from 0 to 25, got "٣"'),
    ],
)  # fmt: skip
async def test_what_cannot_be_meant_is_refused(http: aiohttp.ClientSession, path: str, message: str) -> None:
    async with http.get(path) as response:
        assert (response.status, (await response.json())["message"]) == (400, message)


async def test_a_last_event_id_that_is_none_of_ours_is_refused(http: aiohttp.ClientSession) -> None:
    session = await hello(http, "tab")
    async with http.get(f"/stream?session={session}", headers={"Last-Event-ID": "yesterday"}) as response:
        assert response.status == 400


async def test_a_hello_that_is_none_is_refused(http: aiohttp.ClientSession) -> None:
    assert (await post(http, "/hello", {"type": "ping"}, 400))["message"].startswith('expected a frame of type "hello"')
    bad = await post(http, "/hello", {"type": "hello", "protocol": 2, "clientId": "a"}, 400)
    assert bad["message"] == 'expected "protocol" to be 1, got 2'


async def test_a_server_that_stops_answers_polls_at_once(start_server: Any) -> None:
    server = await start_server()
    async with aiohttp.ClientSession(server.http_url) as http:
        session = await hello(http, "tab")
        waiting = asyncio.create_task(poll(http, session, 0))
        while not server._parts().sessions.find(session).polls:
            await http.get("/healthz")
        await server.stop()
        assert await waiting == []
