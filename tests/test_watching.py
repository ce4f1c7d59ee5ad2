"""A running server tells its numbers and its spans: what is done to it over real sockets is what is shown."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect

from engine.app import Server
from engine.settings import Telemetry
from engine.storage.base import StoreError
from engine.storage.memory import MemoryStore
from engine.watching import PROBED_FOR_S, StoreProbe

ROOT = Path(__file__).parent.parent
WITHIN_S = 20.0
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"

StartServer = Callable[..., Awaitable[Server]]


async def figures(server: Server) -> dict[str, float]:
    """What is not 0, by name and labels."""
    async with aiohttp.ClientSession() as session, session.get(server.http_url + "/metrics") as response:
        assert response.status == 200
        text = await response.text()
    return {
        sample.name.removeprefix("proactive_")
        + "".join(f",{value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.value and not sample.name.endswith("_bucket")
    }


async def until(server: Server, name: str, value: float) -> dict[str, float]:
    async with asyncio.timeout(WITHIN_S):
        while (shown := await figures(server)).get(name, 0) != value:
            pass
    return shown


class Probed(MemoryStore):
    """Counts how often it is written to only to find out; ``trouble``, where there is any, is what comes of it."""

    count = 0
    trouble = ""

    async def probe(self) -> None:
        self.count += 1
        await asyncio.sleep(0)  # as one that has a disk gives way
        if self.trouble:
            raise StoreError(self.trouble)


async def test_however_many_ask_whether_the_store_can_be_written_to_it_is_written_to_once_a_second() -> None:
    store, clock, fine = Probed(1), [0.0], []
    probe = StoreProbe(store, lambda: clock[0], lambda: fine.append(clock[0]))
    assert await asyncio.gather(*[probe.trouble() for _ in range(50)]) == [""] * 50
    assert store.count == 1
    store.trouble = "full"
    clock[0] = PROBED_FOR_S - 0.001
    assert (await probe.trouble(), store.count) == ("", 1), "a second old at most"
    clock[0] = PROBED_FOR_S
    assert (await probe.trouble(), store.count) == ("full", 2)
    store.trouble = ""
    assert (await probe.trouble(), store.count) == ("full", 2), "trouble is not asked for more often either"
    clock[0] = 2 * PROBED_FOR_S
    assert (await probe.trouble(), store.count) == ("", 3)
    assert fine == [0.0, 2 * PROBED_FOR_S]


async def test_asking_whether_a_server_is_ready_does_not_write_each_time(start_server: StartServer) -> None:
    server = await start_server()
    parts = server._parts()
    store = Probed(1)
    parts.probe = StoreProbe(store, lambda: 0.0, lambda: None)
    async with aiohttp.ClientSession(server.http_url) as session:
        for _ in range(20):
            async with session.get("/readyz") as response:
                assert response.status == 200
    assert store.count == 1


async def hear(client: Any) -> dict[str, Any]:
    async with asyncio.timeout(WITHIN_S):
        frame: dict[str, Any] = json.loads(await client.recv())
    return frame


async def hear_of(client: Any, kind: str) -> dict[str, Any]:
    """The next frame of that type; what comes before it is somebody else's test."""
    while (frame := await hear(client))["type"] != kind:
        pass
    return frame


async def test_what_a_session_does_is_counted(server: Server) -> None:
    async with connect(server.ws_url) as client:
        await until(server, "connections,0,websocket", 1)
        await client.send(json.dumps({"type": "hello", "protocol": 1, "clientId": "ann"}))
        await hear_of(client, "welcome")
        event = json.dumps({"type": "test.failed", "test": "t1", "id": "e1"})
        await client.send(event)
        await hear_of(client, "backend_message")
        await client.send('{"type": "received", "seq": 1}')
        await client.send(event)
        await client.send("no json")
        shown = await until(server, "refusals_total,bad_frame", 1)
        shown = await until(server, "events_repeated_total", 1)
        assert shown["connections,1,websocket"] == 1
        assert "connections,0,websocket" not in shown
        assert (shown["sessions"], shown["sessions_begun_total,new"]) == (1, 1)
        assert shown["events_total,websocket"] == 2
        assert shown["candidates_total,sent"] == 1
        assert shown["rule_candidates_total,sent,failing"] == 1
        assert (
            shown["messages_total,rule"]
            == shown["messages_queued_total,pushed"]
            == shown["messages_received_total"]
            == 1
        )
        assert shown["message_queued_seconds_count"] == shown["message_received_seconds_count"] == 1
        assert shown["commit_seconds_count"] >= shown["turn_seconds_count"] - 1 > 0
        assert (shown["rules"], shown["ready"], shown["store_writable"]) == (3, 1, 1)
    shown = await until(server, "connections_closed_total,1000", 1)
    assert "connections,1,websocket" not in shown


