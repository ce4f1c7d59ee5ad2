"""``proactive connect``: a client in the terminal.

Here are its options and what it keeps from one start to the next; `terminal` runs it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.address import address_of_server
from engine.cli.credentials import Token, TokenFile, headers_of
from engine.cli.outbox import Entry, Outbox
from engine.cli.outbox_file import NoOutboxFile, OutboxFile, state_folder
from engine.cli.screen import Screen
from engine.cli.terminal import Terminal, run_terminal
from engine.loading.diagnostic import counted


def connect(
    client_id: Annotated[str | None, typer.Option(help="Which device to be; a new one unless told.")] = None,
    user: Annotated[str | None, typer.Option(help="Whose device it is; its own unless a token says.")] = None,
    token: Token = None,
    token_file: TokenFile = None,
    url: Annotated[str | None, typer.Option(help="Address of the server; by the settings unless told.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings; without it ./config.yaml, if there is one.")] = None,
) -> None:
    """Talk to a running server from the terminal.

    Shows what the backend sends and sends what is typed. A question, and whatever else offers options, is answered by
    the number of an option or in your own words; /help lists the rest. Where the server asks for tokens, --token or
    --token-file has one ("proactive token" makes some for trying things out); who you are stands in it.

    What is typed while there is no connection waits for one, at most 100 lines. At a terminal with --client-id it is
    kept for the next start as well, in a file of your state folder (XDG_STATE_HOME, else ~/.local/state). Lines may
    also come through a pipe: the client leaves when they end and are answered, or at once where it finds no server.

    The exit code is 0 where the server has got all that was typed, else 1.

    The server is looked for where serve would start it: by --url, else by the environment (PROACTIVE_WS_PORT), else by
    the settings file, else at ws://127.0.0.1:7778.
    """
    client = client_id or f"terminal-{secrets.token_hex(3)}"
    for name, given in (("client id", client), ("user", user or "")):
        if not _is_unicode(given):
            raise typer.BadParameter(f"expected a {name} in UTF-8")

    def headers() -> dict[str, str]:
        return headers_of("token", token, token_file)

    headers()  # what cannot be a token is told before anything else
    address = url or address_of_server("ws", config, "--url")
    screen = Screen()
    file = OutboxFile(state_folder(os.environ), address, client) if client_id and screen.is_typed_at else None
    keeping = _Keeping(file, screen.say)
    terminal = Terminal(client, user, address, headers, screen, keeping.outbox())
    try:
        code = run_terminal(terminal, lambda: keeping.is_kept)
    finally:
        screen.close()
        keeping.close()
    raise typer.Exit(code)


class _Keeping:
    """What waits, and the file that keeps it, where there is one and it can be written."""

    def __init__(self, file: OutboxFile | None, say: Callable[[str], None]) -> None:
        self.is_kept = file is not None
        self._file = file
        self._say = say

    def outbox(self) -> Outbox:
        """With what the former start has left."""
        waiting: list[Entry] = []
        if self._file is not None:
            try:
                waiting = self._file.open()
            except NoOutboxFile as error:
                self._failed(error)
        if waiting:
            self._say(f"{counted(len(waiting), 'line')} from last time to be sent")
        return Outbox(waiting, self._keep)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _keep(self, entries: list[Entry]) -> None:
        if self._file is not None and self.is_kept:
            try:
                self._file.keep(entries)
            except NoOutboxFile as error:
                self._failed(error)

    def _failed(self, error: NoOutboxFile) -> None:
        self.is_kept = False
        self._say(f"{error}; what has to wait is not kept for the next start")


def _is_unicode(text: str) -> bool:
    """Whether it is; bytes on a command line that are none become halves of surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
