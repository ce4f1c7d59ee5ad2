"""A process that serves in the foreground until it is told to stop: what it says at its start, how it ends.

`serve`, `gateway` and `worker` are such commands. It decides nothing.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from typing import TypeVar

import typer

from engine.cli.stopping import stop_refused
from engine.loading.diagnostic import RuleErrors
from engine.logs import configure_logs
from engine.parts import StartError
from engine.process import Process
from engine.settings import Settings
from engine.storage.base import StoreError

# Of the cyclic garbage collector: new containers, and how often the older ones are looked at (see `gc`).
GC_THRESHOLDS = (50_000, 20, 20)

Made = TypeVar("Made", bound=Process)


def run_in_foreground(command: str, make: Callable[[], Made], announcement: Callable[[Made], list[str]]) -> None:
    """Until SIGINT or SIGTERM. ``announcement``: the lines that stand on the screen once it has started.

    Where it cannot start, ``command`` and the reason stand on the error stream, and the exit code is 1.
    """
    try:
        process = make()
        configure_logs(process.settings.log, process.settings.secrets)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_run(process, announcement))
    except RuleErrors as errors:
        stop_refused(errors)
    except (StartError, StoreError) as error:
        typer.echo(f"proactive {command}: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def check_ports(settings: Settings) -> None:
    """Raises `StartError`: listening would fail too, but blame another program for it."""
    if settings.ws_port == settings.http_port != 0:
        raise StartError("ws_port and http_port are the same; each needs a port of its own")


async def _run(process: Made, announcement: Callable[[Made], list[str]]) -> None:
    def announce() -> None:
        _spare_the_collector()
        for line in announcement(process):
            typer.echo(line)
        sys.stdout.flush()

    await process.serve_forever(announce)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def _spare_the_collector() -> None:
    """What is there once the server has started stays: nothing of it need be looked through again.

    Values come and go by the hundred in each turn and hardly any are circles, so it is enough to look now and then.
    With the interpreter's own thresholds a third of the time that events took was the collector's.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
