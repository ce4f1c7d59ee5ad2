"""Hours of gharchive.org, since 2015: one public event of GitHub per line. It fetches none of them."""

from __future__ import annotations

from collections.abc import Iterator

from engine.core.model import Event, Json
from engine.replay.bad_records import BadRecords
from engine.replay.blocks import Progress
from engine.replay.formats.base import Head, Option, Settings
from engine.replay.formats.json_events import Seen, at_path, part, present, read_events
from engine.replay.records import make_event
from engine.replay.stamps import Stamps


class GhArchive:
    """The payload is the data, and beside it the names of the repository and of the organisation."""

    name = "gharchive"
    doc = "Hours of GH Archive, 2015 and later."
    options: tuple[Option, ...] = ("--timezone", "--user-at")

    def recognises(self, head: Head) -> bool:
        return bool(head.records) and all(
            isinstance(at_path(record, "actor.login"), str)
            and isinstance(at_path(record, "repo.name"), str)
            and all(isinstance(record.get(name), str) for name in ("id", "type", "created_at"))
            for record in head.records
        )

    def read(
        self, log: str, settings: Settings, bad: BadRecords, progress: Progress | None = None
    ) -> Iterator[list[Event]]:
        stamps, seen = Stamps(settings.zone), Seen()

        def read(record: dict[str, Json]) -> Event | None:
            data = present(repo=at_path(record, "repo.name"), org=at_path(record, "org.login"))
            user = at_path(record, settings.user or "actor.login")
            at, event_type, key = record.get("created_at"), record.get("type"), record.get("id")
            event = make_event(stamps, at, user, event_type, None, key, data | part(record, "payload"))
            return None if event.id and seen.before(event.id) else event

        return read_events(log, read, bad, progress)
