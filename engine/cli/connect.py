"""``proactive connect``: a client in the terminal. What is typed and shown means, `conversation` decides."""

from __future__ import annotations

import asyncio
import codecs
import os
import random
import secrets
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.text import Text
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.frames import CloseCode

from engine.cli.conversation import HELP, Conversation, Explain, Quit, Send, Shown

BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
REPLIES_WITHIN_S = 35.0  # a server gives its responder 30 s unless told otherwise
LAST_WORDS_S = 0.5  # after the last reply, for what rules have to say about it
STYLES = {"question": "bold cyan", "suggestion": "bold green", "notification": "bold yellow", "error": "bold red"}
STDIN = 0


class _End:
    """Standard input has ended."""


class _Leave(Exception):
    """The conversation is over; ``code`` is the exit code."""

    def __init__(self, code: int = 0) -> None:
        super().__init__()
        self.code = code


def connect(
    client_id: Annotated[str | None, typer.Option(help="Who to be; a new client unless told.")] = None,
    url: Annotated[str, typer.Option(help="Address of the server.")] = "ws://127.0.0.1:7778",
) -> None:
    """Talk to a running server from the terminal.

    Shows what the backend sends and sends what is typed. A question is answered by the number of an option or in
    your own words. Lines may also come through a pipe: the client leaves when they end and are answered.
    """
    client = client_id or f"terminal-{secrets.token_hex(3)}"
    if not _is_unicode(client):
        raise typer.BadParameter("expected a client id in UTF-8")
    terminal = _Terminal(client, url)
    try:
        code = asyncio.run(terminal.run())
    except KeyboardInterrupt:
        code = 0
    raise typer.Exit(code)


class _Terminal:
    def __init__(self, client: str, url: str) -> None:
        self.url = url
        self.conversation = Conversation(client)
        self.console = Console(highlight=False, soft_wrap=True)
        self.lines: asyncio.Queue[str | _End] = asyncio.Queue()
        self.heard = asyncio.Event()
        self.leaving = asyncio.Event()  # also while there is no connection that what is typed could go to
        self.unsent: str | None = None  # a frame that the connection broke under

    async def run(self) -> int:
        """Talk until either side ends it; the exit code."""
        threading.Thread(
            target=_read_lines, args=(asyncio.get_running_loop(), self.enter), daemon=True, name="stdin"
        ).start()
        attempt = 0
        while True:
            try:
                async with connect_websocket(self.url, compression=None, open_timeout=10) as socket:
                    attempt = 0
                    self.say(f"connected to {self.url} as {self.conversation.client}; {HELP}")
                    await self.talk(socket)
                    if socket.close_code == CloseCode.MESSAGE_TOO_BIG:
                        self.unsent = None  # it would be too big the next time too
                        self.say("that was longer than the server takes; it was not sent")
                    why = f"closed by the server with {socket.close_code}"
            except _Leave as leave:
                return leave.code
            except InvalidURI:
                self.say(f'expected an address such as "ws://127.0.0.1:7778", got "{self.url}"')
                return 1
            except (OSError, InvalidHandshake, TimeoutError) as error:
                why = f"nobody is listening at {self.url}" if isinstance(error, OSError) else str(error)
                if sys.stdin is None or not sys.stdin.isatty():
                    # What came through a pipe has nobody who would wait with it.
                    self.say(f"{why}; start the server with: proactive serve")
                    return 1
            # Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
            pause_s = random.uniform(0, min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2**attempt))
            attempt = min(attempt + 1, 16)
            self.say(f"{why}; trying again in {pause_s:.1f}s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self.leaving.wait(), pause_s)
                self.say("not connected; what was not sent is lost")
                return 1

    def enter(self, item: str | _End) -> None:
        """Something was typed, or nothing will be any more."""
        self.lines.put_nowait(item)
        if isinstance(item, _End) or item.strip() == "/quit":
            self.leaving.set()

    async def talk(self, socket: ClientConnection) -> None:
        """Over one connection. Returns when the server has closed it; raises `_Leave` when we are done."""
        self.conversation.connected()
        hearing = asyncio.create_task(self.hear(socket))
        saying = asyncio.create_task(self.tell(socket, hearing))
        try:
            await asyncio.wait([hearing, saying], return_when=asyncio.FIRST_COMPLETED)
        finally:
            saying.cancel()
            hearing.cancel()
            await asyncio.wait([hearing, saying])
        for task in (saying, hearing):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def hear(self, socket: ClientConnection) -> None:
        try:
            async for frame in socket:
                shown = self.conversation.received(frame if isinstance(frame, str) else frame.decode())
                if shown is not None:
                    self.show(shown)
                self.heard.set()
        except ConnectionClosed:
            pass
        finally:
            self.heard.set()

    async def tell(self, socket: ClientConnection, hearing: asyncio.Task[None]) -> None:
        try:
            await socket.send(_encode(self.conversation.hello()))
            while True:
                if self.unsent is None:
                    self.unsent = await self.next_frame(hearing)
                await socket.send(self.unsent)
                self.unsent = None
        except ConnectionClosed:
            return

    async def next_frame(self, hearing: asyncio.Task[None]) -> str:
        """The next thing typed that the server should hear of."""
        while True:
            line = await self.lines.get()
            if isinstance(line, _End):
                self.lines.put_nowait(line)  # it has also ended for the next connection
                await self.await_replies(hearing)
                if self.conversation.awaited and hearing.done():
                    self.say("the server closed the connection before all was answered")
                    raise _Leave(1)
                raise _Leave
            match self.conversation.typed(line):
                case Send(frame):
                    return _encode(frame)
                case Explain(text):
                    self.say(text)
                case Quit():
                    raise _Leave

    async def await_replies(self, hearing: asyncio.Task[None]) -> None:
        async def all_heard() -> None:
            while self.conversation.awaited and not hearing.done():
                self.heard.clear()
                await self.heard.wait()

        try:
            await asyncio.wait_for(all_heard(), REPLIES_WITHIN_S)
        except TimeoutError:
            self.say("no answer came")
        await asyncio.sleep(LAST_WORDS_S)

    def show(self, shown: Shown) -> None:
        """One message: time, kind, text; below it the options with their numbers."""
        line = Text.assemble((f"{shown.at:8} ", "dim"), (f"{shown.kind} ", STYLES.get(shown.kind, "bold")), shown.text)
        self.console.print(line)
        for number, option in enumerate(shown.options, 1):
            self.console.print(Text.assemble(" " * 9, (f"{number}. ", "bold"), option))

    def say(self, text: str) -> None:
        """A line of our own, to standard error: what the server says can be piped on by itself."""
        typer.echo(f"[{text}]", err=True)


def _encode(frame: dict[str, Any]) -> str:
    return msgspec.json.encode(frame).decode()


def _is_unicode(text: str) -> bool:
    """Whether it is; bytes on a command line that are none become halves of surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_lines(loop: asyncio.AbstractEventLoop, enter: Callable[[str | _End], None]) -> None:
    """Runs in a thread of its own, as reading a terminal or a file cannot be awaited everywhere.

    It reads the descriptor and not `sys.stdin`, whose lock a thread that waits would hold when the program ends.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""

    def put(item: str | _End) -> None:
        loop.call_soon_threadsafe(enter, item)

    try:
        while chunk := os.read(STDIN, 4096):
            *whole, rest = (rest + decoder.decode(chunk)).split("\n")
            for line in whole:
                put(line)
        if rest:
            put(rest)
        put(_End())
    except (OSError, RuntimeError):
        # The loop has ended first, or there is no standard input at all; in both cases nobody reads on.
        return
