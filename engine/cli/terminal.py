"""The running client of `proactive connect`: its connections, one after the other, and what is typed meanwhile.

What a line means, `conversation` decides; what the protocol wants, `device`; how it looks, `screen`.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus, InvalidURI
from websockets.frames import CloseCode

from engine.cli.commands import HINT
from engine.cli.conversation import Conversation, Explain, Quit, Send
from engine.cli.device import Device, Opened, Refused
from engine.cli.ending import FORGOTTEN, WANTS_TOKEN, Ending, ending_of_close, ending_of_refusal, ending_of_status
from engine.cli.outbox import Frame, Outbox
from engine.cli.printable import one_line
from engine.cli.screen import Complete, End, Enter
from engine.cli.shown import Piece, Shown, row_of
from engine.cli.unreachable import no_server, tls_trouble
from engine.loading.diagnostic import counted

BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
HURRIES_EVERY_S = 10.0  # a server that goes away again and again is not run after
TRIES_EVERY_S = 1.0  # however much is typed meanwhile
OPENS_WITHIN_S = 10.0  # the connection, and the server's word on it
REPLIES_WITHIN_S = 35.0  # a server gives its responder 30 s unless told otherwise
LEAVES_WITHIN_S = 2.0  # for what was typed just before /quit
LAST_WORDS_S = 0.5  # after the last reply, for what rules have to say about it
CLOSES_WITHIN_S = 2.0
LINES_MAX = 1000  # read and not looked at yet
FRAME_BYTES_MAX = 4 * 1024 * 1024  # from the server, whose answers have at most 262,144 characters


class Display(Protocol):
    """What of `Screen` is used."""

    @property
    def is_typed_at(self) -> bool: ...
    def read(self, enter: Enter, complete: Complete) -> None: ...
    def show(self, shown: Shown) -> None: ...
    def write(self, piece: Piece) -> None: ...
    def break_off(self) -> None: ...
    def say(self, text: str) -> None: ...


class Terminal:
    """``headers`` gives those of the next connection, with the token as it is now."""

    def __init__(
        self,
        client: str,
        user: str | None,
        url: str,
        headers: Callable[[], dict[str, str]],
        screen: Display,
        outbox: Outbox,
    ) -> None:
        self.url = url
        self.headers = headers
        self.screen = screen
        self.say = screen.say
        self.outbox = outbox
        self.device = Device(client, user, outbox, lambda: secrets.token_hex(8))
        self.conversation = Conversation(client, time.time, waiting=lambda: [entry.frame for entry in outbox])
        self.lines: asyncio.Queue[str | End] = asyncio.Queue()
        self.room = threading.Semaphore(LINES_MAX)
        self.changed = asyncio.Event()  # there may be more to send, or less that waits
        self.impatient = asyncio.Event()  # somebody has typed, who would rather not wait
        self.refused: Refused | None = None
        self.connections = 0  # that the server has opened to us
        self.code = 0

    async def run(self) -> int:
        """Talk until either side ends it; the exit code, but for what was not sent."""
        loop = asyncio.get_running_loop()

        def enter(item: str | End) -> None:
            self.room.acquire()
            loop.call_soon_threadsafe(self.lines.put_nowait, item)

        self.screen.read(enter, self.conversation.completions)
        typing = asyncio.create_task(self.take_lines())
        staying = asyncio.create_task(self.stay_connected())
        try:
            await asyncio.wait([typing, staying], return_when=asyncio.FIRST_COMPLETED)
            return max(task.result() for task in (typing, staying) if task.done())
        finally:
            typing.cancel()
            staying.cancel()
            await asyncio.gather(typing, staying, return_exceptions=True)

    # What is typed.

    async def take_lines(self) -> int:
        """Until there are no more, or one of them leaves; the exit code."""
        if not self.screen.is_typed_at:
            await self.until(lambda: self.connections > 0, None)
        while True:
            # While somebody is there to take it a full outbox is soon less full; otherwise who types hears of it.
            await self.until(lambda: not self.outbox.is_full or (self.screen.is_typed_at and not self.is_open), None)
            item = await self.lines.get()
            self.room.release()
            if isinstance(item, End):
                await self.leave()
                return self.code
            self.impatient.set()
            match self.conversation.typed(item):
                case Send(frame, note):
                    self.tell(frame, note)
                case Explain(text):
                    self.say(text)
                case Quit():
                    await self.until(self.is_sent_or_hopeless, LEAVES_WITHIN_S)
                    return self.code

    @property
    def is_open(self) -> bool:
        return self.device.level is not None

    def tell(self, frame: Frame, note: str) -> None:
        """Send it, or have it wait."""
        refusal = self.device.tell(frame)
        if refusal:
            self.code = 1
            self.say(refusal)
        elif self.is_open or not self.screen.is_typed_at:
            if note:
                self.say(note)
        else:
            self.say(f"waits for a connection: {note or row_of(frame)}")
        self.changed.set()

    def is_sent_or_hopeless(self) -> bool:
        return not self.outbox or (self.screen.is_typed_at and not self.is_open)

    async def leave(self) -> None:
        """There will be no more lines: wait for what they lead to, where nobody sits before it who would rather go."""
        if self.screen.is_typed_at:
            await self.until(self.is_sent_or_hopeless, LEAVES_WITHIN_S)
            return
        if not await self.until(lambda: self.device.is_settled, REPLIES_WITHIN_S):
            self.say("no answer came")
        await asyncio.sleep(LAST_WORDS_S)

    async def until(self, is_so: Callable[[], bool], within_s: float | None) -> bool:
        """Wait for it; whether it came to be."""

        async def wait() -> None:
            while not is_so():
                self.changed.clear()
                await self.changed.wait()

        with suppress(TimeoutError):
            await asyncio.wait_for(wait(), within_s)
        return is_so()

    # The connection.

    async def stay_connected(self) -> int:
        """Until it makes no sense any more; the exit code."""
        loop = asyncio.get_running_loop()
        attempt, hurried_at, said = 0, -HURRIES_EVERY_S, ""
        while True:
            headers, before = self.headers(), self.connections
            ending = await self.connect_once(headers)
            was_open = self.connections > before
            if ending.text == WANTS_TOKEN and self.headers() != headers:
                ending = Ending("there is a fresh token", at_once=True)
            if ending.pause_s is None:
                self.say(ending.text)
                if ending.text == FORGOTTEN and (count := self.outbox.clear()):
                    self.say(f"{counted(count, 'line')} not sent, and forgotten here too")
                return 1
            if not was_open and not self.screen.is_typed_at and not ending.at_once:
                # What came through a pipe has nobody who would wait with it.
                self.say(f"{ending.text}; start the server with: proactive serve, or name another address with --url")
                return 1
            if was_open:
                attempt, said = 0, ""
            if ending.at_once and loop.time() >= hurried_at + HURRIES_EVERY_S:
                hurried_at = loop.time()
                self.say(f"{ending.text}; trying again at once")
                continue
            # Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
            pause_s = max(ending.pause_s, random.uniform(0, min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2**attempt)))
            attempt = min(attempt + 1, 16)
            if ending.text != said:  # once, however often it happens
                self.say(f"{ending.text}; trying again{' and again' if said else ''}")
                said = ending.text
            await self.pause(ending.pause_s, pause_s)

    async def pause(self, at_least_s: float, pause_s: float) -> None:
        """Stay away; somebody who types meanwhile makes it shorter, for it is they whom nobody should keep waiting."""
        self.impatient.clear()
        at_least_s = min(pause_s, max(at_least_s, TRIES_EVERY_S))
        await asyncio.sleep(at_least_s)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.impatient.wait(), pause_s - at_least_s)

    async def connect_once(self, headers: dict[str, str]) -> Ending:
        """One connection, from its beginning to its end."""
        try:
            async with connect_websocket(
                self.url, compression=None, open_timeout=OPENS_WITHIN_S, close_timeout=CLOSES_WITHIN_S,
                max_size=FRAME_BYTES_MAX, additional_headers=headers,
            ) as socket:  # fmt: skip
                return await self.talk(socket, has_token=bool(headers))
        except InvalidURI:
            return Ending(f'expected an address such as "ws://127.0.0.1:7778", got "{self.url}"', None)
        except InvalidStatus as error:
            return ending_of_status(error.response.status_code, self.url)
        except (InvalidMessage, TimeoutError) as error:
            return self.trouble(error, no_server(self.url, error))
        except OSError as error:
            return self.trouble(error, f"nobody is listening at {self.url}")
        except InvalidHandshake as error:
            return self.trouble(error, one_line(str(error)))

    def trouble(self, error: Exception, otherwise: str) -> Ending:
        """What encryption came to nothing by, coming back does not mend."""
        if told := tls_trouble(self.url, "--url", error):
            return Ending(told, None)
        return Ending(otherwise)

    async def talk(self, socket: ClientConnection, *, has_token: bool) -> Ending:
        """Over one connection, until it is closed."""
        self.refused = None
        opening = self.device.opening()
        hearing = asyncio.create_task(self.hear(socket))
        sending = asyncio.create_task(self.send(socket, opening))
        is_mute = False
        try:
            await asyncio.wait([hearing, sending], timeout=OPENS_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
            is_mute = not (hearing.done() or sending.done() or self.is_open)
            if not is_mute:
                await asyncio.wait([hearing, sending], return_when=asyncio.FIRST_COMPLETED)
        finally:
            hearing.cancel()
            sending.cancel()
            await asyncio.wait([hearing, sending])
            self.lost()
        for task in (hearing, sending):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        if self.refused is not None:
            if self.refused.code == "unauthorized" and not has_token and not self.device.is_plain:
                self.device.is_plain = True  # there may be plain chat for whoever has no token
                return Ending("the server opens sessions with a token alone", at_once=True)
            return ending_of_refusal(self.refused)
        if is_mute:
            return Ending(no_server(self.url, "it says nothing"))
        if socket.close_code == CloseCode.MESSAGE_TOO_BIG:
            self.code = 1
        return ending_of_close(socket.close_code, socket.close_reason or "")

    def lost(self) -> None:
        if self.device.lost():
            self.code = 1
            self.say("the connection ended before all was answered")
        self.screen.break_off()
        self.changed.set()

    async def hear(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for data in socket:
                text = data if isinstance(data, str) else data.decode("utf-8", "replace")
                try:
                    frame = msgspec.json.decode(text)
                except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
                    frame = None
                if not isinstance(frame, dict):
                    self.screen.show(self.conversation.unreadable(text))
                    continue
                taken = self.device.take(frame, time.monotonic())
                if isinstance(taken, Refused):
                    self.refused = taken
                    return
                if isinstance(taken, Opened):
                    self.opened(taken)
                elif taken is not None:
                    self.show(taken)
                self.tell_sent()
                self.changed.set()

    def show(self, frame: Frame) -> None:
        match self.conversation.received(frame):
            case Shown() as shown:
                if frame.get("type") == "error":
                    self.screen.break_off()
                self.screen.show(shown)
            case Piece() as piece:
                self.screen.write(piece)
            case Explain(text):
                self.say(text)

    def opened(self, opened: Opened) -> None:
        self.connections += 1
        client = self.device.client
        who = f"{opened.user} ({client})" if opened.user not in ("", client) else client
        self.say(f"connected to {self.url} as {who}; {HINT}" if self.connections == 1 else "connected again")
        if self.connections == 1 and opened.level == 0:
            self.say(
                f"without a token there is only chat; {WANTS_TOKEN}"
                if self.device.is_plain
                else "this server knows no sessions: what is under way when a connection breaks may be lost"
            )
        for entry in opened.gone:
            self.code = 1
            why = "the server takes nothing so long" if entry.user in ("", opened.user) else f"it was {entry.user}'s"
            self.say(f"not sent, for {why}: {row_of(entry.frame)}")

    def tell_sent(self) -> None:
        """Once all that had to wait has come to the server."""
        if self.device.just_sent and not any(entry.has_waited for entry in self.outbox):
            count, self.device.just_sent = self.device.just_sent, 0
            if self.screen.is_typed_at:
                self.say(f"{counted(count, 'line')} that waited sent")

    async def send(self, socket: ClientConnection, opening: list[Frame]) -> None:
        with suppress(ConnectionClosed):
            for frame in opening:
                await socket.send(_encode(frame))
            while True:
                outgoing = self.device.to_send(time.monotonic())
                if outgoing is None:
                    self.changed.clear()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self.changed.wait(), self.device.pause_s(time.monotonic()))
                    continue
                await socket.send(_encode(outgoing.frame))
                self.device.sent(outgoing)
                self.tell_sent()
                self.changed.set()


def run_terminal(terminal: Terminal, is_kept: Callable[[], bool]) -> int:
    """Run it; the exit code. ``is_kept`` says whether the next start sends what this one could not."""
    try:
        code = asyncio.run(terminal.run())
    except KeyboardInterrupt:
        code = 0
    if not terminal.outbox:
        return code
    rest = f"kept; the next start with --client-id {terminal.device.client} sends what is kept" if is_kept() else "lost"
    terminal.say(f"{counted(len(terminal.outbox), 'line')} not sent: {rest}")
    return 1


def _encode(frame: Frame) -> str:
    return msgspec.json.encode(frame).decode()
