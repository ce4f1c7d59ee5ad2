"""The doors of a server, and how it goes away from them. They are opened and closed by `app`."""

from __future__ import annotations

import asyncio
import errno
import secrets
from collections.abc import Awaitable, Callable

import structlog

from engine.core.model import Json
from engine.core.units import SECOND
from engine.parts import Parts, StartError, readiness_of
from engine.rules_reply import change_rules
from engine.settings import Settings
from engine.transport.decoding import WireError
from engine.transport.http_door import HttpDoor
from engine.transport.http_listener import Slowness
from engine.transport.listener import Patience, WebSocketDoor
from engine.transport.outgoing import Outgoing
from engine.transport.peer import Peer
from engine.transport.routes_about import About

DRAIN_S = 5.0  # for what was taken in to be durable and acknowledged, before connections are closed
RULES_ELSEWHERE = "a gateway has no rules: workers take them from their files, and reload those as they are edited"

log = structlog.get_logger("proactive")


def websocket_door(settings: Settings, parts: Parts) -> WebSocketDoor:
    reception, hub = parts.reception, parts.hub

    def open_peer(address: str, credentials: str | None, wake: Callable[[], None]) -> Peer:
        connection = f"c_{secrets.token_hex(8)}"
        outgoing = Outgoing(hub.frames_max, wake)
        return Peer(reception, connection, address=address, credentials=credentials, outgoing=outgoing)

    return WebSocketDoor(
        open_peer,
        allows_origin=parts.origins.allows,
        frame_bytes_max=settings.limits.frame_bytes,
        patience=Patience(heartbeat_s=settings.heartbeat / SECOND),
        admit=reception.admission.admit,
        released=reception.admission.released,
        observer=reception.observer,
    )


def http_door(
    settings: Settings,
    parts: Parts,
    health: Callable[[], Awaitable[dict[str, Json]]],
    slowness: Slowness | None = None,
    ws_url: Callable[[], str] | None = None,
) -> HttpDoor:
    async def ready() -> dict[str, Json]:
        return (await readiness_of(parts)).shown()

    async def change(apply: bool) -> dict[str, Json]:
        if parts.ruling is None:
            raise WireError("not_found", RULES_ELSEWHERE)
        return await change_rules(parts.ruling.reloader, apply=apply)

    return HttpDoor(
        parts.reception,
        store=parts.store,
        origins=parts.origins,
        about=About(health, ready, parts.metrics.render),
        change_rules=change,
        limits=settings.limits,
        ws_url=ws_url,
        slowness=slowness,
    )


async def listen(open_door: Callable[[], Awaitable[int]], host: str, port: int, option: str) -> int:
    """The port that a door listens on. Raises `StartError` in words for whoever chose it."""
    try:
        return await open_door()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            why = f"port {port} on {host} is taken by another program; {option} 0 takes any that is free"
        else:
            why = f"cannot listen on port {port} of {host}: {error.strerror or error}; {option} names another"
        raise StartError(why) from None


async def drain(parts: Parts) -> None:
    """Take nothing new in, and let what has been taken in become durable and be acknowledged."""
    parts.reception.is_draining = True
    try:
        async with asyncio.timeout(DRAIN_S):
            await parts.live.settled()
    except TimeoutError:
        log.warning("! stopping before all that was taken in is durable; clients will send it again")
    # Acknowledgements are queued by the loop right after.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
