"""The observer that counts, and the text that Prometheus reads. One per server; nothing of it is global.

It decides nothing, and holds no name of a user and nothing that one wrote.
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder

from engine.core.model import ANSWER_TYPE
from engine.core.units import SECOND
from engine.metrics.figures import RULES_MAX, Figures
from engine.metrics.measures import OTHER
from engine.observer import (
    Asked,
    Door,
    How,
    Observer,
    Reload,
    Scope,
    Trace,
    Transport,
    TurnTold,
    Work,
)
from engine.storage.base import OutboxMessage


class Metrics(Observer):
    """``clock``: microseconds UTC, as the driver's. ``stopwatch``: seconds that only go forward."""

    def __init__(self, clock: Callable[[], int], stopwatch: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._stopwatch = stopwatch
        self.figures = Figures()
        self.figures.store_writable.put(1)
        self._rule_labels: dict[str, str] = {}
        self._turn_began: float | None = None
        self._commit_began = 0.0
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def look_at(self, name: str, look: Callable[[], float | None]) -> None:
        """Where the figure ``name`` of `Figures.looked` is looked up whenever somebody asks; None hides it."""
        self.figures.looked()[name].look = look

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The text and its content type, as the header ``Accept`` of the one who asks wants it."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def collect(self) -> Iterator[Metric]:
        """For the library, when it writes the text."""
        for figure in self.figures.all():
            yield figure.family()

    # Connections.

    def connected(self, transport: Transport, level: int) -> None:
        self.figures.connections.add(transport, str(level))

    def levelled(self, transport: Transport) -> None:
        self.figures.connections.add(transport, "0", by=-1)
        self.figures.connections.add(transport, "1")

    def disconnected(self, transport: Transport, level: int) -> None:
        self.figures.connections.add(transport, str(level), by=-1)

    def closed(self, code: int) -> None:
        self.figures.closed.add(str(code))

    def frames_in(self, transport: Door | Transport, count: int = 1) -> None:
        self.figures.frames_in.add(transport, by=count)

    def frames_out(self, transport: Door | Transport, count: int = 1) -> None:
        self.figures.frames_out.add(transport, by=count)

    def session_began(self, *, resumed: bool) -> None:
        self.figures.sessions_begun.add("resumed" if resumed else "new")

    # What comes in.

    def taken_in(self, door: Door, events: int, parent: str = "") -> Trace:
        self.figures.events.add(door, by=events)
        return None

    def repeated(self, events: int) -> None:
        self.figures.repeated.add(by=events)

    def refused(self, code: str) -> None:
        self.figures.refused.add(code)

    def rate_limited(self, scope: Scope, count: int = 1) -> None:
        self.figures.limited.add(scope, by=count)

    # Turns.

    def turn_taken(self, entries: int, since_s: float = 0.0) -> None:
        self._turn_began = self._stopwatch() - since_s
        self.figures.turn_entries.add(entries)

    def committing(self) -> None:
        self._commit_began = self._stopwatch()

    def committed(self) -> None:
        self.figures.commits.add(self._stopwatch() - self._commit_began)

    def commit_failed(self, *, again: bool) -> None:
        self.figures.commits_failed.add("retried" if again else "given_up")
        if not again:
            self._turn_began = None

    def turn_done(self, turn: TurnTold) -> None:
        figures = self.figures
        if self._turn_began is not None:
            figures.turns.add(self._stopwatch() - self._turn_began)
            self._turn_began = None
        if turn.due_at is not None:
            figures.lateness.add(self._since(turn.due_at))
        labels = self._rule_labels
        decided = Tally([(labels.get(made.rule, OTHER), made.outcome) for made in turn.decisions])
        for (rule, outcome), count in decided.items():
            figures.candidates.add(outcome, by=count)
            figures.rule_candidates.add(rule, outcome, by=count)
        if turn.faults:
            figures.faults.add(by=len(turn.faults))
        if turn.outbox:
            of_rules = sum(1 for outgoing in turn.outbox if outgoing.rule)
            figures.messages.add("rule", by=of_rules)
            answers = sum(1 for outgoing in turn.outbox if outgoing.message.type == ANSWER_TYPE)
            figures.messages.add("application", by=len(turn.outbox) - of_rules - answers)

    # Messages.

    def queued(self, messages: Sequence[OutboxMessage], how: How) -> None:
        self.figures.queued.add(how, by=len(messages))
        if how == "pushed":
            for outgoing in messages:
                self.figures.queued_seconds.add(self._since(outgoing.at))

    def arrived(self, messages: Sequence[OutboxMessage]) -> None:
        self.figures.received.add(by=len(messages))
        for outgoing in messages:
            self.figures.received_seconds.add(self._since(outgoing.at))

    # Whoever writes messages.

    def responder(self, outcome: Asked, seconds: float) -> None:
        self.figures.answers.add(seconds, outcome)

    def composed(self, outcome: Asked, seconds: float) -> None:
        self.figures.composed.add(seconds, outcome)

    # Rules and store.

    def rules_hold(self, ids: Sequence[str]) -> None:
        """A rule that has a label keeps it, also when it is gone: its numbers stay true. New ones have what is left."""
        self.figures.rules.put(len(ids))
        for rule in ids:
            if len(self._rule_labels) < RULES_MAX:
                self._rule_labels[rule] = rule

    def reloaded(self, outcome: Reload, seconds: float) -> None:
        self.figures.reloads.add(outcome)
        if outcome == "changed":
            self.figures.reload_seconds.add(seconds)

    def store_trouble(self, why: str | None) -> None:
        self.figures.store_writable.put(0 if why else 1)

    def store_worked(self, work: Work, seconds: float, *, ok: bool = True) -> None:
        self.figures.store_work.add(seconds, work)
        if not ok:
            self.figures.store_work_failed.add(work)

    def _since(self, at: int) -> float:
        """Seconds; 0 where the clock was set back meanwhile."""
        return max(0, self._clock() - at) / SECOND
