"""What makes a Redis a store: whether it can be one, the mark of what it is, and the functions it runs.

It reads and writes no user's data. Whatever is the matter is told before anything is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from redis.exceptions import AuthenticationError, BusyLoadingError, NoPermissionError, RedisError, ResponseError

from engine.storage.base import StoreUnusable
from engine.storage.redis_keys import META, SLOTS, spread_tags
from engine.storage.redis_link import Address, Command, Link, Way, told_of, words_of
from engine.storage.redis_replicas import NotReplicated, Promise

SCHEMES = ("redis", "rediss")
CLUSTER_SCHEMES = ("redis+cluster", "rediss+cluster")
PORT_DEFAULT = 6379
VERSION_MIN = (7, 0)  # of Redis; every Valkey is later
FORMAT = 1  # of the keys; `redis_keys` and the functions
LOADING = "loading"  # stands in its place while a store is filled from another one
LIBRARY = "proactive_v1"  # of functions; another version has another name, so that two can be at work beside each other
PARTITIONS_DEFAULT = 256  # enough for as many workers; a power of two, so that they can be halved and doubled
STRICT_VERSION_MIN = (7, 2)  # has WAITAOF
EXPECTED = '"redis://HOST:PORT/DB" or "rediss://HOST:PORT/DB"'
CLUSTER_EXPECTED = '"redis+cluster://HOST:PORT,HOST:PORT"'

_SOURCES = (
    "redis_functions.lua", "redis_upkeep.lua", "redis_sessions.lua", "redis_fleet.lua", "redis_queues.lua",
)  # fmt: skip

log = structlog.get_logger("proactive")


def address_of(url: str, password: str | None = None) -> Address:
    """Where ``url`` says the Redis is. Raises `StoreUnusable`; a password in it would come into logs and messages."""
    scheme, _, rest = url.partition("://")
    if scheme in CLUSTER_SCHEMES:
        return _cluster_address(url, scheme, rest, password)
    host, port, user, path = _place(rest, EXPECTED, url)
    db = path or "0"
    if scheme not in SCHEMES or not host or not db.isdecimal():
        raise StoreUnusable(f'expected a store such as {EXPECTED}, got "{url}"')
    shown = f'"{scheme}://{rest.partition("/")[0]}/{int(db)}"'
    return Address(host, port, int(db), user, password, scheme == "rediss", shown)


def _cluster_address(url: str, scheme: str, rest: str, password: str | None) -> Address:
    """Of the nodes that are named one is enough to find the others; a name of a user stands before the first."""
    nodes, _, db = rest.partition("/")
    name, at, hosts = nodes.rpartition("@")
    _, _, user, _ = _place(f"{name}{at}host", CLUSTER_EXPECTED, url)
    places = [_place(part, CLUSTER_EXPECTED, url) for part in hosts.split(",")]
    if "," in name or any(not host or path for host, _, _, path in places):
        raise StoreUnusable(f'expected a store such as {CLUSTER_EXPECTED}, got "{url}"')
    if db not in ("", "0"):
        raise StoreUnusable(f'a cluster has one database alone: expected {CLUSTER_EXPECTED}, got "{url}"')
    seeds = tuple((host, port) for host, port, _, _ in places)
    return Address(*seeds[0], 0, user, password, scheme == "rediss+cluster", f'"{scheme}://{nodes}"', seeds)


def _place(rest: str, expected: str, url: str) -> tuple[str, int, str | None, str]:
    """Host, port, user and path of what stands behind ``://``."""
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname or "", parts.port or PORT_DEFAULT
    except ValueError:
        raise StoreUnusable(f"expected a store such as {expected}, got one with another port") from None
    if parts.password is not None:
        raise StoreUnusable(
            "expected a store without a password in it, got one with it; set PROACTIVE_STORE_PASSWORD, or "
            "PROACTIVE_STORE_PASSWORD_FILE to the name of a file that holds it"
        )
    if parts.query or parts.fragment:
        raise StoreUnusable(f'expected a store such as {expected}, got "{url}"')
    return host, port, None if parts.username is None else unquote(parts.username), parts.path.removeprefix("/")


