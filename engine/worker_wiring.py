"""A worker put together: store, rules, rounds, who writes messages, its figures. `worker_app` starts and stops it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import structlog

from engine.beside import run_beside
from engine.core.model import Event, Json
from engine.core.refusal import Refused
from engine.core.rules import RuleSet
from engine.core.units import SECOND, format_at
from engine.fleet.beating import new_name
from engine.fleet.cleaning import Cleaning
from engine.fleet.publishing import Publishing
from engine.fleet.relay import Relay
from engine.fleet.rounds import Rounds
from engine.fleet.together import as_fleet_store, check_no_server
from engine.fleet.unlisted import end_unlisted_once
from engine.fleet.worker import CLOCK_OFF_MAX, SHOWN_MAX, Worker
from engine.folder import load_folder
from engine.intake import Input
from engine.loading.diagnostic import RuleErrors
from engine.loading.wording import with_hint
from engine.metrics.metrics import Metrics
from engine.observer import Observer
from engine.parts import StartError, now, observe, open_settled_store
from engine.readiness import readiness
from engine.recorded import latest_recorded
from engine.reload import Reloader
from engine.responders.base import Responder
from engine.retention import keep_trimmed
from engine.rule_history import RuleHistory
from engine.settings import Settings
from engine.starting_rules import StartingRules
from engine.storage.base import Entry, StoreError
from engine.storage.fleet import FleetStore
from engine.storage.opening import figures_of, notes_of
from engine.transport.auth import Authenticator
from engine.transport.figures_door import FiguresDoor
from engine.transport.routes_about import About
from engine.voices import Pen, open_voice
from engine.watching import StoreProbe, StoreWatch

log = structlog.get_logger("worker")


@dataclass(slots=True)
class WorkerParts:
    """What a worker is made of. ``said``: lines for whoever started it."""

    store: FleetStore
    worker: Worker
    start: StartingRules
    reloader: Reloader
    metrics: Metrics
    authenticator: Authenticator
    probe: StoreProbe
    said: list[str]
    is_stopping: bool = False


async def build_worker(
    settings: Settings, opened: AsyncExitStack, *, responder: Responder | None, on_report: Callable[[str], None] | None
) -> WorkerParts:
    """Everything but the door, and the worker does not run yet. Raises `StartError`, `RuleErrors`, `StoreError`."""
    metrics = Metrics(now)
    observer = observe(metrics, settings, opened)
    authenticator = _authenticator(settings)
    store = as_fleet_store(await open_settled_store(settings, opened), "worker")
    start = await _rules_to_begin_with(settings, store)
    voice = await open_voice(settings, responder, opened)
    worker = _worker(settings, store, start.rules, voice, observer, opened)
    await worker.join()
    try:
        await check_no_server(store, "worker", worker.name)
        publishing = Publishing(store, start.rules)
        said = [] if start.problems else [await publishing.begin()]
    except BaseException:
        await store.leave("worker", worker.name)
        raise
    reloader = Reloader(publishing, settings.rules, on_report, observer=observer)
    if start.problems:
        reloader.begin_without(start.problems, start.report)
        said = [start.report, *start.problems]
    probe = StoreProbe(store, time.monotonic, worker.trouble_over)
    parts = WorkerParts(store, worker, start, reloader, metrics, authenticator, probe, [line for line in said if line])
    run_beside(opened, reloader.run(), "reload")
    _show(parts, observer, opened)
    if settings.keep is not None:
        trimming = keep_trimmed(
            store, worker.adopt, settings.keep, clock=worker.store_clock, seconds=time.monotonic, observer=observer,
            partitions=lambda: worker.rounds.held, archive=settings.archive,
        )  # fmt: skip
        run_beside(opened, trimming, "retention")
    return parts


def figures_door(parts: WorkerParts) -> FiguresDoor:
    async def health() -> dict[str, Json]:
        return await health_of(parts)

    async def ready() -> dict[str, Json]:
        worker = parts.worker
        notes = [*notes_of(parts.store), *_held_up(parts)]
        if abs(worker.clock_off) > CLOCK_OFF_MAX:
            notes.append(f"the clock of this machine is {abs(worker.clock_off) // SECOND} s off the store's")
        return readiness(
            stopping=parts.is_stopping,
            running=worker.is_running,
            store_trouble=await parts.probe.trouble() or worker.trouble,
            memory_trouble=None,
            rules=_rule_count(parts),
            rule_problems=parts.reloader.problems,
            store_notes=notes,
        ).shown()

    return FiguresDoor(About(health, ready, parts.metrics.render), parts.authenticator)


async def health_of(parts: WorkerParts) -> dict[str, Json]:
    """``degraded``: it works, and somebody should look."""
    worker, reloader = parts.worker, parts.reloader
    trouble: Json = worker.trouble or None
    try:
        kept = await parts.store.describe()
    except StoreError as error:
        kept, trouble = {}, str(error)
    timeline = worker.rounds.rules.timeline
    is_fine = worker.is_running and not trouble and not reloader.problems and not worker.held_up
    return {
        "status": "ok" if is_fine else "degraded",
        "rules": {
            "loaded": 0 if timeline is None else len(timeline.latest.rules),
            "hash": None if timeline is None else timeline.latest.hash,
            "problems": list(reloader.problems),
        },
        "store": {**kept, "trouble": trouble},
        "worker": worker.health(),
    }


def _worker(
    settings: Settings,
    store: FleetStore,
    rules: RuleSet,
    voice: Responder | None,
    observer: Observer,
    opened: AsyncExitStack,
) -> Worker:
    pen = Pen(voice)
    relay = Relay(
        store,
        compose=pen.compose,
        compose_within=settings.compose_timeout,
        on_settled=pen.settle,
    )

    async def record(inputs: list[Input]) -> None:
        """What was written, unless nobody is to have it any more, or another worker has it written by now."""
        for item in inputs:
            waiting = await store.pending(item.user, await store.clock())
            if not relay.is_held(item.user) or item.data["message_id"] not in {each.message.id for each in waiting}:
                raise StoreError("it is not to be told any more, or another worker tells it")
        events = [Event(item.type, item.user, 0, item.data, session=item.session) for item in inputs]
        await store.ingest([Entry("event", 0, event.user, event) for event in events])

    composer = pen.begin(settings, record=record, hand_over=relay.hand_over, observer=observer)
    if composer is not None:
        opened.push_async_callback(composer.close)
    name = new_name()
    cleaning = Cleaning(store, settings.resume_within)
    run_beside(opened, cleaning.run(), "cleaning")
    history = RuleHistory(store, known={rules.hash: rules})
    rounds = Rounds(store, name, rules=history, observer=observer)
    worker = Worker(store, name, rounds=rounds, relay=relay, cleaning=cleaning, clock=now, observer=observer)
    unlisted = end_unlisted_once(store, lambda: worker.rounds.held, settings.resume_within / SECOND)
    run_beside(opened, unlisted, "unlisted sessions")
    return worker


async def _rules_to_begin_with(settings: Settings, store: FleetStore) -> StartingRules:
    """Those of the files or, where these have errors, those that hold. Raises `RuleErrors` where none do."""
    try:
        return StartingRules(load_folder(settings.rules))
    except RuleErrors as errors:
        former = await latest_recorded(store)
        if former is None:
            raise
        since, rules = former
        log.error("! rule files have errors, what held goes on holding", since=format_at(since), rules_hash=rules.hash)
        return StartingRules(rules, since, tuple(str(errors).splitlines()))


def _authenticator(settings: Settings) -> Authenticator:
    try:
        return Authenticator(settings.auth, now)
    except Refused as refused:
        raise StartError(with_hint(refused.message, refused.hint)) from None


def _held_up(parts: WorkerParts) -> list[str]:
    """What somebody has to mend; the others go on, so it keeps no work away."""
    gone = parts.store.out_of_reach()
    damaged = sorted((number, why) for number, why in parts.worker.held_up.items() if number not in gone)
    notes = [f"partition {number} is not evaluated: {why}" for number, why in damaged[:SHOWN_MAX]]
    if len(damaged) > SHOWN_MAX:
        notes.append(f"… and {len(damaged) - SHOWN_MAX} more partitions are not evaluated")
    return notes


def _rule_count(parts: WorkerParts) -> int:
    timeline = parts.worker.rounds.rules.timeline
    return 0 if timeline is None else len(timeline.latest.rules)


def _show(parts: WorkerParts, observer: Observer, opened: AsyncExitStack) -> None:
    """Let the figures be looked up in the parts, and the store be looked at now and then."""
    metrics, worker = parts.metrics, parts.worker
    watch = StoreWatch(parts.store, observer, None, worker.trouble_over, partial(figures_of, parts.store))
    watch.show_in(metrics)
    metrics.look_at("ready", lambda: float(worker.is_running and not worker.trouble and not watch.trouble))
    metrics.look_at("rule_problems", lambda: len(parts.reloader.problems))
    metrics.look_at("partitions_held", lambda: len(worker.rounds.held))
    metrics.look_at("partitions_held_up", lambda: len(worker.held_up))
    metrics.look_at("rounds", lambda: worker.done.rounds)
    metrics.look_at("entries_evaluated", lambda: worker.done.entries)
    metrics.look_at("commits_refused", lambda: worker.done.refused)
    metrics.look_at("messages_relayed", lambda: worker.relay.told)
    metrics.look_at("evaluation_lag", lambda: worker.lag)
    metrics.look_at("store_clock_ahead", lambda: worker.clock_off / SECOND)
    run_beside(opened, watch.run(), "store")
