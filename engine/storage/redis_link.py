"""The way to one Redis: a few connections, many commands in one go, a limit on how long it may take.

It knows no key, and tries nothing again by itself: whether that is safe its caller knows. See `redis_cluster` for the
way to many.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import hiredis
from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from engine.storage.base import StoreError, Trouble
from engine.storage.redis_keys import CONFIRMED
from engine.storage.redis_replicas import LOCAL, NotReplicated, Promise, Question, Replicas, asked, is_enough

CONNECTIONS_MAX = 8  # of one store to one Redis
TIMEOUT_S = 5.0  # of all the commands that go together, the wait for a connection included
CONNECT_S = 3.0
# As SET, and done also where memory is full: what makes room comes behind it. A script and no function of the library,
# for a primary that was emptied has none.
_MARK = "#!lua flags=allow-oom\nredis.call('SET', KEYS[1], '')"

Command = tuple[bytes | str | int, ...]

# What Redis says, by the exception that the library makes of its first word, or by that word where it makes none.
_EXCEPTIONS: tuple[tuple[type[Exception], Trouble], ...] = (
    (NotReplicated, "read_only"),
    (OutOfMemoryError, "full"),
    (ReadOnlyError, "read_only"),
    (NoPermissionError, "read_only"),
    (BusyLoadingError, "busy"),
    (MasterDownError, "busy"),
    (ClusterDownError, "busy"),
    (TryAgainError, "busy"),
    (AskError, "busy"),
)
_WORDS: dict[str, Trouble] = {"MISCONF": "io", "NOREPLICAS": "read_only", "BUSY": "busy", "WRONGTYPE": "corrupt"}
_ADVICE: dict[Trouble, str] = {
    "full": "raise its maxmemory or keep less (the setting keep), and it goes on by itself; what was acknowledged is "
    "kept",
    "read_only": "let it be written to, or name the primary if this is a replica; it goes on by itself",
    "corrupt": "stop the server and put back a backup of its data",
    "busy": "it goes on by itself once that is done",
    "io": "see to it and to the way there; it goes on by itself, and what was acknowledged is kept",
}
_NOT_REPLICATED = (
    "nothing is acknowledged until a replica has it; see to the replica and the way to it, and it goes on by itself, "
    "or set on_replica_loss: degrade to go on without one"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a Redis is. ``shown`` is how it is called in messages: without a password.

    ``seeds``: of a cluster, the nodes that are asked for the others; () where it is none.
    """

    host: str
    port: int
    db: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    shown: str = ""
    seeds: tuple[tuple[str, int], ...] = ()


class Way(Protocol):
    """To one Redis, or to all nodes of a cluster."""

    address: Address
    promise: Promise

    async def exchange(self, commands: Sequence[Command], *, durable: bool = False) -> list[Any]:
        """A reply to each command, in order; an error that Redis answered with is among them as an exception.

        ``durable``: returns when what they wrote is as durable as ``promise`` says; where they wrote nothing, what
        others wrote need not be. Raises `RedisError`, `OSError` or `TimeoutError` where replies are missing,
        `NotReplicated` where it is not durable: then nobody knows which of the commands were carried out, or will be.
        """

    async def confirm(self, keys: Collection[bytes] | None = None) -> None:
        """Returns when all that was written before, by whomever, is as durable as ``promise`` says. Raises as above.

        Of a cluster, with ``keys``, what was written to the primaries that have these.
        """

    async def make_up(self, commands: Sequence[Command]) -> None:
        """Confirm what is owed where these commands go. Raises as above."""

    @property
    def owes(self) -> bool:
        """Whether something that should be durable has failed, and was not confirmed since.

        What is read then may be lost yet: whoever takes it for certain confirms first.
        """

    @property
    def lacks_some(self) -> bool:
        """Whether a primary of a cluster is left out, for it does not answer: what is for it fails at once."""

    def lacks(self, key: bytes) -> bool:
        """Whether that one has this key."""

    async def primaries(self) -> list[Link]:
        """Each by itself, as they are now; without those that are left out."""

    @property
    def without_replicas(self) -> list[str]:
        """The primaries that go on although no replica has what they write, as they are called."""

    @property
    def not_replicated(self) -> int:
        """How many writes were not acknowledged, for no replica had them in time; since the start."""

    async def close(self) -> None: ...


