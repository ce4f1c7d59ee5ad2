"""Calls of Segment and RudderStack (segment.com/docs/connections/spec): who is who, then what they did.

It reads the log twice, and remembers ids, not calls.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from operator import itemgetter

from engine.core.model import Event, Json
from engine.core.units import AT_MAX, AT_MIN
from engine.replay.bad_records import BadLine, BadRecords
from engine.replay.blocks import Progress, rereadable
from engine.replay.document import json_records
from engine.replay.elements import OUTERMOST
from engine.replay.formats.base import Head, Option, Settings
from engine.replay.formats.json_events import Seen, at_path, part, read_events
from engine.replay.records import event_of, moment_of
from engine.replay.stamps import Stamps

WITHIN = (OUTERMOST, "batch")
LINKS_MAX = 500_000  # that one log can make between ids, about 150 MB
ALIASES_MAX = 8  # from one user id to the next
_TYPES = {"identify": "user.identify", "page": "page_view", "screen": "screen_view", "group": "group"}
CALLS = frozenset({*_TYPES, "track", "alias"})


class Segment:
    """What an anonymous id did, before it was identified and after, its user did."""

    name = "segment"
    doc = "Calls of Segment or RudderStack: lines, a list, or batches."
    options: tuple[Option, ...] = ("--timezone", "--user-at")

    def __init__(self, links_max: int = LINKS_MAX) -> None:
        self._links_max = links_max

    def recognises(self, head: Head) -> bool:
        calls = head.inside("batch")
        return bool(calls) and all(
            isinstance(call.get("type"), str)
            and call["type"] in CALLS
            and ("userId" in call or "anonymousId" in call)
            and not {"at", "user"} & call.keys()
            for call in calls
        )

    def read(
        self, log: str, settings: Settings, bad: BadRecords, progress: Progress | None = None
    ) -> Iterator[list[Event]]:
        stamps, seen = Stamps(settings.zone), Seen()
        with rereadable(log, progress) as again:
            people = _People(self._links_max)
            people.learn(again, stamps, bad)

            def read(call: dict[str, Json]) -> Event | None:
                kind = call.get("type")
                if kind not in CALLS:
                    raise BadLine("unknown call", f"expected one of {', '.join(sorted(CALLS))}, got {kind!r}"[:160])
                at = happened(call, stamps)
                user = people.who(call, at) if settings.user is None else at_path(call, settings.user)
                event_type = call.get("event") if kind == "track" else _TYPES.get(kind, kind)
                key, session = call.get("messageId"), at_path(call, "context.sessionId")
                event = event_of(at, user, event_type, session, key, _data(call))
                again_sent = bool(event.id) and seen.before(event.id)
                return None if again_sent or kind == "alias" else event

            yield from read_events(again, read, bad, progress, WITHIN)


def happened(call: dict[str, Json], stamps: Stamps) -> int:
    """When, in microseconds: ``timestamp``, which is corrected already; else by the clock of the server.

    The client's clock is off by as much as it said when it sent. Raises `BadLine`.
    """
    if call.get("timestamp"):
        return moment_of(stamps, call["timestamp"])
    original, sent, received = (call.get(name) for name in ("originalTimestamp", "sentAt", "receivedAt"))
    if original and sent and received:
        at = moment_of(stamps, received) - (moment_of(stamps, sent) - moment_of(stamps, original))
        return min(max(at, AT_MIN), AT_MAX)
    return moment_of(stamps, original or received or sent)


class _People:
    """Who is behind an id, and from when on."""

    def __init__(self, links_max: int) -> None:
        self._links_max = links_max
        self._links: dict[str, list[tuple[int, str]]] = {}  # of an anonymous id, by moment
        self._aliases: dict[str, tuple[int, str]] = {}  # of an id of before, the last
        self._count = 0

    def learn(self, log: str, stamps: Stamps, bad: BadRecords) -> None:
        """Take all links between ids from a log."""
        unread = BadRecords()  # they are counted when all is read
        for number, text, call in json_records(log, unread, None, WITHIN):
            user, anonymous = _id(call.get("userId")), _id(call.get("anonymousId"))
            before = _id(call.get("previousId")) if call.get("type") == "alias" else ""
            if not user or not (anonymous or before):
                continue
            try:
                at = happened(call, stamps)
            except BadLine:
                continue
            if self._count >= self._links_max:
                bad.add(log, number, BadLine("too many ids", f"more than {self._links_max} links between ids"), text)
                continue
            if before and before != user:
                self._link(before, at, user)
                self._aliases[before] = max(self._aliases.get(before, (at, user)), (at, user))
            if anonymous:
                self._link(anonymous, at, user)
        for links in self._links.values():
            links.sort(key=itemgetter(0))

    def _link(self, anonymous: str, at: int, user: str) -> None:
        links = self._links.setdefault(anonymous, [])
        # Most calls say what is known: only a change counts, or what comes too late to be sure.
        if not links or links[-1][1] != user or at < links[-1][0]:
            links.append((at, user))
            self._count += 1

    def who(self, call: dict[str, Json], at: int) -> Json:
        """Whose call it is.

        Of an anonymous id the user to whom it was linked last at that moment; before all links, the first.
        """
        user = call.get("userId")
        if user is None or user == "":
            anonymous = _id(call.get("anonymousId"))
            links = self._links.get(anonymous)
            if links is None:
                user = call.get("anonymousId")
            else:
                user = links[max(bisect_right(links, at, key=itemgetter(0)) - 1, 0)][1]
        for _ in range(ALIASES_MAX):
            alias = self._aliases.get(_id(user))
            if alias is None:
                break
            user = alias[1]
        return user


def _id(value: Json) -> str:
    """Ids are texts or whole numbers; anything else is none here, and a bad record when the call is read."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _data(call: dict[str, Json]) -> dict[str, Json]:
    """The payload, and beside it where it happened."""
    traits = part(call, "traits") or at_path(call, "context.traits")
    if call.get("type") == "identify":
        return traits if isinstance(traits, dict) else {}
    data = {name: call[name] for name in ("name", "category", "groupId", "context") if call.get(name) is not None}
    payload = part(call, "traits") if call.get("type") == "group" else part(call, "properties")
    return data | payload
