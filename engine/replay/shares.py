"""Whose events a process takes, where several share the users of a log. It reads nothing.

Of a line of JSON only the user is decoded, as long as it says so plainly; otherwise the whole record, as its reader
would. So each line belongs to one share, and all lines of a user to the same. What has no user belongs to the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress
from operator import attrgetter
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from engine.core.model import Event, Json
from engine.replay.bad_records import BadLine
from engine.replay.jsonl import PIECE_LINES, Pick, decoded, fields_of, finder_of, record_of, struct_of
from engine.replay.mapping import Place, Source

Users = Callable[[list[bytes]], list[str] | None]

KNOWN_MAX = 200_000  # users of whom it is remembered whether they belong to the share

_OWN_USER = Place("user")


class Share(NamedTuple):
    """The ``number``, from 0, of so many shares."""

    number: int
    of: int

    @property
    def is_first(self) -> bool:
        return self.number == 0

    def has(self, user: str) -> bool:
        return crc32(user.encode("utf-8", "surrogatepass")) % self.of == self.number


class Members:
    """`Share.has`, remembered."""

    def __init__(self, share: Share) -> None:
        self.share = share
        self._known: dict[str, bool] = {}

    def has_each(self, users: Sequence[str]) -> list[bool]:
        known = self._known
        found = list(map(known.get, users))
        if None not in found:
            return found  # type: ignore[return-value]  # there is no None in it
        if len(known) >= KNOWN_MAX:
            known.clear()
        for user in users:
            if user not in known:
                known[user] = self.share.has(user)
        return [known[user] for user in users]


def own_events(batches: Iterable[list[Event]], share: Share) -> Iterator[list[Event]]:
    """The events of the share's users."""
    members = Members(share)
    for batch in batches:
        mine = members.has_each([event.user for event in batch])
        own = [event for event, is_mine in zip(batch, mine, strict=True) if is_mine]
        if own:
            yield own


def own_lines(source: Source | None, share: Share) -> Pick:
    """Picks the lines of JSON that belong to the share, with their numbers."""
    place = _OWN_USER if source is None else source.user
    members = Members(share)
    many = _users(place)
    find = finder_of(place)

    def pick(first: int, lines: list[bytes]) -> tuple[Sequence[int], list[bytes]]:
        own: list[bytes] = []
        numbers: list[int] = []
        for start in range(0, len(lines), PIECE_LINES):
            piece = lines[start : start + PIECE_LINES]
            users = many(piece)
            mine = [_belongs(line, find, many, share) for line in piece] if users is None else members.has_each(users)
            own += compress(piece, mine)
            numbers += compress(range(first + start, first + start + len(piece)), mine)
        return numbers, own

    return pick


def _users(place: Place) -> Users:
    """The users of some lines, None where any of the lines does not plainly say one."""
    constant = "" if place.path is not None else _name(place.value)
    if constant:
        return lambda lines: [constant] * len(lines)
    fields = fields_of([place])
    if place.path is None or not fields:
        return lambda lines: None
    attributes: dict[str, str] = {}
    decode = msgspec.json.Decoder(struct_of(fields, "", "", attributes)).decode_lines
    get: Callable[[Any], str] = attrgetter(attributes[place.path])

    def users(lines: list[bytes]) -> list[str] | None:
        records = decoded(decode, lines)
        try:
            found = list(map(get, records or ()))
        except AttributeError:
            return None  # such as text where an object was expected on the way
        return found if set(map(type, found)) == {str} and "" not in found else None

    return users


def _belongs(line: bytes, find: Callable[[dict[str, Json]], Json], many: Users, share: Share) -> bool:
    try:
        user = find(record_of(line))
    except BadLine:
        return share.is_first
    except msgspec.MsgspecError:
        # What is wrong may stand where nobody looks, and then the line is read all the same.
        found = many([line])
        user = found[0] if found else None
    name = _name(user)
    return share.has(name) if name else share.is_first


def _name(user: Json) -> str:
    """As `make_event` takes it, "" where it would not."""
    if type(user) is int:
        return str(user)
    return user if isinstance(user, str) else ""
