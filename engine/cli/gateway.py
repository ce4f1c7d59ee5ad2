"""``proactive gateway``: the doors of a server whose work is shared, in the foreground, until it is told to stop."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from engine.app import Gateway
from engine.cli.serve import check_ports, loop_factory, spare_the_collector
from engine.logs import configure_logs
from engine.parts import StartError
from engine.storage.base import StoreError


def gateway(
    config: Annotated[Path | None, typer.Option(help="Settings; without it ./config.yaml, if there is one.")] = None,
    store: Annotated[str | None, typer.Option(metavar="STORE", help="What is shared: redis://HOST:PORT/DB.")] = None,
    ws_port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = None,
    http_port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = None,
) -> None:
    """Run a gateway: it talks to clients, and leaves it to workers to evaluate what they say.

    Any number of gateways and workers may share a store on Redis. A gateway needs no rules. Options go before
    variables of the environment (PROACTIVE_WS_PORT, …), and those before the settings file. Ctrl-C stops it: its
    clients go on at the others.
    """
    try:
        server = Gateway.from_config(config, store=store, ws_port=ws_port, http_port=http_port)
        check_ports(server.settings)
        configure_logs(server.settings.log, server.settings.secrets)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_serve(server))
    except (StartError, StoreError) as error:
        typer.echo(f"proactive gateway: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


async def _serve(server: Gateway) -> None:
    def announce() -> None:
        spare_the_collector()
        for line in announcement(server):
            typer.echo(line)
        sys.stdout.flush()

    await server.serve_forever(announce)


def announcement(server: Gateway) -> list[str]:
    """As that of `serve`, without rules. Other programs wait for the first line."""
    return [
        f"WebSocket server started on {server.ws_url}",
        f"HTTP server started on {server.http_url}",
        f"Gateway {server.name}: events are evaluated by workers (proactive worker)",
        f"Store: {server.settings.store}",
    ]
