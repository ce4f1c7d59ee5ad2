"""The evaluation of what one round of work has for a partition: states in, a commit and what came of it out.

It commits nothing and tells nobody: turns and the rounds of a worker do, each with versions of their own.
"""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Iterable
from itertools import chain

from engine.core.rules import Timeline
from engine.core.state import StateTooLarge, UserState
from engine.isolation import Evaluated, evaluate_user
from engine.rule_history import RuleHistory
from engine.states import READY_MAX, UNREADABLE, Damage, StatesAtHand, at_hand_once, restored
from engine.storage.base import Commit, Entry, OutboxMessage, Store
from engine.turn_work import (
    TurnResult,
    Work,
    note_composed,
    note_decisions,
    note_faults,
    note_unreadable,
    note_user,
)

PASTS_TOGETHER = 20  # users whose past is read at once


class Evaluation:
    """``states`` are those at hand; they move on with each evaluation, and whoever cannot commit it forgets them.

    ``damage``: of whose states cannot be read, an operator is told once. ``give_way`` is awaited now and then where an
    evaluation is long; whoever gives it sees to it that nobody else touches the states meanwhile.
    """

    def __init__(
        self,
        store: Store,
        rules: RuleHistory,
        give_way: Callable[[], Awaitable[None]] | None = None,
        ready_max: int = READY_MAX,
    ) -> None:
        self._store = store
        self._give_way = give_way
        self._rules = rules
        self.states = StatesAtHand(ready_max)
        self.damage = Damage()

    async def load(self, users: Iterable[str]) -> None:
        """Have the states of these at hand. Raises `StoreError`."""
        missing = self.states.missing(users)
        if missing:
            loaded = await self._store.load(missing)
            for user in missing:
                self.states.put(user, loaded.get(user, b""))

    async def evaluate(self, part: Work, commit: Commit, horizon: int) -> TurnResult:
        """Put into ``commit`` what the work changes, and say what came of it; its entries are for the caller to add.

        The states of all whom the work names are at hand. Raises `StoreError` where a past cannot be read.
        """
        result = TurnResult()
        await self._evaluate_part(part, commit, result, horizon)
        for entry in (*part.logged, *part.appended):
            if entry.kind == "send" and entry.message is not None:
                commit.outbox.append(OutboxMessage(entry.user, entry.message, entry.at, client=entry.client))
        if commit.withdrawn:
            gone = frozenset(commit.withdrawn)
            commit.outbox = [outgoing for outgoing in commit.outbox if outgoing.message.id not in gone]
        result.outbox.extend(commit.outbox)
        return result

    async def _evaluate_part(self, part: Work, commit: Commit, result: TurnResult, horizon: int) -> None:
        latest = self._rules.timeline
        assert latest is not None
        due = frozenset(part.due)
        users = list(part.users().items())
        note_composed(chain(part.logged, part.appended), commit)
        # A few at a time: the pasts of all whom a change of rules concerns would be too much at once.
        for start in range(0, len(users), PASTS_TOGETHER):
            some = users[start : start + PASTS_TOGETHER]
            states = [self._state(user) for user, _ in some]
            # Nearly always all have adopted the latest rules, and then nothing has to be looked up.
            behind = [state for state in states if isinstance(state, UserState) and state.rules_since < latest.since]
            pasts = await self._rules.pasts(behind) if behind else {}
            for (user, entries), state in zip(some, states, strict=True):
                # Where a tick is written, time comes to the horizon for all users whom this turn touches.
                until = horizon if part.complete or user in due else None
                if not isinstance(state, UserState):
                    self.damage.tell(user, state)
                    encoded, time_at = self.states.encoded(user), horizon if user in due else None
                    note_unreadable(user, entries, encoded, time_at, str(state), commit, result)
                    self.states.forget_mark(user)
                    continue
                if state.rules_since >= latest.since:
                    self._evaluate(latest, state, entries, until, commit, result)
                    continue
                timeline = await self._held(state, entries)
                past = pasts.get(user, ())
                timeline.history = lambda _, moment, past=past: past
                self._evaluate(timeline, state, entries, until, commit, result)
                timeline.history = None
            if self._give_way is not None:
                await self._give_way()

    def _state(self, user: str) -> UserState | Exception:
        """The state, or why it cannot be read."""
        try:
            return self.states.get(user)[0]
        except UNREADABLE as error:
            return error

    async def _held(self, state: UserState, entries: list[Entry]) -> Timeline:
        """The rules that a user has adopted who has yet to adopt the latest, and those to come."""
        since = state.rules_since
        if state.now < 0:  # of whom nothing is known adopts what holds at their first event
            assert self._rules.timeline is not None
            since = min((entry.at for entry in entries), default=self._rules.timeline.since)
        return await self._rules.reaching(since)

    def _evaluate(
        self,
        timeline: Timeline,
        state: UserState,
        entries: list[Entry],
        until: int | None,
        commit: Commit,
        result: TurnResult,
    ) -> None:
        user = state.user
        before = self.states.encoded(user)
        events = [entry.event for entry in entries if entry.event is not None]
        evaluated = evaluate_user(timeline, at_hand_once(state, user, before), events, until)
        try:
            after = evaluated.state.encode()
        except Exception as error:
            # The state stays as it was; so the inputs of this turn have not happened for this user.
            trace = str(error) if isinstance(error, StateTooLarge) else traceback.format_exc(limit=-8)
            places: list[int | None] = list(range(len(events))) or [None]
            evaluated = Evaluated(restored(user, before), [], [(place, trace) for place in places])
            after = before
        self.states.put(user, after, evaluated.state)
        if after != before:
            note_user(evaluated.state, after, commit)
            if not self.states.has_moved(user, commit.wakes[user], commit.present[user]):
                commit.unmoved.add(user)
        if evaluated.decisions:
            note_decisions(user, evaluated.decisions, commit, result)
        if evaluated.faults:
            note_faults(user, entries, evaluated, until, after, commit, result)
            self.states.forget_mark(user)  # where time cannot pass, the store has no wake-up
            commit.unmoved.discard(user)
