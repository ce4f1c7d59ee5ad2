"""The rounds of a worker: take what is to be evaluated of its partitions, evaluate it, commit it.

No time matters here but the store's, and nobody is told what came of it: whoever makes the rounds does. Whatever fails,
what is remembered of the partitions concerned is forgotten, and the next round begins with what the store says.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from engine.core.units import SECOND
from engine.evaluation import Evaluation
from engine.fleet.adopting import Adopting
from engine.observer import SILENT, Observer
from engine.rule_history import RuleHistory
from engine.states import UNREADABLE
from engine.storage.base import Commit, Conflict, Entry, StoreError, partition_of
from engine.storage.fleet import FleetStore, Share
from engine.turn_work import TurnResult, Work

LEASE_MS = 2_000  # what a partition waits for another worker when its own is gone
ENTRIES_MAX, ENTRIES_MIN = 500, 10  # of one partition in a round; fewer where many partitions have any
DUE_MAX, DUE_MIN = 1_000, 10
# Entries and wake-ups that are committed together, and seconds of evaluation after which no partition is added to them:
# what came of them is told then, and the leases are renewed. All of one partition's are together, however many.
TOGETHER, TOGETHER_S = 4_000, 0.5
# Users whose states are kept ready, 50 MB of them with the example rules: with a fifth, a seventh of the time went into
# reading states where 4,000 users did something by turns (benchmarks/scale.py --profile).
READY_MAX = 10_000
GIVE_UP = 2 * SECOND  # after the moment of rules of which nobody has decided whether they hold: who published is gone


@dataclass(slots=True)
class Round:
    """What one round came to.

    ``done``: what became durable, by partition, in the order of the log; ``anew`` are partitions of which others may
    have made something durable that nobody was told. ``held``: those that are this worker's now. ``is_behind``: there
    was more to do than one round does. ``entries`` were evaluated in it. ``oldest``: the moment of the first entry that
    was not evaluated before it.
    """

    done: dict[int, list[TurnResult]] = field(default_factory=dict)
    anew: set[int] = field(default_factory=set)
    held: set[int] = field(default_factory=set)
    refused: int = 0
    entries: int = 0
    is_behind: bool = False
    oldest: int | None = None

    def add(self, partition: int, result: TurnResult) -> None:
        self.done.setdefault(partition, []).append(result)


@dataclass(slots=True)
class _Piece:
    """What a round is to do in one partition."""

    commit: Commit
    work: Work
    horizon: int
    has_rules: bool  # whether rules begin to hold in it

    @property
    def size(self) -> int:
        return len(self.work.logged) + len(self.work.due)


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A commit of which nobody knows whether it was made; ``moves``: the cursor would not stand there otherwise."""

    commit: Commit
    moves: bool
    result: TurnResult


