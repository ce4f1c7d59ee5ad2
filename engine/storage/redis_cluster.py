"""The way to all nodes of a Redis cluster: each command goes to the primary that has the slot of its key.

It knows of a command where its key is, and nothing else. It sends again only what a node refused to carry out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from redis.exceptions import AskError, ClusterDownError, MovedError, RedisError, TryAgainError

from engine.storage.redis_keys import SLOTS, confirmed_of, slot_of, slot_of_key
from engine.storage.redis_link import TIMEOUT_S, Address, Command, Link, Way
from engine.storage.redis_nodes import Node, Nodes
from engine.storage.redis_replicas import LOCAL, Promise

PATIENCE = 0.6  # of the time of an exchange: so long commands are sent again that a node refuses while a slot moves
PAUSE_S = 0.005  # before the first of those; the next is twice as long
PAUSE_MAX_S = 0.1
LOOK_S = 1.0  # for one node to say which node has which slot, before another is asked
ASKED_MAX = 5  # nodes that are asked for it, one after the other

MARKS_MAX = 10  # keys that are tried to have one written by a node
THERE_S = 1.0  # for a node that was gone to say that it is there

# At the end of a key: never there. See `guarded`.
NEVER = b"!"


def way_to(address: Address, timeout_s: float = TIMEOUT_S, promise: Promise = LOCAL) -> Way:
    return (ClusterLink if address.seeds else Link)(address, timeout_s, promise)


class ClusterLink:
    """A `Link` to each primary; which those are is asked of the cluster, again whenever a node says that it was wrong.

    Of one exchange two commands of one slot are carried out in order, unless the slot moves at that moment. Where one
    is for a node that is gone (`redis_nodes`) the exchange fails at once, and nothing of it is sent.
    """

    def __init__(self, address: Address, timeout_s: float = TIMEOUT_S, promise: Promise = LOCAL) -> None:
        self.address = address
        self.promise = promise
        self._timeout_s = timeout_s
        self._links: dict[Node, Link] = {}
        self._not_replicated = 0  # writes to nodes that have no slot any more
        self._owners: list[Node | None] = []  # by slot
        self._is_stale = True
        self._failures = 0  # of exchanges that should have been durable
        self._owed: dict[int, int] = {}  # slots of which something has failed, and the number of that failure
        self._nodes = Nodes(
            is_there=self._is_there, is_back=self._is_back, shown=lambda node: f"{node[0]}:{node[1]} of {address.shown}"
        )
        self._looking = asyncio.Lock()
        self._turn = 0  # so that the next look begins with another node

    async def exchange(self, commands: Sequence[Command], *, durable: bool = False) -> list[Any]:
        """See `Way`. Every command has a key. What is still refused after `PATIENCE` has that answer as its reply."""
        slots = [slot_of_key(key_of(command)) for command in commands]
        sent = [guarded(command) for command in commands]
        replies: list[Any] = [None] * len(sent)
        seconds = asyncio.get_running_loop().time
        until = seconds() + PATIENCE * self._timeout_s
        moved: dict[int, Node] = {}  # by slot: what nodes have said goes before what they say of all slots
        asking: dict[int, Node] = {}  # by place: for this one time
        left = list(range(len(sent)))
        pause = 0.0
        try:
            async with asyncio.timeout(self._timeout_s):
                while left:
                    await self._look()
                    grouped: dict[Node, list[int]] = {}
                    for place in left:
                        replies[place] = None
                        node = asking.get(place) or moved.get(slots[place]) or self._owners[slots[place]]
                        if node is None:
                            replies[place] = ClusterDownError(f"no node has slot {slots[place]}")
                            self._is_stale = True
                        else:
                            grouped.setdefault(node, []).append(place)
                    await self._send(grouped, sent, asking, replies, durable)
                    left = [place for place in left if isinstance(replies[place], _REFUSED)]
                    pause = self._learn(left, slots, replies, moved, asking, pause)
                    if seconds() + pause > until:
                        break
                    if left and pause:
                        await asyncio.sleep(pause)
        except BaseException:
            self._is_stale = True
            if durable:
                self._owe(slot for slot, reply in zip(slots, replies, strict=True) if reply is None)
            raise
        return replies

    async def _send(
        self,
        grouped: dict[Node, list[int]],
        sent: Sequence[Command],
        asking: dict[int, Node],
        replies: list[Any],
        durable: bool,
    ) -> None:
        """To all nodes at once; when all have answered or failed, the first failure is raised."""
        self._nodes.check(grouped)

        async def to(node: Node, places: list[int]) -> None:
            commands: list[Command] = []
            wanted: list[int] = []  # where among the replies those are that are no reply to ASKING
            for place in places:
                if place in asking:
                    commands.append(("ASKING",))
                wanted.append(len(commands))
                commands.append(sent[place])
            async with self._nodes.talking(node):
                answers = await self._link(node).exchange(commands, durable=durable)
            for place, number in zip(places, wanted, strict=True):
                replies[place] = _with_host(answers[number], node)

        await _all(to(node, places) for node, places in grouped.items())

    def _learn(
        self,
        left: list[int],
        slots: Sequence[int],
        replies: list[Any],
        moved: dict[int, Node],
        asking: dict[int, Node],
        pause: float,
    ) -> float:
        """Where those that were refused are to go next; how long to wait until then."""
        asking.clear()
        must_pause = bool(moved)  # nodes that send to each other have yet to agree
        for place in left:
            reply = replies[place]
            if isinstance(reply, MovedError):
                moved[slots[place]] = reply.node_addr
                self._is_stale = True
            elif isinstance(reply, AskError):
                asking[place] = reply.node_addr
            else:
                moved.pop(slots[place], None)
                must_pause = True
                self._is_stale |= isinstance(reply, ClusterDownError)
        return min(max(2 * pause, PAUSE_S), PAUSE_MAX_S) if must_pause else pause

    async def confirm(self, keys: Collection[bytes] | None = None) -> None:
        if self.promise.level == "local":
            self._owed.clear()
            return
        failures = self._failures
        nodes: set[Node | None] = set()
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._look()
                owners = self._owners if keys is None else [self._owners[slot_of_key(key)] for key in keys]
                nodes = set(owners)
                known = [node for node in dict.fromkeys(owners) if node is not None]
                self._nodes.check(known)
                await _all(self._confirm(node) for node in known)
        except BaseException:
            self._is_stale = True
            self._owe(range(SLOTS) if keys is None else map(slot_of_key, keys))
            raise
        owners = self._owners
        self._owed = {slot: at for slot, at in self._owed.items() if at > failures or owners[slot] not in nodes}

    async def make_up(self, commands: Sequence[Command]) -> None:
        if self._owed:
            keys = {key_of(command) for command in commands}
            owed = [key for key in keys if slot_of_key(key) in self._owed]
            if owed:
                await self.confirm(owed)

    @property
    def owes(self) -> bool:
        return bool(self._owed)

    def _owe(self, slots: Iterable[int]) -> None:
        self._failures += 1
        self._owed.update(dict.fromkeys(slots, self._failures))

    async def _confirm(self, node: Node) -> None:
        """By a key in one of its slots; in another where that slot moves just now."""
        async with self._nodes.talking(node):
            await self._mark(node)

    async def _mark(self, node: Node) -> None:
        refused: Exception = ClusterDownError(f"{node[0]}:{node[1]} has no slot")
        tags = (str(number) for number in range(SLOTS) if self._owners[slot_of(str(number))] == node)
        for tag in islice(tags, MARKS_MAX):
            try:
                await self._link(node).confirm_by(confirmed_of(tag))
                return
            except _REFUSED as error:
                refused = error
        raise refused

    @property
    def lacks_some(self) -> bool:
        return bool(self._nodes.gone)

    def lacks(self, key: bytes) -> bool:
        return bool(self._owners) and self._owners[slot_of_key(key)] in self._nodes.gone

    async def _is_there(self, node: Node) -> None:
        """On a connection of its own: the others may all be waiting for it."""
        link = Link(self._link(node).address, THERE_S)
        try:
            [said] = await link.exchange([("PING",)])
        finally:
            await link.close()
        if isinstance(said, Exception):
            raise said

    async def _is_back(self, node: Node) -> None:
        """Where its slots are another's by now it is not missed any more."""
        self._is_stale = True
        await self._look()
        if node not in self._primaries():
            return
        await self._is_there(node)
        if self.promise.level != "local":
            await self._mark(node)

    async def primaries(self) -> list[Link]:
        self._is_stale = True
        async with asyncio.timeout(self._timeout_s):
            await self._look()
        gone = self._nodes.gone
        return [self._link(node) for node in self._primaries() if node not in gone]

    @property
    def without_replicas(self) -> list[str]:
        return [name for link in self._links.values() for name in link.without_replicas]

    @property
    def not_replicated(self) -> int:
        return self._not_replicated + sum(link.not_replicated for link in self._links.values())

    async def close(self) -> None:
        await self._nodes.close()
        for link in self._links.values():
            await link.close()

    def _primaries(self) -> list[Node]:
        return list(dict.fromkeys(node for node in self._owners if node is not None))

    def _link(self, node: Node) -> Link:
        if node not in self._links:
            shown = f"{node[0]}:{node[1]} of {self.address.shown}"
            address = replace(self.address, host=node[0], port=node[1], shown=shown, seeds=())
            self._links[node] = Link(address, self._timeout_s, self.promise, mark=None)
        return self._links[node]

    async def _look(self) -> None:
        """Know which node has which slot. Raises what the last of the nodes that were asked said, or did not say."""
        async with self._looking:
            if not self._is_stale:
                return
            known = list(dict.fromkeys([*self._primaries(), *self.address.seeds]))
            gone = self._nodes.gone
            known = [node for node in known if node not in gone] or known
            self._turn += 1
            trouble: BaseException | None = None
            for number in range(min(len(known), ASKED_MAX)):
                node = known[(self._turn + number) % len(known)]
                try:
                    async with asyncio.timeout(LOOK_S):
                        [ranges] = await self._link(node).exchange([("CLUSTER", "SLOTS")])
                    if isinstance(ranges, Exception):
                        raise ranges
                except (RedisError, OSError) as error:
                    trouble = error
                    continue
                self._owners = _owners_of(ranges, node)
                self._is_stale = False
                await self._forget()
                return
            assert trouble is not None
            raise trouble

    async def _forget(self) -> None:
        """Of nodes that have no slot any more no connection is kept."""
        kept = {*self._primaries(), *self.address.seeds}
        for node in [node for node in self._links if node not in kept]:
            link = self._links.pop(node)
            self._not_replicated += link.not_replicated
            await link.close()


