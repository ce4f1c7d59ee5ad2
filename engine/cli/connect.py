"""``proactive connect``: a client in the terminal. What is typed and shown means, `conversation` decides."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidURI
from websockets.frames import CloseCode

from engine.cli.address import address_of_server
from engine.cli.conversation import HINT, Conversation, Explain, Quit, Send
from engine.cli.credentials import Token, TokenFile, headers_of
from engine.cli.screen import End, Screen
from engine.cli.unreachable import no_server, tls_trouble

BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
REPLIES_WITHIN_S = 35.0  # a server gives its responder 30 s unless told otherwise
LAST_WORDS_S = 0.5  # after the last reply, for what rules have to say about it
# What to say of the codes with which a connection ends (RFC 6455, section 7.4.1).
CLOSED: dict[int | None, str] = {
    CloseCode.ABNORMAL_CLOSURE: "the connection broke",
    CloseCode.GOING_AWAY: "the server is going away",
}


class _Leave(Exception):
    """The conversation is over; ``code`` is the exit code."""

    def __init__(self, code: int = 0) -> None:
        super().__init__()
        self.code = code


def connect(
    client_id: Annotated[str | None, typer.Option(help="Who to be; a new client unless told.")] = None,
    token: Token = None,
    token_file: TokenFile = None,
    url: Annotated[str | None, typer.Option(help="Address of the server; by the settings unless told.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings; without it ./config.yaml, if there is one.")] = None,
) -> None:
    """Talk to a running server from the terminal.

    Shows what the backend sends and sends what is typed. A question, and whatever else offers options, is answered by
    the number of an option or in your own words; /help lists how to dismiss, mute and snooze. Lines may also come
    through a pipe: the client leaves when they end and are answered. Where the server asks for tokens, --token or
    --token-file has one ("proactive token" makes some for trying things out); who you are stands in it.

    The server is looked for where serve would start it: by --url, else by the environment (PROACTIVE_WS_PORT), else by
    the settings file, else at ws://127.0.0.1:7778.
    """
    client = client_id or f"terminal-{secrets.token_hex(3)}"
    if not _is_unicode(client):
        raise typer.BadParameter("expected a client id in UTF-8")
    headers = headers_of("token", token, token_file)
    terminal = _Terminal(client, url or address_of_server("ws", config, "--url"), headers)
    try:
        code = asyncio.run(terminal.run())
    except KeyboardInterrupt:
        code = 0
    finally:
        terminal.screen.close()
    raise typer.Exit(code)


class _Terminal:
    def __init__(self, client: str, url: str, headers: dict[str, str]) -> None:
        self.url = url
        self.headers = headers
        self.conversation = Conversation(client, time.time)
        self.screen = Screen()
        self.say = self.screen.say
        self.lines: asyncio.Queue[str | End] = asyncio.Queue()
        self.heard = asyncio.Event()
        self.leaving = asyncio.Event()  # also while there is no connection that what is typed could go to
        self.unsent: Send | None = None  # what the connection broke under
        self.code = 0  # with which we leave

    async def run(self) -> int:
        """Talk until either side ends it; the exit code."""
        loop = asyncio.get_running_loop()

        def enter(item: str | End) -> None:
            loop.call_soon_threadsafe(self.enter, item)

        self.screen.read(enter)
        attempt = 0
        while True:
            try:
                async with connect_websocket(
                    self.url, compression=None, open_timeout=10, additional_headers=self.headers
                ) as socket:
                    attempt = 0
                    self.say(f"connected to {self.url} as {self.conversation.client}; {HINT}")
                    await self.talk(socket)
                    if socket.close_code == CloseCode.MESSAGE_TOO_BIG:
                        self.unsent = None  # it would be too big the next time too
                        self.code = 1
                        self.say("that was longer than the server takes; it was not sent")
                    why = CLOSED.get(socket.close_code, f"the server closed the connection ({socket.close_code})")
            except _Leave as leave:
                return leave.code
            except InvalidURI:
                self.say(f'expected an address such as "ws://127.0.0.1:7778", got "{self.url}"')
                return 1
            except (OSError, InvalidHandshake, TimeoutError) as error:
                if trouble := tls_trouble(self.url, "--url", error):
                    self.say(trouble)
                    return 1
                why = self.why_not(error)
                if not self.screen.is_typed_at:
                    # What came through a pipe has nobody who would wait with it.
                    self.say(f"{why}; start the server with: proactive serve, or name another address with --url")
                    return 1
            # Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
            pause_s = random.uniform(0, min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2**attempt))
            attempt = min(attempt + 1, 16)
            self.say(f"{why}; trying again in {pause_s:.1f}s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self.leaving.wait(), pause_s)
                if self.has_unsent():
                    self.say("not connected; what was not sent is lost")
                    return 1
                return self.code

    def why_not(self, error: Exception) -> str:
        """Why there is no connection."""
        if isinstance(error, (InvalidMessage, TimeoutError)):
            return no_server(self.url, error)
        return f"nobody is listening at {self.url}" if isinstance(error, OSError) else str(error)

    def enter(self, item: str | End) -> None:
        """Something was typed, or nothing will be any more."""
        self.lines.put_nowait(item)
        if isinstance(item, End) or item.strip() == "/quit":
            self.leaving.set()

    def has_unsent(self) -> bool:
        """Whether something was typed that the server has not got. Takes it: there will be no other connection."""
        unsent = self.unsent is not None
        while not self.lines.empty():
            line = self.lines.get_nowait()
            unsent = unsent or (not isinstance(line, End) and isinstance(self.conversation.typed(line), Send))
        return unsent

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
                    self.screen.show(shown)
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
                    self.unsent = await self.next_sent(hearing)
                await socket.send(_encode(self.unsent.frame))
                if self.unsent.note:
                    self.say(self.unsent.note)
                self.unsent = None
        except ConnectionClosed:
            return

    async def next_sent(self, hearing: asyncio.Task[None]) -> Send:
        """The next thing typed that the server should hear of."""
        while True:
            line = await self.lines.get()
            if isinstance(line, End):
                self.lines.put_nowait(line)  # it has also ended for the next connection
                await self.await_replies(hearing)
                if self.conversation.awaited and hearing.done():
                    self.say("the server closed the connection before all was answered")
                    raise _Leave(1)
                raise _Leave(self.code)
            match self.conversation.typed(line):
                case Send() as sent:
                    return sent
                case Explain(text):
                    self.say(text)
                case Quit():
                    raise _Leave(self.code)

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


def _encode(frame: dict[str, Any]) -> str:
    return msgspec.json.encode(frame).decode()


def _is_unicode(text: str) -> bool:
    """Whether it is; bytes on a command line that are none become halves of surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
