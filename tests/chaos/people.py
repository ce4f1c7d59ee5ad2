"""The crowd: devices of level 1 over three transports and plain clients of level 0, and what they do at random.

Each keeps books of what it said, what was acknowledged and what it received. Whether that is right, `verdict` says.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import aiohttp
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from tests.level1_client import (
    Connection,
    EventStreamConnection,
    Frame,
    Gone,
    Level1Client,
    LongPollConnection,
    WebSocketConnection,
    converse,
)

Way = Literal["websocket", "stream", "poll", "plain websocket", "plain http"]

TRACE_MAX = 5_000  # frames of one device that are remembered
REPEATS = 0.15  # of events that are said once more on purpose
ANSWERS = 0.2  # of questions that are answered
SELDOM, OFTEN = 0.03, 0.15  # of the times that somebody says something they switch off before
HTTP_TIMEOUT_S = 15.0
KINDS = {"asked": 40, "failed": 20, "saved": 15, "drafted": 10, "dropped": 5, "typed": 10}


class Course:
    """What all devices share: where the doors are, whether anything still happens, and what was counted.

    ``away_s``: for how long at most somebody stays away who has switched off.
    """

    def __init__(self, ws_url: str, http_url: str, pause_s: float, away_s: float = 0.0) -> None:
        self.ws_url = ws_url
        self.http_url = http_url
        self.pause_s = pause_s  # between two events of one device, on average
        self.away_s = away_s
        self.counted: Counter[str] = Counter()
        self._over = asyncio.Event()

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    def end(self) -> None:
        """Nothing happens any more from here on."""
        self._over.set()

    async def goes_on_after(self, seconds: float) -> bool:
        """Wait so long, or until all is over: then False."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()
        return not self.is_over


class Device:
    """One device of level 1."""

    def __init__(self, name: str, user: str, way: Way, course: Course, rng: random.Random) -> None:
        self.way = way
        self.user = user
        self.trace: deque[tuple[float, str, Frame]] = deque(maxlen=TRACE_MAX)
        self.client = Level1Client(name, user, trace=self._note)
        self.said: dict[str, int] = {}  # ids of `asked` events, and their numbers
        self.received_at: dict[str, float] = {}
        self._course = course
        self._rng = rng
        self._has_said = asyncio.Event()
        self._connection: Connection | None = None
        self._numbers = 0
        self._away_s = 0.0
        self._answered: set[str] = set()

    @property
    def name(self) -> str:
        return self.client.client

    async def live(self) -> None:
        """Connect, talk, lose the connection, connect again; for ever."""
        tries = 0
        while True:
            try:
                self._connection = await self._open()
                self._course.counted["connections"] += 1
                tries = 0
                await converse(self.client, self._connection, self._has_said)
            except Gone as gone:
                self._note("!", {"gone": str(gone)})
                self._course.counted[f"closed with {gone.code}" if gone.code else "lost"] += 1
                if self.client.is_welcome:
                    self.client.lost()
            tries = min(tries + 1, 5)
            away_s, self._away_s = self._away_s, 0.0
            await asyncio.sleep(away_s + self._rng.uniform(0.02, 0.1 * 2**tries))

    async def act(self) -> None:
        """Say things until the course is over."""
        while await self._course.goes_on_after(self._rng.expovariate(1 / self._course.pause_s)):
            if self._rng.random() < (OFTEN if self._course.away_s else SELDOM):
                await self._switch_off()
            for _ in range(self._rng.choice((1, 1, 1, 1, 8))):
                self._say_something()
            self._has_said.set()

    async def _open(self) -> Connection:
        if self.way == "websocket":
            return await WebSocketConnection.open(self._course.ws_url, self.client)
        kind = EventStreamConnection if self.way == "stream" else LongPollConnection
        return await kind.open(self._course.http_url, self.client)

    def _say_something(self) -> None:
        kind = self._rng.choices(list(KINDS), list(KINDS.values()))[0]
        if kind == "failed":
            self.client.say(kind, test=f"t{self._rng.randint(1, 2)}")
        else:
            self._numbers += 1
            number = f"{self.name}.{self._numbers}"
            event_id = self.client.say(kind, n=number)
            if kind == "asked":
                self.said[event_id] = self._numbers
        if self._rng.random() < REPEATS:
            again = self._rng.choice(self.client.last_said)
            self._course.counted["repeats of events"] += self.client.say_again(again)
        self._answer_something()

    def _answer_something(self) -> None:
        open_questions = [
            message_id for message_id, frame in list(self.client.messages.items())[-5:] if "questionId" in frame
        ]
        if open_questions and self._rng.random() < ANSWERS:
            question = self._rng.choice(open_questions)
            if question not in self._answered:
                self._answered.add(question)
                self.client.say("user_response", questionId=question, response="Yes please")

    async def _switch_off(self) -> None:
        connection = self._connection
        if connection is not None and self.client.is_welcome:
            self._course.counted["switched off"] += 1
            self._away_s = self._rng.uniform(0, self._course.away_s)
            await connection.close()

    def _note(self, direction: str, frame: Frame) -> None:
        now = asyncio.get_running_loop().time()
        self.trace.append((now, direction, frame))
        if direction == "<" and "id" in frame:
            self.received_at.setdefault(frame["id"], now)


