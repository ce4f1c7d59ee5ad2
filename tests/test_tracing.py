"""Spans: what belongs to what, how long it took, what they say and what they never say; and a collector gets them."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from engine.core.model import Decision, Event, Message
from engine.observer import TurnTold
from engine.storage.base import Entry, OutboxMessage
from engine.tracing import LINKS_MAX, ON_THE_WAY_MAX, PARENT_LENGTH_MAX, Tracing, open_tracing

SAID = "what a person wrote"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"  # the example of W3C Trace Context, section 3.2
MILLISECOND = 1_000_000


class World:
    """An observer whose clock goes on by a millisecond whenever it is looked at."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.now = 1_774_605_600_000 * MILLISECOND
        self.tracing = Tracing(provider, self.tick)

    def tick(self) -> int:
        self.now += MILLISECOND
        return self.now

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def turn(self, *traces: Any, outbox: tuple[OutboxMessage, ...] = (), refused: int = 0) -> None:
        self.tracing.turn_taken(1)
        for _ in range(refused):
            self.tracing.committing()
            self.tracing.commit_failed(again=True)
        self.tracing.committing()
        self.tracing.committed()
        event = Event("chat_message", "ann", 0, {"message": SAID}, "e")
        decisions = [Decision(0, "ann", one.rule, 0, "sent", None, {}, message=one.message) for one in outbox]
        asked = [(one, ["e"]) for one in traces]
        told = TurnTold([Entry("event", 0, "ann", event)], decisions, [], outbox, len(traces), None, asked)
        self.tracing.turn_done(told)


@pytest.fixture
def world() -> World:
    return World()


def outgoing(name: str = "m1") -> OutboxMessage:
    return OutboxMessage("ann", Message(name, "question", SAID), 0, "stuck")


def trace_id(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.trace_id


def is_child(span: ReadableSpan, parent: ReadableSpan) -> bool:
    return span.parent is not None and parent.context is not None and span.parent.span_id == parent.context.span_id


def seconds(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / MILLISECOND / 1000


def test_a_request_with_a_turn_to_itself_is_one_trace_from_receipt_to_arrival(world: World) -> None:
    received = world.tracing.taken_in("websocket", 1, PARENT)
    world.turn(received, outbox=(outgoing(),))
    world.tracing.acknowledged(received)
    world.tracing.queued([outgoing()], "pushed")
    world.tracing.arrived([outgoing()])
    by_name = {span.name: span for span in world.spans}
    assert list(by_name) == ["commit", "turn", "receive", "deliver", "arrive"]
    assert {trace_id(span) for span in world.spans} == {int(TRACE_ID, 16)}
    assert is_child(by_name["turn"], by_name["receive"])
    for name in ("commit", "deliver", "arrive"):
        assert is_child(by_name[name], by_name["turn"])
    # In the order of things none begins before what it follows from has.
    assert [by_name[name].start_time for name in ("receive", "turn", "commit", "deliver", "arrive")] == sorted(
        span.start_time or 0 for span in world.spans
    )
    assert by_name["deliver"].attributes == {
        "proactive.rule": "stuck",
        "proactive.message_type": "question",
        "proactive.message_id": "m1",
        "proactive.how": "pushed",
    }


def test_a_turn_of_several_is_a_trace_of_its_own_linked_with_each(world: World) -> None:
    requests = [world.tracing.taken_in("http", 1) for _ in range(2)]
    world.turn(*requests)
    for one in requests:
        world.tracing.acknowledged(one)
    (turn,) = world.named("turn")
    received = world.named("receive")
    assert turn.parent is None
    assert [link.context for link in turn.links] == [span.context for span in received]
    for span in received:
        assert [link.context for link in span.links] == [turn.context]
        assert trace_id(span) != trace_id(turn)


def test_links_are_bounded(world: World) -> None:
    world.turn(*[world.tracing.taken_in("http", 1) for _ in range(LINKS_MAX + 1)])
    assert len(world.named("turn")[0].links) == LINKS_MAX


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "x",
        PARENT.upper().replace("0AF7", "0xF7"),
        PARENT.replace(TRACE_ID, "0" * 32),
        PARENT.replace("b7ad6b7169203331", "0" * 16),
        "ff" + PARENT[2:],
        PARENT + "-x",
        PARENT + " " * PARENT_LENGTH_MAX,
        7,
        None,
        ["00"],
    ],
)
def test_a_traceparent_that_is_none_begins_a_trace_of_our_own(world: World, parent: Any) -> None:
    world.tracing.acknowledged(world.tracing.taken_in("http", 1, parent))
    (span,) = world.spans
    assert span.parent is None
    assert trace_id(span) != int(TRACE_ID, 16)


