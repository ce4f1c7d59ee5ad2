"""Which rule sets held when, for a running server: the latest compiled, older ones for whoever has yet to adopt them.

It decides nothing. Whoever adopts several rule sets adopts each at its moment, from timelines that differ from the
whole one only in not having what lies before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.core.model import Event
from engine.core.rules import HISTORY_EVENTS_MAX, RuleSet, Timeline
from engine.core.state import UserState
from engine.recorded import RULES_KEPT, compiled_from
from engine.storage.base import Store, StoreError

SETS_KEPT_MIN = 2  # which triggers of a rule set are fresh is told by the one before it
NOTHING_KNOWN: Mapping[str, RuleSet] = {}
UNUSED_TURNS_MAX = 1_000  # turns in which nobody has needed an older rule set; then it is forgotten


@dataclass(slots=True)
class _Stretch:
    """The rule sets from one on to the latest. ``is_whole``: there was none before."""

    timeline: Timeline
    is_whole: bool

    def reaches(self, since: int) -> bool:
        return self.is_whole or since >= self.timeline.moments[0]


class RuleHistory:
    """The rule sets of one store. What was compiled stays compiled up to ``rules_kept`` rules, the latest first.

    Older ones are compiled again from the store for whoever has yet to adopt them, and forgotten when for
    ``unused_turns_max`` turns nobody came who had. ``known``: rule sets that are compiled already, by hash.
    """

    def __init__(
        self,
        store: Store,
        rules_kept: int = RULES_KEPT,
        unused_turns_max: int = UNUSED_TURNS_MAX,
        known: Mapping[str, RuleSet] = NOTHING_KNOWN,
    ) -> None:
        self._store = store
        self._known = known
        self._rules_kept = rules_kept
        self._unused_turns_max = unused_turns_max
        self._compiled: dict[str, RuleSet | None] = {}  # by hash, None: not accepted; no more than the stretches need
        # The latest rule sets, two at least where there were two; None until the first have begun to hold.
        self.timeline: Timeline | None = None
        self._latest: _Stretch | None = None  # the same
        self._older: _Stretch | None = None  # reaches further back
        self._unused_turns = 0

    @property
    def compiled(self) -> int:
        """How many rule sets are at hand."""
        return sum(rules is not None for rules in self._compiled.values())

    async def recover(self) -> None:
        """Look up in the store what has held. Raises `StoreError`."""
        latest = await self._read(None)
        self._older = None
        self._hold(latest)

    def add(self, at: int, rules: RuleSet) -> None:
        """From ``at`` on ``rules`` hold, and are recorded."""
        self._compiled[rules.hash] = rules
        for stretch in filter(None, (self._latest, self._older)):
            stretch.timeline.add(at, rules)
        self._hold(
            _Stretch(Timeline(rules, at), is_whole=True) if self._latest is None else self._shortened(self._latest)
        )

    async def reaching(self, since: int) -> Timeline:
        """A timeline that has what held at ``since`` and all that held later. Raises `StoreError`."""
        assert self._latest is not None
        if self._latest.reaches(since):
            return self._latest.timeline
        if self._older is None or not self._older.reaches(since):
            self._older = await self._read(since)
            if self._older is None:
                raise StoreError("the store has lost its rules")
        self._unused_turns = 0
        return self._older.timeline

    async def pasts(self, states: Sequence[UserState]) -> dict[str, list[Event]]:
        """What rule sets that these users have yet to adopt want to know of the past, by user; nearly always nothing.

        Nothing has happened to a user since the first of the moments at which they began to hold, for it would have
        made the user adopt what held then; and no rules are recorded behind entries that are not evaluated. So all that
        a user has yet to adopt have one past in common.
        """
        asked: dict[int, list[str]] = {}
        for state in states:
            if self.timeline is not None and state.now >= 0 and state.rules_since < self.timeline.since:
                wanted = (await self.reaching(state.rules_since)).wants_history(state.rules_since)
                if wanted:
                    asked.setdefault(wanted[0], []).append(state.user)
        found: dict[str, list[Event]] = {}
        for before, users in asked.items():
            found |= await self._store.history(users, before, HISTORY_EVENTS_MAX)
        return found

    def turn_over(self) -> None:
        """Older rule sets that nobody has needed for long are forgotten."""
        if self._older is not None:
            self._unused_turns += 1
            if self._unused_turns > self._unused_turns_max:
                self._older = None
                self._forget()

    async def _read(self, since: int | None) -> _Stretch | None:
        """Back to what held at ``since``, or for None as far as is kept."""
        found: list[tuple[int, RuleSet]] = []
        is_whole = True
        for at, rules_hash in reversed(await self._store.rule_moments()):
            reached = _enough(found, self._rules_kept) if since is None else bool(found) and found[-1][0] <= since
            if reached:
                is_whole = False
                break
            if rules_hash not in self._compiled:
                known = self._known.get(rules_hash)
                if known is None:
                    known = await compiled_from(self._store, rules_hash)
                self._compiled[rules_hash] = known
            rules = self._compiled[rules_hash]
            if rules is not None:
                found.append((at, rules))
        return _Stretch(_timeline(found), is_whole) if found else None

    def _shortened(self, stretch: _Stretch) -> _Stretch:
        timeline = stretch.timeline
        found: list[tuple[int, RuleSet]] = []
        for pair in reversed(list(zip(timeline.moments, timeline.rule_sets, strict=True))):
            if _enough(found, self._rules_kept):
                return _Stretch(_timeline(found), is_whole=False)
            found.append(pair)
        return stretch

    def _hold(self, latest: _Stretch | None) -> None:
        self._latest = latest
        self.timeline = None if latest is None else latest.timeline
        self._forget()

    def _forget(self) -> None:
        needed = {
            rules.hash for stretch in (self._latest, self._older) if stretch for rules in stretch.timeline.rule_sets
        }
        self._compiled = {name: rules for name, rules in self._compiled.items() if name in needed}


def _enough(found: list[tuple[int, RuleSet]], rules_kept: int) -> bool:
    """Whether no rule set before those is kept at hand."""
    sets = {rules.hash: rules for _, rules in found}
    return len(found) >= SETS_KEPT_MIN and sum(len(rules.rules) for rules in sets.values()) >= rules_kept


def _timeline(newest_first: list[tuple[int, RuleSet]]) -> Timeline:
    (since, first), *later = reversed(newest_first)
    timeline = Timeline(first, since)
    for at, rules in later:
        timeline.add(at, rules)
    return timeline