async def prepare(link: Way, *, partition_count: int | None, read_only: bool) -> tuple[list[str], dict[str, str]]:
    """The tags of the store's partitions, and what the server says of itself; made where there is none yet.

    Of a cluster, what its first primary says. Raises `StoreUnusable`.
    """
    shown = link.address.shown
    try:
        nodes = await link.primaries()
        infos = [await _info(node) for node in nodes]
        for node, info in zip(nodes, infos, strict=True):
            check_server(info, node.address.shown, read_only=read_only, in_cluster=bool(link.address.seeds))
            if not read_only:
                check_replicas(info, node.address.shown, link.promise)
        tags = await _tags(link, partition_count=partition_count, read_only=read_only)
        if not read_only:
            await load_functions(link)
            await link.confirm()
        return tags, infos[0] | {"appendfsync": ", ".join(sorted({info["appendfsync"] for info in infos}))}
    except AuthenticationError as error:
        raise StoreUnusable(
            f"{shown} wants another name or password ({words_of(error)}): set PROACTIVE_STORE_PASSWORD, and the name "
            "in the address: redis://NAME@HOST"
        ) from error
    except NoPermissionError as error:
        raise StoreUnusable(
            f"{shown} does not let this user do it ({words_of(error)}): it needs ~proactive:* and +@all -@dangerous "
            "+info"
        ) from error
    except BusyLoadingError as error:
        raise StoreUnusable(f"{shown} is loading its data: try again when it has done so") from error
    except ResponseError as error:
        if "cluster support disabled" in str(error):
            raise StoreUnusable(f"{shown} is no cluster: name it {EXPECTED}") from error
        raise StoreUnusable(f"{shown} cannot be used: {words_of(error)}") from error
    except NotReplicated as error:
        raise StoreUnusable(str(told_of(error, link.address))) from error
    except (RedisError, OSError) as error:
        why, advice = words_of(error), "is it running, and is the address right?"
        if "certificate verify failed" in why:
            advice = "it has to be for that host, and of somebody whom this machine or SSL_CERT_FILE trusts"
        raise StoreUnusable(f"{shown} cannot be reached ({why}): {advice}") from error


async def ask(link: Way, *command: Any) -> Any:
    [reply] = await link.exchange([command])
    if isinstance(reply, Exception):
        raise reply
    return reply


async def call(link: Way, calls: Sequence[Command], *, durable: bool, may_load: bool) -> list[Any]:
    """As `Way.exchange`; where ``may_load``, calls that found no functions there are made once these are there."""
    replies = await link.exchange(calls, durable=durable)
    missing = [place for place, reply in enumerate(replies) if _lacks_function(reply)]
    if missing and may_load:
        # A primary that was promoted or emptied; what it refused for that reason it has not done.
        await load_functions(link)
        anew = await link.exchange([calls[place] for place in missing], durable=durable)
        for place, reply in zip(missing, anew, strict=True):
            replies[place] = reply
    return replies


def _lacks_function(reply: Any) -> bool:
    return isinstance(reply, ResponseError) and "Function not found" in str(reply)


async def load_functions(link: Way) -> None:
    """Put our functions on every primary that has them not. Raises `RedisError` and OSError."""
    folder = Path(__file__).parent
    code = "".join([(folder / name).read_text("ascii") for name in _SOURCES])
    for node in await link.primaries():
        [found] = await ask(node, "FUNCTION", "LIST", "LIBRARYNAME", LIBRARY, "WITHCODE") or [[]]
        if code.encode() not in found:
            await ask(node, "FUNCTION", "LOAD", "REPLACE", code)


async def _info(node: Link) -> dict[str, str]:
    text = await ask(node, "INFO")
    lines = [line.partition(":") for line in text.decode("utf-8", "replace").splitlines()]
    info = {name: value.strip() for name, _, value in lines}
    try:
        reply = await ask(node, "CONFIG", "GET", "appendfsync")
        info["appendfsync"] = reply[1].decode()
    except (RedisError, IndexError):  # where somebody else runs it, nobody may ask
        info["appendfsync"] = "unknown"
    return info


def check_server(info: dict[str, str], shown: str, *, read_only: bool, in_cluster: bool = False) -> None:
    """Whether what it says of itself (INFO) is what a store needs. Raises `StoreUnusable`."""
    if _version(info) < VERSION_MIN:
        version = info.get("redis_version", "0")
        raise StoreUnusable(f"{shown} is Redis {version}: expected Redis 7.0 or later, or Valkey")
    if info.get("cluster_enabled") == "1" and not in_cluster:
        raise StoreUnusable(f"{shown} is a node of a cluster: name it as one, {CLUSTER_EXPECTED}")
    if read_only:
        return
    if info.get("role") != "master":
        raise StoreUnusable(
            f"{shown} is a replica of {info.get('master_host')}:{info.get('master_port')}: name the primary"
        )
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise StoreUnusable(
            f"{shown} throws keys away when its memory is full (maxmemory-policy {policy}): "
            "CONFIG SET maxmemory-policy noeviction, and in redis.conf as well"
        )
    if info.get("aof_enabled") != "1":
        raise StoreUnusable(
            f"{shown} would forget on a restart what it has acknowledged (appendonly no): "
            "CONFIG SET appendonly yes, and in redis.conf as well"
        )


