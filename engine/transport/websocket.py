"""The WebSocket door: drives a `Session` per connection. What a frame means is decided there, not here."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass

import structlog
from websockets.asyncio.server import Server as Listener
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from engine.responders.base import ChatMessage
from engine.transport.decoding import WireError
from engine.transport.desk import Desk
from engine.transport.hub import Hub, Outgoing
from engine.transport.session import Action, Answer, Arrived, Close, Reply, Session, Submit
from engine.transport.wire import FRAME_BYTES_MAX, LOOPBACK_ORIGIN, error_frame

CHATS_MAX = 32  # chat messages of one connection that wait for their answer
CLOSE_TIMEOUT_S = 2.0  # for a client to agree to a closing; then the line is cut
GOING_AWAY = (1001, '{"code":"going_away","retryAfter":1}')

log = structlog.get_logger("proactive")


@dataclass(frozen=True, slots=True)
class Keepalive:
    """A control ping goes out every ``interval_s``; who does not answer within ``timeout_s`` is gone."""

    interval_s: float = 20.0
    timeout_s: float = 20.0


class WebSocketDoor:
    """Listens from `open` to `close`. ``frame_bytes_max`` beyond which a connection is closed with 1009."""

    def __init__(self, desk: Desk, hub: Hub, keepalive: Keepalive, *, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._desk = desk
        self._hub = hub
        self._keepalive = keepalive
        self._frame_bytes_max = frame_bytes_max
        self._listener: Listener | None = None

    async def open(self, host: str, port: int) -> int:
        """The port that is listened on (``port``, or a free one for 0). Raises OSError."""
        self._listener = await serve(
            self._handle,
            host,
            port,
            # A page from elsewhere that a person happens to visit must not speak in their name.
            origins=[None, LOOPBACK_ORIGIN],
            compression=None,  # frames are small, and a deflate window per connection is 300 KiB
            max_size=self._frame_bytes_max,
            max_queue=16,
            ping_interval=self._keepalive.interval_s,
            ping_timeout=self._keepalive.timeout_s,
            close_timeout=CLOSE_TIMEOUT_S,
        )
        return int(next(iter(self._listener.sockets)).getsockname()[1])

    async def close(self) -> None:
        """Take nobody new, and say goodbye to who is there. Their sessions stay open: they will be back."""
        if self._listener is None:
            return
        self._listener.close(close_connections=False)
        self._hub.close_all(*GOING_AWAY)
        await self._listener.wait_closed()
        self._listener = None

    async def _handle(self, socket: ServerConnection) -> None:
        connection = secrets.token_hex(8)
        outgoing = self._hub.connect(connection)
        session = Session(connection)
        chats: asyncio.Queue[ChatMessage] = asyncio.Queue(CHATS_MAX)
        reader = asyncio.create_task(self._read(socket, session, outgoing, chats))
        others = [
            asyncio.create_task(_write(socket, outgoing)),
            asyncio.create_task(self._answer(chats, outgoing)),
            asyncio.create_task(outgoing.wait_closed()),
        ]
        log.debug("= connected", connection=connection)
        try:
            await asyncio.wait([reader, others[0], others[2]], return_when=asyncio.FIRST_COMPLETED)
            if outgoing.closing is not None:
                await _hang_up(socket, outgoing, others[0])
        finally:
            # First of all nobody may be told that this connection has taken a message.
            self._hub.disconnect(connection)
            await _cancel([reader, *others])
            if outgoing.closing != GOING_AWAY:
                await self._end(session)
            log.debug("= disconnected", connection=connection, code=socket.close_code)
        for task in (reader, *others):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _read(
        self,
        socket: ServerConnection,
        session: Session,
        outgoing: Outgoing,
        chats: asyncio.Queue[ChatMessage],
    ) -> None:
        try:
            async for frame in socket:
                await self._do(session.receive(frame), session, outgoing, chats)
                if outgoing.closing is not None:
                    return
        except ConnectionClosed:
            return

    async def _do(
        self, actions: list[Action], session: Session, outgoing: Outgoing, chats: asyncio.Queue[ChatMessage]
    ) -> None:
        try:
            for action in actions:
                await self._do_one(action, session, outgoing, chats)
        except WireError as error:
            # What follows is not done: an answer would say that all is well.
            for action in actions:
                if isinstance(action, Submit):
                    session.not_submitted(action.inputs)
            outgoing.reply(error_frame(error.code, error.message))

    async def _do_one(
        self, action: Action, session: Session, outgoing: Outgoing, chats: asyncio.Queue[ChatMessage]
    ) -> None:
        match action:
            case Arrived(client):
                self._hub.identify(session.connection, client)
                log.info("= client", user_id=client, connection=session.connection)
                await self._desk.hand_waiting(session.connection, client)
            case Submit(inputs):
                await self._desk.submit(inputs)
            case Answer(chat):
                try:
                    chats.put_nowait(chat)
                except asyncio.QueueFull:
                    why = f"{CHATS_MAX} of your messages wait for an answer already"
                    outgoing.reply(error_frame("too_many_chats", why))
            case Reply(frame):
                if frame.get("type") == "error":
                    log.info("! bad frame", connection=session.connection, why=frame["message"])
                outgoing.reply(frame)
            case Close(code, reason):
                log.warning("! closing", connection=session.connection, code=code, reason=reason)
                outgoing.close(code, reason)

    async def _answer(self, chats: asyncio.Queue[ChatMessage], outgoing: Outgoing) -> None:
        # One after the other, so that the answers come in the order of the messages.
        while True:
            outgoing.reply(await self._desk.answer(await chats.get()))

    async def _end(self, session: Session) -> None:
        ends = session.ended()
        if ends:
            await self._desk.end(ends)


async def _write(socket: ServerConnection, outgoing: Outgoing) -> None:
    with suppress(ConnectionClosed):
        while True:
            await socket.send(await outgoing.take())


async def _hang_up(socket: ServerConnection, outgoing: Outgoing, writer: asyncio.Task[None]) -> None:
    """Send what is still queued, then close. Who does not read is cut off after `CLOSE_TIMEOUT_S`."""
    assert outgoing.closing is not None
    code, reason = outgoing.closing
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            if not writer.done():
                writer.cancel()
                await asyncio.wait([writer])
            while not outgoing.is_empty:
                await socket.send(await outgoing.take())
            await socket.close(code, reason)
    except (TimeoutError, ConnectionClosed):
        socket.transport.abort()


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
