"""The observer that writes spans: receive → turn → commit → deliver, and what a responder took. OpenTelemetry's.

It is imported only where `telemetry.otlp` is set: the library is an extra. A span has counts, outcomes and ids of rules
and messages, never who somebody is or what anybody wrote.

A request that has a turn to itself is the turn's parent. A turn of several is a trace of its own, linked with each.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from engine import __version__
from engine.observer import REQUEST_PARENT, Asked, Door, How, Observer, Trace, TurnTold
from engine.storage.base import OutboxMessage

LINKS_MAX = 128  # of a turn, to what it took in
ON_THE_WAY_MAX = 10_000  # messages whose turn is remembered, until a client says that it has received them
WORD_LENGTH_MAX = 64  # of a rule's id and a message's type, as they stand in a span
PARENT_LENGTH_MAX = (
    256  # a traceparent has 55 characters (W3C Trace Context, section 3.2); a later version may have more
)
EXPORT_TIMEOUT_S = 5.0  # for one batch; also how long a server that stops waits for the last
TRACES_PATH = "/v1/traces"  # OTLP specification, "OTLP/HTTP request"

_NANOSECONDS = 1_000_000_000


class _OnTheWay(NamedTuple):
    """A message between its turn and its client; ``since`` is when the last of what happened to it happened."""

    turn: Context
    since: int


class Tracing(Observer):
    """``clock``: nanoseconds UTC, as OpenTelemetry has them."""

    def __init__(self, provider: TracerProvider, clock: Callable[[], int] = time.time_ns) -> None:
        self._provider = provider
        self._tracer: Tracer = provider.get_tracer("proactive", __version__)
        self._clock = clock
        self._turn_began = 0
        self._commits: list[tuple[int, int | None]] = []  # from when till when; None where it was refused
        self._on_the_way: OrderedDict[str, _OnTheWay] = OrderedDict()

    async def close(self) -> None:
        """Send what has not been sent, for `EXPORT_TIMEOUT_S` at most."""
        await asyncio.to_thread(self._provider.shutdown)

    def taken_in(self, door: Door, events: int, parent: str = "") -> Trace:
        context = _context_of(parent or REQUEST_PARENT.get())
        return self._tracer.start_span(
            "receive",
            context,
            kind=SpanKind.SERVER,
            start_time=self._clock(),
            attributes={"proactive.door": door, "proactive.events": events},
        )

    def acknowledged(self, trace: Trace, *, ok: bool = True) -> None:
        if trace is not None:
            if not ok:
                trace.set_status(StatusCode.ERROR)
            trace.end(self._clock())

    def turn_taken(self, entries: int, since_s: float = 0.0) -> None:
        self._turn_began = self._clock() - round(since_s * _NANOSECONDS)
        self._commits = []

    def committing(self) -> None:
        self._commits.append((self._clock(), None))

    def committed(self) -> None:
        if self._commits:
            self._commits[-1] = (self._commits[-1][0], self._clock())

    def turn_done(self, turn: TurnTold) -> None:
        received: list[Span] = [span for span, _ in turn.traces if span is not None]
        now = self._clock()
        alone = len(received) == 1
        span = self._tracer.start_span(
            "turn",
            trace.set_span_in_context(received[0]) if alone else Context(),
            start_time=self._turn_began or now,
            attributes=_said_of(turn),
            links=() if alone else [Link(one.get_span_context()) for one in received[:LINKS_MAX]],
        )
        for one in () if alone else received:
            one.add_link(span.get_span_context())
        context = trace.set_span_in_context(span)
        for began, ended in self._commits:
            commit = self._tracer.start_span("commit", context, start_time=began)
            if ended is None:
                commit.set_status(StatusCode.ERROR)
            commit.end(ended or now)
        span.end(now)
        self._turn_began, self._commits = 0, []
        if span.is_recording() or span.get_span_context().trace_flags.sampled:
            for outgoing in turn.outbox:
                self._remember(outgoing.message.id, _OnTheWay(context, now))

    def queued(self, messages: Sequence[OutboxMessage], how: How) -> None:
        self._came_further("deliver", messages, {"proactive.how": how}, keep=True)

    def arrived(self, messages: Sequence[OutboxMessage]) -> None:
        self._came_further("arrive", messages, {}, keep=False)

    def responder(self, outcome: Asked, seconds: float) -> None:
        self._asked("respond", outcome, seconds)

    def composed(self, outcome: Asked, seconds: float) -> None:
        self._asked("compose", outcome, seconds)

    def _came_further(self, name: str, messages: Sequence[OutboxMessage], said: dict[str, str], *, keep: bool) -> None:
        now = self._clock()
        for outgoing in messages:
            way = self._on_the_way.pop(outgoing.message.id, None)
            if way is None:
                continue  # of a turn that nobody traced, or of long ago
            attributes = {
                "proactive.rule": outgoing.rule[:WORD_LENGTH_MAX],
                "proactive.message_type": outgoing.message.type[:WORD_LENGTH_MAX],
                "proactive.message_id": outgoing.message.id,
                **said,
            }
            span = self._tracer.start_span(
                name, way.turn, kind=SpanKind.PRODUCER, start_time=way.since, attributes=attributes
            )
            span.end(now)
            if keep:
                self._remember(outgoing.message.id, _OnTheWay(way.turn, now))

    def _remember(self, message_id: str, way: _OnTheWay) -> None:
        self._on_the_way[message_id] = way
        if len(self._on_the_way) > ON_THE_WAY_MAX:
            self._on_the_way.popitem(last=False)

    def _asked(self, name: str, outcome: Asked, seconds: float) -> None:
        now = self._clock()
        span = self._tracer.start_span(
            name,
            Context(),
            kind=SpanKind.CLIENT,
            start_time=now - int(seconds * _NANOSECONDS),
            attributes={"proactive.outcome": outcome},
        )
        if outcome != "ok":
            span.set_status(StatusCode.ERROR)
        span.end(now)


def open_tracing(endpoint: str, service: str) -> Tracing:
    """Spans go to ``endpoint`` by OTLP over HTTP, in batches, from a thread of their own; what is too much is dropped.

    ``http://collector:4318`` is completed with the path that OTLP has for traces. More can be set as OpenTelemetry
    does it, by variables: ``OTEL_TRACES_SAMPLER``, ``OTEL_EXPORTER_OTLP_HEADERS``, ``OTEL_RESOURCE_ATTRIBUTES``, …
    """
    if urlsplit(endpoint).path in ("", "/"):
        endpoint = endpoint.rstrip("/") + TRACES_PATH
    resource = Resource.create({"service.name": service, "service.version": __version__})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint, timeout=EXPORT_TIMEOUT_S)))
    return Tracing(provider)


def _context_of(parent: str) -> Context:
    """Of what a client sent as its ``traceparent``; an empty one where that is none."""
    if not isinstance(parent, str) or not 0 < len(parent) <= PARENT_LENGTH_MAX:
        return Context()
    return TraceContextTextMapPropagator().extract({"traceparent": parent}, Context())


def _said_of(turn: TurnTold) -> dict[str, int]:
    outcomes = Counter([made.outcome for made in turn.decisions])
    counts = {f"proactive.outcome.{outcome}": count for outcome, count in sorted(outcomes.items())}
    return {
        "proactive.requests": turn.requests,
        "proactive.entries": len(turn.entries),
        "proactive.messages": len(turn.outbox),
        "proactive.faults": len(turn.faults),
        **counts,
    }
