"""The model of a store that gateways and workers share: `memory`, and who is where, who works on what, what was told.

It must stay the simplest thing that keeps the contract. All who share it are in one process; it forgets as `memory`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from engine.core.units import MILLISECOND
from engine.storage.base import PARTITIONS_DEFAULT, Batch, Commit, Entry, partition_of
from engine.storage.codec import every_taken_back
from engine.storage.fleet import (
    HEARD_MAX,
    NOTICES_MAX,
    QUEUE_KEPT_MS,
    SESSIONS_LISTED_MAX,
    Heard,
    InOnePiece,
    Notice,
    Presence,
    Role,
    Roll,
    Share,
    Taken,
    Unsent,
    Untold,
)
from engine.storage.memory import MemoryStore
from engine.storage.order import check_partitions
from engine.storage.settled import settled_of
from engine.storage.stamping import check_given, check_presence, ends_of, stamped

Clock = Callable[[], int]


@dataclass(slots=True)
class _Lease:
    owner: str = ""
    until: int = 0


@dataclass(slots=True)
class _Queue:
    """``last`` is the number of the last notice, or where the numbers begin."""

    last: int
    until: int
    notices: list[tuple[int, Notice]] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)


class MemoryFleetStore(InOnePiece, MemoryStore):
    """``clock`` is that of the store, in microseconds: all who share it have it from there."""

    def __init__(self, clock: Clock, partition_count: int = PARTITIONS_DEFAULT) -> None:
        super().__init__(partition_count)
        self._clock = clock
        self._leases = [_Lease() for _ in range(partition_count)]
        self._sessions: dict[str, dict[str, str]] = {}  # by user: of each session its gateway, in the order they came
        self._clients: dict[tuple[str, str], str] = {}  # by user and session
        self._reached: dict[str, set[str]] = {}  # by message: gateways
        self._places: dict[str, int] = {}  # by message: its number in the outbox
        self._place = 0
        self._queues: dict[str, _Queue] = {}
        self._heard_until: dict[Role, dict[str, int]] = {"gateway": {}, "worker": {}}
        self._decided: dict[int, str] = {}  # by moment: the rules that hold from then on, "" for none

    async def ingest(
        self, entries: Sequence[Entry], presence: Sequence[Presence] = (), gateway: str = ""
    ) -> list[Taken]:
        self._check_open()
        for entry in entries:
            check_given(entry)
        check_presence(presence, gateway)
        now = self._clock()
        once = await self.known([(entry.user, entry.once_id) for entry in entries if entry.once])
        passed_over = self._move(entries, presence, gateway)
        taken: list[Taken] = []
        for place, entry in enumerate(entries):
            if place in passed_over:
                taken.append(Taken(entry, is_repeated=True))
                continue
            if entry.once:
                if (entry.user, entry.once_id) in once:
                    taken.append(Taken(entry, is_repeated=True))
                    continue
                once.add((entry.user, entry.once_id))
            number = partition_of(entry.user, self.partition_count)
            partition = self._partitions[number]
            entry = stamped(entry, max(now, partition.last_at), f"{number}-{partition.last_number + 1}")
            partition.put(entry)
            taken.append(Taken(entry))
        return taken

    def _move(self, entries: Sequence[Entry], presence: Sequence[Presence], gateway: str) -> set[int]:
        """Note who comes and goes: the places of entries by which sessions end that are at another gateway."""
        ends = ends_of(entries)
        passed_over: set[int] = set()
        for each in presence:
            where = self._sessions.get(each.user, {}).get(each.session)
            if each.is_there:
                self._arrive(each.user, each.session, gateway)
                self._clients.update({(each.user, each.session): each.client} if each.client else {})
            elif gateway in ("", where):
                self._depart(each.user, each.session)
            elif where is not None:
                passed_over.update(ends.get((each.user, each.session), ()))
        return passed_over

    def _arrive(self, user: str, session: str, gateway: str) -> None:
        sessions = self._sessions.setdefault(user, {})
        sessions.pop(session, None)
        here = [name for name, where in sessions.items() if where == gateway]
        for name in here[: max(len(here) + 1 - SESSIONS_LISTED_MAX, 0)]:
            del sessions[name]
            self._clients.pop((user, name), None)
        sessions[session] = gateway
        for outgoing in self._waiting({user}).get(user, []):
            self._reached.get(outgoing.message.id, set()).discard(gateway)  # the one who comes may not have it
        self._drop_reached(user)

    def _depart(self, user: str, session: str) -> None:
        self._clients.pop((user, session), None)
        sessions = self._sessions.get(user, {})
        sessions.pop(session, None)
        if not sessions:
            self._sessions.pop(user, None)
        self._drop_reached(user)

    def _drop_reached(self, user: str) -> None:
        """What has reached all gateways where the user is leaves the outbox."""
        where = set(self._sessions.get(user, {}).values())
        for outgoing in self._waiting({user}).get(user, []):
            reached = self._reached.get(outgoing.message.id)
            if reached and where <= reached:
                self._remove(outgoing.message.id)

    def _remove(self, message_id: str) -> None:
        self._outbox.pop(message_id, None)
        self._reached.pop(message_id, None)

    async def take(
        self, worker: str, partitions: list[int], *, lease_ms: int, entries_max: int = 500, due_max: int = 1000
    ) -> list[Share]:
        self._check_open()
        check_partitions(partitions, self.partition_count)
        if entries_max < 1 or due_max < 1:
            raise ValueError(f"expected at least one entry and one user, got {entries_max} and {due_max}")
        now = self._clock()
        shares: list[Share] = []
        for number in partitions:
            lease = self._leases[number]
            if lease_ms and lease.owner != worker and now < lease.until:
                continue
            is_new = lease.owner != worker
            lease.owner, lease.until = worker, now + lease_ms * MILLISECOND
            if is_new and lease_ms:
                self._partitions[number].version += 1
            shares.append(self._share(number, now, is_new, entries_max, due_max))
        return shares

    def _share(self, number: int, now: int, is_new: bool, entries_max: int, due_max: int) -> Share:
        partition = self._partitions[number]
        entries = [entry for _, entry in partition.after(partition.cursor)[:entries_max]]
        has_more = len(entries) >= entries_max
        ticks = [place for place, entry in enumerate(entries, 1) if entry.kind == "tick"]
        is_whole = partition.cursor + len(entries) == partition.last_number
        horizon = entries[-1].at if entries else partition.last_at
        due: list[tuple[int, str]] = []
        has_tick = bool(ticks)
        if has_tick:
            # Time comes to where somebody has put a tick before; what is behind it is for the next time.
            entries = entries[: ticks[-1]]
        elif is_whole and self._wakes(number, now):
            due = self._wakes(number, max(now, horizon))
            if len(due) <= due_max or due[due_max][0] > horizon:
                entries.append(Entry("tick", max(now if len(due) <= due_max else due[due_max - 1][0], horizon)))
                partition.put(entries[-1])
                has_tick = True
        if has_tick:
            horizon = entries[-1].at
            due = self._wakes(number, horizon)
            if len(due) > due_max:
                entries.pop()  # it is not come to before all who are due by it have run
        is_complete = has_tick and len(due) <= due_max
        names = [name for _, name in due[:due_max]]
        batch = Batch(number, partition.version, partition.cursor, partition.last_at, entries, names, {})
        return Share(batch, horizon, is_complete, is_new, has_more)

    def _wakes(self, number: int, by: int) -> list[tuple[int, str]]:
        users = self._partitions[number].users.items()
        return sorted((user.wake, name) for name, user in users if user.wake is not None and user.wake <= by)

    async def release(self, worker: str, partitions: list[int]) -> None:
        self._check_open()
        check_partitions(partitions, self.partition_count)
        for number in partitions:
            if self._leases[number].owner == worker:
                self._leases[number] = _Lease()

    async def where(self, users: Sequence[str]) -> dict[str, list[str]]:
        self._check_open()
        return {user: sorted(set(self._sessions[user].values())) for user in users if user in self._sessions}

    async def connected(self) -> list[str]:
        self._check_open()
        return list(self._sessions)

    async def tell(self, notices: Mapping[str, Sequence[Notice]]) -> dict[str, int]:
        self._check_open()
        now = self._clock()
        waiting = dict.fromkeys(notices, 0)
        for gateway, told in notices.items():
            queue = self._queues.get(gateway)
            if queue is None or queue.until <= now or not told:
                continue
            queue.notices += enumerate(told, queue.last + 1)
            queue.last += len(told)
            del queue.notices[:-NOTICES_MAX]
            queue.told.set()
            waiting[gateway] = len(queue.notices)
        return waiting

    async def listen(self, gateway: str, after: int | None, wait_s: float) -> Heard:
        self._check_open()
        queue = self._queue(gateway, QUEUE_KEPT_MS)
        if after is None:
            after = queue.last
        if after == queue.last:
            queue.told.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await queue.told.wait()
            except TimeoutError:
                return Heard([], after)
            self._check_open()
        heard = [(number, notice) for number, notice in queue.notices if number > after or after > queue.last]
        queue.notices = list(heard)
        last = heard[min(len(heard), HEARD_MAX) - 1][0] if heard else queue.last
        has_gap = not heard or heard[0][0] != after + 1
        return Heard([notice for _, notice in heard[:HEARD_MAX]], last, has_gap)

    def _queue(self, gateway: str, kept_ms: int) -> _Queue:
        """Made where there is none; its numbers begin where no queue of that name has been before."""
        now = self._clock()
        until = now + kept_ms * MILLISECOND
        queue = self._queues.get(gateway)
        if queue is None or queue.until <= now:
            queue = self._queues[gateway] = _Queue(now, until)
        queue.until = max(queue.until, until)
        return queue

    async def reached(self, gateway: str, messages: Sequence[tuple[str, str]]) -> None:
        self._check_open()
        for user, message_id in messages:
            if message_id in self._outbox:
                self._reached.setdefault(message_id, set()).add(gateway)
                self._drop_reached(user)

    async def withdraw(self, messages: Sequence[tuple[str, str]]) -> None:
        self._check_open()
        for _, message_id in messages:
            self._remove(message_id)

    async def resume(self, gateway: str, user: str, session: str) -> list[str] | None:
        self._check_open()
        former = self._sessions.get(user, {}).get(session)
        if former is None:
            return None
        self._arrive(user, session, gateway)
        return [] if former == gateway else [former]

    async def former(self, user: str, session: str) -> list[tuple[str, str]]:
        self._check_open()
        client, sessions = self._clients.get((user, session)), self._sessions.get(user, {})
        before = list(sessions)[: list(sessions).index(session)] if client else []
        return [(name, sessions[name]) for name in before if self._clients.get((user, name)) == client]

    async def users_of(self, client: str) -> list[str]:
        self._check_open()
        return sorted({user for (user, _), name in self._clients.items() if name == client})

    async def sessions_at(self, gateway: str, partition: int) -> dict[str, list[str]]:
        self._check_open()
        check_partitions([partition], self.partition_count)
        found: dict[str, list[str]] = {}
        for user, sessions in self._sessions.items():
            if partition_of(user, self.partition_count) == partition:
                here = [session for session, where in sessions.items() if where == gateway]
                found.update({user: here} if here else {})
        return found

    async def commit(self, commits: list[Commit]) -> None:
        await super().commit(commits)
        self._reached = {name: gateways for name, gateways in self._reached.items() if name in self._outbox}

    async def unsent(self, after: Mapping[int, int], messages_max: int) -> dict[int, list[Unsent]]:
        self._check_open()
        check_partitions(list(after), self.partition_count)
        self._drop_expired(self._clock())
        self._places = {name: place for name, place in self._places.items() if name in self._outbox}
        for message_id in self._outbox:
            if message_id not in self._places:
                self._place += 1
                self._places[message_id] = self._place
        found: dict[int, list[Unsent]] = {number: [] for number in after}
        for message_id, outgoing in self._outbox.items():
            number = partition_of(outgoing.user, self.partition_count)
            if number in after and self._places[message_id] > after[number]:
                found[number].append((self._places[message_id], outgoing))
        return {number: waiting[:messages_max] for number, waiting in found.items()}

    async def untold(self, after: Mapping[int, tuple[int, int]], entries_max: int) -> dict[int, Untold]:
        self._check_open()
        check_partitions(list(after), self.partition_count)
        return {number: self._untold(number, place, entries_max) for number, place in after.items()}

    def _untold(self, number: int, place: tuple[int, int], entries_max: int) -> Untold:
        partition = self._partitions[number]
        start, decided = max(place[0], partition.told[0]), max(place[1], partition.told[1])
        entries = [pair for pair in partition.after(start) if pair[0] <= partition.cursor][:entries_max]
        lines = [(each, line) for each, _, _, line in partition.decisions if each > decided][:entries_max]
        is_whole = len(entries) < entries_max and len(lines) < entries_max
        following = (entries[-1][0] if entries else start, lines[-1][0] if lines else decided)
        gone = every_taken_back(line for _, line in lines)
        return Untold([entry for _, entry in entries], gone, None if is_whole else following)

    async def settled(self, user: str, since: int, types: Collection[str]) -> Untold:
        return await settled_of(self, user, since, types)

    async def beat(self, role: Role, name: str, lasts_ms: int) -> Roll:
        self._check_open()
        now = self._clock()
        self._heard_until[role][name] = now + lasts_ms * MILLISECOND
        if role == "gateway":
            self._queue(name, lasts_ms + QUEUE_KEPT_MS)
        workers, gateways = self._heard_until["worker"], self._heard_until["gateway"]
        for gone in [each for each, until in workers.items() if until <= now]:
            del workers[gone]
        return Roll(
            sorted(workers),
            sorted(each for each, until in gateways.items() if until > now),
            {each: (now - until) // MILLISECOND for each, until in sorted(gateways.items()) if until <= now},
        )

    async def leave(self, role: Role, name: str) -> None:
        self._check_open()
        self._heard_until[role].pop(name, None)
        if role == "gateway":
            self._queues.pop(name, None)

    async def present_users(self, partitions: Collection[int] | None = None) -> list[tuple[str, bytes]]:
        found, count = await super().present_users(), self.partition_count
        return [pair for pair in found if partitions is None or partition_of(pair[0], count) in partitions]

    async def confirm(self, partitions: Collection[int] | None = None) -> None:
        self._check_open()

    async def clock(self) -> int:
        self._check_open()
        return self._clock()

    async def publish_rules(self, rules_hash: str) -> int:
        self._check_open()
        at = 1 + max(self._clock(), *(partition.last_at for partition in self._partitions), *self._decided)
        for partition in self._partitions:
            partition.put(Entry("rules", at, rules_hash=rules_hash))
        self._decided[at] = rules_hash
        self._moments[at, rules_hash] = None
        return at

    async def are_decided(self, at: int, *, give_up: bool) -> bool | None:
        self._check_open()
        if give_up:
            self._decided.setdefault(at, "")
        decided = self._decided.get(at)
        return None if decided is None else decided != ""

    async def drop_rules(self, before: int) -> int:
        self._decided = {at: rules_hash for at, rules_hash in self._decided.items() if at >= before}
        return await super().drop_rules(before)

    async def erase_everywhere(self, user: str) -> int:
        count = await self.erase(user)
        for session in list(self._sessions.get(user, ())):
            self._depart(user, session)
        self._partitions[partition_of(user, self.partition_count)].version += 1
        return count

    async def close(self) -> None:
        await super().close()
        for queue in self._queues.values():
            queue.told.set()
