"""The contract of a store whose work several processes share: *gateways* take in and hand over, *workers* evaluate.

A gateway puts entries into the log (`ingest`) and hands over what workers tell it (`listen`); a worker takes
partitions (`take`), evaluates and commits them (`Store.commit`), and tells the gateways of their users (`where`,
`tell`). Who works on which partition is a hint that saves work: what keeps two workers apart is the version, as
everywhere.

All moments that are given out here come from the one clock of the store, so no clock of a gateway or a worker matters.
Every store that keeps it is held to these words by `tests/storage/test_fleet_conformance.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import msgspec

from engine.core.model import Json
from engine.storage.base import Batch, Entry, OutboxMessage, Store

Role = Literal["gateway", "worker"]
Unsent = tuple[int, OutboxMessage | None]  # its number in the outbox; None where it cannot be read, which is logged

NOTICES_MAX = 10_000  # that wait for one gateway; the oldest beyond it leave, and the gateway finds out by the gap
HEARD_MAX = 500  # notices that one `listen` returns
SESSIONS_LISTED_MAX = 1_000  # of one user at one gateway; the oldest beyond it are listed no longer
SETTLED_MAX = 10_000  # entries and decisions of one user, the newest, beyond which `settled` does not look
QUEUE_KEPT_MS = 60_000  # how long what waits for a gateway is kept after it was taken for dead


class Presence(msgspec.Struct, frozen=True):
    """A session of a user has begun at a gateway or been taken up there, or (``is_there`` False) is over.

    ``client``: how the client calls itself whose session begins, "" for one that has no name.
    """

    user: str
    session: str
    is_there: bool = True
    client: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """An entry as it stands in the log: with its moment, and its event with an id.

    ``is_repeated``: it was not put there, for it happens once and had happened before, or is the end of a session that
    goes on elsewhere; the entry is as it was given.
    """

    entry: Entry
    is_repeated: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """What `take` returns of one partition.

    The time of the users of ``batch.due`` comes to ``horizon``, behind all entries of the batch. ``is_complete``: the
    last of these is a tick at ``horizon``, so time comes there for all users whom the batch names. Where it is not,
    ``horizon`` may be the moment of a tick that is next in the log. ``batch.states`` is empty: whoever takes remembers
    states, and loads those it lacks (`Store.load`). ``is_new``: somebody else had the partition before, or nobody;
    whatever is remembered of it is void, and its outbox may hold messages that nobody was told of. ``has_more``: these
    are all the entries that one call gives, be it fewer than were asked for, so others may stand behind them.
    """

    batch: Batch
    horizon: int
    is_complete: bool
    is_new: bool
    has_more: bool


@dataclass(frozen=True, slots=True)
class Untold:
    """``entries`` were evaluated, ``taken_back`` are ``(user, id)`` of messages that were sent and then cancelled.

    ``next``: where the page after this one begins, None where this is the last.
    """

    entries: list[Entry]
    taken_back: list[tuple[str, str]]
    next: tuple[int, int] | None = None


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway is told: one of these, all but a frame of ``user``.

    * ``message``: hand it over to ``user``; ``cause`` is the id of the message whose arrival made a rule say it, or "".
    * ``entry``: the user did this (answered, dismissed, muted a message, wished something), and it is evaluated.
    * ``cancelled``: the message of this id is not to be shown to ``user`` any more.
    * ``replaced``: this session of ``user`` has been taken up at another gateway.
    * ``ended``: this session of ``user`` is over, for the client has a later one at another gateway.
    * ``frame``: for every connection that has not said who it is.
    * ``erased``: nothing of ``user`` is to be known any more, and their connections are to be closed.
    """

    user: str = ""
    message: OutboxMessage | None = None
    cause: str = ""
    entry: Entry | None = None
    cancelled: str = ""
    replaced: str = ""
    ended: str = ""
    frame: dict[str, Json] | None = None
    erased: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """``last`` is what the next `listen` is to begin after. ``has_gap``: some before these or among them are lost."""

    notices: list[Notice]
    last: int
    has_gap: bool = False


@dataclass(frozen=True, slots=True)
class Roll:
    """Who has been heard of: workers and gateways that are alive, sorted by name.

    ``lost``: gateways that were taken for dead and did not say farewell, by name, how many milliseconds ago. However
    long that is they stay on the roll, for sessions may be listed there, until somebody says farewell for them.
    """

    workers: list[str] = field(default_factory=list)
    gateways: list[str] = field(default_factory=list)
    lost: dict[str, int] = field(default_factory=dict)