def check_replicas(info: dict[str, str], shown: str, promise: Promise) -> None:
    """Whether what is promised of writes can be had. Raises `StoreUnusable`; what can be gone on with is logged."""
    level = promise.level
    if level == "local":
        return
    if level == "strict" and _version(info) < STRICT_VERSION_MIN:
        raise StoreUnusable(
            f"{shown} is Redis {info.get('redis_version')}, which cannot be asked whether a disk has what was written "
            "(WAITAOF): durability strict needs Redis 7.2 or later, or Valkey; take durability replicated here"
        )
    if level == "strict" and info.get("appendfsync") == "no":
        raise StoreUnusable(
            f"{shown} never says that its disk has what was written (appendfsync no), so with durability strict "
            "nothing could be acknowledged: CONFIG SET appendfsync always, or everysec, at its replicas too, and in "
            "redis.conf as well"
        )
    is_stopping = promise.on_loss == "stop"
    if not any(name.startswith("slave") and "state=online" in value for name, value in info.items()):
        if is_stopping:
            raise StoreUnusable(
                f"{shown} has no replica that is in step with it, so with durability {level} nothing could be "
                "acknowledged: attach one (replicaof), or set on_replica_loss: degrade, or durability: local"
            )
        log.warning("! no replica yet", store=shown, durability="local")
    if not is_stopping and "min_slaves_good_slaves" in info:
        log.warning(
            "! writes stop without a replica all the same",
            store=shown,
            why="min-replicas-to-write is not 0",
        )


def _version(info: dict[str, str]) -> tuple[int, ...]:
    return tuple(int(part) for part in info.get("redis_version", "0").split(".")[:2] if part.isdecimal())


async def _tags(link: Way, *, partition_count: int | None, read_only: bool) -> list[str]:
    shown = link.address.shown
    kind = (await ask(link, "TYPE", META)).decode()
    if kind == "none":
        if read_only:
            raise StoreUnusable(f"there is no store in {shown} to read")
        await _make(link, PARTITIONS_DEFAULT if partition_count is None else partition_count)
    elif kind != "hash":
        raise StoreUnusable(f'"{META}" of {shown} is of another program: {_elsewhere(link.address)}')
    fields = await ask(link, "HMGET", META, "format", "partitions", "tags")
    form, count, tags = ["" if field is None else field.decode() for field in fields]
    if form == LOADING:
        raise StoreUnusable(
            f"the store in {shown} is being filled by proactive store migrate, or that was broken off: wait for it, or "
            f"{emptied(link.address)} and migrate again"
        )
    if form != str(FORMAT):
        raise StoreUnusable(
            f"the store in {shown} was written by another version of proactive (format {form or 'unknown'}, this one "
            f"knows {FORMAT}): use the version that wrote it or a later one, or {_elsewhere(link.address)}"
        )
    found = tags.split()
    if not found or str(len(found)) != count:
        raise StoreUnusable(f"the store in {shown} does not say how many partitions it has: it is damaged")
    if partition_count is not None and len(found) != partition_count:
        raise StoreUnusable(
            f"the store in {shown} was made with {len(found)} partitions, not {partition_count}: that is fixed when a "
            "store is made"
        )
    return found


async def _make(link: Way, partition_count: int) -> None:
    """Mark the database as a store; where somebody else did so a moment ago, theirs stands."""
    if not 1 <= partition_count <= SLOTS // 4:
        raise StoreUnusable(f"expected 1 to {SLOTS // 4} partitions, got {partition_count}")
    size = sum([await ask(node, "DBSIZE") for node in await link.primaries()])
    if size:
        raise StoreUnusable(f"{link.address.shown} holds {size} keys of another program: {_elsewhere(link.address)}")
    tags = " ".join(spread_tags(partition_count))
    mark = "if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HSET', KEYS[1], unpack(ARGV)) end"
    made: Command = ("EVAL", mark, 1, META, "partitions", partition_count, "tags", tags, "format", FORMAT)
    await ask(link, *made)


def emptied(address: Address) -> str:
    """What to do so that nothing is there any more; whoever does it knows a name and a password."""
    tls = "--tls " if address.tls else ""
    if not address.seeds:
        place = f"-h {address.host} -p {address.port} -n {address.db}"
        return f"empty that database (redis-cli {tls}{place} FLUSHDB)"
    host, port = address.seeds[0]
    return f"empty the cluster (redis-cli {tls}--cluster call {host}:{port} FLUSHALL --cluster-only-masters)"


def _elsewhere(address: Address) -> str:
    return "name a cluster of its own" if address.seeds else "name another database, redis://HOST:PORT/1"