class Link:
    """Connections to one Redis, made when they are needed.

    ``mark``: the key that `confirm` writes; None for a node of a cluster, which is told each time.
    """

    def __init__(
        self,
        address: Address,
        timeout_s: float = TIMEOUT_S,
        promise: Promise = LOCAL,
        mark: bytes | None = CONFIRMED.encode(),
    ) -> None:
        self.address = address
        self.promise = promise
        self._mark = mark
        self._replicas = Replicas(promise, address.shown)
        self._not_replicated = 0  # exchanges that nobody may rely on, since the start
        self._failures = 0  # of exchanges that should have been durable
        self._made_up = 0  # so many of them: all that was written by then is
        self._timeout_s = timeout_s
        self._idle: list[Connection] = []
        self._room = asyncio.Semaphore(CONNECTIONS_MAX)
        self._closed = False

    async def exchange(self, commands: Sequence[Command], *, durable: bool = False) -> list[Any]:
        """See `Way`."""
        seconds = asyncio.get_running_loop().time
        question = self._replicas.question(seconds()) if durable else None
        if question is None:
            return await self._send(commands)
        try:
            *replies, answer = await self._send(commands, question)
            if isinstance(answer, ResponseError) and all(isinstance(reply, ResponseError) for reply in replies):
                self._failures += 1
                return replies  # what is the matter with the commands says more, as where this is a replica by now
            self._replicas.heard(answer, seconds())
        except BaseException as error:
            self._failures += 1
            self._not_replicated += isinstance(error, NotReplicated)
            raise
        return replies

    async def confirm(self, keys: Collection[bytes] | None = None) -> None:
        failures = self._failures
        if self.promise.level != "local" and self._mark is not None:
            try:
                await self.confirm_by(self._mark)
            except BaseException:
                self._failures += 1
                raise
        self._made_up = max(self._made_up, failures)

    async def confirm_by(self, mark: bytes) -> None:
        """As `confirm`, by writing that key: a Redis waits for the last write of a connection, so there must be one."""
        seconds = asyncio.get_running_loop().time
        question = self._replicas.question(seconds())
        if question is None:
            return
        written, answer = await self._send([("EVAL", _MARK, 1, mark)], question)
        if isinstance(written, Exception):
            raise written
        self._replicas.heard(answer, seconds())

    async def _send(self, commands: Sequence[Command], question: Question | None = None) -> list[Any]:
        """The replies; behind them the answer to the question, where there is one."""
        at_once, later = ([], []) if question is None else asked(question)
        async with asyncio.timeout(self._timeout_s), self._connection() as connection:
            replies = await _replies(connection, [*commands, *at_once])
            for place, part in enumerate(later, 1):
                [answer] = await _replies(connection, [part])
                if place == len(later) or is_enough(answer) or isinstance(answer, ResponseError):
                    return [*replies, answer]
            return replies

    async def make_up(self, commands: Sequence[Command]) -> None:
        if self.owes:
            await self.confirm()

    @property
    def owes(self) -> bool:
        return self._failures > self._made_up

    @property
    def lacks_some(self) -> bool:
        return False

    def lacks(self, key: bytes) -> bool:
        return False

    async def primaries(self) -> list[Link]:
        return [self]

    @property
    def without_replicas(self) -> list[str]:
        return [f"{self.address.host}:{self.address.port}"] if self._replicas.are_lost else []

    @property
    def not_replicated(self) -> int:
        return self._not_replicated

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        async with self._room:
            connection = await self._whole() if self._idle else self._new()
            try:
                if not connection.is_connected:
                    await connection.connect()  # type: ignore[no-untyped-call]
                yield connection
            except BaseException:
                # What is still on its way on it would be taken for the reply to something else.
                await connection.disconnect(nowait=True)
                raise
            if self._closed:
                await connection.disconnect()
            else:
                self._idle.append(connection)

    async def _whole(self) -> Connection:
        """An idle connection; closed if the other side has ended it meanwhile, and then made anew by the caller."""
        connection = self._idle.pop()
        reader = getattr(connection, "_reader", None)
        if reader is not None and reader.at_eof():
            await connection.disconnect(nowait=True)
        return connection

    def _new(self) -> Connection:
        address = self.address
        options: dict[str, Any] = {
            "host": address.host,
            "port": address.port,
            "db": address.db,
            "username": address.user,
            "password": address.password,
            "socket_timeout": None,  # all of an exchange has one limit, which costs less than one for each reply
            "socket_connect_timeout": CONNECT_S,
            "socket_keepalive": True,
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
        }
        if address.tls:
            # Trusted are whom this machine trusts, and SSL_CERT_FILE.
            return SSLConnection(ssl_min_version=ssl.TLSVersion.TLSv1_2, ssl_check_hostname=True, **options)
        return Connection(**options)

    async def close(self) -> None:
        """What is under way ends its connection itself."""
        self._closed = True
        while self._idle:
            await self._idle.pop().disconnect()


async def _replies(connection: Connection, commands: Sequence[Command]) -> list[Any]:
    packed = b"".join([hiredis.pack_command(command) for command in commands])  # type: ignore[arg-type]
    await connection.send_packed_command(packed, check_health=False)
    replies: list[Any] = []
    for _ in commands:
        try:
            replies.append(await connection.read_response())
        except ResponseError as error:
            replies.append(error)
    return replies


def told_of(error: BaseException, address: Address) -> StoreError:
    """The error in words for an operator: what went wrong, and what to do about it."""
    state = trouble_of(error)
    advice = "" if state is None else f": {_NOT_REPLICATED if isinstance(error, NotReplicated) else _ADVICE[state]}"
    return StoreError(f"the store {address.shown} could not do it: {words_of(error)}{advice}", state)


def words_of(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def trouble_of(error: BaseException) -> Trouble | None:
    for kind, state in _EXCEPTIONS:
        if isinstance(error, kind):
            return state
    if isinstance(error, ResponseError):
        return _WORDS.get(str(error).partition(" ")[0])
    return "io" if isinstance(error, RedisError | OSError) else None
