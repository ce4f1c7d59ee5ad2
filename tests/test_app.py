from __future__ import annotations

import asyncio
import json
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

import engine
from engine import Server
from engine.app import StartError
from engine.loading.diagnostic import RuleErrors
from engine.settings import Settings
from engine.storage.base import StoreError, StoreUnusable

WITHIN_S = 20.0


async def hear(client: Any) -> dict[str, Any]:
    async with asyncio.timeout(WITHIN_S):
        frame = json.loads(await client.recv())
    assert isinstance(frame, dict)
    return frame


async def name(client: Any, client_id: str) -> None:
    await client.send(json.dumps({"type": "ping", "clientId": client_id}))
    assert await hear(client) == {"type": "pong"}


def test_the_package_offers_the_server_and_nothing_unknown() -> None:
    assert engine.Server is Server
    assert engine.__version__
    with pytest.raises(AttributeError, match="has no attribute 'Serve'"):
        engine.Serve  # noqa: B018


async def test_a_broadcast_reaches_everybody_once_named_or_not(server: Server) -> None:
    async with connect(server.ws_url) as ann, connect(server.ws_url) as bob, connect(server.ws_url) as nobody:
        await name(ann, "ann")
        await name(bob, "bob")
        await nobody.send('{"type": "ping"}')
        await hear(nobody)
        sent = await server.broadcast_to_all_clients("How's your progress?", "question", options=("Fine",), topic="dp")
        assert (sorted(sent.clients), sent.waiting, sent.unnamed) == (["ann", "bob"], [], 1)
        for client in (ann, bob, nobody):
            frame = await hear(client)
            assert (frame["type"], frame["message"], frame["messageType"]) == (
                "backend_message",
                "How's your progress?",
                "question",
            )
            assert (frame["options"], frame["topic"], frame["questionId"]) == (["Fine"], "dp", frame["id"])
            await client.send('{"type": "ping"}')
            assert await hear(client) == {"type": "pong"}, "and nothing else"


async def test_a_message_reaches_its_client_alone(server: Server) -> None:
    async with connect(server.ws_url) as ann, connect(server.ws_url) as bob:
        await name(ann, "ann")
        await name(bob, "bob")
        await server.send_backend_message_to_client("ann", "Try smaller steps", "suggestion")
        assert (await hear(ann))["message"] == "Try smaller steps"
        await name(bob, "bob")


async def test_frames_of_the_applications_own_travel_as_they_are(server: Server) -> None:
    frame = {"type": "code_suggestion", "code": "x", "language": "python", "explanation": "y"}
    async with connect(server.ws_url) as ann:
        await name(ann, "ann")
        await server.send_frame_to_client("ann", frame)
        assert frame.items() <= (await hear(ann)).items()
        await server.broadcast_frame({"type": "confetti", "message": "Well done"})
        heard = await hear(ann)
        assert (heard["type"], heard["message"]) == ("confetti", "Well done")


async def test_an_event_of_the_application_is_durable_and_evaluated_when_its_id_is_told(server: Server) -> None:
    async with connect(server.ws_url) as ann, connect(server.ws_url) as bob:
        await name(ann, "ann")
        await name(bob, "bob")
        assert await server.record_event("ann", {"type": "test.failed", "test": "t1", "id": 7}) == ["7"]
        assert (await server.health())["live"]["outcomes"] == {"sent": 1}
        assert (await hear(ann))["message"] == "t1 fails. Want a hint?"
        await name(bob, "bob")


async def test_events_of_the_application_happen_all_or_none(server: Server) -> None:
    events: list[dict[str, Any]] = [{"type": "a", "id": "e1"}, {"type": "b", "clientId": "ann", "session": "s"}]
    ids = await server.record_event("ann", events)
    assert (ids[0], len(ids)) == ("e1", 2)
    with pytest.raises(ValueError, match=r'^\[1\]: expected a field "type", found none$'):
        await server.record_event("ann", [{"type": "c"}, {}])
    assert await server.record_event("ann", []) == []
    assert len(await server.record_event("ann", [{"type": "x"}] * 500)) == 500
    assert (await server.health())["live"]["events"] == 502


async def test_an_answer_that_the_application_tells_reaches_its_hook(start_server: Any) -> None:
    heard = []

    async def on_user_response(client_id: str, question_id: str, response: str) -> None:
        heard.append((client_id, question_id, response))

    server = await start_server(on_user_response=on_user_response)
    await server.record_event("ann", {"type": "user_response", "questionId": "q", "response": "Yes"})
    assert heard == [("ann", "q", "Yes")]