async def test_what_waited_and_what_is_sent_again_are_told_apart(server: Server) -> None:
    await server.send_backend_message_to_client("ann", "first")
    hello = {"type": "hello", "protocol": 1, "clientId": "ann"}
    async with connect(server.ws_url) as client:
        await client.send(json.dumps(hello))
        session = (await hear_of(client, "welcome"))["session"]
        assert (await hear_of(client, "backend_message"))["seq"] == 1
        client.transport.abort()
    async with connect(server.ws_url) as client:
        await client.send(json.dumps({**hello, "resume": {"session": session, "received": 0}}))
        assert (await hear_of(client, "welcome"))["resumed"]
        await hear_of(client, "backend_message")
        shown = await figures(server)
    assert (shown["messages_queued_total,waiting"], shown["messages_queued_total,again"]) == (1, 1)
    assert (shown["sessions_begun_total,new"], shown["sessions_begun_total,resumed"]) == (1, 1)
    assert shown["messages_total,application"] == 1


async def test_requests_have_an_id_and_their_refusals_are_counted(server: Server) -> None:
    async with aiohttp.ClientSession(server.http_url) as session:
        async with session.get("/nothing", headers={"X-Request-Id": "mine-1"}) as response:
            assert response.headers["X-Request-Id"] == "mine-1"
        async with session.post("/events", data=b"{", headers={"X-Request-Id": "no good\t"}) as response:
            assert len(response.headers["X-Request-Id"]) == 16
        async with session.post("/events", json={"type": "a", "clientId": "ann"}) as response:
            assert response.status == 202
    shown = await figures(server)
    assert shown["refusals_total,not_found"] == shown["refusals_total,bad_frame"] == 1
    assert shown["events_total,http"] == 1
    assert shown["frames_received_total,http"] == 4


async def test_the_application_is_a_door_of_its_own(server: Server) -> None:
    await server.record_event("ann", [{"type": "a"}, {"type": "b"}])
    assert (await figures(server))["events_total,application"] == 2


async def test_rule_files_with_errors_are_shown_and_do_not_end_readiness(server: Server) -> None:
    (server.settings.rules / "rules.yaml").write_text("version: 1\nrules: 7\n", encoding="utf-8")
    shown = await until(server, "rule_problems", 1)
    assert shown["ready"] == 1
    assert shown["reloads_total,failed"] >= 1
    async with aiohttp.ClientSession(server.http_url) as session, session.get("/readyz") as response:
        told = await response.json()
    assert (response.status, told["ready"], told["reasons"]) == (200, True, [])
    assert told["notes"][0] == "the rule files have errors, the former rules go on holding"


async def test_spans_of_a_request_go_to_the_collector_under_the_trace_of_its_sender(start_server: StartServer) -> None:
    took: list[ExportTraceServiceRequest] = []

    async def take(request: web.Request) -> web.Response:
        took.append(ExportTraceServiceRequest.FromString(await request.read()))
        return web.Response(content_type="application/x-protobuf")

    collector = web.Application()
    collector.router.add_post("/v1/traces", take)
    runner = web.AppRunner(collector)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server = await start_server(telemetry=Telemetry(otlp=f"http://127.0.0.1:{runner.addresses[0][1]}", service="tutor"))
    async with aiohttp.ClientSession(server.http_url) as session:
        event = {"type": "test.failed", "test": "t1", "clientId": "ann"}
        async with session.post("/events", json=event, headers={"traceparent": PARENT}) as response:
            assert response.status == 202
    await server.stop()
    await runner.cleanup()
    spans = [span for one in took for of in one.resource_spans for scope in of.scope_spans for span in scope.spans]
    ours = {span.name for span in spans if span.trace_id.hex() == TRACE_ID}
    assert ours == {"receive", "turn", "commit"}
    assert "ann" not in str(spans)


def test_without_the_extra_a_server_that_is_to_trace_says_what_to_install() -> None:
    program = """
import asyncio, sys, tempfile, pathlib
sys.modules["opentelemetry"] = None
from engine.app import Server, StartError
from engine.settings import Settings, Telemetry
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "r.yaml").write_text("version: 1\\nrules: []\\n")
settings = Settings(ws_port=0, http_port=0, rules=folder, store="memory:", telemetry=Telemetry(otlp="http://127.0.0.1:1"))
try:
    asyncio.run(Server(settings).start())
except StartError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == (
        "telemetry.otlp is set, and the library that sends traces is not installed: "
        'pip install "proactive-engine[otel]", or leave telemetry.otlp out\n'
    )
