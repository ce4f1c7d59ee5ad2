"""python-socketio as one would run it for speed: ASGI under uvicorn with uvloop, WebSocket alone, no compression.

Run with ``aiohttp`` as its first word it is the same on aiohttp. An event ``typed`` is acknowledged; ``asked`` is
answered by a message; ``all`` goes to everybody. It keeps nothing and decides nothing.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

import socketio
import uvloop


def server(mode: str) -> socketio.AsyncServer:
    sio = socketio.AsyncServer(
        async_mode=mode, transports=["websocket"], http_compression=False, ping_interval=25, cors_allowed_origins="*"
    )

    async def typed(sid: str, data: dict[str, Any]) -> bool:
        return True

    async def asked(sid: str, data: dict[str, Any]) -> None:
        await sio.emit("message", {"text": f"asked {data['n']}"}, to=sid)

    async def everybody(sid: str, data: dict[str, Any]) -> None:
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

        app = socketio.ASGIApp(server("asgi"))
        settings = uvicorn.Config(
            app, loop="uvloop", log_level="warning", access_log=False, ws_per_message_deflate=False
        )
        uvicorn.Server(settings).run(sockets=[listener])


if __name__ == "__main__":
    main()