async def test_what_the_application_records_outlives_the_server(start_server: Any) -> None:
    server = await start_server()
    await server.record_event("ann", {"type": "test.failed", "test": "t1"})
    await server.stop()
    with pytest.raises(StoreError, match="the server is stopping"):
        await server.record_event("ann", {"type": "too.late"})
    async with connect((await start_server()).ws_url) as ann:
        await ann.send('{"type": "ping", "clientId": "ann"}')
        assert (await hear(ann))["message"] == "t1 fails. Want a hint?"


@pytest.mark.parametrize(
    ("client_id", "event", "error", "why"),
    [
        ("", {"type": "x"}, ValueError, "expected client_id to have 1 to 128 characters, got 0"),
        (5, {"type": "x"}, TypeError, "expected client_id to be text, got 5"),
        ("ann", "x", ValueError, "expected a JSON object, got a string"),
        ("ann", {}, ValueError, 'expected a field "type", found none'),
        ("ann", {"type": "session.end"}, ValueError, 'events of type "session.end" are told by the server alone'),
        ("ann", {"type": "ping"}, ValueError, 'expected an event, got a frame of type "ping", which is none'),
        ("ann", {"type": "x", "n": 2**64}, ValueError, "expected integers of at most 64 bits, got one of 65"),
        ("ann", {"type": "x", "y": object()}, TypeError, "Encoding objects of type object is unsupported"),
        (
            "ann", [{"type": "x"}, {"type": "x", "clientId": "bob"}], ValueError,
            'expected no other "clientId" in event 1 than "ann", got "bob"',
        ),
        ("ann", [{"type": "x"}] * 501, ValueError, "expected at most 500 events in one request, got 501"),
    ],
)  # fmt: skip
async def test_an_event_that_cannot_be_meant_is_refused_in_the_words_of_the_protocol(
    server: Server, client_id: Any, event: Any, error: type[Exception], why: str
) -> None:
    with pytest.raises(error) as refused:
        await server.record_event(client_id, event)
    assert str(refused.value) == why
    assert (await server.health())["live"]["events"] == 0


@pytest.mark.parametrize("frame", [{}, {"type": ""}, {"type": 5}])
async def test_a_frame_needs_a_type(server: Server, frame: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match='expected a frame with a "type" of 1 to 128 characters'):
        await server.broadcast_frame(frame)


async def test_what_json_cannot_hold_is_refused_before_it_is_sent(server: Server) -> None:
    with pytest.raises(TypeError):
        await server.broadcast_to_all_clients("x", "question", thing=object())


