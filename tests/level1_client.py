"""A client of level 1 as an outsider writes it, from the page of the protocol alone. It knows nothing of the engine.

`Level1Client` is Sans-I/O: frames in, frames out, and what a device has to remember across connections. Below it are
three ways to carry frames: a WebSocket, server-sent events with POST, and long polling.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

Frame = dict[str, Any]

TRY_AGAIN = frozenset(
    {"not_stored", "overloaded", "rate_limited"}
)  # errors after which an event is kept and sent again
POLL_TIMEOUT_S = 40.0  # of one request that waits for something to be said
REPEATABLE_MAX = 50  # events last said that may be said again on purpose


class Gone(Exception):
    """The connection is lost; ``code`` is that of a WebSocket's closing, 0 where there was none."""

    def __init__(self, code: int = 0, reason: str = "") -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code


class Level1Client:
    """One device of one user. ``trace`` is told every frame in (``<``) and out (``>``).

    ``complaints`` are what a server must never do, as far as a client can see it.
    """

    def __init__(
        self,
        client: str,
        user: str | None = None,
        *,
        token: str | None = None,
        trace: Callable[[str, Frame], None] = lambda direction, frame: None,
    ) -> None:
        self.client = client
        self.user = user
        self.token = token
        self.session: str | None = None
        self.sessions: list[str] = []
        self.is_welcome = False
        self.received = 0  # the last `seq` of the session without a gap before it
        self.messages: dict[str, Frame] = {}
        self.withdrawn: dict[str, str] = {}
        self.preferences: Frame | None = None
        self.replies: list[Frame] = []  # pong, chat_response: what has no id
        self.errors: list[Frame] = []
        self.complaints: list[str] = []
        self.repeated = 0  # messages that came again and were dropped by their id
        self.resumed = 0
        self.acknowledged: set[str] = set()
        self.refused: dict[str, Frame] = {}
        self._unacknowledged: dict[str, Frame] = {}
        self._last_said: OrderedDict[str, Frame] = OrderedDict()
        self._outgoing: list[Frame] = []
        self._said = 0
        self._trace = trace

    # What the person at the device does.

    def say(self, kind: str, **data: Any) -> str:
        """Tell an event, until it is acknowledged. The id by which the server will know it."""
        self._said += 1
        event_id = f"e{self._said}"
        frame = {"type": kind, "id": event_id, **data}
        self._unacknowledged[event_id] = self._last_said[event_id] = frame
        if len(self._last_said) > REPEATABLE_MAX:
            self._last_said.popitem(last=False)
        if self.is_welcome:
            self._outgoing.append(frame)
        return event_id

    def say_again(self, event_id: str) -> bool:
        """A repeat on purpose, acknowledged or not. False where nobody would hear it, or it was said long ago."""
        if not self.is_welcome or event_id not in self._last_said:
            return False
        self._outgoing.append(self._last_said[event_id])
        return True

    def tell(self, frame: Frame) -> None:
        """A frame that nobody acknowledges: an outcome, a wish, a ping."""
        if self.is_welcome:
            self._outgoing.append(frame)

    @property
    def unacknowledged(self) -> list[str]:
        return list(self._unacknowledged)

    @property
    def last_said(self) -> list[str]:
        """Ids that `say_again` takes, the oldest first."""
        return list(self._last_said)

    # What its connection does.

    def hello(self) -> Frame:
        """The first frame of every connection."""
        self.is_welcome = False
        self._outgoing.clear()
        frame: Frame = {"type": "hello", "protocol": 1, "clientId": self.client}
        if self.user is not None:
            frame["user"] = self.user
        if self.token is not None:
            frame["token"] = self.token
        if self.session is not None:
            frame["resume"] = {"session": self.session, "received": self.received}
        self._trace(">", frame)
        return frame

    def take(self) -> list[Frame]:
        """What is to be sent now."""
        taken, self._outgoing = self._outgoing, []
        for frame in taken:
            self._trace(">", frame)
        return taken

    def lost(self) -> None:
        """The connection is gone; what was on its way may have arrived or not."""
        self.is_welcome = False
        self._outgoing.clear()

    def receive(self, frame: Frame) -> None:
        self._trace("<", frame)
        match frame.get("type"):
            case "welcome":
                self._welcomed(frame)
            case "ack":
                for event_id in frame["ids"]:
                    self._acknowledge(event_id)
            case "error":
                self._failed(frame)
            case "withdrawn":
                self.withdrawn[frame["id"]] = frame["reason"]
            case "preferences":
                self.preferences = frame
            case _:
                self._hear(frame)

    def _welcomed(self, frame: Frame) -> None:
        resumed = bool(frame["resumed"])
        if resumed and frame["session"] != self.session:
            self.complaints.append(f"resumed {frame['session']}, asked for {self.session}")
        if resumed:
            self.resumed += 1
        else:
            self.received = 0
        if not self.sessions or self.sessions[-1] != frame["session"]:
            self.sessions.append(frame["session"])
        self.session = frame["session"]
        self.is_welcome = True
        self._outgoing = list(self._unacknowledged.values())

    def _acknowledge(self, event_id: str) -> None:
        if event_id not in self._unacknowledged and event_id not in self.acknowledged:
            self.complaints.append(f"acknowledged {event_id}, which was not said")
        self._unacknowledged.pop(event_id, None)
        self.acknowledged.add(event_id)

    def _failed(self, frame: Frame) -> None:
        self.errors.append(frame)
        event_id = frame.get("frameId")
        if event_id in self._unacknowledged and frame["code"] not in TRY_AGAIN:
            self.refused[event_id] = frame
            del self._unacknowledged[event_id]

    def _hear(self, frame: Frame) -> None:
        if not self.is_welcome:
            return  # a plain client hears it; if it is for this user, it comes with a number
        if "seq" in frame:
            self._count(frame)
        if "id" not in frame:
            self.replies.append(frame)
        elif frame["id"] in self.messages:
            self.repeated += 1
        else:
            self.messages[frame["id"]] = frame

    def _count(self, frame: Frame) -> None:
        if frame["seq"] != self.received + 1:
            self.complaints.append(f"seq {frame['seq']} after {self.received}")
        self.received = max(self.received, frame["seq"])
        answer = {"type": "received", "seq": self.received}
        # It is cumulative: one answer stands for all that came at once.
        if self._outgoing and self._outgoing[-1]["type"] == "received":
            self._outgoing[-1] = answer
        else:
            self._outgoing.append(answer)


