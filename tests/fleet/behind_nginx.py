"""Two gateways and a worker behind a real nginx, with the file that stands in deploy/: `make test-deploy`.

Not among the tests of every run, for it needs nginx. Only names and ports of the file are changed, and where nginx may
write.
"""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from level1_client import EventStreamConnection, LongPollConnection
from processes import ROOT, FleetProcess, Visitor, processes, until
from storage.redis_server import RedisServer, free_port

FILE = ROOT / "deploy" / "nginx.conf"
OWN_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
BY_HTTP: dict[str, Any] = {"stream": EventStreamConnection.open, "poll": LongPollConnection.open}


@dataclass
class Balanced:
    ws_url: str
    http_url: str
    worker: FleetProcess
    gateways: list[FleetProcess]

    async def connections(self, http: aiohttp.ClientSession) -> list[int]:
        """How many each gateway has; -1 for one that does not answer."""
        found = []
        for gateway in self.gateways:
            try:
                async with http.get(gateway.urls["HTTP"] + "/healthz") as answer:
                    found.append((await answer.json())["connections"])
            except aiohttp.ClientError:
                found.append(-1)
        return found


def as_it_stands(gateways: list[FleetProcess], ws_port: int, http_port: int, folder: Path) -> str:
    text = FILE.read_text("utf-8")
    for kind, name, port in (("WebSocket", "7778", ws_port), ("HTTP", "7777", http_port)):
        places = [gateway.urls[kind].rpartition("//")[2] for gateway in gateways]
        text = text.replace(f"server gateway:{name};", " ".join([f"server {place};" for place in places]))
        text = text.replace(f"listen {name};", f"listen 127.0.0.1:{port};")
    assert "gateway:" not in text
    own = [f"{name}_temp_path {folder}/{name};" for name in OWN_FOLDERS]
    return text.replace("http {", "\n".join(["http {", f"access_log {folder}/access.log;", *own]), 1)


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@asynccontextmanager
async def balanced(folder: Path, store: str) -> AsyncIterator[Balanced]:
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        pytest.skip("there is no nginx: make test-deploy")
    async with processes(folder, store) as [worker, *gateways]:
        ws_port, http_port = free_port(), free_port()
        (folder / "nginx.conf").write_text(as_it_stands(gateways, ws_port, http_port, folder), encoding="utf-8")
        words = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
        # Of a folder of root's nobody else may write below it; who is not root need not say who it is.
        words += ["-g", f"pid {folder}/nginx.pid; daemon off;" + (" user root;" if os.geteuid() == 0 else "")]
        looking = await asyncio.create_subprocess_exec(*words, "-t", stderr=asyncio.subprocess.PIPE)
        _, said = await looking.communicate()
        assert looking.returncode == 0, said.decode()
        running = await asyncio.create_subprocess_exec(*words)
        try:
            await until(partial(answers, ws_port))
            await until(partial(answers, http_port))
            yield Balanced(f"ws://127.0.0.1:{ws_port}", f"http://127.0.0.1:{http_port}", worker, gateways)
        finally:
            running.send_signal(signal.SIGTERM)
            await running.wait()


@pytest.fixture
async def fleet(tmp_path: Path, redis: RedisServer) -> AsyncIterator[Balanced]:
    async with balanced(tmp_path, redis.url) as made:
        yield made


@pytest.fixture
async def opened() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


def come(opened: AsyncExitStack, user: str, url: str, *way: Any) -> Visitor:
    visitor = Visitor("phone", user, [url], *way)
    opened.push_async_callback(visitor.close)
    return visitor


async def test_connections_are_spread_and_those_of_a_killed_gateway_go_on_at_the_other(
    fleet: Balanced, opened: AsyncExitStack
) -> None:
    http = await opened.enter_async_context(aiohttp.ClientSession())
    crowd = [come(opened, f"u{number}", fleet.ws_url) for number in range(40)]
    await until(lambda: all(each.client.is_welcome for each in crowd))
    assert [10 < count < 30 for count in await fleet.connections(http)] == [True, True]
    for each in crowd:
        each.say("stuck", what="one")
    await until(lambda: all(each.texts() for each in crowd))
    await fleet.gateways[0].end(signal.SIGKILL)
    for each in crowd:
        each.say("stuck", what="two")
    await until(lambda: all(len(each.texts()) == 2 for each in crowd))
    await until(lambda: not any(each.client.unacknowledged for each in crowd))
    assert await fleet.connections(http) == [-1, 40]
    assert {tuple(each.texts()) for each in crowd} == {("Stuck with one?", "Stuck with two?")}
    assert {len(each.client.sessions) for each in crowd} == {1}, "sessions go on, wherever"
    assert Counter(each.client.resumed for each in crowd)[0] == sum(1 for each in crowd if not each.lost)
    assert [complaint for each in crowd for complaint in each.client.complaints] == []


@pytest.mark.parametrize("way", BY_HTTP)
async def test_over_http_a_client_stays_at_its_gateway_until_that_is_killed(
    fleet: Balanced, opened: AsyncExitStack, way: str
) -> None:
    crowd = [
        come(opened, f"u{number}", fleet.http_url, partial(BY_HTTP[way], own_address=f"127.0.0.{number}"))
        for number in range(2, 18)
    ]
    await until(lambda: all(each.client.is_welcome for each in crowd))
    for number in range(5):
        for each in crowd:
            each.say("stuck", what=str(number))
        await until(lambda number=number: all(len(each.texts()) == number + 1 for each in crowd))
    assert [each.lost for each in crowd] == [0] * 16, "no request went where their session is not"
    await fleet.gateways[0].end(signal.SIGKILL)
    for each in crowd:
        each.say("stuck", what="5")
    await until(lambda: all(len(each.texts()) == 6 for each in crowd))
    moved = [each for each in crowd if each.lost]
    assert 0 < len(moved) < 16, "both gateways had some"
    assert {tuple(each.texts()) for each in crowd} == {tuple([f"Stuck with {number}?" for number in range(6)])}
    assert {len(each.client.sessions) for each in crowd} == {1}
    assert [complaint for each in crowd for complaint in each.client.complaints] == []


async def test_the_ways_of_one_user_meet(fleet: Balanced, opened: AsyncExitStack) -> None:
    ways = [(fleet.ws_url,), *((fleet.http_url, open_one) for open_one in BY_HTTP.values())]
    devices = []
    for number, (url, *way) in enumerate(ways):
        visitor = Visitor(f"device{number}", "ann", [url], *way)
        opened.push_async_callback(visitor.close)
        devices.append(visitor)
    await until(lambda: all(each.client.is_welcome for each in devices))
    devices[0].say("stuck", what="a test")
    await until(lambda: all(each.texts() == ["Stuck with a test?"] for each in devices))
    [question] = devices[1].client.messages
    devices[1].tell({"type": "outcome", "id": question, "outcome": "answered", "response": "no"})
    await until(lambda: all(each.client.withdrawn == {question: "answered"} for each in (devices[0], devices[2])))


async def test_what_is_not_for_everybody_stays_behind_it_and_big_bodies_are_the_gateways_to_refuse(
    fleet: Balanced, opened: AsyncExitStack
) -> None:
    http = await opened.enter_async_context(aiohttp.ClientSession(fleet.http_url))
    async with http.get("/metrics") as answer:
        assert answer.status == 404
    async with http.get("/readyz") as answer:
        assert (answer.status, (await answer.json())["ready"]) == (200, True)
    async with http.post("/events", data=io.BytesIO(bytes(1024 * 1024 + 1))) as answer:
        assert (answer.status, (await answer.json())["code"]) == (413, "too_big")
