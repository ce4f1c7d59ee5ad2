"""One turn of the live driver: entries in, one transaction out. What failed can be made again and comes out the same.

No time is read here: the caller says what time it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import msgspec

from engine.core.rules import RuleSet, Timeline
from engine.core.state import UserState
from engine.doubt import Doubt, Doubts, Settled
from engine.evaluation import Evaluation
from engine.observer import SILENT, Observer
from engine.pace import Pace
from engine.rule_history import RuleHistory
from engine.states import UNREADABLE, readable, restored
from engine.storage.base import Batch, Commit, Conflict, Entry, Store, StoreError, partition_of
from engine.turn_work import NOTHING_RELAYED, PartitionAt, TurnResult, Work

DUE_MAX = 1_000  # users of one partition whose wake-ups run in one turn
# Users who adopt new rules in one turn; fewer where thousands of events of each are run once more for it.
CATCH_UP, CATCH_UP_WITH_PAST = 100, 10
CATCH_UP_MAX = 500


class Turns:
    """Makes turns on a store, one at a time. Knows the store's versions as long as nobody else writes."""

    def __init__(self, store: Store, observer: Observer = SILENT, rules: RuleHistory | None = None) -> None:
        self._store = store
        self._rules = rules or RuleHistory(store)
        self._observer = observer
        self._partitions: list[PartitionAt] | None = None
        self._evaluation = Evaluation(store, self._rules)
        self._states = self._evaluation.states
        self._damage = self._evaluation.damage
        self._doubts = Doubts(store)

    @property
    def timeline(self) -> Timeline | None:
        """Which of the latest rules hold when; None until the first have begun to hold."""
        return self._rules.timeline

    @property
    def latest(self) -> int:
        """The moment of the last entry of the log; -1 where there is none, or where it has to be looked up again."""
        return -1 if self._partitions is None else self._floor()

    async def recover(self) -> None:
        """Read where the store stands, and evaluate what stands in its log unevaluated."""
        await self._doubts.resolve()
        await self._rules.recover()
        self._states.clear()
        batches = await self._poll(-1)
        self._partitions = [PartitionAt(batch.version, batch.cursor, batch.last_at) for batch in batches]
        while self.timeline is not None and any(batch.entries for batch in batches):
            work = {batch.partition: Work([], False, batch.entries) for batch in batches if batch.entries}
            await self._commit(Settled([]), work, TurnResult(), horizon=0)
            batches = await self._poll(-1)
            for partition, batch in zip(self._partitions, batches, strict=True):
                partition.last_at = max(partition.last_at, batch.last_at)  # others may have put entries there meanwhile

    async def open_sessions(self) -> list[tuple[str, list[str]]]:
        """Every user with open sessions, and their names: implicit ones, which end by themselves, not among them."""
        return [(state.user, list(state.sessions)) async for state in self.present_users()]

    async def make(
        self,
        entries: list[Entry],
        horizon: int,
        *,
        due: bool,
        tick: bool = False,
        relayed: Mapping[str, str] = NOTHING_RELAYED,
    ) -> TurnResult:
        """Let ``entries`` happen in order, and (where ``due``) time come to ``horizon`` for all users.

        Where anybody's time was due, a tick says so in the log; with ``tick`` in every partition, due or not.
        ``relayed`` are ids of messages that leave the outbox, and their users.

        Entries are stamped no earlier than anything before them. Raises `StoreError`; then nothing of it has
        happened, unless the store did a part of it or said so too late, which the next try with the same list finds
        out.
        """
        settled = await self._doubts.begin(entries)
        if settled.is_whole:
            return self._doubts.end(settled, TurnResult())
        entries = [entries[place] for place in settled.rest]
        if self._partitions is None:
            await self.recover()
        assert self._partitions is not None
        result = TurnResult()
        work: dict[int, Work] = {}
        # What a tick says of the horizon has to be true of every wake-up, so it is known before they are asked for.
        horizon = max(horizon, self._floor(), *(entry.at for entry in entries))
        if due:
            for batch in await self._poll(horizon):
                if self._partitions[batch.partition].version != batch.version:
                    self._forget()
                    raise Conflict(f"somebody else has written to partition {batch.partition}")
                if batch.due or tick:
                    work[batch.partition] = Work(batch.due, complete=len(batch.due) < DUE_MAX)
        self._stamp(entries, await self._known(entries), work, result)
        for message_id, user in relayed.items():
            number = partition_of(user, self._store.partition_count)
            work.setdefault(number, Work([], False)).relayed.append(message_id)
        if work:
            await self._commit(settled, work, result, horizon)
        return self._doubts.end(settled, result)

    async def _known(self, entries: list[Entry]) -> set[tuple[str, str]]:
        """Of what happens once, what has happened, by user and id."""
        claimed = [(entry.user, entry.once_id) for entry in entries if entry.once]
        return await self._store.known(claimed) if claimed else set()

    async def change_rules(self, rules: RuleSet, now: int) -> int:
        """Let ``rules`` hold from the next moment on, for everybody at once, and say which moment that is."""
        if self._partitions is None:
            await self.recover()
        assert self._partitions is not None
        # Later than all that has happened, and all that happens after this is stamped no earlier.
        moment = max(now, self._floor()) + 1
        entry = Entry("rules", moment, rules_hash=rules.hash)
        commits = [
            Commit(number, partition.version, partition.cursor + 1, [entry])
            for number, partition in enumerate(self._partitions)
        ]
        try:
            await self._store.commit(commits)
        except BaseException as error:
            self._forget()
            if not isinstance(error, StoreError):
                raise
            await self.recover()
            timeline = self.timeline
            if timeline is None or timeline.moments[-1] < moment or timeline.latest.hash != rules.hash:
                raise
            return timeline.moments[-1]
        self._advance_versions(commits)
        self._rules.add(moment, rules)
        return moment

    async def users_behind(self) -> list[str]:
        """Present users who have not adopted the latest rules: their wake-ups may be later than these ask for."""
        if self.timeline is None:
            return []
        latest = self.timeline.moments[-1]
        return [state.user async for state in self.present_users() if state.rules_since != latest]

    async def present_users(self) -> AsyncIterator[UserState]:
        """The state of every present user, to be looked at; of those whose state can be read."""
        async for state in readable(await self._store.present_users(), self._damage.tell):
            yield state

    def catch_up_pace(self) -> Pace:
        """How many users `catch_up` should be given at once, so that inputs do not wait long behind them."""
        if self.timeline is not None and self.timeline.wants_history(self.timeline.moments[-1] - 1):
            return Pace(CATCH_UP_WITH_PAST, CATCH_UP_MAX)
        return Pace(CATCH_UP, CATCH_UP_MAX)

    async def catch_up(self, users: list[str]) -> TurnResult:
        """Let these users adopt the latest rules now; nothing but that happens to them, unless something is due."""
        if self._partitions is None:
            await self.recover()
        result = TurnResult()
        work: dict[int, Work] = {}
        for user in users:
            work.setdefault(partition_of(user, self._store.partition_count), Work([], False)).due.append(user)
        if work:
            await self._commit(Settled([]), work, result, self._floor())
        return result

    # Inside.

    async def _poll(self, due_by: int) -> list[Batch]:
        return await self._store.poll(list(range(self._store.partition_count)), due_by, due_max=DUE_MAX)

    def _floor(self) -> int:
        assert self._partitions is not None
        return max(partition.last_at for partition in self._partitions)

    def _stamp(
        self, entries: list[Entry], known: set[tuple[str, str]], work: dict[int, Work], result: TurnResult
    ) -> None:
        """Give every entry its place, stamp and id; one that happens once and is ``known`` is passed over."""
        assert self._partitions is not None
        floor = self._floor()
        for entry in entries:
            event = entry.event
            if entry.once:
                once_id = (entry.user, entry.once_id)
                if once_id in known:
                    result.entries.append(entry)
                    if event is not None:
                        result.repeated.append(entry)
                    continue
                known.add(once_id)
            floor = max(floor, entry.at)
            number = partition_of(entry.user, self._store.partition_count)
            part = work.get(number)
            if part is None:
                part = work[number] = Work([], False)
            if event is not None:
                if event.at != floor or not event.id:
                    event_id = event.id or f"{number}-{self._partitions[number].cursor + len(part.appended) + 1}"
                    event = msgspec.structs.replace(event, at=floor, id=event_id)
                    entry = Entry("event", floor, entry.user, event, once=entry.once)
            elif entry.at != floor:
                entry = msgspec.structs.replace(entry, at=floor)
            part.appended.append(entry)
            result.entries.append(entry)

    async def _commit(self, settled: Settled, work: dict[int, Work], result: TurnResult, horizon: int) -> None:
        await self._evaluation.load([user for part in work.values() for user in part.named()])
        parts: list[tuple[Commit, TurnResult]] = []
        try:
            parts = await self._evaluate_all(work, horizon)
            commits = [commit for commit, _ in parts]
            self._observer.committing()
            await self._store.commit(commits)
            self._observer.committed()
        except BaseException as error:
            # States at hand have moved on, also where the caller was cancelled: the store knows what is true.
            self._forget()
            if isinstance(error, StoreError):
                self._doubts.note(Doubt(settled, result, parts, error))
            raise
        for _, part in parts:
            result.add(part)
        self._advance_versions(commits)
        self._states.trim()
        self._rules.turn_over()

    async def _evaluate_all(self, work: dict[int, Work], horizon: int) -> list[tuple[Commit, TurnResult]]:
        """The commit of each partition, and what comes of it."""
        assert self._partitions is not None
        commits = []
        for number, part in sorted(work.items()):
            partition = self._partitions[number]
            if part.complete:
                part.appended.append(Entry("tick", horizon))
            commit = Commit(number, partition.version, partition.cursor + len(part.logged) + len(part.appended))
            commit.appended = part.appended
            commit.withdrawn.extend(part.relayed)
            commits.append((commit, await self._evaluation.evaluate(part, commit, horizon)))
        return commits

    def _advance_versions(self, commits: list[Commit]) -> None:
        assert self._partitions is not None
        for commit in commits:
            partition = self._partitions[commit.partition]
            partition.version += 1
            partition.cursor = commit.cursor
            if commit.appended:
                partition.last_at = max(partition.last_at, commit.appended[-1].at)

    def forget_user(self, user: str) -> None:
        """Nothing of the user is known any more."""
        self._damage.forget(user)
        self._states.forget(user)

    async def state_of(self, user: str) -> UserState | None:
        """The user's state, to be looked at and not changed; None for one of whom nothing is known.

        Raises `StoreError`, also where the state cannot be read.
        """
        try:
            if user in self._states:
                state, encoded = self._states.get(user)
            else:
                encoded = (await self._store.load([user])).get(user, b"")
                state = restored(user, encoded)
        except UNREADABLE as error:
            raise StoreError(str(error), "corrupt") from None
        return state if encoded else None

    def _forget(self) -> None:
        """Whatever is known of the store may be wrong: the next turn begins with `recover`."""
        self._partitions = None
        self._states.clear()