class Connection(Protocol):
    """One connection, from a `hello` on. Both may raise `Gone`."""

    async def send(self, frames: list[Frame]) -> None: ...

    async def receive(self) -> list[Frame]:
        """What comes next, one frame or several."""

    async def close(self) -> None:
        """As a device that is switched off, politely; twice is once."""


class WebSocketConnection:
    """`open` has sent the `hello`; the `welcome` is the first frame received."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    @classmethod
    async def open(cls, url: str, client: Level1Client) -> WebSocketConnection:
        try:
            socket = await connect(url, compression=None, open_timeout=10, close_timeout=1, ping_interval=None)
            await socket.send(json.dumps(client.hello()))
        except (OSError, TimeoutError, EOFError, InvalidHandshake, InvalidMessage, ConnectionClosed) as error:
            raise Gone(0, repr(error)) from None
        return cls(socket)

    async def send(self, frames: list[Frame]) -> None:
        try:
            for frame in frames:
                await self._socket.send(json.dumps(frame))
        except ConnectionClosed as error:
            raise _gone(error) from None

    async def receive(self) -> list[Frame]:
        try:
            return [json.loads(await self._socket.recv())]
        except ConnectionClosed as error:
            raise _gone(error) from None

    async def close(self) -> None:
        # 1000 would say that the user has left for good.
        await self._socket.close(1001)


class _HttpConnection:
    """What SSE and long polling have in common: a session by POST /hello, and frames by POST /events."""

    def __init__(self, http: aiohttp.ClientSession, url: str, client: Level1Client) -> None:
        self._http = http
        self._url = url
        self._client = client
        self._heard: list[Frame] = []

    async def say_hello(self) -> None:
        status, body = await self._request("POST", "/hello", json=self._client.hello())
        if status != 200:
            raise Gone(status, json.dumps(body))
        self._client.receive(body)

    async def send(self, frames: list[Frame]) -> None:
        if not frames:
            return
        status, body = await self._request("POST", f"/events?session={self._client.session}", json=frames)
        if status in (404, 409, 410):
            raise Gone(status, json.dumps(body))
        for frame in body.get("frames", [body] if "type" in body else []):
            self._client.receive(frame)

    async def _request(self, method: str, path: str, **given: Any) -> tuple[int, Any]:
        try:
            async with self._http.request(method, self._url + path, **given) as response:
                return response.status, await response.json()
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, RuntimeError) as error:
            raise Gone(0, repr(error)) from None

    async def close(self) -> None:
        await self._http.close()


class EventStreamConnection(_HttpConnection):
    """GET /stream, as the HTML standard has it (9.2): fields, and an empty line behind each event."""

    _response: aiohttp.ClientResponse

    @classmethod
    async def open(cls, url: str, client: Level1Client, own_address: str | None = None) -> EventStreamConnection:
        connection = cls(_http_session(own_address), url, client)
        try:
            await connection.say_hello()
            await connection._listen()
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _listen(self) -> None:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(self._client.received)}
        try:
            self._response = await self._http.get(f"{self._url}/stream?session={self._client.session}", headers=headers)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, RuntimeError) as error:
            raise Gone(0, repr(error)) from None
        if self._response.status != 200:
            raise Gone(self._response.status)

    async def receive(self) -> list[Frame]:
        data: list[str] = []
        while True:
            try:
                line = await self._response.content.readline()
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError, RuntimeError) as error:
                raise Gone(0, repr(error)) from None
            if not line.endswith(b"\n"):
                raise Gone(0, "the stream ended")
            field, _, value = line.decode().rstrip("\r\n").partition(":")
            if field == "data":
                data.append(value.removeprefix(" "))
            elif not field and not value and data:
                return [json.loads("\n".join(data))]

    async def close(self) -> None:
        if hasattr(self, "_response"):
            self._response.close()
        await super().close()


class LongPollConnection(_HttpConnection):
    """GET /poll, one request after the other; asking for what comes after a `seq` says that it was received."""

    @classmethod
    async def open(cls, url: str, client: Level1Client, own_address: str | None = None) -> LongPollConnection:
        connection = cls(_http_session(own_address), url, client)
        try:
            await connection.say_hello()
        except BaseException:
            await connection.close()
            raise
        return connection

    async def receive(self) -> list[Frame]:
        path = f"/poll?session={self._client.session}&after={self._client.received}"
        status, body = await self._request("GET", path)
        if status != 200:
            raise Gone(status, json.dumps(body))
        frames: list[Frame] = body["frames"]
        return frames

    async def send(self, frames: list[Frame]) -> None:
        await super().send([frame for frame in frames if frame["type"] != "received"])


def _http_session(own_address: str | None) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=None, connect=10, sock_read=POLL_TIMEOUT_S)
    connector = None if own_address is None else aiohttp.TCPConnector(local_addr=(own_address, 0))
    return aiohttp.ClientSession(timeout=timeout, connector=connector)


def _gone(error: ConnectionClosed) -> Gone:
    return Gone() if error.rcvd is None else Gone(error.rcvd.code, error.rcvd.reason)


async def converse(client: Level1Client, connection: Connection, said: asyncio.Event) -> None:
    """Carry frames both ways until the connection is lost: raises `Gone`. ``said`` is set when there is more to say."""

    async def write() -> None:
        while True:
            await said.wait()
            said.clear()
            await connection.send(client.take())

    async def read() -> None:
        while True:
            receive_all(client, await connection.receive())
            said.set()

    said.set()
    tasks = [asyncio.create_task(write()), asyncio.create_task(read())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        client.lost()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await connection.close()


def receive_all(client: Level1Client, frames: Iterable[Frame]) -> None:
    for frame in frames:
        client.receive(frame)
