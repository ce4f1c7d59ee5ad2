"""The contract of a store: a partitioned log, and the states, wake-ups, decisions and outbox it leads to.

Every store is held to these words by one suite, `tests/storage/test_conformance.py`.

A user belongs to the partition ``crc32(user) mod P``; P is fixed when the store is made. Of each partition
the store keeps a *version*, a *cursor* (the number of the last entry that was evaluated), and the invariant

    (states, wake-ups, decisions, outbox) = what evaluating the log up to the cursor gives,

because they only ever change together, in `Store.commit`, which succeeds for one writer: the one that knows
the current version. A crash, a second writer or a lost reply therefore loses nothing and does nothing twice.
What a store does in one step it does to one partition; of a call for several a part may be done.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Literal, Protocol

import msgspec

from engine.core.model import Event, Json, Message

EntryKind = Literal["event", "tick", "rules", "send"]
Trouble = Literal["full", "read_only", "corrupt", "busy", "io"]

PARTITIONS_DEFAULT = 8  # of a new store: a few, so that one machine runs the code of many at little cost
OUTBOX_PER_USER_MAX = 200  # waiting messages of one user; the oldest beyond it leave
NEWEST = (10**18 - 1, 10**18 - 1)  # for `Store.recorded`: no partition ever has so many entries or decisions
PAGE_BYTES = 4 << 20  # that are read at once by who reads page by page, or one entry that is bigger
FAULTS_MAX = 1000  # entries set aside, of all or of each partition; the oldest beyond it leave


def partition_of(user: str, partition_count: int) -> int:
    """CRC-32 (ISO 3309) of the name in UTF-8, modulo the number of partitions: the same in every language."""
    return zlib.crc32(user.encode("utf-8", "surrogatepass")) % partition_count


class Entry(msgspec.Struct, frozen=True, gc=False):
    """Something that changes behaviour. ``at`` (microseconds) never goes back within a partition.

    * ``event``: ``event`` happened.
    * ``tick``: time has come to ``at``; every wake-up of the partition due by then has run.
    * ``rules``: from ``at`` on the rule set named ``rules_hash`` holds. Written once to every partition.
    * ``send``: the application said ``message`` to ``user``, past all rules. It changes no state.

    ``once``: whoever told it chose its id, and what has this ``once_id`` happens once to this user. It is part of what
    is written, so that `Store.known` can tell.
    ``client``: of a ``send``, the one client of the user that it is for; "" for all of them.
    """

    kind: EntryKind
    at: int
    user: str = ""
    event: Event | None = None
    rules_hash: str = ""
    message: Message | None = None
    once: bool = False
    client: str = ""

    @property
    def once_id(self) -> str:
        """The id by which it happens once; "" where it may happen again.

        No event of a session has that of a message: `engine.transport.session.id_prefix` has no such %.
        """
        if not self.once:
            return ""
        if self.event is not None:
            return self.event.id
        return "" if self.message is None else f"%send/{self.message.id}"


@dataclass(frozen=True, slots=True)
class Batch:
    """What `poll` returns of one partition. ``due`` are users whose wake-up is at or before the asked moment.

    ``entries`` are numbered from ``cursor + 1`` on. ``states`` holds the encoded state of every user named in
    ``entries`` and ``due`` that has one.
    """

    partition: int
    version: int
    cursor: int
    last_at: int  # of the last entry of the log, evaluated or not; -1 where there is none
    entries: list[Entry]
    due: list[str]
    states: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """A message on its way to a user. ``rule`` is "" for one that the application sent itself.

    ``client``: the one client of the user that it is for; "" for all of them.
    """

    user: str
    message: Message
    at: int
    rule: str = ""
    client: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """An entry that could not be evaluated: set aside, the state untouched. ``trace`` is for us to read."""

    user: str
    at: int
    entry: Entry
    trace: str


@dataclass(slots=True)
class Commit:
    """All that one turn changed in a partition. ``appended`` go to the log first; ``cursor`` is behind them.

    ``states``: the users whose state changed, encoded. ``wakes``: their next wake-up, None for none.
    ``present``: whether they are. All three have the same keys.
    ``unmoved``: those of them whose wake-up and presence are what the former commit of their partition that named them
    said. A store that keeps these apart from the states need not write them again.
    ``decisions``: ``(user, at, one JSON line)`` in the order they were made.
    A ``send`` entry's message is in ``outbox`` if it is to be sent: no store puts it there by itself.
    ``withdrawn`` are ids of messages that leave the outbox, those that this commit puts there included.
    ``reworded``: ``(id, text)`` of messages in the outbox that say this from now on and have no prompt any more, those
    that this commit puts there included; one that is not there is nothing to it.
    ``told``: whoever has to learn of it was told all that the commits of the partition before this one came to; see
    `FleetStore.untold`.
    ``evaluated_at``: the moment of the last entry of the log that it evaluates, where whoever makes it wants to be sure
    of it. A primary that took the place of a lost one may lack the end of the log that the lost one had, and have other
    entries there by now; a commit that evaluated the former ones must not bring the cursor past these.
    The store reads a commit until `Store.commit` returns; nothing in it may change meanwhile.
    """

    partition: int
    version: int
    cursor: int
    appended: list[Entry] = field(default_factory=list)
    states: dict[str, bytes] = field(default_factory=dict)
    wakes: dict[str, int | None] = field(default_factory=dict)
    present: dict[str, bool] = field(default_factory=dict)
    unmoved: set[str] = field(default_factory=set)
    decisions: list[tuple[str, int, bytes]] = field(default_factory=list)
    outbox: list[OutboxMessage] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    reworded: list[tuple[str, str]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    told: bool = True
    evaluated_at: int | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What stands in the log of one user, and what was decided about them: each newest first, with its number.

    ``entries`` are events and sends, ``decisions`` one JSON line each. The numbers are those of the partition.
    """

    entries: list[tuple[int, Entry]]
    decisions: list[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class Base:
    """What the folded entries of a user come to. ``state`` is encoded, ``wake`` its next wake-up.

    ``past``: the user's events among them that rule sets may still ask for which began to hold later, oldest first.
    """

    user: str
    state: bytes
    wake: int | None = None
    past: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Folded:
    """How far a partition's log is folded: entries up to ``number`` are gone, and with them time has come to ``at``.

    0 and -1 where nothing is. ``erasures`` counts the users who were ever erased, from the store or the partition.
    """

    number: int = 0
    at: int = -1
    erasures: int = 0


@dataclass(slots=True)
class Fold:
    """Entries of a partition up to ``number`` go, and every decision made up to ``at``; ``bases`` take their place.

    The entry of that number is a tick at ``at``, it is evaluated, and all behind it are later: so a user's decisions
    are those of the base up to then, and those of the log after it. ``former`` is what the bases were made from.
    ``past_wanted``: False where no rule set asks for a past any more, so that the other bases need none either.
    """

    partition: int
    former: Folded
    number: int
    at: int
    bases: list[Base]
    past_wanted: bool = False


class StoreError(Exception):
    """The store could not do it. The caller may try again: it did none of it, or else the words of the call say what.

    ``state`` is what is the matter with the store, None where that is not known or nothing is. What was acknowledged
    before is kept in any of these states, and the store goes on by itself once the cause is gone.
    """

    def __init__(self, message: str = "", state: Trouble | None = None) -> None:
        super().__init__(message)
        self.state = state


class Conflict(StoreError):
    """Somebody else has committed to a partition: poll again and evaluate again.

    ``refused`` are the partitions of which nothing was written; those of the same call that are not among them were
    committed, all of each. None: nothing was written of any.
    """

    def __init__(self, message: str = "", refused: frozenset[int] | None = None) -> None:
        super().__init__(message)
        self.refused = refused


class Unevaluated(StoreError):
    """Entries of the user wait to be evaluated, and have to be before."""


class StoreUnusable(StoreError):
    """The store cannot be used at all (no database, a later version, …): the text says why and what to do."""


class Store(Protocol):
    partition_count: int

    async def append(self, entries: list[Entry]) -> None:
        """Put ``event`` and ``send`` entries into the logs of their users' partitions, in order.

        Of each partition all of them or none; after a `StoreError` nobody knows of which. Durable when it returns.
        They are after the cursor: the next `poll` hands them out. ``at`` must not be earlier than the partition's
        last entry's; one that is is moved up to it, and the event's own stamp becomes its ``at_reported`` if it had
        none. The partition's version stays.
        """

    async def poll(self, partitions: list[int], due_by: int, entries_max: int = 500, due_max: int = 500) -> list[Batch]:
        """One consistent look at each partition, in the order asked. Changes nothing.

        ``due`` are at most ``due_max`` users of the partition, the earliest wake-ups first.
        """

    async def load(self, users: list[str]) -> dict[str, bytes]:
        """The encoded states of those of ``users`` that have one."""

    async def commit(self, commits: list[Commit]) -> None:
        """Write each commit, all of it or nothing, durably. Raises `Conflict` where a version is not current.

        What is refused of one partition need not hold up the others: `Conflict` says which those are. After any other
        `StoreError` each of the commits may have been made or not; once its partition has been polled or its log read,
        none is made any more that was not by then.

        At most one commit of each partition. Appended entries follow the log's last: where entries are in the
        log that this commit has not evaluated and appends after, that is a `Conflict` too. A ``rules`` entry
        among them is also kept for `rule_moments`. A message whose id already waits in the outbox is not put
        there twice; an id withdrawn that does not wait is nothing to it. Raises `ValueError` for what can never
        be committed (time or the cursor going back, keys of states, wakes and present that differ).
        """

    async def known(self, ids: list[tuple[str, str]]) -> set[tuple[str, str]]:
        """Of these ``(user, once_id)`` those that stand in the log, evaluated or not.

        They are known as long as their entries are kept.
        """

    async def next_wake(self) -> int | None:
        """The earliest wake-up of any user, or None. What others commit beside it a store may know a second later."""

    async def present_users(self) -> list[tuple[str, bytes]]:
        """Every user who is present, with the encoded state: whom a restart has to look after."""

    async def pending(self, user: str, now: int) -> list[OutboxMessage]:
        """What waits in the outbox for a user and has not expired, oldest first.

        At ``expires_at`` a message has expired. Expired messages are dropped as they are found.
        """

    async def relayed(self, message_ids: list[str], now: int) -> None:
        """These have been handed to a client; they leave the outbox, and so does all that has expired.

        Unknown ids are nothing to it.
        """

    async def save_rules(self, rules_hash: str, sources: dict[str, str]) -> None:
        """Keep the texts of a rule set under its hash (once; the same hash is the same texts)."""

    async def load_rules(self, rules_hash: str) -> dict[str, str] | None: ...

    async def rule_moments(self) -> list[tuple[int, str]]:
        """``(at, hash)`` of every rule set that has begun or will begin to hold, earliest first.

        Each once; those of one moment in the order in which they were committed.
        """

    async def decisions(self, partition: int) -> list[bytes]:
        """Every recorded decision of a partition, in the order they were made: one JSON line each."""

    async def log(self, partition: int, after: int, entries_max: int) -> list[Entry]:
        """Entries with numbers from ``after + 1`` on, those after the cursor included."""

    async def numbered(
        self, partition: int, after: int, entries_max: int, bytes_max: int = PAGE_BYTES
    ) -> list[tuple[int, Entry]]:
        """As `log`, each with its number: there are gaps where a user was erased, and none up to where it is folded.

        For who reads page by page: where entries are big there are fewer than ``entries_max``, and none only where
        there are none.
        """

    async def history(self, users: list[str], before: int, events_max: int) -> dict[str, list[Event]]:
        """Of each of ``users`` that has any, the newest ``events_max`` events earlier than ``before``, oldest first.

        As they are evaluated: each at the moment of its entry. Those after the cursor are among them, and before those
        of the log the past that the user's base has.
        """

    async def states(self, partition: int, after: int, states_max: int) -> list[tuple[int, str, bytes]]:
        """Every user of a partition with the encoded state, in pages: ``after`` is the place of the last one, or 0."""

    async def folded(self, partition: int) -> Folded: ...

    async def bases(self, partition: int, users: list[str] | None = None, due_by: int | None = None) -> list[Base]:
        """The bases of a partition: all of them, or those of ``users`` and those whose wake-up is by ``due_by``."""

    async def fold(self, fold: Fold) -> None:
        """Do all of it or nothing, durably.

        Raises `Conflict` where ``former`` is not current, `ValueError` for a number that cannot be folded to. Neither
        the version nor the states change, so whoever commits beside it does not notice.
        """

    async def drop_rules(self, before: int) -> int:
        """Rule sets that began to hold before the moment leave, with their texts where no other moment has them.

        Returns how many moments left. The caller knows that no state and no base will ask for them.
        """

    async def erase(self, user: str) -> int:
        """Whatever there is of a user goes for good: entries, base, state, decisions, messages, faults.

        Returns of how many rows; a user of whom nothing is known is nothing to it. Numbers of entries keep their gaps,
        and versions stay: a writer has to forget what it knows of the user. What a store that keeps files has left of
        it in those is overwritten besides, without holding up commits: see `sqlite_wipe`. Raises `Unevaluated` where
        entries of the user wait to be evaluated.
        """

    async def probe(self) -> None:
        """Write something that changes nothing. Raises `StoreError` where that cannot be done, as any write would."""

    async def recorded(self, user: str, before: tuple[int, int], items_max: int) -> Recorded:
        """The newest ``items_max`` entries and as many decisions of a user, with numbers below those of ``before``.

        The first number of ``before`` is of entries, the second of decisions.
        """

    async def describe(self) -> dict[str, Json]:
        """What the store is and how full: for `/healthz`.

        At least ``store``, ``partitions``, ``entries``, ``unevaluated``, ``users``, ``decisions``, ``outbox``
        and ``faults``.
        """

    async def close(self) -> None:
        """Done with it. Twice is once; every other call raises `StoreError` from now on."""
