"""What one turn has to do in each partition, and what came of it: values that `turn` fills. No store is asked here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from engine.core.model import COMPOSED, Decision
from engine.core.state import UserState
from engine.inbox import DELIVERED
from engine.isolation import Evaluated
from engine.storage.base import Commit, Entry, Fault, OutboxMessage
from engine.storage.codec import encode_decision

STATE_UNREADABLE = "the state of the user cannot be read"  # how the trace of such a fault begins

NOTHING_RELAYED: Mapping[str, str] = {}


@dataclass(slots=True)
class TurnResult:
    """``entries`` are those that were asked for, in their order, with their final stamps and ids.

    ``repeated`` are the events among them that had happened before, and so did not happen again. ``due_at``: the
    earliest wake-up that came in it, where whoever made it looks.
    """

    entries: list[Entry] = field(default_factory=list)
    repeated: list[Entry] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    outbox: list[OutboxMessage] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    due_at: int | None = None

    def add(self, other: TurnResult) -> None:
        """What another did is of this one as well, all but its entries."""
        self.repeated += other.repeated
        self.decisions += other.decisions
        self.outbox += other.outbox
        self.faults += other.faults


@dataclass(slots=True)
class PartitionAt:
    version: int
    cursor: int
    last_at: int


@dataclass(slots=True)
class Work:
    """What one turn has to do in one partition. ``appended`` are new; ``logged`` stand in the log already."""

    due: list[str]
    complete: bool  # whether ``due`` are all that are due: then a tick is written
    logged: list[Entry] = field(default_factory=list)
    appended: list[Entry] = field(default_factory=list)
    relayed: list[str] = field(default_factory=list)

    def named(self) -> dict[str, None]:
        """Whose states it takes: the same users as `users`, without their entries."""
        happened = [entry.user for entry in (*self.logged, *self.appended) if entry.kind == "event"]
        return dict.fromkeys((*happened, *self.due))

    def users(self) -> dict[str, list[Entry]]:
        """The entries that belong to a user, by user; users who are only due have none."""
        by_user: dict[str, list[Entry]] = {}
        for entry in (*self.logged, *self.appended):
            if entry.kind == "event":
                by_user.setdefault(entry.user, []).append(entry)
        for user in self.due:
            by_user.setdefault(user, [])
        return by_user


def note_user(state: UserState, encoded: bytes, commit: Commit) -> None:
    """The state of a user has changed to this."""
    user = state.user
    commit.states[user] = encoded
    commit.wakes[user] = state.wake
    commit.present[user] = state.present_since is not None


def note_faults(
    user: str, entries: list[Entry], evaluated: Evaluated, until: int | None, after: bytes, commit: Commit,
    result: TurnResult,
) -> None:  # fmt: skip
    """What of the inputs could not be evaluated is set aside."""
    for place, trace in evaluated.faults:
        if place is None:
            # Time itself cannot pass for this user. Without the wake-up it is not tried for ever.
            commit.states[user] = after
            commit.wakes[user] = None
            commit.present[user] = evaluated.state.present_since is not None
        entry = Entry("tick", until or 0, user) if place is None else entries[place]
        fault = Fault(user, entry.at, entry, trace)
        commit.faults.append(fault)
        result.faults.append(fault)


def note_unreadable(
    user: str, entries: list[Entry], encoded: bytes, time_at: int | None, why: str, commit: Commit, result: TurnResult
) -> None:
    """The user's inputs are in the log, and set aside; the bytes stay as they are, for an operator to see to.

    ``time_at``: the moment to which the user's time was to come, None where it was not due. It is not tried again
    until something happens to the user: without that nobody's time would come further.
    """
    trace = f"{STATE_UNREADABLE}: {why}"
    faults = [Fault(user, entry.at, entry, trace) for entry in entries if entry.event is not None]
    if time_at is not None:
        commit.states[user], commit.wakes[user], commit.present[user] = encoded, None, True
        faults.append(Fault(user, time_at, Entry("tick", time_at, user), trace))
    commit.faults.extend(faults)
    result.faults.extend(faults)


def note_decisions(user: str, decisions: list[Decision], commit: Commit, result: TurnResult) -> None:
    """What is recorded of the decisions, and what goes into the outbox and out of it."""
    for decision in decisions:
        commit.decisions.append((user, decision.at, encode_decision(decision)))
        if decision.message is None:
            continue
        if decision.outcome == "sent":
            commit.outbox.append(OutboxMessage(user, decision.message, decision.at, decision.rule))
        elif decision.outcome == "cancelled" and decision.was == "sent":
            commit.withdrawn.append(decision.message.id)
    result.decisions.extend(decisions)


def note_composed(entries: Iterable[Entry], commit: Commit) -> None:
    """What a responder has made of messages: these say that from now on."""
    for entry in entries:
        if entry.event is None or entry.event.type != COMPOSED:
            continue
        match entry.event.data:
            case {"message_id": str() as message_id, "text": str() as text}:
                commit.reworded.append((message_id, text))


def caused_by_receipts(result: TurnResult) -> dict[str, str]:
    """Of the messages of the turn that the arrival of another caused, by id, the id of that other."""
    if not result.decisions:
        return {}
    events = [entry.event for entry in result.entries if entry.event is not None]
    receipts = {event.id: event.data["message_id"] for event in events if event.type == DELIVERED}
    caused = [made for made in result.decisions if made.message is not None and made.event_id in receipts]
    return {made.message.id: receipts[made.event_id] for made in caused if made.message is not None}
