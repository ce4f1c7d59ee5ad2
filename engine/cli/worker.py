"""``proactive worker``: evaluates what gateways take in, in the foreground, until it is told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.foreground import run_in_foreground
from engine.loading.diagnostic import counted
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

    def make() -> WorkerProcess:
        return WorkerProcess.from_config(config, rules=rules, store=store, http_port=http_port)

    run_in_foreground("worker", make, announcement)


def announcement(process: WorkerProcess) -> list[str]:
    """What stands on the screen when the worker has started. Other programs wait for the first line."""
    parts = process.parts
    partitions = counted(parts.store.partition_count, "partition")
    return [
        f"Worker {parts.worker.name} started: shares {partitions} of {process.settings.store}",
        f"HTTP server started on {process.http_url}",
        *parts.said,
    ]
