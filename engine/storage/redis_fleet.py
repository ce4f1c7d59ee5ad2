"""The store on Redis for processes that share their work: see `fleet`.

It decides nothing. What is done to a partition is one function there; nothing touches two partitions in one step, nor a
partition and what is no partition's, so a cluster is as good as one Redis.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog
from redis.exceptions import RedisError

from engine.core.units import MILLISECOND
from engine.storage.base import Batch, Entry, StoreError, Unevaluated, partition_of
from engine.storage.fleet import (
    HEARD_MAX,
    NOTICES_MAX,
    QUEUE_KEPT_MS,
    SESSIONS_LISTED_MAX,
    Heard,
    Notice,
    Presence,
    Role,
    Roll,
    Share,
    Taken,
    Unsent,
    Untold,
)
from engine.storage.order import UNEVALUATED, check_partitions
from engine.storage.redis import RedisStore
from engine.storage.redis_cluster import way_to
from engine.storage.redis_entries import Arguments, ingested_arguments, pairs
from engine.storage.redis_keys import (
    DECIDED,
    GATEWAYS,
    META,
    WORKERS,
    from_name,
    notices_of,
    queue_of,
    to_bytes,
    to_name,
    to_text,
)
from engine.storage.redis_link import TIMEOUT_S, Command, Way, told_of
from engine.storage.redis_notices import notice_of, pack_notice
from engine.storage.redis_opening import LIBRARY
from engine.storage.redis_settled import settled_of
from engine.storage.redis_untold import unsent_of, untold_of
from engine.storage.stamping import check_given, check_presence, ends_of, stamped

LISTEN_S_MAX = 30.0  # one wait of a gateway for notices; a connection that is dead is found out soon after
# How far ahead of the store's clock rules begin to hold; the next where a partition was further than that already.
MARGINS_MS = (100, 400, 1_600, 6_400)
# Of a partition a worker is handed about so much at once: it has to be read and evaluated within a lease.
BYTES_AT_ONCE = 4 * 1024 * 1024
OUT_OF_REACH = "the primary of the cluster that has it does not answer"


log = structlog.get_logger("proactive")


class RedisFleetStore(RedisStore):
    """A `RedisStore` that is a `FleetStore` as well. Made by `open`."""

    _ear: Way | None = None  # to wait on, so that nothing else waits behind it

    def __init__(self, link: Way, tags: list[str], info: dict[str, str], *, read_only: bool) -> None:
        super().__init__(link, tags, info, read_only=read_only)
        self._unreadable: dict[int, int] = {}  # of partitions of which that was told, the cursor
        self._held_up: dict[int, str] = {}
        self._weights: dict[int, int] = {}  # bytes of an entry of those that were handed out last, by partition

    async def ingest(
        self, entries: Sequence[Entry], presence: Sequence[Presence] = (), gateway: str = ""
    ) -> list[Taken]:
        self._check_writable()
        check_presence(presence, gateway)
        given: dict[int, Arguments] = {}
        places: dict[int, list[int]] = {}
        for place, entry in enumerate(entries):
            check_given(entry)
            partition = partition_of(entry.user, self.partition_count)
            given.setdefault(partition, []).extend(ingested_arguments(entry))
            places.setdefault(partition, []).append(place)
        ends = ends_of(entries)
        there: dict[int, Arguments] = {}
        for each in presence:
            partition = partition_of(each.user, self.partition_count)
            # Of one who goes, which of the partition's entries say so.
            ending = [places[partition].index(place) for place in ends.get((each.user, each.session), ())]
            what = "+" if each.is_there else " ".join(map(str, ending))
            told = to_name(each.user), to_bytes(each.session), what, to_bytes(each.client)
            there.setdefault(partition, []).extend(told)
        head = to_bytes(gateway), SESSIONS_LISTED_MAX
        calls: list[Command] = []
        partitions = list(dict.fromkeys([*given, *there]))
        for partition in partitions:
            of_entries = given.get(partition, [])
            calls.append(
                self._call(partition, "ingest", *head, len(of_entries), *of_entries, *there.get(partition, ()))
            )
        taken = [Taken(entry, is_repeated=True) for entry in entries]
        for partition, (at, first, *repeated) in zip(partitions, await self._ask(calls, durable=True), strict=True):
            kept = places.get(partition, [])
            if repeated:
                left = frozenset(repeated)
                kept = [place for number, place in enumerate(kept) if number not in left]
            for number, place in enumerate(kept, first):
                taken[place] = Taken(stamped(entries[place], int(at), f"{partition}-{number}"))
        if any(each.is_repeated for each in taken):
            # For those nothing was written, so nothing has been waited for.
            await self.confirm(
                {partition_of(each.entry.user, self.partition_count) for each in taken if each.is_repeated}
            )
        return taken

    async def take(
        self, worker: str, partitions: list[int], *, lease_ms: int, entries_max: int = 500, due_max: int = 1000
    ) -> list[Share]:
        self._check_writable()
        check_partitions(partitions, self.partition_count)
        if entries_max < 1 or due_max < 1:
            raise ValueError(f"expected at least one entry and one user, got {entries_max} and {due_max}")
        limits = to_bytes(worker), lease_ms
        gone = self.out_of_reach()
        held_up = {partition: OUT_OF_REACH for partition in partitions if partition in gone}
        partitions = [partition for partition in partitions if partition not in gone]
        most = {each: max(1, min(entries_max, BYTES_AT_ONCE // self._weights.get(each, 1))) for each in partitions}
        replies = await self._ask_each([self._call(each, "take", *limits, most[each], due_max) for each in partitions])
        held = []
        for partition, reply in zip(partitions, replies, strict=True):
            if isinstance(reply, StoreError):
                held_up[partition] = str(reply)
            elif reply:
                held.append((partition, reply))
        calls: list[Command] = [
            ("XRANGE", self._keys.of(partition, b"in"), f"({cursor}-0", f"{upto}-0")
            for partition, (_, cursor, upto, *_) in held
            if upto > cursor
        ]
        try:
            logs = iter(await self._ask(calls, again=True))
        except StoreError:
            # It may have been too much: what they weigh nobody knows before they are read.
            self._weights.update((partition, BYTES_AT_ONCE // 10) for partition, _ in held)
            raise
        shares: list[Share] = []
        for partition, (version, cursor, upto, at, is_new, tick, is_complete, due) in held:
            packed = next(logs) if upto > cursor else ()
            if len(packed) != upto - cursor:
                continue  # somebody else has evaluated it meanwhile, and it is gone
            entries = self._read(partition, cursor, packed, held_up)
            if entries is None:
                continue
            last_at = int(at or -1)
            horizon = int(tick) if tick else entries[-1].at if entries else last_at
            batch = Batch(partition, version, cursor, last_at, entries, [from_name(name) for name in due], {})
            has_more = upto - cursor >= most[partition]
            shares.append(Share(batch, horizon, bool(is_complete), bool(is_new), has_more))
        self._held_up = held_up
        return shares

    def cannot_be_told(self, gateways: Iterable[str]) -> frozenset[str]:
        if not self._link.lacks_some:
            return frozenset()
        return frozenset(name for name in gateways if self._link.lacks(queue_of(name)))

    @property
    def held_up(self) -> Mapping[int, str]:
        return self._held_up

    def _read(self, partition: int, cursor: int, packed: Sequence[Any], held_up: dict[int, str]) -> list[Entry] | None:
        """The entries behind the cursor; None where one cannot be read, which is told once: others can go on."""
        try:
            entries = [self._entry(partition, number, row[1]) for number, (_, row) in enumerate(packed, cursor + 1)]
        except StoreError as error:
            held_up[partition] = str(error)
            if self._unreadable.get(partition) != cursor:
                self._unreadable[partition] = cursor
                log.error("! a partition cannot be evaluated", partition=partition, behind=cursor, error=str(error))
            return None
        self._unreadable.pop(partition, None)
        if entries:
            self._weights[partition] = max(1, sum([len(row[1]) for _, row in packed]) // len(entries))
        return entries

    async def release(self, worker: str, partitions: list[int]) -> None:
        self._check_writable()
        check_partitions(partitions, self.partition_count)
        await self._ask([self._call(partition, "release", to_bytes(worker)) for partition in partitions])

    async def where(self, users: Sequence[str]) -> dict[str, list[str]]:
        grouped: dict[int, list[str]] = {}
        for user in dict.fromkeys(users):
            grouped.setdefault(partition_of(user, self.partition_count), []).append(user)
        calls = [self._call(partition, "where", *map(to_name, some)) for partition, some in grouped.items()]
        replies = await self._ask(calls, again=True)
        found = zip(
            (user for some in grouped.values() for user in some), (each for r in replies for each in r), strict=True
        )
        return {user: sorted(map(to_text, gateways)) for user, gateways in found if gateways}

    async def connected(self) -> list[str]:
        calls: list[Command] = [("HKEYS", self._keys.of(number, b"gu")) for number in range(self.partition_count)]
        return [from_name(name) for reply in await self._ask(calls, again=True) for name in reply]

    async def tell(self, notices: Mapping[str, Sequence[Notice]]) -> dict[str, int]:
        self._check_writable()
        calls = [
            self._queued(gateway, "tell", NOTICES_MAX, *map(pack_notice, some))
            for gateway, some in notices.items()
            if some
        ]
        waiting = iter(await self._ask(calls))
        return {gateway: next(waiting) if some else 0 for gateway, some in notices.items()}

    async def listen(self, gateway: str, after: int | None, wait_s: float) -> Heard:
        self._check_writable()
        heard = await self._hear(gateway, after)
        if heard.notices or heard.has_gap:
            return heard
        key, wait_ms = notices_of(gateway), int(min(wait_s, LISTEN_S_MAX) * 1000)
        if wait_ms <= 0:
            return heard
        waiting: Command = ("XREAD", "COUNT", HEARD_MAX, "BLOCK", wait_ms, "STREAMS", key, f"{heard.last}-0")
        if self._ear is None:
            self._ear = way_to(self._link.address, LISTEN_S_MAX + TIMEOUT_S)
        try:
            async with asyncio.timeout(wait_ms / 1000 + TIMEOUT_S):
                [reply] = await self._ear.exchange([waiting])
            if isinstance(reply, Exception):
                raise reply
        except (RedisError, OSError) as error:
            raise told_of(error, self.address) from error
        self._check_open()
        return self._heard(gateway, reply[0][1], heard.last) if reply else heard

    async def _hear(self, gateway: str, after: int | None) -> Heard:
        """What there is already."""
        asked = "" if after is None else after
        [(last, rows)] = await self._ask([self._queued(gateway, "hear", asked, HEARD_MAX, QUEUE_KEPT_MS)], again=True)
        if after is None or (not rows and int(last) == after):
            return Heard([], int(last))
        return self._heard(gateway, rows, after) if rows else Heard([], int(last), has_gap=True)

    async def reached(self, gateway: str, messages: Sequence[tuple[str, str]]) -> None:
        self._check_writable()
        grouped: dict[int, Arguments] = {}
        for user, message_id in messages:
            pair = to_name(user), to_bytes(message_id)
            grouped.setdefault(partition_of(user, self.partition_count), []).extend(pair)
        name = to_bytes(gateway)
        await self._ask([self._call(partition, "reached", name, *some) for partition, some in grouped.items()])

    async def withdraw(self, messages: Sequence[tuple[str, str]]) -> None:
        self._check_writable()
        grouped: dict[int, Arguments] = {}
        for user, message_id in messages:
            grouped.setdefault(partition_of(user, self.partition_count), []).append(to_bytes(message_id))
        await self._ask([self._call(partition, "withdraw", *some) for partition, some in grouped.items()])

    async def resume(self, gateway: str, user: str, session: str) -> list[str] | None:
        self._check_writable()
        names = to_bytes(gateway), to_name(user), to_bytes(session)
        partition = partition_of(user, self.partition_count)
        [former] = await self._ask([self._call(partition, "resume", *names, SESSIONS_LISTED_MAX)])
        if not former:
            return None
        return [name for name in map(to_text, former) if name != gateway]

    async def former(self, user: str, session: str) -> list[tuple[str, str]]:
        call = self._call(partition_of(user, self.partition_count), "former", to_name(user), to_bytes(session))
        [reply] = await self._ask([call], again=True)
        return [(to_text(name), to_text(gateway)) for name, gateway in pairs(reply)]

    async def users_of(self, client: str) -> list[str]:
        calls = [self._call(number, "users_of", to_bytes(client)) for number in range(self.partition_count)]
        return sorted({from_name(name) for reply in await self._ask(calls, again=True) for name in reply})

    async def sessions_at(self, gateway: str, partition: int) -> dict[str, list[str]]:
        check_partitions([partition], self.partition_count)
        [reply] = await self._ask([self._call(partition, "sessions_at", to_bytes(gateway))], again=True)
        return {from_name(name): [to_text(session) for session in sessions] for name, sessions in pairs(reply)}

    async def unsent(self, after: Mapping[int, int], messages_max: int) -> dict[int, list[Unsent]]:
        check_partitions(list(after), self.partition_count)
        return await unsent_of(self, after, messages_max)

    async def untold(self, after: Mapping[int, tuple[int, int]], entries_max: int) -> dict[int, Untold]:
        check_partitions(list(after), self.partition_count)
        return await untold_of(self, after, entries_max)

    async def settled(self, user: str, since: int, types: Collection[str]) -> Untold:
        return await settled_of(self, user, since, types)

    async def beat(self, role: Role, name: str, lasts_ms: int) -> Roll:
        """Whoever only looks at the store may ask who else there is."""
        self._check_open()
        both: Command = (2, WORKERS, GATEWAYS)
        if self.read_only and role == "worker" and lasts_ms == 0:
            calls: list[Command] = [("FCALL", f"{LIBRARY}_roll", *both)]
        else:
            self._check_writable()
            told = 1 if role == "worker" else 2, to_bytes(name), lasts_ms
            calls = [("FCALL", f"{LIBRARY}_beat", *both, *told)]
        if role == "gateway":
            calls.append(self._queued(name, "attend", lasts_ms + QUEUE_KEPT_MS))
        try:  # not as others ask: whoever cannot have anything confirmed just now is alive all the same
            replies = await self._exchange(calls)
        except StoreError:
            replies = await self._exchange(calls)
        [(workers, gateways, lost, now), *_] = self._answered(replies)
        return Roll(
            sorted(map(to_text, workers)),
            sorted(map(to_text, gateways)),
            {to_text(each): (int(now) - int(float(until))) // MILLISECOND for each, until in sorted(pairs(lost))},
        )

    async def leave(self, role: Role, name: str) -> None:
        self._check_writable()
        calls: list[Command] = [("ZREM", WORKERS if role == "worker" else GATEWAYS, to_bytes(name))]
        if role == "gateway":
            calls.append(self._queued(name, "forget_queue"))
        await self._ask(calls)

    async def clock(self) -> int:
        """Where the primary that has it is gone, that of another, so that the others can go on."""
        key: str | bytes = META
        if self._link.lacks_some and self._link.lacks(META.encode()):
            key = next((stand for stand in self._keys.stand if not self._link.lacks(stand)), key)
        [now] = await self._ask([("FCALL", f"{LIBRARY}_clock", 1, key)], again=True)
        return int(now)

    async def publish_rules(self, rules_hash: str) -> int:
        self._check_writable()
        *_, packed = ingested_arguments(Entry("rules", 0, rules_hash=rules_hash))
        wanted, reached = to_bytes(rules_hash), 0
        for margin_ms in MARGINS_MS:
            at = max(await self.clock(), reached) + margin_ms * MILLISECOND
            calls = [self._call(partition, "put_rules", at, packed) for partition in range(self.partition_count)]
            behind = [int(last) for last in await self._ask(calls, durable=True) if last]
            # Where one partition is behind that moment already, it is nobody's: whoever waits for it may go on.
            decide: list[Command] = [("HSETNX", DECIDED, at, b"" if behind else wanted), ("HGET", DECIDED, at)]
            [_, decided] = await self._ask(decide, durable=True)
            if decided == wanted and not behind:
                return at
            reached = max(behind, default=0)
        raise StoreError(
            f"the store {self.address.shown} has no moment for the rules to hold from: each that was tried was over in "
            "some partition before all had it; try again"
        )

    async def are_decided(self, at: int, *, give_up: bool) -> bool | None:
        if give_up:
            self._check_writable()
            await self._ask([("HSETNX", DECIDED, at, b"")], durable=True)
        [decided] = await self._ask([("HGET", DECIDED, at)], again=True)
        return None if decided is None else decided != b""

    async def erase_everywhere(self, user: str) -> int:
        self._check_writable()
        self._wakes.clear()
        partition = partition_of(user, self.partition_count)
        [count] = await self._ask([self._call(partition, "erase_everywhere", to_name(user))], durable=True)
        if count < 0:
            raise Unevaluated(UNEVALUATED)
        return int(count)

    async def close(self) -> None:
        await super().close()
        if self._ear is not None:
            await self._ear.close()

    def _queued(self, gateway: str, function: str, *arguments: bytes | str | int) -> Command:
        return ("FCALL", f"{LIBRARY}_{function}", 1, queue_of(gateway), *arguments)

    def _heard(self, gateway: str, rows: Sequence[Any], after: int) -> Heard:
        numbered = [(int(name[:-2]), fields[1]) for name, fields in rows]
        first, last = numbered[0][0], numbered[-1][0]
        heard = Heard([], last, has_gap=first != after + 1)
        for number, packed in numbered:
            try:
                heard.notices.append(notice_of(packed))
            except StoreError as error:
                log.error("! a notice is passed over", gateway=gateway, number=number, error=str(error))
                heard = replace(heard, has_gap=True)
        return heard