class PlainDevice:
    """A client of level 0: over a WebSocket nobody acknowledges, over HTTP a ``202`` does."""

    def __init__(self, name: str, way: Way, course: Course, rng: random.Random) -> None:
        self.name = self.user = name
        self.way = way
        self.trace: deque[tuple[float, str, Frame]] = deque(maxlen=TRACE_MAX)
        self.said: dict[str, Frame] = {}
        self.acknowledged: set[str] = set()
        self.messages: dict[str, Frame] = {}
        self.repeated = 0
        self._course = course
        self._rng = rng

    async def live(self) -> None:
        """For ever: say things, listen, come back. Over HTTP all of it is `act`."""
        while self.way == "plain websocket":
            with suppress(OSError, TimeoutError, EOFError, InvalidHandshake, InvalidMessage, ConnectionClosed):
                async with connect(self._course.ws_url, compression=None, close_timeout=1) as socket:
                    await socket.send(json.dumps({"type": "ping", "clientId": self.name}))
                    self._course.counted["connections"] += 1
                    await self._talk(socket.send, socket.recv)
            await asyncio.sleep(self._rng.uniform(0.05, 0.5))
        await asyncio.get_running_loop().create_future()

    async def act(self) -> None:
        if self.way != "plain http":
            return
        timeout = aiohttp.ClientTimeout(total=HTTP_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            while await self._course.goes_on_after(self._rng.expovariate(1 / self._course.pause_s)):
                await self._post(http, [self._event() for _ in range(self._rng.choice((1, 1, 5)))])

    async def _talk(self, send: Callable[[str], Any], receive: Callable[[], Any]) -> None:
        async def listen() -> None:
            while True:
                self._hear(json.loads(await receive()))

        listening = asyncio.create_task(listen())
        try:
            while not listening.done():
                if not self._course.is_over:
                    frame = self._event()
                    self._note(">", frame)
                    await send(json.dumps(frame))
                await asyncio.wait([listening], timeout=self._rng.expovariate(1 / self._course.pause_s))
            await listening
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _post(self, http: aiohttp.ClientSession, events: list[Frame]) -> None:
        """Until it is acknowledged; then now and then once more."""
        while True:
            with suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
                self._note(">", {"events": events})
                async with http.post(f"{self._course.http_url}/events", json=events) as response:
                    ids = (await response.json()).get("ids", [])
                    self._note("<", {"status": response.status, "ids": ids})
                    if response.status == 202:
                        self.acknowledged.update(ids)
                        break
            await asyncio.sleep(self._rng.uniform(0.05, 0.5))
        if self._rng.random() < REPEATS:
            self._course.counted["repeats of events"] += len(events)
            with suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
                async with http.post(f"{self._course.http_url}/events", json=events) as response:
                    await response.read()

    def _event(self) -> Frame:
        event_id = f"{self.name}-{len(self.said) + 1}"
        frame = {"type": "asked", "id": event_id, "clientId": self.name, "n": f"{self.name}.{len(self.said) + 1}"}
        self.said[event_id] = frame
        return frame

    def _hear(self, frame: Frame) -> None:
        self._note("<", frame)
        if "id" in frame:
            self.repeated += frame["id"] in self.messages
            self.messages[frame["id"]] = frame

    def _note(self, direction: str, frame: Frame) -> None:
        self.trace.append((asyncio.get_running_loop().time(), direction, frame))


class Backend:
    """A program that sends messages of its own to users, there or not, each until it is taken, and some once more.

    ``sent``: by the ids that the server has given them, the users.
    """

    def __init__(self, users: list[str], course: Course, rng: random.Random) -> None:
        self.sent: dict[str, str] = {}
        self._users = users
        self._course = course
        self._rng = rng

    async def act(self) -> None:
        timeout = aiohttp.ClientTimeout(total=HTTP_TIMEOUT_S)
        number = 0
        async with aiohttp.ClientSession(timeout=timeout) as http:
            while await self._course.goes_on_after(self._rng.expovariate(len(self._users) / self._course.pause_s / 2)):
                number += 1
                user = self._rng.choice(self._users)
                kind = self._rng.choice(("question", "suggestion", "notification"))
                order = {"to": {"user": user}, "type": kind, "text": f"told {number}", "id": f"b{number}"}
                while True:
                    if await self._post(http, order, user):
                        break
                    await asyncio.sleep(self._rng.uniform(0.05, 0.5))
                if self._rng.random() < REPEATS:
                    self._course.counted["repeats of the backend's messages"] += 1
                    await self._post(http, order, user)

    async def _post(self, http: aiohttp.ClientSession, order: Frame, user: str) -> bool:
        with suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
            async with http.post(f"{self._course.http_url}/messages", json=order) as response:
                body = await response.json()
                if response.status == 202:
                    self.sent.update(dict.fromkeys(body["ids"], user))
                    return True
        return False


def make_crowd(count: int, course: Course, rng: random.Random) -> tuple[list[Device], list[PlainDevice]]:
    """A fifth are plain; of the others every fourth user has two or three devices, of whatever transport."""
    plain_count = count // 5
    plain: list[PlainDevice] = []
    for number in range(plain_count):
        way: Way = "plain websocket" if number % 2 else "plain http"
        plain.append(PlainDevice(f"plain{number}", way, course, random.Random(rng.random())))
    devices: list[Device] = []
    user = 0
    while len(devices) < count - plain_count:
        user += 1
        wanted = rng.choice((2, 3)) if user % 4 == 0 else 1
        for number in range(min(wanted, count - plain_count - len(devices))):
            device_way: Way = rng.choices(("websocket", "stream", "poll"), (5, 3, 2))[0]
            name = f"u{user}-d{number}"
            devices.append(Device(name, f"u{user}", device_way, course, random.Random(rng.random())))
    return devices, plain
