"""``proactive serve``: the live server in the foreground, until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from engine.app import Server
from engine.cli.stopping import stop_refused
from engine.folder import shipped_rules
from engine.loading.diagnostic import RuleErrors, counted
from engine.logs import configure_logs
from engine.parts import StartError
from engine.settings import Settings
from engine.settings_file import DEFAULT_PATH
from engine.settings_shape import PREFIX
from engine.storage.base import StoreError

# Of the cyclic garbage collector: new containers, and how often the older ones are looked at (see `gc`).
GC_THRESHOLDS = (50_000, 20, 20)


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
    try:
        server = Server.from_config(config, rules=rules, store=store, ws_port=ws_port, http_port=http_port)
        check_ports(server.settings)
        configure_logs(server.settings.log, server.settings.secrets)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_serve(server))
    except RuleErrors as errors:
        stop_refused(errors)
    except (StartError, StoreError) as error:
        typer.echo(f"proactive serve: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def check_ports(settings: Settings) -> None:
    """Raises `StartError`: listening would fail too, but blame another program for it."""
    if settings.ws_port == settings.http_port != 0:
        raise StartError("ws_port and http_port are the same; each needs a port of its own")


def _nothing_here() -> bool:
    """Whether nobody has said which rules to serve, and there are none where they would be looked for."""
    named = f"{PREFIX}RULES" in os.environ
    return not named and not Path(DEFAULT_PATH).exists() and not Settings().rules.exists()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return asyncio.new_event_loop
    return uvloop.new_event_loop


async def _serve(server: Server) -> None:
    def announce() -> None:
        spare_the_collector()
        for line in announcement(server):
            typer.echo(line)
        sys.stdout.flush()

    await server.serve_forever(announce)


def spare_the_collector() -> None:
    """What is there once the server has started stays: nothing of it need be looked through again.

    Values come and go by the hundred in each turn and hardly any are circles, so it is enough to look now and then.
    With the interpreter's own thresholds a third of the time that events took was the collector's.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


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
