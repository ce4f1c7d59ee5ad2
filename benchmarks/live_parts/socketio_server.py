"""python-socketio as one would run it for speed: ASGI under uvicorn with uvloop, WebSocket alone, no compression.

Run with ``aiohttp`` as its first word it is the same on aiohttp. An event ``typed`` is acknowledged; ``asked`` is
answered by a message; ``all`` goes to everybody. It keeps nothing and decides nothing; only with ``durable`` each event
is in a SQLite file, committed by a thread as one would have it there, before it is acknowledged or answered.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import socketio
import uvloop


async def keeps_nothing(sid: str, data: dict[str, Any]) -> None:
    return


def keeper() -> Callable[[str, dict[str, Any]], Awaitable[None]]:
    """What commits an event, one in a transaction, in a file of the working folder."""
    thread = ThreadPoolExecutor(max_workers=1)

    def begin() -> sqlite3.Connection:
        db = sqlite3.connect("events.db", isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE log (number INTEGER PRIMARY KEY, client TEXT, line TEXT)")
        return db

    db = thread.submit(begin).result()

    async def keep(sid: str, data: dict[str, Any]) -> None:
        row = (sid, json.dumps(data))
        await asyncio.get_running_loop().run_in_executor(
            thread, lambda: db.execute("INSERT INTO log (client, line) VALUES (?, ?)", row)
        )

    return keep


def server(mode: str) -> socketio.AsyncServer:
    sio = socketio.AsyncServer(
        async_mode="aiohttp" if mode == "aiohttp" else "asgi",
        transports=["websocket"],
        http_compression=False,
        ping_interval=25,
        cors_allowed_origins="*",
    )
    keep = keeper() if mode == "durable" else keeps_nothing

    async def typed(sid: str, data: dict[str, Any]) -> bool:
        await keep(sid, data)
        return True

    async def asked(sid: str, data: dict[str, Any]) -> None:
        await keep(sid, data)
        await sio.emit("message", {"text": f"asked {data['n']}"}, to=sid)

    async def everybody(sid: str, data: dict[str, Any]) -> None:
        await keep(sid, data)
        await sio.emit("message", data)

    sio.on("typed", typed)
    sio.on("asked", asked)
    sio.on("all", everybody)
    return sio


def main() -> None:
    listener = socket.create_server(("127.0.0.1", int(sys.argv[2])), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    if sys.argv[1] == "aiohttp":
        from aiohttp import web

        app = web.Application()
        server("aiohttp").attach(app)
        uvloop.install()
        web.run_app(app, sock=listener, print=None, access_log=None, loop=uvloop.new_event_loop())
    else:
        import uvicorn

        app = socketio.ASGIApp(server(sys.argv[1]))
        settings = uvicorn.Config(
            app, loop="uvloop", log_level="warning", access_log=False, ws_per_message_deflate=False
        )
        uvicorn.Server(settings).run(sockets=[listener])


if __name__ == "__main__":
    main()
