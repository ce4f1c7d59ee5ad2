"""What makes a Redis a store: whether it can be one, the mark of what it is, and the functions it runs.

It reads and writes no user's data. Whatever is the matter is told before anything is written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.exceptions import AuthenticationError, BusyLoadingError, NoPermissionError, RedisError, ResponseError

from engine.storage.base import StoreUnusable
from engine.storage.redis_keys import META, SLOTS, spread_tags
from engine.storage.redis_link import Address, Command, Link, words_of

SCHEMES = ("redis", "rediss")
PORT_DEFAULT = 6379
VERSION_MIN = (7, 0)  # of Redis; every Valkey is later
FORMAT = 1  # of the keys; `redis_keys` and the functions
LIBRARY = "proactive_v1"  # of functions; another version has another name, so that two can be at work beside each other
PARTITIONS_DEFAULT = 256  # enough for as many workers; a power of two, so that they can be halved and doubled
EXPECTED = '"redis://HOST:PORT/DB" or "rediss://HOST:PORT/DB"'

_SOURCES = ("redis_functions.lua", "redis_upkeep.lua")


def address_of(url: str, password: str | None = None) -> Address:
    """Where ``url`` says the Redis is. Raises `StoreUnusable`; a password in it would come into logs and messages."""
    try:
        parts = urlsplit(url)
        host, port, db = parts.hostname, parts.port or PORT_DEFAULT, parts.path.removeprefix("/") or "0"
    except ValueError:
        raise StoreUnusable(f"expected a store such as {EXPECTED}, got one with another port") from None
    if parts.password is not None:
        raise StoreUnusable(
            "expected a store without a password in it, got one with it; set PROACTIVE_STORE_PASSWORD, or "
            "PROACTIVE_STORE_PASSWORD_FILE to the name of a file that holds it"
        )
    if parts.scheme not in SCHEMES or not host or not db.isdecimal() or parts.query or parts.fragment:
        raise StoreUnusable(f'expected a store such as {EXPECTED}, got "{url}"')
    shown = f'"{parts.scheme}://{parts.netloc}/{int(db)}"'
    user = None if parts.username is None else unquote(parts.username)
    return Address(host, port, int(db), user, password, parts.scheme == "rediss", shown)


async def prepare(link: Link, *, partition_count: int | None, read_only: bool) -> tuple[list[str], dict[str, str]]:
    """The tags of the store's partitions, and what the server says of itself; made where there is none yet.

    Raises `StoreUnusable`.
    """
    shown = link.address.shown
    try:
        info = await _info(link)
        check_server(info, shown, read_only=read_only)
        tags = await _tags(link, info, partition_count=partition_count, read_only=read_only)
        if not read_only:
            await load_functions(link)
        return tags, info
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
        raise StoreUnusable(f"{shown} cannot be used: {words_of(error)}") from error
    except (RedisError, OSError) as error:
        raise StoreUnusable(
            f"{shown} cannot be reached ({words_of(error)}): is it running, and is the address right?"
        ) from error


async def ask(link: Link, *command: Any) -> Any:
    [reply] = await link.exchange([command])
    if isinstance(reply, Exception):
        raise reply
    return reply


async def load_functions(link: Link) -> None:
    """Put our functions there, unless they are. Raises `RedisError` and OSError."""
    folder = Path(__file__).parent
    code = "".join([(folder / name).read_text("ascii") for name in _SOURCES])
    [found] = await ask(link, "FUNCTION", "LIST", "LIBRARYNAME", LIBRARY, "WITHCODE") or [[]]
    if code.encode() not in found:
        await ask(link, "FUNCTION", "LOAD", "REPLACE", code)


async def _info(link: Link) -> dict[str, str]:
    text = await ask(link, "INFO")
    lines = [line.partition(":") for line in text.decode("utf-8", "replace").splitlines()]
    info = {name: value.strip() for name, _, value in lines}
    try:
        reply = await ask(link, "CONFIG", "GET", "appendfsync")
        info["appendfsync"] = reply[1].decode()
    except (RedisError, IndexError):  # where somebody else runs it, nobody may ask
        info["appendfsync"] = "unknown"
    return info


def check_server(info: dict[str, str], shown: str, *, read_only: bool) -> None:
    """Whether what it says of itself (INFO) is what a store needs. Raises `StoreUnusable`."""
    version = info.get("redis_version", "0")
    if tuple(int(part) for part in version.split(".")[:2] if part.isdecimal()) < VERSION_MIN:
        raise StoreUnusable(f"{shown} is Redis {version}: expected Redis 7.0 or later, or Valkey")
    if info.get("cluster_enabled") == "1":
        raise StoreUnusable(
            f"{shown} is a node of a cluster: expected a single primary; start it with cluster-enabled no"
        )
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


async def _tags(link: Link, info: dict[str, str], *, partition_count: int | None, read_only: bool) -> list[str]:
    shown = link.address.shown
    kind = (await ask(link, "TYPE", META)).decode()
    if kind == "none":
        if read_only:
            raise StoreUnusable(f"there is no store in {shown} to read")
        await _make(link, PARTITIONS_DEFAULT if partition_count is None else partition_count)
    elif kind != "hash":
        raise StoreUnusable(f'"{META}" of {shown} is of another program: name another database, redis://HOST:PORT/1')
    fields = await ask(link, "HMGET", META, "format", "partitions", "tags")
    form, count, tags = ["" if field is None else field.decode() for field in fields]
    if form != str(FORMAT):
        raise StoreUnusable(
            f"the store in {shown} was written by another version of proactive (format {form or 'unknown'}, this one "
            f"knows {FORMAT}): use the version that wrote it or a later one, or name another database"
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


async def _make(link: Link, partition_count: int) -> None:
    """Mark the database as a store; where somebody else did so a moment ago, theirs stands."""
    if not 1 <= partition_count <= SLOTS // 4:
        raise StoreUnusable(f"expected 1 to {SLOTS // 4} partitions, got {partition_count}")
    size = await ask(link, "DBSIZE")
    if size:
        raise StoreUnusable(
            f"{link.address.shown} holds {size} keys of another program: name another database, redis://HOST:PORT/1"
        )
    tags = " ".join(spread_tags(partition_count))
    mark = "if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HSET', KEYS[1], unpack(ARGV)) end"
    made: Command = ("EVAL", mark, 1, META, "partitions", partition_count, "tags", tags, "format", FORMAT)
    await ask(link, *made)
