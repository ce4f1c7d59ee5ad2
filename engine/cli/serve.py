"""``proactive serve``: the live server in the foreground, until it is told to stop."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from engine.app import Server
from engine.cli.foreground import check_ports, run_in_foreground
from engine.folder import shipped_rules
from engine.loading.diagnostic import counted
from engine.settings import Settings
from engine.settings_file import DEFAULT_PATH
from engine.settings_shape import PREFIX


def serve(
    config: Annotated[Path | None, typer.Option(help="Settings; without it ./config.yaml, if there is one.")] = None,
    rules: Annotated[Path | None, typer.Option(metavar="RULES", help="A folder of rules, or one rule file.")] = None,
    store: Annotated[
        str | None, typer.Option(metavar="STORE", help="Where everything is kept: sqlite:PATH, redis://HOST.")
    ] = None,
    ws_port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = None,
    http_port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = None,
) -> None:
    """Run the live server.

    Options go before variables of the environment (PROACTIVE_WS_PORT, …), and those before the settings file.
    The rule files are watched: an edit holds within a second. Ctrl-C stops the server. In a folder with neither
    settings nor rules it serves the example rules that come with proactive, and says so.
    """
    if config is None and rules is None and _nothing_here():
        rules = shipped_rules()

    def make() -> Server:
        server = Server.from_config(config, rules=rules, store=store, ws_port=ws_port, http_port=http_port)
        check_ports(server.settings)
        return server

    run_in_foreground("serve", make, announcement)


def _nothing_here() -> bool:
    """Whether nobody has said which rules to serve, and there are none where they would be looked for."""
    named = f"{PREFIX}RULES" in os.environ
    return not named and not Path(DEFAULT_PATH).exists() and not Settings().rules.exists()


def announcement(server: Server) -> list[str]:
    """What stands on the screen when the server has started. Other programs wait for the first line."""
    rules = server.rules
    folder = server.settings.rules
    shown = f"{folder.as_posix()}{os.sep}" if folder.is_dir() else folder.as_posix()
    files = counted(len(rules.sources), "file")
    lines = [
        f"WebSocket server started on {server.ws_url}",
        f"HTTP server started on {server.http_url}",
        f"Rules loaded: {counted(len(rules.rules), 'rule')} from {shown} ({files})",
        f"Store: {server.settings.store}",
    ]
    if server.start_trouble:
        lines[2] = f"Rules: {counted(len(rules.rules), 'rule')} that held last, the files in {shown} have errors"
        lines += [*server.start_trouble, "They hold as soon as they are mended; no restart is needed."]
    if folder == shipped_rules() and not Settings().rules.exists():
        lines.append(f'These are the examples that come with proactive; for rules of your own: cp -r "{folder}" rules')
    return lines
