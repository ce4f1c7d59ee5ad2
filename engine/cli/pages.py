"""The page that ``--report`` asks for: looked at before anything runs, written at the end. It makes no page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.outputs import is_log
from engine.cli.stopping import stop
from engine.replay.bad_records import BadRecords
from engine.replay.blocks import STDIN
from engine.replay.page.about import About

Report = Annotated[str | None, typer.Option(metavar="FILE", help="Write a page with charts there, for a browser.")]


def check_report(report: str | None, logs: Sequence[str]) -> None:
    """Stop where the page could not be written, or would be written over a log."""
    if report is None:
        return
    if report == STDIN:
        stop("--report writes a file; name one, such as out.html")
    output = Path(report)
    if not output.absolute().parent.is_dir():
        stop(f"--report: there is no folder {output.parent}")
    if output.is_dir():
        stop(f"--report: {output} is a folder")
    if is_log(report, logs):
        stop(f"--report: {output} is the log itself")


def about(logs: Sequence[str], bad: BadRecords, rules: str = "", until: int | None = None, partial: str = "") -> About:
    """What the page says of where its figures come from."""
    return About(tuple(logs), rules, bad.counts, until, tuple(bad.declared), partial)


def write_report(report: str, page: bytes) -> None:
    try:
        Path(report).write_bytes(page)
    except OSError as error:
        stop(f"--report: {report}: {(error.strerror or 'cannot be written').lower()}")
