"""Retention: entries older than the store keeps are folded into bases, the states to which they lead.

It changes nothing that rules can tell: the bases are made by the same core that made the states, from the same log, and
a replay of what is left goes on from them. It works in small pieces and gives way between them, so that nobody waits.

A log is folded up to a tick: there, time had come to the tick's moment for everybody, so a decision belongs to what
is folded or to what is left by its moment alone. What a rule set wants to know of a user's past when it is adopted has
to be there still; so everybody adopts a rule set before the log is folded beyond its moment, and bases keep the past
that rule sets of later moments may ask for.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from pathlib import Path

import structlog

from engine.archive import Archive
from engine.core.model import Event
from engine.core.rules import HISTORY_EVENTS_MAX, RuleSet, Timeline
from engine.core.state import StateTooLarge, StateUnreadable, StateVersionUnknown, UserState
from engine.core.units import DAY, HOUR, MINUTE, SECOND, format_at
from engine.isolation import evaluate_user
from engine.observer import SILENT, Observer
from engine.recorded import RULES_KEPT, recorded_timeline
from engine.storage.base import Base, Conflict, Fold, Folded, Store, StoreError

PIECE_ENTRIES = 1_000  # that are folded at once, or more where no tick stands between them
PIECE_PAGES = 16  # the same where they are big, so that a page has few
PAGE_ENTRIES = 500
STRETCH_EVENTS = 50  # of one user, evaluated without giving way
STATES_AT_ONCE = 500  # that are decoded without giving way
BASES_AT_ONCE = 50  # of users who did nothing, brought up to a moment without giving way
TRIES_MAX = 3  # of one piece, where a user is erased meanwhile
EVERY = HOUR
AGAIN = (30 * SECOND, 8 * MINUTE)  # between tries of what could not be folded: the first pause, and the longest
LOOK = 2 * SECOND  # between looks whether a partition has come to this worker, which costs nothing where none has

CatchUp = Callable[[list[str]], Awaitable[object]]  # lets these users adopt the latest rules, durably
at_of = attrgetter("at")

log = structlog.get_logger("retention")


@dataclass(slots=True)
class Trimmed:
    """What was folded: so many entries, into so many bases, and so many rule sets that nobody asks for any more."""

    entries: int = 0
    bases: int = 0
    rule_sets: int = 0


@dataclass(slots=True)
class _Piece:
    """Entries up to the tick ``number`` at ``at``: the events among them by user, in order."""

    number: int
    at: int
    events: dict[str, list[Event]] = field(default_factory=dict)


class Retention:
    """Folds the log of one store. ``catch_up`` is what lets users adopt the latest rules who have not.

    ``partitions``: those whose log it is to fold, asked for anew each time; None for all of them. ``archive``: where it
    is written to before.
    """

    def __init__(
        self,
        store: Store,
        catch_up: CatchUp,
        partitions: Callable[[], Iterable[int]] | None = None,
        archive: Archive | None = None,
    ) -> None:
        self._store = store
        self._catch_up = catch_up
        self._partitions = partitions
        self._archive = archive
        self._compiled: dict[str, RuleSet | None] = {}

    async def trim(self, before: int) -> Trimmed:
        """Fold what happened before the moment, as far as there are ticks. Raises `StoreError`: what was folded stays.

        It can be stopped at any time, and goes on where it was when it is called again.
        """
        try:
            return await self._trim(before)
        finally:
            # Compiling them again is for the next hour; keeping many of them would be for all the time between.
            if sum(len(rules.rules) for rules in self._compiled.values() if rules is not None) > RULES_KEPT:
                self._compiled.clear()

    async def _trim(self, before: int) -> Trimmed:
        trimmed = Trimmed()
        timeline = await self._timeline()
        if timeline is None:
            return trimmed
        everything = range(self._store.partition_count)
        mine = sorted(everything if self._partitions is None else self._partitions())
        await self._let_adopt(timeline, before, mine)
        if self._archive is not None:
            await self._archive.put_rules(self._store)
        busy: StoreError | None = None
        for partition in mine:
            try:
                with nullcontext() if self._archive is None else self._archive.held(partition):
                    while await self._fold_next(partition, before, trimmed):
                        pass
            except StoreError as error:
                if error.state != "busy":
                    raise
                busy = error  # such as another worker's, whose it was a moment ago: the others are folded all the same
        if busy is not None:
            raise busy
        ends = [(await self._store.folded(partition)).at for partition in everything]
        index = timeline.holding(min(ends))
        if index:
            # All states and bases have adopted what holds there, and nothing before it is ever run again.
            trimmed.rule_sets = await self._store.drop_rules(timeline.moments[index])
        return trimmed

    async def _let_adopt(self, timeline: Timeline, before: int, partitions: list[int]) -> None:
        """Everybody adopts the rule sets beyond whose moments the log may be folded."""
        moments = [moment for moment in timeline.moments[1:] if moment < before]
        if not moments:
            return
        for partition in partitions:
            place = 0
            while states := await self._store.states(partition, place, STATES_AT_ONCE):
                place = states[-1][0]
                behind = [user for _, user, state in states if _is_behind(state, moments[-1])]
                if behind:
                    await self._catch_up(behind)
                await asyncio.sleep(0)

    async def _timeline(self) -> Timeline | None:
        return await recorded_timeline(self._store, self._compiled)

    async def _fold_next(self, partition: int, before: int, trimmed: Trimmed) -> bool:
        """Fold the next piece of a partition; False where there is none."""
        for _ in range(TRIES_MAX):
            # Anew for each piece: rules that begin to hold meanwhile may ask for a past.
            moments = await self._store.rule_moments()
            timeline = await self._timeline()
            former = await self._store.folded(partition)
            piece = await self._next_piece(partition, former, before)
            if piece is None or timeline is None:
                return False
            fold = await self._fold(timeline, partition, former, piece)
            if self._archive is not None:
                await self._archive.put(self._store, partition, former, piece.number)
            if await self._store.rule_moments() != moments:
                continue
            try:
                # Nothing comes between the look at the rules and this.
                await self._store.fold(fold)
            except Conflict:
                continue
            trimmed.entries += piece.number - former.number
            trimmed.bases += len(fold.bases)
            return True
        raise StoreError(f"partition {partition} goes on changing while it is folded: try again later")

    async def _next_piece(self, partition: int, former: Folded, before: int) -> _Piece | None:
        """Up to the last tick within `PIECE_ENTRIES` (or `PIECE_PAGES`) that something later follows, else to the next
        such."""
        [batch] = await self._store.poll([partition], -1, entries_max=1, due_max=1)
        found: _Piece | None = None
        tick: tuple[int, int] | None = None  # the number and the moment of the entry before, where that is a tick
        events: dict[str, list[Event]] = {}
        position, enough = former.number, former.number + PIECE_ENTRIES
        pages = 0
        while entries := await self._store.numbered(partition, position, PAGE_ENTRIES):
            pages += 1
            if pages > PIECE_PAGES:
                enough = former.number
            for position, entry in entries:
                if tick is not None and entry.at > tick[1]:
                    if found is not None and position > enough:
                        return found
                    found = _Piece(*tick, _merged(found, events))
                    events = {}
                if entry.at >= before or position > batch.cursor:
                    return found
                if found is not None and position > enough:
                    return found
                if entry.event is not None:
                    events.setdefault(entry.user, []).append(entry.event)
                # Whatever else happens at the tick's own moment would belong to neither side: then it is no border.
                tick = (position, entry.at) if entry.kind == "tick" else None
            await asyncio.sleep(0)
        return found

    async def _fold(self, timeline: Timeline, partition: int, former: Folded, piece: _Piece) -> Fold:
        """What the piece comes to for every user whom it concerns: who did something, or whose time it was."""
        changed = any(former.at < moment <= piece.at for moment in timeline.moments)
        asked = None if changed else list(piece.events)
        known = {base.user: base for base in await self._store.bases(partition, asked, piece.at)}
        wanted = bool(timeline.wants_history(piece.at))
        bases = []
        for count, user in enumerate(dict.fromkeys([*known, *piece.events]), 1):
            if count % BASES_AT_ONCE == 0:
                await asyncio.sleep(0)
            base = await self._base(timeline, user, known.get(user), piece, wanted=wanted)
            if base is not None:
                bases.append(base)
        return Fold(partition, former, piece.number, piece.at, bases, past_wanted=wanted)

    async def _base(
        self, timeline: Timeline, user: str, base: Base | None, piece: _Piece, *, wanted: bool
    ) -> Base | None:
        mine = piece.events.get(user, [])
        past = [*(() if base is None else base.past), *mine]
        timeline.history = lambda _, moment: past[: bisect_left(past, moment, key=at_of)][-HISTORY_EVENTS_MAX:]
        encoded = b"" if base is None else base.state
        for start in range(0, len(mine), STRETCH_EVENTS):
            encoded = _run(timeline, user, encoded, mine[start : start + STRETCH_EVENTS], None)
            await asyncio.sleep(0)
        encoded = _run(timeline, user, encoded, [], piece.at)
        state = _decoded(user, encoded)
        if state.now < 0:
            return None  # nothing has happened to them that counts
        return Base(user, encoded, state.wake, tuple(past[-HISTORY_EVENTS_MAX:]) if wanted else ())


def _run(timeline: Timeline, user: str, encoded: bytes, events: Sequence[Event], until: int | None) -> bytes:
    """The state after the events. One that would make it too large is left out, as one is on which evaluation fails."""
    try:
        return evaluate_user(timeline, partial(_decoded, user, encoded), events, until).state.encode()
    except StateTooLarge:
        if len(events) < 2:
            return encoded
    for event in events:
        encoded = _run(timeline, user, encoded, [event], None)
    return encoded


def _decoded(user: str, encoded: bytes) -> UserState:
    """The state of a base. Raises `StoreError` where it is damaged: what lies behind it has to stay then."""
    try:
        return UserState.decode(encoded) if encoded else UserState(user)
    except (StateUnreadable, StateVersionUnknown) as error:
        raise StoreError(f"the base of user {user!r} cannot be read: {error}", "corrupt") from None


def _is_behind(encoded: bytes, moment: int) -> bool:
    """Of a state that is damaged nothing is to be had, so there is nothing either that it could have to adopt."""
    try:
        state = UserState.decode(encoded)
    except (StateUnreadable, StateVersionUnknown):
        return False
    return state.now >= 0 and state.rules_since < moment


def _merged(found: _Piece | None, events: dict[str, list[Event]]) -> dict[str, list[Event]]:
    if found is None:
        return events
    for user, more in events.items():
        found.events.setdefault(user, []).extend(more)
    return found.events


async def keep_trimmed(
    store: Store,
    catch_up: CatchUp,
    keep: int,
    *,
    clock: Callable[[], int],
    seconds: Callable[[], float],
    observer: Observer = SILENT,
    partitions: Callable[[], Iterable[int]] | None = None,
    archive: Path | None = None,
) -> None:
    """Fold what is older than ``keep`` (microseconds) every hour, until cancelled, whatever the store refuses.

    ``partitions`` as those of `Retention`; one that comes to be among them is not left until the next hour, nor one
    that could not be folded, as while its former worker has the archive's lock.
    ``archive``: a folder to which it goes first, whole days at a time, for else there would be a file of each partition
    for each hour.
    """
    come: set[int] = set()
    retention = Retention(store, catch_up, lambda: come)

    async def fold_older() -> bool:
        nonlocal retention
        began = seconds()
        try:
            # A tick in every partition, so that there is a border to fold up to when this hour is old enough.
            await catch_up([])
            before = clock() - keep
            if archive is not None:
                before -= before % DAY
                retention = Retention(store, catch_up, lambda: come, Archive(archive, store.partition_count))
            trimmed = await retention.trim(before)
            observer.store_worked("retention", seconds() - began)
            if trimmed.entries:
                log.info("= folded", entries=trimmed.entries, before=format_at(before))
        except StoreError as error:
            observer.store_worked("retention", seconds() - began, ok=False)
            log.warning("! not folded", error=str(error))
            return False
        return True

    while True:
        folded: set[int] = set()  # in this hour
        failed: set[int] = set()
        pause, left = AGAIN[0], 0
        for _ in range(max(EVERY // LOOK, 1)):
            come = set(range(store.partition_count) if partitions is None else partitions()) - folded
            left -= LOOK
            if come - failed or (come and left <= 0):
                if await fold_older():
                    folded |= come
                    failed, pause = set(), AGAIN[0]
                else:
                    failed = come
                    left, pause = pause, min(2 * pause, AGAIN[1])
            await asyncio.sleep(min(EVERY, LOOK) / SECOND)
