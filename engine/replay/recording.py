"""What a server recorded in its store: events, how far time came, the rules that held, decisions. Only reads."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from engine.core.beginning import Beginning
from engine.core.model import Event
from engine.core.rules import Timeline
from engine.core.state import UserState
from engine.core.units import parse_at
from engine.loading.diagnostic import RuleErrors
from engine.loading.load import load
from engine.replay.activity import InMemory, group
from engine.replay.blocks import STORES
from engine.storage.base import Base, Folded, Store, partition_of
from engine.storage.opening import open_store
from engine.triggers import KINDS

PAGE_ENTRIES = 2000
READINGS_MAX = 5  # of a store that somebody folds meanwhile


class RecordingUnusable(Exception):
    """The recording cannot be replayed as it was recorded; the text says why and what can be done."""


@dataclass(slots=True)
class Recording:
    """All that was evaluated, partition by partition; what still waits in a log is not part of it.

    Where the store keeps only the later part, ``bases`` are what the rest has come to, by user, and ``folded`` says of
    each partition up to where that is.
    ``ticks`` has the moment of each partition's last tick: to it, time had come for all its users.
    ``decisions`` are the recorded lines of each user, in the order in which they were made; ``decided_at`` is the
    latest moment at which one of the user's was made.
    """

    partition_count: int
    events: list[Event] = field(default_factory=list)
    ticks: dict[int, int] = field(default_factory=dict)
    rule_moments: list[tuple[int, str]] = field(default_factory=list)
    sources: dict[str, dict[str, str] | None] = field(default_factory=dict)
    decisions: dict[str, list[bytes]] = field(default_factory=dict)
    decided_at: dict[str, int] = field(default_factory=dict)
    bases: dict[str, Base] = field(default_factory=dict)
    folded: list[Folded] = field(default_factory=list)

    def activity(self) -> InMemory:
        """The events by user, each user's after what those before them have come to, where these are not kept."""
        by_user = group(self.events)
        hashes = dict(self.rule_moments)
        for user, base in self.bases.items():
            at = self.folded[partition_of(user, self.partition_count)].at
            rules_hash = hashes.get(UserState.decode(base.state).rules_since, "")
            beginning = Beginning("", user, at, {}, state=base.state, rules_hash=rules_hash, past=base.past)
            by_user.setdefault(user, []).insert(0, beginning)
        return InMemory(by_user)

    def time_came_to(self, user: str) -> int:
        """How far the server had let a user's time run, as far as the recording shows; -1 where it does not.

        Where more users were due at once than one turn takes, they were let run before the tick was written,
        so what they were sent shows it as well.
        """
        tick = self.ticks.get(partition_of(user, self.partition_count), -1)
        return max(tick, self.decided_at.get(user, -1))


class _DecisionHead(msgspec.Struct):
    user: str
    at: str


async def read_recording(name: str, password: str | None = None) -> Recording:
    """Read a store, running server or not: ``name`` is as settings have it, or the path of a SQLite file.

    ``password`` is Redis'. Raises `StoreError`, `StoreUnusable`.
    """
    store = await open_store(name if name.startswith(STORES) else f"sqlite:{name}", read_only=True, password=password)
    try:
        for _ in range(READINGS_MAX):
            recording = await recording_of(store)
            # A server that folds its log meanwhile would leave a hole between what was read before and after.
            if recording.folded == await _folded(store):
                return recording
        raise RecordingUnusable(f"{name} is being trimmed: try again")
    finally:
        await store.close()


async def _folded(store: Store) -> list[Folded]:
    return [await store.folded(number) for number in range(store.partition_count)]


async def recording_of(store: Store) -> Recording:
    """All that a store has, which nobody may fold meanwhile. Raises `StoreError`."""
    recording = Recording(store.partition_count, folded=await _folded(store))
    for number in range(store.partition_count):
        recording.bases.update({base.user: base for base in await store.bases(number)})
        await _read_log(store, number, recording)
        await _read_decisions(store, number, recording)
    recording.rule_moments = await store.rule_moments()
    for _, rules_hash in recording.rule_moments:
        if rules_hash not in recording.sources:
            recording.sources[rules_hash] = await store.load_rules(rules_hash)
    return recording


async def _read_log(store: Store, number: int, recording: Recording) -> None:
    [batch] = await store.poll([number], -1, entries_max=1, due_max=1)
    folded = recording.folded[number]
    if folded.number:
        recording.ticks[number] = folded.at
    position = folded.number
    while position < batch.cursor:
        entries = await store.numbered(number, position, min(PAGE_ENTRIES, batch.cursor - position))
        # Numbers have gaps where users were erased, and there alone.
        if not folded.erasures and [place for place, _ in entries[:1]] != [position + 1]:
            raise RecordingUnusable(f"partition {number} has lost the entries after number {position}")
        for position, entry in entries:
            if position > batch.cursor:
                return
            if entry.event is not None:
                recording.events.append(entry.event)
            elif entry.kind == "tick":
                recording.ticks[number] = entry.at
        if not entries:
            return


async def _read_decisions(store: Store, number: int, recording: Recording) -> None:
    for line in await store.decisions(number):
        head = _head.decode(line)
        recording.decisions.setdefault(head.user, []).append(line)
        at = parse_at(head.at)
        recording.decided_at[head.user] = max(at, recording.decided_at.get(head.user, -1))


_head = msgspec.json.Decoder(_DecisionHead)


def recorded_rules(recording: Recording) -> Timeline:
    """The recorded rule sets at their moments. Raises `RecordingUnusable` where one is missing or not accepted."""
    timeline: Timeline | None = None
    for at, rules_hash in recording.rule_moments:
        sources = recording.sources[rules_hash]
        if sources is None:
            raise RecordingUnusable(f"the rules {rules_hash} are not in the store; judge it by others with --rules")
        try:
            rules = load(sources, KINDS)
        except RuleErrors as errors:
            first = errors.diagnostics[0]
            raise RecordingUnusable(
                f"recorded rules are not accepted by this version ({first}); judge it by others with --rules"
            ) from None
        if timeline is None:
            timeline = Timeline(rules, at)
        else:
            timeline.add(at, rules)
    if timeline is None:
        raise RecordingUnusable("no rules have been recorded; judge it by others with --rules")
    return timeline
