"""Where a running server is to be found by the commands that talk to it: what `serve` would have read, they read too.

It opens no connection, and knows no frames.
"""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

import typer

from engine.settings import shown_host
from engine.settings_file import SettingsErrors, read_settings

Scheme = Literal["ws", "http"]


def address_of_server(scheme: Scheme, config: Path | None, option: str) -> str:
    """By the settings file and the environment. Ends the command where they cannot be meant or do not name the port.

    ``option`` is the one by which the address can be given instead, for the message.
    """
    try:
        settings = read_settings(config, os.environ, to_serve=False)
    except SettingsErrors as errors:
        for diagnostic in errors.diagnostics:
            typer.echo(diagnostic, err=True)
        typer.echo(f"{errors.summary}; {option} takes an address and reads no settings", err=True)
        raise typer.Exit(1) from None
    port = settings.ws_port if scheme == "ws" else settings.http_port
    if port == 0:
        name = f"{scheme}_port"
        why = f"{name} is 0 in the settings, which is any that was free"
        typer.echo(f"{why}: give the address that serve printed with {option}", err=True)
        raise typer.Exit(1)
    return f"{scheme}{'' if settings.tls is None else 's'}://{shown_host(_reached_at(settings.host))}:{port}"


def _reached_at(host: str) -> str:
    """A server that listens on all addresses is on this machine's as well, and no certificate is for all addresses."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"