@pytest.mark.parametrize(
    ("given", "error", "why"),
    [
        ({"client_id": 5, "text": "x"}, TypeError, "expected client_id to be text, got 5"),
        ({"client_id": "", "text": "x"}, ValueError, "expected client_id to have 1 to 128 characters, got 0"),
        ({"client_id": "a" * 129, "text": "x"}, ValueError, "expected client_id to have 1 to 128 characters, got 129"),
        ({"client_id": "a", "text": 5}, TypeError, "expected text and options to be text, got 5"),
        ({"client_id": "a", "text": "x", "message_type": ""}, ValueError, "message_type to have 1 to 128 characters"),
        ({"client_id": "a", "text": "x", "options": "Yes"}, TypeError, "expected options to be a list of texts"),
        ({"client_id": "a", "text": "x", "options": ("Yes", None)}, TypeError, "to be text, got None"),
    ],
)
async def test_what_could_not_be_read_back_is_refused_before_it_is_sent(
    server: Server, given: dict[str, Any], error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        await server.send_backend_message_to_client(**given)
    assert (await server.health())["store"]["outbox"] == 0


async def test_a_hook_that_fails_disturbs_nobody(start_server: Any) -> None:
    async def on_user_response(client_id: str, question_id: str, response: str) -> None:
        raise RuntimeError("a fault of the application's")

    server = await start_server(on_user_response=on_user_response)
    async with connect(server.ws_url) as ann:
        await ann.send('{"type": "user_response", "questionId": "q", "response": "r"}')
        await ann.send('{"type": "ping"}')
        assert await hear(ann) == {"type": "pong"}


async def test_broken_rules_are_told_and_degrade_the_health_until_they_are_mended(server: Server) -> None:
    path = server.settings.rules / "rules.yaml"
    fine = path.read_text(encoding="utf-8")
    reloader = server._parts().ruling.reloader
    path.write_text("version: 1\nruls: []\n", encoding="utf-8")
    await reloader.reload()
    health = await server.health()
    assert health["status"] == "degraded"
    assert f"{path}:2:1: unknown key" in health["rules"]["problems"][0]
    assert health["rules"]["loaded"] == 3
    path.write_text(fine, encoding="utf-8")
    await reloader.reload()
    assert (await server.health())["status"] == "ok"


async def test_rules_that_cannot_be_loaded_keep_the_server_from_starting(start_server: Any) -> None:
    with pytest.raises(RuleErrors) as refused:
        await start_server(rules="version: 1\nruls: []\nrules: 5\n")
    assert len(refused.value.diagnostics) == 2


async def test_a_port_that_is_taken_is_named_with_its_option(start_server: Any, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for key, option in (("ws_port", "--ws-port"), ("http_port", "--http-port")):
            with pytest.raises(StartError) as refused:
                await start_server(**{key: port})
            assert str(refused.value) == (
                f"port {port} on 127.0.0.1 is taken by another program; {option} 0 takes any that is free"
            )
    await start_server()


async def test_a_store_that_is_none_keeps_the_server_from_starting(start_server: Any, tmp_path: Path) -> None:
    path = tmp_path / "not.db"
    path.write_text("this is no database, and far longer than nothing", encoding="utf-8")
    with pytest.raises(StoreUnusable):
        await start_server(store=f"sqlite:{path}")


async def test_a_second_server_on_one_file_is_refused_before_it_does_anything(
    start_server: Any, tmp_path: Path
) -> None:
    store = f"sqlite:{tmp_path / 'shared.db'}"
    server = await start_server(store=store)
    before = (await server.health())["store"]
    with pytest.raises(StoreUnusable, match="is in use by another server"):
        await start_server(store=store)
    assert (await server.health())["store"] == before
    await server.stop()
    await start_server(store=store)


@pytest.mark.parametrize("kind", ["error", "pong", "chat_response", "backend_message"])
async def test_the_application_cannot_speak_as_the_protocol(server: Server, kind: str) -> None:
    with pytest.raises(ValueError, match=f'"{kind}" is a type of the protocol itself'):
        await server.send_frame_to_client("ann", {"type": kind})
    with pytest.raises(ValueError, match=f'"{kind}" is a type of the protocol itself'):
        await server.broadcast_to_all_clients("hi", kind)


async def test_a_server_starts_once_and_stops_as_often_as_one_likes(start_server: Any) -> None:
    server = await start_server()
    with pytest.raises(RuntimeError, match="a server starts once; make another"):
        await server.start()
    await server.stop()
    await server.stop()


async def test_a_server_that_has_not_been_started_sends_nothing() -> None:
    with pytest.raises(RuntimeError, match="the server has not been started"):
        await Server(Settings()).broadcast_to_all_clients("x")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_serving(start_server: Any, number: signal.Signals) -> None:
    server = await start_server()
    serving = asyncio.create_task(server.serve_forever())
    async with connect(server.ws_url) as client:
        await name(client, "ann")  # by now the task has had its turn
        signal.raise_signal(number)
        async with asyncio.timeout(WITHIN_S):
            await serving
            await client.wait_closed()
        assert client.close_code == 1001


def test_arguments_go_before_the_environment_and_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("ws_port: 1\nhttp_port: 1\nresponder: echo\n", encoding="utf-8")
    monkeypatch.setenv("PROACTIVE_WS_PORT", "2")
    monkeypatch.setenv("PROACTIVE_HTTP_PORT", "2")
    settings = Server.from_config(path, ws_port=0, rules="r", store="sqlite:s.db", host="::1").settings
    assert (settings.ws_port, settings.http_port) == (0, 2)
    assert (settings.rules, settings.store, settings.host) == (Path("r"), "sqlite:s.db", "::1")
    assert settings.responder == "echo"


@pytest.mark.parametrize(
    ("argument", "error"),
    [
        ({"store": "proactive.db"}, 'expected a store such as "sqlite:.*" or "redis://.*", got "proactive.db"'),
        ({"host": "0.0.0.0"}, 'expected a loopback address such as "127.0.0.1", got "0.0.0.0"; whoever can reach'),
    ],
)
def test_an_argument_that_cannot_be_is_refused(argument: dict[str, Any], error: str) -> None:
    with pytest.raises(StartError, match=error):
        Server.from_config(None, **argument)


def test_a_responder_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="expected the responder to be an async function"):
        Server(Settings(), responder=lambda message: "x")  # type: ignore[arg-type,return-value]


async def test_the_next_server_on_a_store_hands_over_what_still_waits(start_server: Any) -> None:
    server = await start_server()
    await server.send_backend_message_to_client("ann", "See you tomorrow", "notification")
    await server.stop()
    server = await start_server()
    async with connect(server.ws_url) as ann:
        await ann.send('{"type": "ping", "clientId": "ann"}')
        assert (await hear(ann))["message"] == "See you tomorrow"