def test_what_its_sender_does_not_want_traced_is_not(world: World) -> None:
    received = world.tracing.taken_in("http", 1, PARENT[:-1] + "0")
    world.turn(received, outbox=(outgoing(),))
    world.tracing.queued([outgoing()], "pushed")
    world.tracing.acknowledged(received)
    assert world.spans == []


def test_every_try_of_a_commit_is_seen_and_those_that_failed_as_such(world: World) -> None:
    world.turn(refused=2)
    commits = world.named("commit")
    assert [commit.status.status_code for commit in commits] == [StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET]


def test_a_request_that_was_refused_is_an_error(world: World) -> None:
    world.tracing.acknowledged(world.tracing.taken_in("http", 1), ok=False)
    assert world.spans[0].status.status_code is StatusCode.ERROR


def test_a_responder_took_what_it_took(world: World) -> None:
    world.tracing.responder("ok", 2.0)
    world.tracing.composed("timeout", 5.0)
    assert [(span.name, seconds(span), span.status.status_code) for span in world.spans] == [
        ("respond", 2.0, StatusCode.UNSET),
        ("compose", 5.0, StatusCode.ERROR),
    ]


def test_no_span_says_who_or_what_anybody_wrote(world: World) -> None:
    received = world.tracing.taken_in("websocket", 1)
    world.turn(received, outbox=(outgoing(),))
    world.tracing.acknowledged(received)
    world.tracing.queued([outgoing()], "waiting")
    written = "".join(span.to_json() for span in world.spans)
    assert "stuck" in written
    assert SAID not in written
    assert "ann" not in written


def test_messages_on_the_way_are_forgotten_beyond_the_bound(world: World) -> None:
    messages = tuple(outgoing(f"m{number}") for number in range(ON_THE_WAY_MAX + 1))
    world.turn(outbox=messages)
    world.tracing.queued([messages[0], messages[1]], "pushed")
    assert [(span.attributes or {})["proactive.message_id"] for span in world.named("deliver")] == ["m1"]


def test_a_message_of_a_turn_nobody_traced_is_nothing(world: World) -> None:
    world.tracing.queued([outgoing()], "again")
    world.tracing.arrived([outgoing()])
    world.tracing.acknowledged(None)
    assert world.spans == []


class Collector(ThreadingHTTPServer):
    """What speaks OTLP over HTTP. It closes its threads itself, so that none outlives the test."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Took)
        self.took: list[tuple[str, ExportTraceServiceRequest]] = []


class Took(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.took.append((self.path, ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """It has nothing to say."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["", "/", "/v1/traces"])
async def test_a_collector_gets_the_spans_when_the_server_stops_at_the_latest(collector: Collector, path: str) -> None:
    tracing = open_tracing(f"http://127.0.0.1:{collector.server_port}{path}", "tutor")
    tracing.acknowledged(tracing.taken_in("http", 3))
    await tracing.close()
    ((asked, request),) = collector.took
    assert asked == "/v1/traces"
    (resource,) = request.resource_spans
    told = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
    assert told["service.name"] == "tutor"
    (span,) = resource.scope_spans[0].spans
    assert span.name == "receive"
    assert {one.key: one.value.int_value for one in span.attributes}["proactive.events"] == 3
