"""All parts put together: of a server that is alone, and of a gateway. It only builds; `app` starts and stops it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AsyncExitStack

from engine.beside import run_beside
from engine.core.rules import RuleSet
from engine.core.units import SECOND
from engine.fleet.beating import LASTS_MS
from engine.fleet.front import Front
from engine.fleet.together import as_fleet_store, check_no_server
from engine.intake import Input
from engine.live import Live
from engine.metrics.metrics import Metrics
from engine.parts import (
    Driven,
    Ground,
    Parts,
    Ruling,
    assemble,
    bring_to_people,
    lay_ground,
    new_delivery,
    now,
    observe,
    open_settled_store,
    show,
)
from engine.reload import Reloader
from engine.responders.base import Responder
from engine.retention import keep_trimmed
from engine.settings import Settings
from engine.starting_rules import starting_rules
from engine.storage.opening import serve_alone
from engine.transport.here import People
from engine.transport.hooks import ResponseHook
from engine.transport.ledger import Ledger
from engine.voices import Pen, open_voice

COMPOSED_GRACE = 2 * SECOND  # besides the time that a message may take to be written, for it to come back


async def build(
    settings: Settings,
    opened: AsyncExitStack,
    *,
    responder: Responder | None,
    on_user_response: ResponseHook | None,
    on_report: Callable[[str], None] | None,
) -> Parts:
    """Everything but the doors; what has to be closed is given to ``opened``, in the order in which it is made."""
    metrics = Metrics(now)
    observer = observe(metrics, settings, opened)
    start = await starting_rules(settings.rules, settings.store, settings.store_password)
    store = await open_settled_store(settings, opened)
    await serve_alone(store, opened)
    ground = lay_ground(settings, opened, store, metrics, observer)
    voice = await open_voice(settings, responder, opened)
    live, driven = _live(ground, start.rules, voice)
    opened.push_async_callback(driven.delivery.close)
    await live.start()
    opened.push_async_callback(live.stop)
    if driven.composer is not None:
        opened.push_async_callback(driven.composer.close)
    parts = assemble(ground, driven, on_user_response)
    reloader = Reloader(live, settings.rules, on_report, observer=observer)
    if start.problems:
        reloader.begin_without(start.problems, start.report)
    run_beside(opened, reloader.run(), "reload")
    if settings.keep is not None:
        trimming = keep_trimmed(
            store, live.adopt, settings.keep, clock=now, seconds=time.monotonic, observer=observer,
            archive=settings.archive,
        )  # fmt: skip
        run_beside(opened, trimming, "retention")
    parts.ruling = Ruling(start, live, reloader)
    show(parts, observer, opened)
    return parts


async def build_gateway(
    settings: Settings, opened: AsyncExitStack, *, responder: Responder | None, on_user_response: ResponseHook | None
) -> Parts:
    """As `build`, for a store that workers evaluate: no rules, and nothing that a worker sees to.

    Raises `StoreUnusable` where the store is of one process alone.
    """
    metrics = Metrics(now)
    observer = observe(metrics, settings, opened)
    store = as_fleet_store(await open_settled_store(settings, opened), "gateway")
    ground = lay_ground(settings, opened, store, metrics, observer)
    voice = await open_voice(settings, responder, opened)
    front = Front(
        store,
        clock=now,
        resume_within=settings.resume_within,
        composed_within=settings.compose_timeout + COMPOSED_GRACE,
        observer=observer,
    )
    ground.clock = front.now
    ledger = Ledger()
    delivery = new_delivery(ground, ledger)
    sessions = bring_to_people(ground, front, delivery, ledger, lambda: None)
    delivery.bind(front, sessions)
    front.on_abandoned(sessions.abandoned)
    people = People(ground.hub, sessions, delivery)
    front.bind(people)
    opened.push_async_callback(delivery.close)
    await store.beat("gateway", front.name, LASTS_MS)
    await check_no_server(store, "gateway", front.name)
    await front.start()
    opened.push_async_callback(front.stop)
    parts = assemble(ground, Driven(front, sessions, delivery, voice), on_user_response)
    people.desk = parts.desk
    show(parts, observer, opened)
    return parts


def _live(ground: Ground, rules: RuleSet, voice: Responder | None) -> tuple[Live, Driven]:
    """What makes turns, and what brings their messages to people; each needs the other."""
    settings, observer = ground.settings, ground.observer
    pen = Pen(voice)
    ledger = Ledger()
    delivery = new_delivery(ground, ledger)
    live = Live(
        ground.store,
        rules,
        clock=ground.clock,
        deliver=delivery.deliver,
        after_turn=delivery.after_turn,
        compose=pen.compose,
        resume_within=settings.resume_within,
        observer=observer,
    )
    sessions = bring_to_people(ground, live, delivery, ledger, lambda: pen.composer)

    async def record(inputs: list[Input]) -> None:
        sessions.erasing.check(item.user for item in inputs)
        await live.submit(inputs)

    composer = pen.begin(settings, record=record, hand_over=live.hand_over, observer=observer)
    delivery.bind(live, sessions, None if composer is None else composer.settle)
    live.on_abandoned(sessions.abandoned)
    return live, Driven(live, sessions, delivery, voice, composer)
