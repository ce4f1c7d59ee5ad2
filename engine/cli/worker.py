"""``proactive worker``: evaluates what gateways take in, in the foreground, until it is told to stop."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.serve import loop_factory, spare_the_collector
from engine.cli.stopping import stop_refused
from engine.loading.diagnostic import RuleErrors, counted
from engine.logs import configure_logs
from engine.parts import StartError
from engine.storage.base import StoreError
from engine.worker_app import WorkerProcess


def worker(
    config: Annotated[Path | None, typer.Option(help="Settings; without it ./config.yaml, if there is one.")] = None,
    rules: Annotated[Path | None, typer.Option(metavar="RULES", help="A folder of rules, or one rule file.")] = None,
    store: Annotated[str | None, typer.Option(metavar="STORE", help="What is shared: redis://HOST:PORT/DB.")] = None,
    http_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="For its figures; 0 takes any that is free.")
    ] = None,
) -> None:
    """Run a worker: it evaluates the rules for what gateways take in.

    Any number of workers and gateways may share a store on Redis; the workers share its partitions. Rules that no
    worker has published are published at the start, and an edit of the files within a second. Options go before
    variables of the environment (PROACTIVE_STORE, …), and those before the settings file. Ctrl-C stops it: the others
    go on with its partitions.
    """
    try:
        process = WorkerProcess.from_config(config, rules=rules, store=store, http_port=http_port)
        configure_logs(process.settings.log, process.settings.secrets)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_work(process))
    except RuleErrors as errors:
        stop_refused(errors)
    except (StartError, StoreError) as error:
        typer.echo(f"proactive worker: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


async def _work(process: WorkerProcess) -> None:
    def announce() -> None:
        spare_the_collector()
        for line in announcement(process):
            typer.echo(line)
        sys.stdout.flush()

    await process.serve_forever(announce)


def announcement(process: WorkerProcess) -> list[str]:
    """What stands on the screen when the worker has started. Other programs wait for the first line."""
    parts = process.parts
    partitions = counted(parts.store.partition_count, "partition")
    return [
        f"Worker {parts.worker.name} started: shares {partitions} of {process.settings.store}",
        f"HTTP server started on {process.http_url}",
        *parts.said,
    ]
