"""``proactive send``: a message of the application's own, through a running server's ``POST /messages``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer

from engine.cli.address import address_of_server
from engine.cli.credentials import Key, KeyFile, headers_of
from engine.cli.unreachable import no_server, tls_trouble

TIMEOUT_S = 10.0


def send(
    text: Annotated[str, typer.Argument(help="What to say.")],
    to: Annotated[
        str | None, typer.Option(metavar="CLIENT|all", help="A client's id, or all for everybody who is there.")
    ] = None,
    user: Annotated[
        str | None, typer.Option(metavar="USER", help="A user, on all devices, or with --to on that one.")
    ] = None,
    type: Annotated[str, typer.Option(help="question, suggestion, notification, or any other word.")] = "notification",
    option: Annotated[list[str] | None, typer.Option(help="A choice to offer; may be repeated.")] = None,
    key: Key = None,
    key_file: KeyFile = None,
    http: Annotated[str | None, typer.Option(help="Address of the server; by the settings unless told.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings; without it ./config.yaml, if there is one.")] = None,
) -> None:
    """Send a message to a client of a running server, or to all.

    --to CLIENT names one, and --user somebody who may have several devices: where clients bring tokens or say hello,
    that is not the same. A client chooses its name itself, so where tokens are checked --user has to say whose it is,
    alone or with --to. Who is not connected gets it on coming back. --to all is for everybody who is connected now,
    or was there over HTTP within ten minutes. Where the server asks for keys, --key or --key-file has one with the
    scope messages; a file keeps it out of the list of processes.

    The server is looked for where serve would start it: by --http, else by the environment (PROACTIVE_HTTP_PORT), else
    by the settings file, else at http://127.0.0.1:7777.
    """
    if to is None and user is None:
        raise typer.BadParameter(
            "say to whom: --to CLIENT for one client, --user USER for all devices of a user, "
            "--to all for everybody who is connected",
            param_hint="'--to'",
        )
    if to == "all" and user is not None:
        raise typer.BadParameter("expected --to all or --user, got both", param_hint="'--user'")
    headers = headers_of("key", key, key_file)
    http = http or address_of_server("http", config, "--http")
    message = {
        "to": _address(to, user),
        "type": type,
        "text": text,
        "options": option or [],
    }
    try:
        status, reply = asyncio.run(_post(http.rstrip("/") + "/messages", message, headers))
    except aiohttp.InvalidURL:
        raise _failed(f'expected an address such as "http://127.0.0.1:7777", got "{http}"') from None
    except aiohttp.ClientConnectorError as error:
        if trouble := tls_trouble(http, "--http", error):
            raise _failed(trouble) from None
        why = "start the server with: proactive serve, or name another address with --http"
        raise _failed(f"nobody is listening at {http}; {why}") from None
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise _failed(no_server(http, str(error) or "no answer in time")) from None
    if status != 202:
        raise _failed(str(reply.get("message", f"the server answered {status}")))
    typer.echo(_report(user or to, to == "all", reply))


def _address(to: str | None, user: str | None) -> dict[str, Any]:
    if to == "all":
        return {"all": True}
    return {name: value for name, value in (("user", user), ("client", to)) if value is not None}


async def _post(url: str, message: dict[str, Any], headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    asking = aiohttp.ClientSession(timeout=timeout, headers=headers)
    async with asking as session, session.post(url, json=message) as response:
        reply = await response.json()
        if not isinstance(reply, dict):
            raise ValueError("the reply is no JSON object")
        return response.status, reply


def _failed(why: str) -> typer.Exit:
    typer.echo(f"proactive send: {why}", err=True)
    return typer.Exit(1)


def _report(to: str | None, to_all: bool, reply: dict[str, Any]) -> str:
    waiting = reply.get("waiting", [])
    if not to_all:
        return f"{to} is not connected; the message waits" if waiting else f"sent to {to}"
    count = len(reply.get("clients", [])) + reply.get("unnamed", 0)
    if not count:
        return "nobody is connected; nothing was sent"
    rest = f", {len(waiting)} of them when they come back" if waiting else ""
    return f"sent to {count} {'client' if count == 1 else 'clients'}{rest}"
