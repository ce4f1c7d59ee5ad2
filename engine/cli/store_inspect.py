"""``proactive store inspect``: what a store is and how full, read beside whoever is at work on it. Arguments are read
by `store`."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field

import typer

from engine.cli.logs import without_password
from engine.cli.stopping import stop
from engine.core.model import Json
from engine.core.units import format_at, format_duration
from engine.storage.base import Store, StoreError
from engine.storage.opening import open_store
from engine.storage.sqlite import SqliteStore

SHOWN_NAMES = 10  # of gateways, workers and rule sets; the rest is counted


@dataclass(slots=True)
class Found:
    """Moments are microseconds, None where there is none."""

    described: dict[str, Json]
    oldest: int | None = None
    newest: int | None = None
    folded_to: tuple[int, int] | None = None  # the partition folded least far, and farthest; -1 where one is not
    rules: list[tuple[int, str]] = field(default_factory=list)
    lag: int | None = None  # for how long the oldest entry has waited to be evaluated
    behind: list[tuple[int, int]] = field(default_factory=list)  # partitions with entries that wait, and how many
    server: str = ""
    workers: dict[str, list[int]] = field(default_factory=dict)  # with the partitions that they hold
    gateways: list[str] = field(default_factory=list)


def inspect(name: str, password: str | None, *, as_data: bool) -> None:
    """Stops where the store cannot be read."""
    try:
        found = asyncio.run(_look(name, password))
    except StoreError as error:
        stop(str(error), 1)
    if as_data:
        typer.echo(json.dumps(as_json(found), ensure_ascii=False, indent=2))
    else:
        typer.echo("\n".join(text(without_password(name), found)))


async def _look(name: str, password: str | None) -> Found:
    store = await open_store(name, read_only=True, password=password)
    try:
        found = Found(await store.describe(), rules=await store.rule_moments())
        now = time.time_ns() // 1000 if isinstance(store, SqliteStore) else await _look_at_holders(store, found)
        await _look_at_logs(store, found, now)
        return found
    finally:
        await store.close()


async def _look_at_holders(store: Store, found: Found) -> int:
    """The moment by the clock of the store."""
    from engine.storage.redis import RedisStore
    from engine.storage.redis_holders import holders_of

    assert isinstance(store, RedisStore)  # `memory:` cannot be read
    holders = await holders_of(store)
    found.server, found.gateways = holders.server, holders.gateways
    everybody = sorted({*holders.workers, *holders.partitions})
    found.workers = {worker: holders.partitions.get(worker, []) for worker in everybody}
    return holders.now


async def _look_at_logs(store: Store, found: Found, now: int) -> None:
    partitions = list(range(store.partition_count))
    waiting, ends, firsts, lasts = [], [], [], []
    for batch in await store.poll(partitions, -1, entries_max=1, due_max=1):
        ends.append(await store.folded(batch.partition))
        rows = await store.numbered(batch.partition, ends[-1].number, 1)
        firsts += [entry.at for _, entry in rows]
        lasts += [batch.last_at] if batch.last_at >= 0 else []
        if batch.entries:
            waiting.append(batch.entries[0].at)
            found.behind.append((batch.partition, await _count(store, batch.partition, batch.cursor)))
    found.oldest, found.newest = min(firsts, default=None), max(lasts, default=None)
    if any(end.at >= 0 for end in ends):
        found.folded_to = min(end.at for end in ends), max(end.at for end in ends)
    if waiting:
        found.lag = max(now - min(waiting), 0)


async def _count(store: Store, partition: int, after: int) -> int:
    """How many entries there are behind a number."""
    count = 0
    while rows := await store.numbered(partition, after, 1000):
        count += len(rows)
        after = rows[-1][0]
    return count


def as_json(found: Found) -> dict[str, Json]:
    """What `describe` says, and the rest beside it; moments as texts, spans in microseconds."""
    folded_to: Json = None
    if found.folded_to is not None:
        folded_to = {"least": _stamp(found.folded_to[0]), "farthest": _stamp(found.folded_to[1])}
    shown: dict[str, Json] = {
        **found.described,
        "oldest": _stamp(found.oldest),
        "newest": _stamp(found.newest),
        "folded_to": folded_to,
        "rules": [{"from": format_at(at), "hash": rules_hash} for at, rules_hash in found.rules],
        "lag": found.lag,
        "behind": {str(partition): count for partition, count in found.behind},
    }
    if found.described["store"] == "redis":
        workers: dict[str, Json] = {worker: list(held) for worker, held in found.workers.items()}
        shown |= {"served_by": found.server or None, "workers": workers, "gateways": list(found.gateways)}
    return shown


def _stamp(at: int | None) -> str | None:
    return None if at is None or at < 0 else format_at(at)


def text(name: str, found: Found) -> list[str]:
    told = found.described
    waiting = "" if not told["unevaluated"] else f", {told['unevaluated']:,} of them not evaluated yet"
    rows = [
        ("store", f"{name}: {told.get('server') or 'SQLite'}, {_many(told['partitions'], 'partition')}"),
        ("log", f"{told['entries']:,} entries{waiting}{_span(found.oldest, found.newest)}"),
        ("folded", _folded(found)),
        ("users", f"{told['users']:,}"),
        ("decisions", f"{told['decisions']:,}"),
        ("outbox", _many(told["outbox"], "message")),
        ("faults", _many(told["faults"], "event") + " set aside"),
        ("room", _room(told)),
    ]
    if found.lag is not None:
        most = max(found.behind, key=lambda each: each[1])
        where = f"in {_many(len(found.behind), 'partition')}; most in {most[0]}: {most[1]:,}"
        rows.append(("lag", f"{format_duration(found.lag)}, {where}"))
    if told["store"] == "redis":
        rows += _at_work(found)
    for at, rules_hash in reversed(found.rules[-SHOWN_NAMES:]):
        rows.append(("rules", f"{rules_hash} from {format_at(at)}"))
    if len(found.rules) > SHOWN_NAMES:
        rows.append(("rules", f"and {len(found.rules) - SHOWN_NAMES:,} earlier"))
    return [f"{title:<10} {what}" for title, what in rows]


def _many(count: Json, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _span(oldest: int | None, newest: int | None) -> str:
    return "" if oldest is None or newest is None else f", {format_at(oldest)} to {format_at(newest)}"


def _folded(found: Found) -> str:
    if found.folded_to is None:
        return "nothing"
    least, farthest = found.folded_to
    if least == farthest:
        return f"up to {format_at(least)}"
    return f"up to {'nothing' if least < 0 else format_at(least)} in one partition, {format_at(farthest)} in another"


def _room(told: dict[str, Json]) -> str:
    most = told.get("bytes_max")
    where = "of memory, with all else in that Redis" if told["store"] == "redis" else "on the disk"
    return f"{told['bytes']:,} bytes {where}" + ("" if not most else f", at most {most:,}")


def _at_work(found: Found) -> list[tuple[str, str]]:
    rows = [("server", found.server)] if found.server else []
    for worker, held in list(found.workers.items())[:SHOWN_NAMES]:
        rows.append(("worker", f"{worker} holds {_many(len(held), 'partition')}"))
    rows += [("gateway", gateway) for gateway in found.gateways[:SHOWN_NAMES]]
    for title, names in (("worker", found.workers), ("gateway", found.gateways)):
        if len(names) > SHOWN_NAMES:
            rows.append((title, f"and {len(names) - SHOWN_NAMES:,} more"))
    return rows or [("at work", "nobody")]