_REFUSED = (AskError, TryAgainError, ClusterDownError)  # MOVED is an AskError to the library


def key_of(command: Command) -> bytes:
    """The first key of a command; ValueError where it has none, for then no node is meant."""
    name = command[0]
    if name in ("FCALL", "FCALL_RO", "EVAL", "EVALSHA"):
        key = command[3] if command[2] else None
    elif name in ("XREAD", "XREADGROUP"):
        key = command[command.index("STREAMS") + 1]
    else:
        key = command[1] if len(command) > 1 else None
    if isinstance(key, str):
        return key.encode()
    if not isinstance(key, bytes):
        raise ValueError(f"a command without a key is for no node of a cluster: {name!r}")
    return key


def guarded(command: Command) -> Command:
    """A function that touches keys which it does not name is refused as long as the slot moves.

    While a slot moves key by key, a node that has the key which is named may lack others: the function would take them
    for not there, or end half-way. A further key that never exists makes the nodes say TRYAGAIN from the first key to
    the last, as they do for several keys of which they have not all; at any other time it changes nothing.
    """
    if command[0] not in ("FCALL", "FCALL_RO"):
        return command
    count = int(command[2])
    return (*command[:2], count + 1, *command[3 : 3 + count], key_of(command) + NEVER, *command[3 + count :])


def _owners_of(ranges: list[Any], asked: Node) -> list[Node | None]:
    """From the reply to CLUSTER SLOTS: first and last slot, the primary, and its replicas."""
    owners: list[Node | None] = [None] * SLOTS
    for first, last, (host, port, *_), *_ in ranges:
        name = (host or b"").decode()
        node = (asked[0] if name in ("", "?") else name, int(port))
        owners[first : last + 1] = [node] * (last + 1 - first)
    return owners


def _with_host(reply: Any, asked: Node) -> Any:
    """Where a node does not know how others are called from here, it leaves their host out: it is the node's own."""
    if isinstance(reply, AskError) and not reply.host:
        reply.node_addr = (asked[0], reply.port)
    return reply


async def _all(works: Iterable[Any]) -> None:
    """Let all come to an end, then raise the first error."""
    errors = [error for error in await asyncio.gather(*works, return_exceptions=True) if error is not None]
    if errors:
        raise errors[0]
