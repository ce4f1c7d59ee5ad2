"""What keeps a store on Redis from growing, and what makes it forget: folding and erasing; and what it says of itself.

It evaluates nothing: what the folded part comes to is given to it. `RedisStore` has checked its arguments.
"""

from __future__ import annotations

from collections.abc import Callable

from redis.exceptions import RedisError

from engine.core.model import Json
from engine.storage.base import Base, Entry, Fold, Folded, Unevaluated
from engine.storage.order import UNEVALUATED, check_fold
from engine.storage.redis_asking import out_of_reach
from engine.storage.redis_entries import base_arguments, base_of, moment_of, pairs
from engine.storage.redis_keys import BUCKETS, DECIDED, RULES, Keys, from_name, to_bytes, to_name, to_text
from engine.storage.redis_link import Command, Way, told_of
from engine.storage.redis_opening import ask
from engine.storage.redis_pages import Ask, by_weight

KINDS = (b"ba", b"bp")  # of hashes in which a base is: what it is, and its past
LISTS_MAX = 8  # partitions whose users are listed at once: those who page through states do so one after the other


class Upkeep:
    """``call`` makes the command that is a function of a partition."""

    def __init__(
        self, keys: Keys, ask: Ask, call: Callable[..., Command], read_only: bool, info: dict[str, str], link: Way
    ) -> None:
        self._keys = keys
        self._ask = ask
        self._call = call
        self._read_only = read_only
        self._info = info
        self._link = link
        self._lists: dict[int, list[bytes]] = {}  # of a partition through which somebody pages, its users

    async def states(self, partition: int, after: int, states_max: int) -> list[tuple[int, str, bytes]]:
        """Redis has no order of users that lasts, so the names are listed once for all the pages."""
        if after == 0 or partition not in self._lists:
            self._lists.pop(partition, None)
            while len(self._lists) >= LISTS_MAX:
                self._lists.pop(next(iter(self._lists)))
            calls: list[Command] = [("HKEYS", self._bucket(partition, b"st", bucket)) for bucket in _buckets()]
            names = [name for reply in await self._ask(calls, again=True) for name in reply]
            self._lists[partition] = sorted(names)
        names = self._lists[partition]
        found: list[tuple[int, str, bytes]] = []
        while len(found) < states_max and after < len(names):
            some = names[after : after + states_max - len(found)]
            calls = [("HGET", self._bucket(partition, b"st", name[:1]), name) for name in some]
            replies = await self._ask(calls, again=True)
            places = enumerate(zip(some, replies, strict=True), after + 1)
            found += [(place, from_name(name), state) for place, (name, state) in places if state is not None]
            after += len(some)
        if not found and states_max:
            self._lists.pop(partition, None)
        return found

    async def folded(self, partition: int) -> Folded:
        call: Command = ("HMGET", self._keys.stand[partition], "fold", "fold_at", "era")
        [(number, at, erasures)] = await self._ask([call], again=True)
        return Folded(int(number or 0), int(at or -1), int(erasures or 0))

    async def bases(self, partition: int, users: list[str] | None, due_by: int | None) -> list[Base]:
        if users is None:
            calls: list[Command] = [("HKEYS", self._bucket(partition, b"ba", bucket)) for bucket in _buckets()]
            names = [name for reply in await self._ask(calls, again=True) for name in reply]
        else:
            names = [to_name(user) for user in users]
            if due_by is not None:
                key = self._keys.of(partition, b"bw")
                [due] = await self._ask([("ZRANGEBYSCORE", key, "-inf", due_by)], again=True)
                names += due
            names = sorted(dict.fromkeys(names), key=lambda name: name[:1])  # by sub-hash
        found: list[Base] = []
        async for some in by_weight(self._ask, names, *[self._keys.hash_of(partition, kind) for kind in KINDS]):
            calls = [("HGET", self._bucket(partition, kind, name[:1]), name) for name in some for kind in KINDS]
            replies = iter(await self._ask(calls, again=True))
            for name, packed, past in zip(some, replies, replies, strict=True):
                found += [] if packed is None else [base_of(from_name(name), packed, past)]
        return found

    async def fold(self, fold: Fold) -> None:
        former = fold.former
        arguments: list[bytes | str | int] = [
            former.number,
            "" if former.at < 0 else former.at,
            former.erasures,
            fold.number,
            fold.at,
            int(fold.past_wanted),
        ]
        for base in fold.bases:
            arguments += base_arguments(base)
        [reply] = await self._ask([self._call(fold.partition, "fold", *arguments)], durable=True)
        if reply[0]:
            return
        number, at, erasures, cursor, kind, entry_at = reply[1:]
        entry = Entry("tick" if kind == b"t" else "event", int(entry_at)) if kind else None
        check_fold(fold, Folded(int(number), int(at or -1), int(erasures)), cursor=int(cursor), entry=entry)
        raise AssertionError("what the function refuses, the check refuses as well")

    async def drop_rules(self, before: int) -> int:
        calls = [self._call(partition, "drop_rules", max(before, 0)) for partition in range(len(self._keys.stand))]
        replies = await self._ask(calls, durable=True)
        gone = dict.fromkeys(line for reply in replies for line in reply[0])
        kept = {moment_of(line)[1] for reply in replies for line in reply[1]}
        [decided] = await self._ask([("HGETALL", DECIDED)], again=True)
        former: list[bytes] = []
        for at, rules_hash in pairs(decided):
            if int(at) < before:
                former.append(at)
                gone.update({b"%b %b" % (at, rules_hash): None} if rules_hash else {})
            elif rules_hash:
                kept.add(to_text(rules_hash))
        if former:
            await self._ask([("HDEL", DECIDED, *former)])
        unused = {moment_of(line)[1] for line in gone} - kept
        if unused:
            await self._ask([("HDEL", RULES, *map(to_bytes, sorted(unused)))])
        return len(gone)

    async def erase(self, partition: int, user: str) -> int:
        [count] = await self._ask([self._call(partition, "erase", to_name(user))], durable=True)
        if count < 0:
            raise Unevaluated(UNEVALUATED)
        return int(count)

    async def describe(self) -> dict[str, Json]:
        """Of partitions out of reach nothing is counted, unless all are."""
        partitions = range(len(self._keys.stand))
        gone = self._gone()
        asked = [partition for partition in partitions if partition not in gone] or partitions
        calls = [self._call(partition, "describe") for partition in asked]
        replies = await self._ask(calls, again=True)
        cursors, lasts, folded, users, decisions, outbox, faults = map(sum, zip(*replies, strict=True))
        used, maximum = await self._memory()
        server = "valkey" if "valkey_version" in self._info else "redis"
        return {
            "store": "redis",
            "partitions": len(partitions),
            "entries": lasts - folded,
            "folded": folded,
            "unevaluated": lasts - cursors,
            "users": users,
            "decisions": decisions,
            "outbox": outbox,
            "faults": faults,
            "address": self._link.address.shown.strip('"'),
            "server": f"{server} {self._info.get(f'{server}_version', '')}",
            "bytes": used,
            "bytes_max": maximum,
            "durability": self._link.promise.level,
            "without_replicas": list(self._link.without_replicas),
            "out_of_reach": len(gone),
            "appendfsync": self._info["appendfsync"],
            "read_only": self._read_only,
        }

    def notes(self) -> list[str]:
        level, gone = self._link.promise.level, len(self._gone())
        away = f"{gone} of {len(self._keys.stand)} partitions are at a primary that does not answer: their users wait"
        return [away] * bool(gone) + [
            f"no replica has what is written to {name}: it goes on as with durability local, not {level}"
            for name in self._link.without_replicas
        ]

    def figures(self) -> dict[str, float]:
        return {
            "partitions_out_of_reach": len(self._gone()),
            "primaries_without_replica": len(self._link.without_replicas),
            "writes_not_replicated": self._link.not_replicated,
        }

    def _gone(self) -> frozenset[int]:
        return out_of_reach(self._link, self._keys)

    async def _memory(self) -> tuple[int, int | None]:
        """Of all primaries together; a maximum where each of them has one."""
        used, maxima = 0, []
        try:
            for node in await self._link.primaries():
                memory = await ask(node, "INFO", "memory")
                told = dict(line.split(":", 1) for line in memory.decode().split("\r\n") if ":" in line)
                used += int(told["used_memory"])
                maxima.append(int(told["maxmemory"]))
        except (RedisError, OSError) as error:
            raise told_of(error, self._link.address) from error
        return used, sum(maxima) if all(maxima) else None

    def _bucket(self, partition: int, name: bytes, bucket: bytes) -> bytes:
        return self._keys.bucketed(partition, name, bucket)


def _buckets() -> list[bytes]:
    return [bucket.encode() for bucket in BUCKETS]
