"""How much one client, one user, one address and all together may do: token buckets, admission, pacing.

It reads no clock and closes nothing: who calls it says what time it is (seconds of any steady clock) and does what
comes of it. Every limit may be None, which is no limit.
"""

from __future__ import annotations

import ipaddress
import json
import math
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from engine.observer import Scope
from engine.transport.decoding import WireError

BURST_S = 10  # seconds' worth of events that may come at once
PACE_BURST_S = 1  # seconds' worth of messages that may go at once
BUCKETS_MAX = 100_000  # clients, or users, whose buckets are not full; some 150 bytes each
REFUSALS_BURST = 100  # frames over the rate, in one go: what may be on its way when the first refusal arrives
REFUSALS_PER_S = 1.0  # and so many more while the client does not wait
PACED_MAX = 50_000  # messages that wait for their second
RETRY_AFTER_MAX_S = 60  # nobody is told to stay away for longer

RATE_LIMIT_CODE = 4008
CONNECTION_RETRY_S = 5  # when who was refused a connection may ask again

# Sums of floats are off by less; a wait below it is none.
_EXACT_TO_S = 1e-6

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody has to come later: as an `error`, as the close of a connection, as an HTTP status."""

    code: str
    message: str
    retry_after_s: int
    status: int = 429
    close_code: int = RATE_LIMIT_CODE
    scope: Scope = "connections"

    @property
    def close_reason(self) -> str:
        """JSON, as of every close code of the protocol's own (at most 123 bytes, RFC 6455, section 5.5)."""
        return json.dumps({"code": self.code, "retryAfter": self.retry_after_s}, separators=(",", ":"))

    def error(self) -> WireError:
        return WireError(self.code, self.message, retry_after_s=self.retry_after_s)


def rate_limited(wait_s: float, whose: str = "you send", scope: Scope = "client") -> Refusal:
    """``wait_s`` is what `TokenBucket.take` said; ``whose`` begins the message."""
    seconds = retry_after(wait_s)
    why = f"{whose} more than the server takes; wait {seconds} s and send what was refused again"
    return Refusal("rate_limited", why, seconds, scope=scope)


def retry_after(wait_s: float) -> int:
    """Whole seconds from 1 to `RETRY_AFTER_MAX_S`, as `Retry-After` has them (RFC 9110, section 10.2.3)."""
    return max(1, math.ceil(min(wait_s, RETRY_AFTER_MAX_S)))