class FleetStore(Store, Protocol):
    async def ingest(
        self, entries: Sequence[Entry], presence: Sequence[Presence] = (), gateway: str = ""
    ) -> list[Taken]:
        """Put ``event`` and ``send`` entries into the logs, in order, and note who is at ``gateway``. Durable then.

        The store stamps them: each at its own clock, or at the partition's last entry where that is later; the ``at``
        that they are given is nothing to it, and no ``at_reported`` comes of it. An event without an id gets
        ``"<partition>-<number>"``. What happens once and is known is not put there again.

        Of each partition all or nothing, presence included; after a `StoreError` nobody knows of which, and to ingest
        the same again is safe for what happens once. The presence of a session ends wherever else it was. A session
        that is over at ``gateway`` but has been taken up elsewhere stays there, and events ``session.end`` of it that
        are among the entries are passed over as if they were known: it has not ended, and may yet. Without a
        ``gateway`` it is over wherever it is. What waits in the outbox for a session that is over waits for it no
        longer: once nobody is left who has to be reached, what has reached anybody leaves. Raises `ValueError` for what
        cannot be ingested, an event without an id that happens once among it.
        """

    async def take(
        self, worker: str, partitions: list[int], *, lease_ms: int, entries_max: int = 500, due_max: int = 1000
    ) -> list[Share]:
        """What is to be evaluated of those partitions that nobody else holds; they are held for ``lease_ms`` more.

        Of partitions that are held by another nothing is returned, nor of one of which an entry that is to be handed
        out cannot be read, nor of those that cannot be asked while others can (`held_up`): the log of the process tells
        of it. One that changes hands gets a new version, so that no commit of the former holder is made any more.

        Of each at most ``entries_max`` entries are returned, fewer where they are big, but one at least where there are
        any; `Share.has_more` says where others may stand behind them.

        Where the log is read to its end and wake-ups are due by the clock of the store, a ``tick`` is put behind it.
        Where more than ``due_max`` are due, the tick stands at a moment by which so many are. It is the last of the
        entries, and all who are due by it are named. Where more than ``due_max`` are, ``due_max`` of them are named,
        the earliest, and the entries are those before the tick: it is not come to before all have run. So it is with a
        tick that somebody has put before; what is behind it comes next. Where more than ``due_max`` are due by the last
        entry already, so many of them are named, and no tick is put.

        ``lease_ms`` 0: whoever holds them, and without a new version.
        """

    async def release(self, worker: str, partitions: list[int]) -> None:
        """Hold them no longer: others may take them at once. Nothing for those that it does not hold."""

    async def where(self, users: Sequence[str]) -> dict[str, list[str]]:
        """At which gateways they are, sorted; those who are nowhere are left out."""

    async def connected(self) -> list[str]:
        """All users who are at any gateway."""

    async def tell(self, notices: Mapping[str, Sequence[Notice]]) -> dict[str, int]:
        """By gateway: how many wait for it then that it has not heard, and up to a hundred more.

        One that nobody has heard of for long is told nothing, without an error, and nothing waits for it.

        Raises `StoreError`: then nobody knows which were told; to tell them again is safe.
        """

    async def listen(self, gateway: str, after: int | None, wait_s: float) -> Heard:
        """What the gateway was told behind number ``after`` (None: from now on), at most 500 notices.

        What it was told up to there it has heard, and cannot hear again.

        One that cannot be read is passed over, and is a gap. Waits up to ``wait_s`` where there is nothing. May be
        called beside any other call.
        """

    async def reached(self, gateway: str, messages: Sequence[tuple[str, str]]) -> None:
        """All sessions of the users at ``gateway`` have these messages, ``(user, id)``.

        One leaves the outbox when that is so of all gateways where its user is. Of a session that begins there or is
        taken up there afterwards it says nothing: from then on the user's messages that wait yet have not reached all
        there, until the gateway says so again.
        """

    async def withdraw(self, messages: Sequence[tuple[str, str]]) -> None:
        """Nobody needs to be shown these messages, ``(user, id)``, any more: they leave the outbox."""

    async def resume(self, gateway: str, user: str, session: str) -> list[str] | None:
        """The session is at ``gateway`` from now on: the other gateways where it was, None where nobody had it.

        At none but ``gateway`` itself: an empty list.
        """

    async def former(self, user: str, session: str) -> list[tuple[str, str]]:
        """The sessions of the same client of the user that came before this one, each with its gateway.

        In the order in which they began or were taken up last. None where the session is not there.
        """

    async def users_of(self, client: str) -> list[str]:
        """Who has a session of a client of that name, wherever it is, sorted."""

    async def sessions_at(self, gateway: str, partition: int) -> dict[str, list[str]]:
        """By user."""

    async def unsent(self, after: Mapping[int, int], messages_max: int) -> dict[int, list[Unsent]]:
        """What waits in partitions' outboxes and has not expired, as it was put there: above the numbers of ``after``.

        Of each at most ``messages_max``, those that cannot be read included.
        """

    async def untold(self, after: Mapping[int, tuple[int, int]], entries_max: int) -> dict[int, Untold]:
        """What each partition has come to since the last commit that said that all before it was told (`Commit.told`).

        Of each at most ``entries_max`` entries and as many decisions, in their order, from where ``after`` says:
        ``(0, 0)``, and then the ``next`` of the page before. What cannot be read is passed over.
        """

    async def settled(self, user: str, since: int, types: Collection[str]) -> Untold:
        """Events of these types of the user since the moment, evaluated or not, and what was taken back from them.

        The oldest first. Something that was taken back before may be among it. Of a user who did very much it has what
        is among their newest `SETTLED_MAX` entries and decisions, or fewer where these are big.
        """

    async def beat(self, role: Role, name: str, lasts_ms: int) -> Roll:
        """``name`` is alive, and taken for dead when it has not been heard of for ``lasts_ms``.

        With ``lasts_ms`` 0 a gateway is lost at once, and a worker that nobody knows only asks who else there is.
        """

    async def leave(self, role: Role, name: str) -> None:
        """Say farewell: a gateway that has left is not lost, and what waits for it is gone."""

    async def present_users(self, partitions: Collection[int] | None = None) -> list[tuple[str, bytes]]:
        """As `Store.present_users`; with ``partitions``, of these alone."""

    async def confirm(self, partitions: Collection[int] | None = None) -> None:
        """Returns when all that was written before is as durable as the setting ``durability`` asks for.

        With ``partitions``, what was written to these. Raises `StoreError` where it is not, or not in time.
        """

    def out_of_reach(self) -> frozenset[int]:
        """Partitions of which nothing can be had at this moment, for the primary of a cluster that has them is gone.

        Others can be had; a call in which one of these is named fails at once. `take` passes them over.
        """

    def cannot_be_told(self, gateways: Iterable[str]) -> frozenset[str]:
        """Which of these cannot be told anything at this moment, for the same reason; nor can they listen."""

    @property
    def held_up(self) -> Mapping[int, str]:
        """Of the partitions that were last asked for (`take`) those of which nothing can be handed out, and why.

        An entry of them cannot be read, or where they are cannot be asked. Who else has them is none of it.
        """

    async def clock(self) -> int:
        """The moment by the clock of the store."""

    async def publish_rules(self, rules_hash: str) -> int:
        """Let the saved rule set hold from a moment on that is behind all that has been evaluated; that moment.

        A ``rules`` entry at that moment is put into every partition, and then it is decided that they hold: workers
        that come to the entry before wait (`are_decided`). Of several that are published at once each has a moment of
        its own. Raises `StoreError`: then they hold or do not, which `rule_moments` tells.
        """

    async def are_decided(self, at: int, *, give_up: bool) -> bool | None:
        """Whether the rules whose entry is at ``at`` hold from then on; None while that is open.

        ``give_up``: if it is open it is decided that they do not, for whoever published them must be gone. Once it is
        decided it stays so. `rule_moments` has those that hold.
        """

    async def erase_everywhere(self, user: str) -> int:
        """As `Store.erase`, and the partition gets a new version: whoever remembers the user's state has to forget.

        Where the user is, is forgotten as well.
        """


class InOnePiece:
    """Of a `FleetStore` that is there as a whole or not at all."""

    def out_of_reach(self) -> frozenset[int]:
        return frozenset()

    def cannot_be_told(self, gateways: Iterable[str]) -> frozenset[str]:
        return frozenset()

    @property
    def held_up(self) -> Mapping[int, str]:
        return {}
