"""``proactive gateway``: the doors of a server whose work is shared, in the foreground, until it is told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.app import Gateway
from engine.cli.foreground import check_ports, run_in_foreground


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

    def make() -> Gateway:
        server = Gateway.from_config(config, store=store, ws_port=ws_port, http_port=http_port)
        check_ports(server.settings)
        return server

    run_in_foreground("gateway", make, announcement)


def announcement(server: Gateway) -> list[str]:
    """As that of `serve`, without rules. Other programs wait for the first line."""
    return [
        f"WebSocket server started on {server.ws_url}",
        f"HTTP server started on {server.http_url}",
        f"Gateway {server.name}: events are evaluated by workers (proactive worker)",
        f"Store: {server.settings.store}",
    ]
