"""How a store on Redis asks: whether it may, what is to be settled before, and replies to all calls or a `StoreError`.

It knows no key but those of the partitions' stands, and no function but the one that fences.

What has failed is not tried again here where it may have been done. A commit without an answer may be on its way yet;
so before anything is read of its partitions their versions are moved, after which it cannot be made any more.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from redis.exceptions import RedisError

from engine.storage.base import StoreError
from engine.storage.redis_cluster import key_of
from engine.storage.redis_keys import Keys, slot_of_key
from engine.storage.redis_link import Command, Way, told_of
from engine.storage.redis_opening import LIBRARY, call


def out_of_reach(link: Way, keys: Keys) -> frozenset[int]:
    """Partitions whose primaries are left out."""
    if not link.lacks_some:
        return frozenset()
    return frozenset(number for number, key in enumerate(keys.stand) if link.lacks(key))


class Asking:
    """``_unsure`` are the partitions of which a commit may be on its way yet."""

    def __init__(self, link: Way, tags: list[str], *, read_only: bool) -> None:
        self.partition_count = len(tags)
        self.address = link.address
        self.read_only = read_only
        self._link = link
        self._keys = Keys(tags)
        self._slots = [slot_of_key(key) for key in self._keys.stand]
        self._closed = False
        self._unsure: set[int] = set()

    def out_of_reach(self) -> frozenset[int]:
        """See `FleetStore`."""
        return out_of_reach(self._link, self._keys)

    async def confirm(self, partitions: Collection[int] | None = None) -> None:
        """See `FleetStore.confirm`."""
        self._check_writable()
        keys = None if partitions is None else [self._keys.stand[number] for number in partitions]
        try:
            await self._link.confirm(keys)
        except (RedisError, OSError) as error:
            raise told_of(error, self.address) from error

    def _call(self, partition: int, function: str, *arguments: bytes | str | int) -> Command:
        return ("FCALL", f"{LIBRARY}_{function}", 1, self._keys.stand[partition], *arguments)

    async def _ask(self, calls: Sequence[Command], *, again: bool = False, durable: bool = False) -> list[Any]:
        """The replies to calls that are all answered. ``again``: they only read, so a lost answer is asked for anew.

        ``durable``: what they write is as durable as was promised. Raises `StoreError`.
        """
        await self._settle(calls)
        try:
            replies = await self._exchange(calls, durable=durable)
        except StoreError as error:
            if not again or self._closed or error.state != "io":
                raise
            replies = await self._exchange(calls)
        return self._answered(replies)

    async def _ask_each(self, calls: Sequence[Command]) -> list[Any]:
        """What one primary refuses, as when its memory is full, is the reply to its calls, where others do not refuse.

        Raises `StoreError` as `_ask` does where all do.
        """
        await self._settle(calls)
        replies = await self._exchange(calls)
        if all(isinstance(reply, Exception) for reply in replies):
            return self._answered(replies)
        return [told_of(reply, self.address) if isinstance(reply, Exception) else reply for reply in replies]

    def _answered(self, replies: list[Any]) -> list[Any]:
        for reply in replies:
            if isinstance(reply, Exception):
                raise told_of(reply, self.address) from reply
        return replies

    async def _settle(self, calls: Sequence[Command]) -> None:
        """See to it that of what these are about no commit without an answer is made from now on, and that what was
        written is to stay."""
        self._check_open()
        fenced = self._unsure_of(calls) if self._unsure else ()
        if fenced:
            fences = [self._call(partition, "fence") for partition in fenced]
            self._answered(await self._exchange(fences, durable=True))
            self._unsure.difference_update(fenced)
        try:
            await self._link.make_up(calls)
        except (RedisError, OSError) as error:
            raise told_of(error, self.address) from error

    def _unsure_of(self, calls: Sequence[Command]) -> Collection[int]:
        """Of a cluster those alone whose primaries are asked: the others may be gone, which is not to be waited for."""
        if not self.address.seeds:
            return frozenset(self._unsure)
        slots = {slot_of_key(key_of(call)) for call in calls}
        return frozenset(number for number in self._unsure if self._slots[number] in slots)

    async def _exchange(self, calls: Sequence[Command], *, durable: bool = False) -> list[Any]:
        """Replies, errors that Redis answered with among them. Raises `StoreError` where answers are missing."""
        self._check_open()
        if not calls:
            return []
        try:
            return await call(self._link, calls, durable=durable, may_load=not self.read_only)
        except (RedisError, OSError) as error:
            raise told_of(error, self.address) from error

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("the store is closed")

    def _check_writable(self) -> None:
        self._check_open()
        if self.read_only:
            raise StoreError(f"the store {self.address.shown} was opened to be read only", "read_only")