class Rounds:
    """Makes rounds on a store for the worker of that name, one at a time.

    A round does about ``together`` entries and wake-ups; what else it has taken is left for the next, which begins with
    it. ``seconds`` only go forward. ``lease_ms`` 0 is for tests: partitions are taken whoever holds them, so that
    workers contend in every round.
    """

    def __init__(
        self,
        store: FleetStore,
        worker: str,
        *,
        lease_ms: int = LEASE_MS,
        entries_max: int = ENTRIES_MAX,
        due_max: int = DUE_MAX,
        together: int = TOGETHER,
        rules: RuleHistory | None = None,
        observer: Observer = SILENT,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._worker = worker
        self._lease_ms = lease_ms
        self._entries_max = entries_max
        self._due_max = due_max
        self._together = together
        self._observer = observer
        self._seconds = seconds
        self.rules = rules or RuleHistory(store)
        self._moments: list[tuple[int, str]] = []
        self._evaluation = Evaluation(store, self.rules, _give_way, READY_MAX)
        self._places: dict[int, tuple[int, int]] = {}  # version and cursor, as long as nobody else has written
        self._doubts: dict[int, _Doubt] = {}
        # By partition, the cursor up to which all rules are known that have come to hold there; and those where others
        # have gone on since, so that rules may hold which could not be looked up yet.
        self._known_to: dict[int, int] = {}
        self._unsure: set[int] = set()
        self._busy = 0  # partitions that had something to do in the last round, 0 where it did all of it
        self._turn: list[int] = []  # partitions as the next round is to come to them, where one could not do all
        self._carried = Round()  # what a round that failed has found out nevertheless
        self.adopting = Adopting(store, self.rules, self._evaluation.damage)

    @property
    def held(self) -> set[int]:
        """The partitions that were this worker's when it last asked."""
        return set(self._places)

    async def make(self, partitions: list[int], untold: Collection[int] = ()) -> Round:
        """One round of these partitions. Raises `StoreError`: then nothing was committed, or nobody knows what.

        ``untold``: of these not all is told yet that former rounds came to, so no commit is to say it is.
        """
        # After a quiet time all of them may have much at once: more is taken of each when it is known how many do.
        each = TOGETHER // max(1, self._busy or len(partitions))
        entries_max = min(self._entries_max, max(ENTRIES_MIN, each))
        due_max = min(self._due_max, max(DUE_MIN, each))
        taken = await self._store.take(
            self._worker, partitions, lease_ms=self._lease_ms, entries_max=entries_max, due_max=due_max
        )
        shares = {share.batch.partition: share for share in taken}
        made = self._carried
        self.drop(set(self._places) - shares.keys())
        await self._compare(shares, made)
        taken = [share for share in taken if share.batch.partition not in self._unsure]
        made.held = set(shares)
        made.oldest = min((share.batch.entries[0].at for share in taken if share.batch.entries), default=None)
        made.entries, made.refused, made.is_behind = 0, 0, False
        self.adopting.begin_round()
        pieces = []
        for share in self._in_turn(taken):
            piece = await self._piece(share, due_max, made)
            if piece is not None:
                number = piece.commit.partition
                piece.commit.told = number not in untold and number not in made.anew
                pieces.append(piece)
        done = await self._evaluate(self._chunk(pieces), made) if pieces else 0
        self._turn = [piece.commit.partition for piece in (*pieces[done:], *pieces[:done])]
        made.is_behind |= done < len(pieces)
        self._busy = len(pieces) if made.is_behind else 0
        self.rules.turn_over()
        self._carried = Round()
        return made

    def drop(self, partitions: Iterable[int]) -> None:
        """These are no longer this worker's."""
        gone = set(partitions)
        self._forget(gone)
        self.adopting.drop(gone)

    # Inside.

    def _in_turn(self, taken: list[Share]) -> list[Share]:
        """Those first that the last round did not come to, and last those that it has done."""
        places = {number: place for place, number in enumerate(self._turn)}
        return sorted(taken, key=lambda share: places.get(share.batch.partition, len(places)))

    def _chunk(self, pieces: list[_Piece]) -> list[_Piece]:
        """The first of them, as many as are to be committed together."""
        size = 0
        for count, piece in enumerate(pieces):
            if count and size + piece.size > self._together:
                return pieces[:count]
            size += piece.size
        return pieces

    async def _was_made(self, doubt: _Doubt, cursor: int) -> bool:
        """Whether a commit without an answer was made, nobody else having had the partition since.

        The version does not tell: a store may count it on so that the commit is not made late, and so does an erasure.
        Nothing but that commit brings the cursor there; where it does not move it, what was to be written says it.
        """
        if cursor != doubt.commit.cursor or doubt.moves:
            return cursor == doubt.commit.cursor
        for user, encoded in doubt.commit.states.items():
            return (await self._store.load([user])).get(user) == encoded
        return False

    async def _compare(self, shares: dict[int, Share], made: Round) -> None:
        """Keep what is remembered of those partitions alone which nobody else has touched."""
        strange = set()
        for number, share in shares.items():
            place = (share.batch.version, share.batch.cursor)
            doubt = self._doubts.get(number)
            if share.batch.cursor not in (self._known_to.get(number), doubt and doubt.commit.cursor):
                self._unsure.add(number)
            if share.is_new or self._places.get(number) != place:
                strange.add(number)
                made.anew.add(number)
                if doubt is not None and not share.is_new and await self._was_made(doubt, share.batch.cursor):
                    # It was made, and only the answer was lost. Its messages are in the outbox, if they still wait.
                    doubt.result.outbox.clear()
                    made.add(number, doubt.result)
            self._doubts.pop(number, None)
        if strange:
            self._forget(strange)
            # Rules may have come to hold in entries that others have evaluated.
            self.adopting.look_at(strange)
        self._unsure &= shares.keys()
        if strange or self._unsure or self.rules.timeline is None:
            await self._look_up_rules_if_possible()
        self._known_to |= {n: share.batch.cursor for n, share in shares.items() if n not in self._unsure}
        self._places |= {number: (share.batch.version, share.batch.cursor) for number, share in shares.items()}
        for number in shares:
            for user, encoded in shares[number].batch.states.items():
                if user not in self._evaluation.states:
                    self._evaluation.states.put(user, encoded)

    async def _piece(self, share: Share, due_max: int, made: Round) -> _Piece | None:
        """What can be evaluated of a share now, None for nothing."""
        batch = share.batch
        has_rules, count = await self._decided(batch.entries)
        if self.rules.timeline is None:
            return None
        is_whole = count == len(batch.entries)
        entries = batch.entries if is_whole else batch.entries[:count]
        made.is_behind |= (not is_whole and count > 0) or share.has_more or len(batch.due) >= due_max
        made.is_behind |= share.horizon < batch.last_at
        work = Work(list(batch.due) if is_whole else [], share.is_complete and is_whole, entries)
        commit = Commit(batch.partition, batch.version, batch.cursor + len(entries))
        commit.evaluated_at = entries[-1].at if entries else None
        horizon = share.horizon
        is_read = is_whole and (share.is_complete or not (share.has_more or batch.due))
        if is_read and self.adopting.waits(batch.partition):
            self.adopting.join(work, batch.partition)
            if not work.complete:
                # Time has to come to the horizon in the log as well, for those who adopt rules at it.
                horizon = max(share.horizon, batch.last_at)
                work.complete = True
                work.appended.append(Entry("tick", horizon))
                commit.appended = work.appended
                commit.cursor += 1
        if not (work.logged or work.appended or work.due):
            return None
        return _Piece(commit, work, horizon, has_rules)

    async def _decided(self, entries: list[Entry]) -> tuple[bool, int]:
        """How many of the entries can be evaluated together, and whether rules begin to hold among them.

        Rules begin a piece of their own: what they want to know of the past is all evaluated when they are adopted.
        While nobody knows whether they hold, nothing behind their entry can be evaluated.
        """
        has_rules = has_events = False
        for count, entry in enumerate(entries):
            if entry.kind == "rules":
                holds = await self._hold_if_possible(entry.at)
                if holds is None or (holds and has_events):
                    return has_rules, count
                has_rules |= holds
            has_events |= entry.kind == "event"
        return has_rules, len(entries)

    async def _hold_if_possible(self, at: int) -> bool | None:
        try:
            return await self._hold(at)
        except StoreError:
            if not self._store.out_of_reach():
                raise
            return None  # the primary that knows is gone: what is behind them waits, the others go on

    async def _hold(self, at: int) -> bool | None:
        """Whether the rules whose entry stands at that moment hold; None while that is open."""
        if self._is_known(at):
            return True
        await self._look_up_rules()
        if self._is_known(at):
            return True
        decided = await self._store.are_decided(at, give_up=await self._store.clock() > at + GIVE_UP)
        if decided:
            await self._look_up_rules()
            if not self._is_known(at):
                raise StoreError(f"the store has lost the rules that hold from {at} on")
        return decided

    def _is_known(self, at: int) -> bool:
        return any(moment == at for moment, _ in self._moments)

    async def _look_up_rules_if_possible(self) -> None:
        """Where the primary is gone that has them, what nobody else has evaluated goes on by those that are known."""
        try:
            await self._look_up_rules()
        except StoreError:
            if self.rules.timeline is None or not self._store.out_of_reach():
                raise
        else:
            self._unsure.clear()

    async def _look_up_rules(self) -> None:
        moments = await self._store.rule_moments()
        if moments == self._moments and self.rules.timeline is not None:
            return
        await self.rules.recover()
        self._moments = moments
        if self.rules.timeline is not None:
            self._observer.rules_hold([rule.id for rule in self.rules.timeline.latest.rules])

    async def _evaluate(self, pieces: list[_Piece], made: Round) -> int:
        """Evaluate them until it has taken long enough, and commit these together; how many they are."""
        evaluation = self._evaluation
        results: list[TurnResult] = []
        began = self._seconds()
        try:
            await evaluation.load([user for piece in pieces for user in piece.work.named()])
            for piece in pieces:
                due_at = self._due_at(piece)
                result = await evaluation.evaluate(piece.work, piece.commit, piece.horizon)
                result.entries, result.due_at = piece.work.logged, due_at
                results.append(result)
                await _give_way()
                if self._seconds() - began >= TOGETHER_S:
                    break
            pieces = pieces[: len(results)]
            self._observer.turn_taken(sum(len(piece.work.logged) for piece in pieces), self._seconds() - began)
            self._observer.committing()
            refused = await self._commit(pieces, results)
            self._observer.committed()
        except BaseException as error:
            # States at hand have moved on, also where the caller was cancelled: the store knows what is true.
            self._forget({piece.commit.partition for piece in pieces})
            if isinstance(error, StoreError):
                self._observer.commit_failed(again=True)
            raise
        made.refused = len(refused)
        made.entries = sum(len(piece.work.logged) for piece in pieces)
        for piece, result in zip(pieces, results, strict=True):
            number = piece.commit.partition
            if number in refused:
                continue
            self._places[number] = (piece.commit.version + 1, piece.commit.cursor)
            self._known_to[number] = piece.commit.cursor
            made.add(number, result)
            if piece.has_rules:
                self.adopting.look_at([number])
            self.adopting.adopted(number, piece.work)
        evaluation.states.trim()
        return len(pieces)

    def _due_at(self, piece: _Piece) -> int | None:
        """The earliest wake-up that comes in it. Others are in it as well, who are to adopt rules or wake later."""
        earliest: int | None = None
        for user in piece.work.due:
            with suppress(*UNREADABLE):
                wake = self._evaluation.states.get(user)[0].wake
                if wake is not None and wake <= piece.horizon and (earliest is None or wake < earliest):
                    earliest = wake
        return earliest

    async def _commit(self, pieces: list[_Piece], results: list[TurnResult]) -> frozenset[int]:
        """The partitions of which nothing was written, for somebody else has written there."""
        commits = [piece.commit for piece in pieces]
        try:
            await self._store.commit(commits)
        except Conflict as conflict:
            everything = frozenset(commit.partition for commit in commits)
            refused = everything if conflict.refused is None else conflict.refused
            self._observer.commit_failed(again=True)
            self._forget(refused)
            return refused
        except StoreError:
            for piece, result in zip(pieces, results, strict=True):
                moves = bool(piece.work.logged or piece.work.appended)
                self._doubts[piece.commit.partition] = _Doubt(piece.commit, moves, result)
            raise
        return frozenset()

    def _forget(self, partitions: Iterable[int]) -> None:
        """Whatever is remembered of these may be wrong."""
        gone = frozenset(partitions)
        if not gone:
            return
        count = self._store.partition_count
        for number in gone:
            self._places.pop(number, None)
        self._evaluation.states.forget_those(lambda user: partition_of(user, count) in gone)


async def _give_way() -> None:
    """A round may be long, and others wait: without a sign of life the worker is taken for dead."""
    await asyncio.sleep(0)
