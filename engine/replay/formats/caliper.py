"""IMS Caliper 1.1 and 1.2: events and envelopes of them as JSON. It follows no address to an entity."""

from __future__ import annotations

from collections.abc import Iterator

from engine.core.model import Event, Json
from engine.replay.bad_records import BadRecords
from engine.replay.blocks import Progress
from engine.replay.elements import OUTERMOST
from engine.replay.formats.base import Head, Option, Settings
from engine.replay.formats.json_events import Seen, at_path, last_part, part, present, read_events
from engine.replay.formats.xapi import seconds_of
from engine.replay.records import make_event
from engine.replay.stamps import Stamps

WITHIN = (OUTERMOST, "data")


class Caliper:
    """The type is that of the event and its action: ``AssessmentItemEvent.Completed``."""

    name = "caliper"
    doc = "IMS Caliper events: lines, a list, or envelopes."
    options: tuple[Option, ...] = ("--timezone", "--user-at")

    def recognises(self, head: Head) -> bool:
        records = head.inside("data")
        return any(map(_is_event, records)) and all(_is_event(record) or "type" in record for record in records)

    def read(
        self, log: str, settings: Settings, bad: BadRecords, progress: Progress | None = None
    ) -> Iterator[list[Event]]:
        stamps, seen = Stamps(settings.zone), Seen()

        def read(record: dict[str, Json]) -> Event | None:
            if "action" not in record and "eventTime" not in record:
                return None  # what an entity is, not what happened
            user = _id(record.get("actor")) if settings.user is None else at_path(record, settings.user)
            kind, action = last_part(record.get("type")), last_part(record.get("action"))
            event_type = f"{kind}.{action}" if kind and action else kind or action
            event = make_event(
                stamps,
                record.get("eventTime"),
                user,
                event_type,
                _id(record.get("session")),
                record.get("id"),
                _data(record),
            )
            return None if event.id and seen.before(event.id) else event

        return read_events(log, read, bad, progress, WITHIN)


def _is_event(record: dict[str, Json]) -> bool:
    return all(name in record for name in ("type", "actor", "action", "object", "eventTime"))


def _id(entity: Json) -> Json:
    """An entity is its address, or an object that has it."""
    return entity.get("id") if isinstance(entity, dict) else entity


def _data(record: dict[str, Json]) -> dict[str, Json]:
    thing, generated = part(record, "object"), part(record, "generated")
    return present(
        object=_id(record.get("object")),
        object_type=last_part(thing.get("type")),
        name=thing.get("name"),
        target=_id(record.get("target")),
        generated=_id(record.get("generated")),
        score=generated.get("scoreGiven"),
        max_score=generated.get("maxScore", part(generated, "attempt").get("maxScore")),
        duration=seconds_of(generated.get("duration")),
        app=_id(record.get("edApp")),
        group=_id(record.get("group")),
        extensions=record.get("extensions"),
    )
