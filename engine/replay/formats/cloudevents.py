"""CloudEvents 1.0 as JSON (github.com/cloudevents/spec): one by one, or in batches. It asks no source for anything."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

import msgspec

from engine.core.model import Event, Json
from engine.replay.bad_records import BadLine, BadRecords
from engine.replay.blocks import Progress
from engine.replay.formats.base import Head, Option, Settings
from engine.replay.formats.json_events import Seen, at_path, read_events
from engine.replay.records import make_event
from engine.replay.stamps import Stamps

USER = "subject"
# Attributes that become parts of the event, or say how its data is written (spec 1.0.2, "Context Attributes").
_NO_DATA = frozenset({"specversion", "id", "type", "time", "data", "data_base64", "datacontenttype", "dataschema"})


class CloudEvents:
    """The user is at the path of the settings: ``subject``, an extension, or ``data.…``."""

    name = "cloudevents"
    doc = "CloudEvents 1.0 in JSON: lines, or batches."
    options: tuple[Option, ...] = ("--timezone", "--user-at")

    def recognises(self, head: Head) -> bool:
        return bool(head.records) and all(
            isinstance(record.get(name), str)
            for record in head.records
            for name in ("specversion", "id", "source", "type")
        )

    def read(
        self, log: str, settings: Settings, bad: BadRecords, progress: Progress | None = None
    ) -> Iterator[list[Event]]:
        stamps, seen, user_at = Stamps(settings.zone), Seen(), settings.user or USER

        def read(record: dict[str, Json]) -> Event | None:
            if not str(record.get("specversion")).startswith("1."):
                raise BadLine("unknown specversion", f"expected 1.0, got {record.get('specversion')!r}"[:120])
            user = at_path(record, user_at)
            if user is None:
                raise BadLine("no user", f'it has no "{user_at}"; --user-at says where records name their user')
            event = make_event(stamps, record.get("time"), user, record.get("type"), None, record.get("id"), {})
            if event.id and seen.before(str(record.get("source")), event.id):
                return None
            return msgspec.structs.replace(event, data=_data(record))

        return read_events(log, read, bad, progress)


def _data(record: dict[str, Json]) -> dict[str, Json]:
    """The fields of the payload, and beside them the source, the subject and the extensions."""
    attributes = {name: value for name, value in record.items() if name not in _NO_DATA and value is not None}
    payload = record.get("data")
    if payload is None and record.get("data_base64") is not None:
        payload = _decoded(record["data_base64"], str(record.get("datacontenttype") or "application/json"))
    if payload is None:
        return attributes
    return attributes | (payload if isinstance(payload, dict) else {"data": payload})


def _decoded(packed: Json, content_type: str) -> Json:
    """Of bytes that are JSON or text what they say; any others as they were written."""
    if not isinstance(packed, str):
        raise BadLine("bad data", f"expected base64 text, got {packed!r}"[:120])
    try:
        content = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        raise BadLine("bad data", "it is no base64") from None
    media = content_type.partition(";")[0].strip().lower()
    try:
        if media.endswith(("/json", "+json")):
            return msgspec.json.decode(content)
        if media.startswith("text/"):
            return content.decode()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadLine("bad data", f"it is no {media}"[:120]) from None
    return packed
