"""What is known of one user and what was done: events, decisions with their reasons, messages and what became of them.

It reads the store and changes nothing.
"""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Iterator, Mapping

from engine.core.model import LIFECYCLE_PREFIX, Event, Json, Message
from engine.core.remembered import Preferences
from engine.core.state import StateUnreadable, StateVersionUnknown, UserState
from engine.core.units import format_at
from engine.storage.base import NEWEST, Entry, Store, StoreError
from engine.transport.decoding import bad_frame
from engine.transport.frames import preferences_frame

ITEMS_DEFAULT = 50
ITEMS_MAX = 500  # of one reply
OUTCOMES_MAX = 1000  # the latest entries among which it is looked for what became of messages
FIRST = NEWEST  # where a timeline begins
_CURSOR = re.compile(r"(\d{1,18})\.(\d{1,18})", re.ASCII)

Became = Mapping[str, list[dict[str, Json]]]  # of messages, by id


def read_before(text: str | None) -> tuple[int, int]:
    """``?before=``, which is the ``next`` of a former reply. Raises `WireError`."""
    if text is None:
        return FIRST
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise bad_frame(f'expected "before" to be the "next" of a timeline, got "{text[:80]}"')
    return int(found[1]), int(found[2])


async def timeline_of(store: Store, user: str, before: tuple[int, int], items_max: int, now: int) -> dict[str, Json]:
    """The reply, with the newest ``items_max`` items that lie before ``before``. Raises `StoreError`."""
    encoded = (await store.load([user])).get(user)
    try:
        state = UserState(user) if encoded is None else UserState.decode(encoded)
    except (StateUnreadable, StateVersionUnknown) as error:
        raise StoreError(f"the state of the user cannot be read: {error}", "corrupt") from None
    # One more of each tells whether there is anything left.
    recorded = await store.recorded(user, before, items_max + 1)
    latest = await store.recorded(user, FIRST, OUTCOMES_MAX)
    became = _outcomes(entry.event for _, entry in reversed(latest.entries) if entry.event is not None)
    entries = ((number, _entry_item(entry, became)) for number, entry in recorded.entries)
    decisions = ((number, _decision_item(line, became)) for number, line in recorded.decisions)
    items: list[dict[str, Json]] = []
    end = list(before)
    for number, item in heapq.merge(entries, decisions, key=_newest_first, reverse=True):
        if len(items) == items_max:
            break
        items.append(item)
        end[item["kind"] == "decision"] = number
    has_more = len(recorded.entries) + len(recorded.decisions) > len(items)
    return {
        "user": user,
        "present": state.present_since is not None,
        "sessions": [{"session": name, "since": format_at(since)} for name, since in reversed(state.sessions.items())],
        "attributes": state.attributes,
        "preferences": preferences_frame(state.preferences or Preferences()),
        "waiting": [outgoing.message.id for outgoing in await store.pending(user, now)],
        "items": items,
        "next": f"{end[0]}.{end[1]}" if has_more else None,
    }


def _newest_first(pair: tuple[int, dict[str, Json]]) -> tuple[str, bool]:
    """A decision comes of what happened at its moment, so of the two it is the newer."""
    return pair[1]["at"], pair[1]["kind"] == "decision"


def _entry_item(entry: Entry, became: Became) -> dict[str, Json]:
    event = entry.event
    if event is None:
        return {"kind": "message", "at": format_at(entry.at), "message": _told(entry.message, became)}
    item: dict[str, Json] = {
        "kind": "event", "at": format_at(entry.at), "id": event.id, "type": event.type, "data": event.data,
    }  # fmt: skip
    if event.session is not None:
        item["session"] = event.session
    if event.at_reported is not None:
        item["at_reported"] = format_at(event.at_reported)
    return item


def _decision_item(line: bytes, became: Became) -> dict[str, Json]:
    """As it was recorded, the reason in words, less the user, whom the timeline names."""
    item: dict[str, Json] = {"kind": "decision", **json.loads(line)}
    item.pop("user", None)
    if item["message"] is not None:
        item["message"]["became"] = became.get(item["message"]["id"], [])
    return item


def _told(message: Message | None, became: Became) -> dict[str, Json] | None:
    if message is None:
        return None
    told: dict[str, Json] = {"id": message.id, "type": message.type, "text": message.text}
    if message.options:
        told["options"] = list(message.options)
    if message.data:
        told["data"] = message.data
    if message.expires_at is not None:
        told["expires_at"] = format_at(message.expires_at)
    return {**told, "became": became.get(message.id, [])}


def _outcomes(events: Iterator[Event]) -> Became:
    found: dict[str, list[dict[str, Json]]] = {}
    for event in events:
        message_id = event.data.get("message_id")
        if not event.type.startswith(LIFECYCLE_PREFIX) or not isinstance(message_id, str):
            continue
        outcome = {"at": format_at(event.at), "outcome": event.type.removeprefix(LIFECYCLE_PREFIX)}
        if isinstance(event.data.get("response"), str):
            outcome["response"] = event.data["response"]
        found.setdefault(message_id, []).append(outcome)
    return found