class TokenBucket:
    """``rate`` tokens a second flow in, up to ``burst``. It begins full.

    Who wants more than the bucket holds gets it when it is full, and leaves it in debt: otherwise a frame of more
    events than ``burst`` could never be sent.
    """

    __slots__ = ("_full_at", "burst", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self._full_at = -math.inf

    def wait(self, n: float, now: float) -> float:
        """Seconds until ``n`` can be taken, 0.0 for at once. Nothing is taken."""
        # The bucket is kept as the moment at which it is full: one number, and nothing to do as time goes by.
        missing = max(self._full_at - now, 0.0)
        wait = missing - max(self.burst - n, 0.0) / self.rate
        return wait if wait > _EXACT_TO_S else 0.0

    def take(self, n: float, now: float) -> float:
        """Seconds until ``n`` can be taken; 0.0 says that they have been."""
        wait = self.wait(n, now)
        if not wait:
            self._full_at = max(self._full_at, now) + n / self.rate
        return wait

    def is_full(self, now: float) -> bool:
        return self._full_at <= now


class Limiter:
    """A bucket for each name. One that is full is as good as none, so only the others are kept.

    Beyond ``buckets_max`` the bucket that was used longest ago goes, and who it was of begins anew.
    """

    def __init__(self, rate: int | None, *, buckets_max: int = BUCKETS_MAX) -> None:
        self.rate = rate
        self.buckets_max = buckets_max
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def wait(self, name: str, n: int, now: float) -> float:
        bucket = self._buckets.get(name)
        return 0.0 if bucket is None else bucket.wait(n, now)

    def take(self, name: str, n: int, now: float) -> float:
        """As `TokenBucket.take`."""
        if self.rate is None:
            return 0.0
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = TokenBucket(self.rate, self.rate * BURST_S)
        self._buckets.move_to_end(name)
        wait = bucket.take(n, now)
        self._trim(now)
        return wait

    def __len__(self) -> int:
        return len(self._buckets)

    def _trim(self, now: float) -> None:
        # Two a call: full ones go faster than new ones come.
        for _ in range(2):
            name, oldest = next(iter(self._buckets.items()))
            if not oldest.is_full(now) and len(self._buckets) <= self.buckets_max:
                return
            del self._buckets[name]
            if not self._buckets:
                return


class EventLimits:
    """Events a second of each client and of each user: both must have room, or neither is charged.

    The name of a client has to be one that its sender cannot choose anew for each frame: the session, the
    connection, or the address of who has neither.
    """

    def __init__(self, *, per_client: int | None, per_user: int | None) -> None:
        self._clients = Limiter(per_client)
        self._users = Limiter(per_user)

    def take(self, client: str, users: Iterable[str], n: int, now: float) -> Refusal | None:
        """Let ``n`` events in, which is None, or say when. ``users``: in whose names they are, one for each event.

        All users must have room for what is theirs.
        """
        counts: dict[str, int] = {}
        for user in users:
            counts[user] = counts.get(user, 0) + 1
        by_user = max((self._users.wait(user, count, now) for user, count in counts.items()), default=0.0)
        refusal = self._refusal(self._clients.wait(client, n, now), by_user)
        if refusal is None:
            self._clients.take(client, n, now)
            for user, count in counts.items():
                self._users.take(user, count, now)
        return refusal

    def take_of_one(self, client: str, user: str, n: int, now: float) -> Refusal | None:
        """As `take`, where all are in the name of one user."""
        if self._clients.rate is None and self._users.rate is None:
            return None
        refusal = self._refusal(self._clients.wait(client, n, now), self._users.wait(user, n, now))
        if refusal is None:
            self._clients.take(client, n, now)
            self._users.take(user, n, now)
        return refusal

    def _refusal(self, by_client: float, by_user: float) -> Refusal | None:
        if not by_client and not by_user:
            return None
        if by_client >= by_user:
            return rate_limited(by_client)
        return rate_limited(by_user, "the devices of this user together send", "user")


class Insistence:
    """How often one connection was refused and sent on regardless. One per connection."""

    __slots__ = ("_bucket",)

    def __init__(self) -> None:
        self._bucket = TokenBucket(REFUSALS_PER_S, REFUSALS_BURST)

    def refused(self, now: float) -> bool:
        """Count a refusal; True where the connection is to be closed with `RATE_LIMIT_CODE`."""
        return self._bucket.take(1, now) > 0


class Admission:
    """Connections that are open: in total, of each user, from each address. Counts of none are not kept.

    ``shut``: while it is set nobody is admitted, whatever the counts (see `engine.memory_guard`).
    """

    def __init__(self, *, total: int | None, per_user: int | None, per_address: int | None) -> None:
        self._total = total
        self._per_user = per_user
        self._per_address = per_address
        self.count = 0
        self.shut: Refusal | None = None
        self._of_address: dict[str, int] = {}
        self._of_user: dict[str, int] = {}

    def admit(self, address: str) -> Refusal | None:
        """Count one more connection, which is None, or say why it may not be. Each admitted is `released` once."""
        if self.shut is not None:
            return self.shut
        if self._total is not None and self.count >= self._total:
            return _too_many(f"the server has as many connections as it takes, {self._total}")
        network = network_of(address)
        of_address = self._of_address.get(network, 0)
        if self._per_address is not None and of_address >= self._per_address:
            return _too_many(f"there are {of_address} connections from this address, as many as may be", "address")
        self.count += 1
        self._of_address[network] = of_address + 1
        return None

    def released(self, address: str) -> None:
        self.count -= 1
        _count_down(self._of_address, network_of(address))

    def beyond(self, connections: Iterable[tuple[Item, str]]) -> list[Item]:
        """Of connections that nobody has admitted, each with its address, those that are more than may be.

        They come in the order in which they are to stay. Nothing is counted by it: each of these that waits for
        something is admitted besides.
        """
        kept = 0
        of_address: dict[str, int] = {}
        too_many: list[Item] = []
        for connection, address in connections:
            network = network_of(address)
            count = of_address.get(network, 0)
            if (self._total is not None and kept >= self._total) or (
                self._per_address is not None and count >= self._per_address
            ):
                too_many.append(connection)
            else:
                kept += 1
                of_address[network] = count + 1
        return too_many

    def admit_user(self, user: str) -> Refusal | None:
        """As `admit`, once it is known whose an admitted connection is. Each admitted is `released_user` once."""
        of_user = self._of_user.get(user, 0)
        if self._per_user is not None and of_user >= self._per_user:
            return _too_many(f"this user has {of_user} connections, as many as may be", "user_connections")
        self._of_user[user] = of_user + 1
        return None

    def released_user(self, user: str) -> None:
        _count_down(self._of_user, user)


def network_of(address: str) -> str:
    """What counts as one address: of IPv6 the first 64 bits, for a household has as many of the others as it likes."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address  # a socket of the file system, or none
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.IPv6Address(int(found) >> 64 << 64)) + "/64"
    return str(found)


class Pacer(Generic[Item]):
    """Messages a second of all together. What is over goes a moment later: first what is urgent, each in its order.

    Call `offer`, and `due` again at `next_at`. It keeps ``waiting_max``; of what finds no room, ``overflow`` are those
    of the last offer: they have to wait where they are durable, in the outbox.
    """

    def __init__(self, rate: int | None, *, waiting_max: int = PACED_MAX) -> None:
        self._bucket = None if rate is None else TokenBucket(rate, rate * PACE_BURST_S)
        self._waiting_max = waiting_max
        self._urgent: deque[Item] = deque()
        self._others: deque[Item] = deque()
        self.next_at: float | None = None
        self.overflow: list[Item] = []

    def offer(self, items: Iterable[tuple[Item, bool]], now: float) -> list[Item]:
        """Of these, each with whether it is urgent, and of those that wait: what may go now."""
        if self._bucket is None:
            return [item for item, _ in items]
        for item, urgent in items:
            (self._urgent if urgent else self._others).append(item)
        going = self.due(now)
        # The newest, so that whoever waits longest is not the one to lose by it.
        self.overflow = [(self._others or self._urgent).pop() for _ in range(len(self) - self._waiting_max)]
        return going

    def due(self, now: float) -> list[Item]:
        """What may go now, of those that wait. ``next_at`` is when there is more, None where nothing waits."""
        going: list[Item] = []
        self.next_at = None
        while self._bucket is not None and (waiting := self._urgent or self._others):
            wait = self._bucket.take(1, now)
            if wait:
                self.next_at = now + wait
                break
            going.append(waiting.popleft())
        return going

    def __len__(self) -> int:
        return len(self._urgent) + len(self._others)


def _too_many(why: str, scope: Scope = "connections") -> Refusal:
    return Refusal("too_many_connections", why, CONNECTION_RETRY_S, scope=scope)


def _count_down(counts: dict[str, int], name: str) -> None:
    left = counts[name] - 1
    if left:
        counts[name] = left
    else:
        del counts[name]
