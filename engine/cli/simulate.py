"""``proactive simulate``: a log of people who do not exist. Arguments, writing and exit codes only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Annotated

import msgspec
import typer

from engine.cli.progress import progress_bar
from engine.cli.stopping import stop
from engine.core.model import Event
from engine.core.units import format_at
from engine.loading.wording import did_you_mean, listed, with_hint
from engine.simulate.crowd import DAYS_MAX, KINDS, START, USERS_MAX, Plan
from engine.simulate.crowd import simulate as simulate_crowd

LINES_AT_ONCE = 1000
SEED_MAX = 2**63 - 1


def simulate(
    users: Annotated[int, typer.Option(min=1, max=USERS_MAX, help="How many people.")] = 100,
    days: Annotated[int, typer.Option(min=1, max=DAYS_MAX, help="How many days.")] = 7,
    seed: Annotated[int, typer.Option(min=0, max=SEED_MAX, help="Another seed makes another log.")] = 1,
    kind: Annotated[str, typer.Option(help="What they do: tutor or chat.")] = "tutor",
    start: Annotated[str, typer.Option(metavar="DATE", help="The first day.")] = START.isoformat(),
) -> None:
    """Write a log of people who do not exist, in the engine's own form, for somebody who has no log yet.

    The same options write the same bytes on every machine. The first line says that the log is synthetic.
    """
    if kind not in KINDS:
        stop(with_hint(f'--kind: expected {listed(tuple(KINDS), "or")}, got "{kind}"', did_you_mean(kind, KINDS)))
    plan = Plan(kind, users, days, seed, _day(start))
    stream = typer.get_binary_stream("stdout")
    try:
        stream.write(msgspec.json.encode(plan.header) + b"\n")
        with progress_bar("writing", None) as progress:
            for lines in _pieces(simulate_crowd(plan)):
                stream.write(b"".join(lines))
                if progress is not None:
                    progress(len(lines))
        stream.flush()
    except KeyboardInterrupt:
        typer.echo("interrupted; the log is incomplete", err=True)
        raise typer.Exit(130) from None


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        stop(f'--start: expected a date such as "{START}", got "{text}"')
    if not 1971 <= day.year <= 8000:
        stop(f'--start: expected a day between the years 1971 and 8000, got "{text}"')
    return day


def _pieces(events: Iterator[Event]) -> Iterator[list[bytes]]:
    lines: list[bytes] = []
    for event in events:
        lines.append(line_of(event))
        if len(lines) >= LINES_AT_ONCE:
            yield lines
            lines = []
    yield lines


def line_of(event: Event) -> bytes:
    """An event in the engine's own form. Moments are whole milliseconds."""
    at = format_at(event.at)[:-4] + "Z"
    record = {"at": at, "user": event.user, "session": event.session, "type": event.type, "data": event.data}
    return msgspec.json.encode(record) + b"\n"
