"""A server whose process grows beyond its `limits.memory_mb` and shrinks again: run by test_memory_limit.py.

Prints one JSON object: what clients were told while there was no memory, and whether all was as before afterwards.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import aiohttp

from engine import Server
from engine.memory_guard import MIB, resident_bytes
from engine.settings import Limits, Log, Settings

GROWTH_MIB = 160
WITHIN_S = 60.0


async def main(folder: Path) -> None:
    # Of one that serves already, so that what it takes to serve does not count.
    limits = Limits(memory_mb=resident_bytes() // MIB + 100)
    settings = Settings(ws_port=0, http_port=0, store="memory:", rules=folder, log=Log(level="error"), limits=limits)
    told: dict[str, Any] = {}
    async with Server(settings) as server, aiohttp.ClientSession(server.http_url) as http:
        await until(http, 200)
        before = await http.ws_connect(server.ws_url)
        ballast = [bytearray(b"x" * MIB) for _ in range(GROWTH_MIB)]
        told["readyz"] = await until(http, 503)
        async with http.post("/events", json={"type": "a", "clientId": "ann"}) as reply:
            told["events"] = [reply.status, reply.headers.get("Retry-After"), await reply.json()]
        try:
            await http.ws_connect(server.ws_url)
        except aiohttp.WSServerHandshakeError as error:
            told["connection"] = [error.status, (error.headers or {}).get("Retry-After")]
        await before.send_str('{"type": "a", "clientId": "ann"}')
        told["frame"] = await before.receive_json()
        await before.send_str('{"type": "ping"}')
        told["ping"] = await before.receive_json()
        ballast.clear()
        await until(http, 200)
        async with http.post("/events", json={"type": "a", "clientId": "ann"}) as reply:
            told["afterwards"] = reply.status
        await (await http.ws_connect(server.ws_url)).close()
        await before.close()
    print(json.dumps(told))


async def until(http: aiohttp.ClientSession, status: int) -> Any:
    """What ``/readyz`` says as soon as it says it with that status."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            async with http.get("/readyz") as reply:
                said = await reply.json()
                if reply.status == status:
                    return said
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
