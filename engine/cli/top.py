"""``proactive top``: a running server at a glance, once a second, until Ctrl-C.

What a frame says, `top_frame` decides, and what it is calculated from, `top_reading`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import aiohttp
import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from engine.cli.address import address_of_server
from engine.cli.credentials import Key, KeyFile, headers_of
from engine.cli.top_frame import away, frame
from engine.cli.top_reading import Between, NotMetrics, Reading, is_same_process, read_metrics
from engine.cli.unreachable import no_server, tls_trouble

EVERY_S = 1.0
TIMEOUT_S = 5.0
OVER_S = 10  # readings that rates and quantiles are taken over, one a second
WIDTH = 80  # where there is no terminal to ask
BODY_BYTES_MAX = 4 * 1024 * 1024


class _Away(Exception):
    """The server did not answer; it may yet. The text says why."""


class _Refused(Exception):
    """The server will never answer this; the text says why and what to do."""


def top(
    http: Annotated[str | None, typer.Option(help="Address of the server; by the settings unless told.")] = None,
    key: Key = None,
    key_file: KeyFile = None,
    once: Annotated[bool, typer.Option("--once", help="Show one frame, of one second, and end.")] = False,
    config: Annotated[Path | None, typer.Option(help="Settings; without it ./config.yaml, if there is one.")] = None,
) -> None:
    """Watch a running server: rates, outcomes, connections, queues, and how long things take.

    Rates and times are those of the last ten seconds. While the server is away it says so, and goes on when it is back.
    Where the server asks for keys, --key or --key-file has one with the scope metrics that `proactive key add` has
    made; a file keeps it out of the list of processes. Ctrl-C ends it.

    The server is looked for where serve would start it: by --http, else by the environment (PROACTIVE_HTTP_PORT), else
    by the settings file, else at http://127.0.0.1:7777.
    """
    headers = headers_of("key", key, key_file)
    url = (http or address_of_server("http", config, "--http")).rstrip("/")
    watch = _Watch(url, headers)
    try:
        asyncio.run(watch.once() if once else watch.run())
    except (_Away, _Refused) as error:
        typer.echo(f"proactive top: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


class _Watch:
    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.url = url
        self.headers = headers
        self.readings: deque[Reading] = deque(maxlen=OVER_S + 1)
        self.console = Console(highlight=False)
        if not self.console.is_terminal:
            self.console = Console(highlight=False, width=WIDTH, color_system=None)

    async def once(self) -> None:
        """Two readings a second apart, and what lies between them. Raises `_Away`, `_Refused`."""
        async with self.session() as session:
            self.take_in(await self.read(session))
            await asyncio.sleep(EVERY_S)
            self.take_in(await self.read(session))
        for line in self.lines():
            self.console.print(line, soft_wrap=True)

    async def run(self) -> None:
        """Until cancelled. Raises `_Refused`."""
        async with self.session() as session:
            with self.shown() as screen:
                while True:
                    began = time.monotonic()
                    try:
                        self.take_in(await self.read(session))
                        lines = self.lines()
                    except _Away as error:
                        self.readings.clear()
                        lines = away(self.url, str(error), self.clock(), self.width)
                    screen.update(Group(*lines), refresh=True)
                    await asyncio.sleep(max(0.0, EVERY_S - (time.monotonic() - began)))

    @contextmanager
    def shown(self) -> Iterator[Live]:
        """A screen of its own at a terminal; elsewhere the last frame is what stays."""
        with Live(console=self.console, screen=self.console.is_terminal, auto_refresh=False) as screen:
            yield screen

    def session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), headers=self.headers)

    async def read(self, session: aiohttp.ClientSession) -> Reading:
        """One look. Raises `_Away`, `_Refused`."""
        health = await self.get(session, "/healthz")
        text = await self.get(session, "/metrics")
        try:
            said = json.loads(health)
            return read_metrics(text, time.monotonic(), said if isinstance(said, dict) else {})
        except ValueError as error:
            why = str(error) if isinstance(error, NotMetrics) else "/healthz is no JSON"
            raise _Refused(f"no proactive server answers at {self.url}: {why}") from None

    async def get(self, session: aiohttp.ClientSession, path: str) -> str:
        try:
            async with session.get(self.url + path) as response:
                body = b""
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > BODY_BYTES_MAX:
                        raise _Refused(f"no proactive server answers at {self.url}: {path} does not end")
                if response.status in (401, 403):
                    how = "--key or --key-file takes one with the scope metrics (proactive key add)"
                    raise _Refused(f"{self.url} wants the key of a backend: {how}")
                if response.status == 404:
                    raise _Refused(f"no proactive server answers at {self.url}: there is no {path}")
                if response.status != 200:
                    raise _Away(f"{self.url}{path} answered {response.status}")
                return body.decode("utf-8", "replace")
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            raise _Refused(f'expected an address such as "http://127.0.0.1:7777", got "{self.url}"') from None
        except aiohttp.ClientConnectorError as error:
            if trouble := tls_trouble(self.url, "--http", error):
                raise _Refused(trouble) from None
            raise _Away(f"nobody is listening at {self.url}") from None
        except TimeoutError:
            raise _Away(f"{self.url} did not answer within {TIMEOUT_S:g} seconds") from None
        except (aiohttp.ClientError, OSError) as error:
            raise _Away(no_server(self.url, str(error) or type(error).__name__)) from None

    def take_in(self, reading: Reading) -> None:
        """After a restart counts begin anew, and what was read before says nothing of them."""
        if self.readings and not is_same_process(self.readings[-1], reading):
            self.readings.clear()
        self.readings.append(reading)

    def lines(self) -> list[Text]:
        return frame(Between(self.readings[0], self.readings[-1]), self.url, self.clock(), self.width)

    @property
    def width(self) -> int:
        return self.console.width

    def clock(self) -> str:
        return time.strftime("%H:%M:%S")
