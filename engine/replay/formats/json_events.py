"""What formats of JSON records have in common. It knows none of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from hashlib import blake2b

from engine.core.model import Event, Json
from engine.replay.bad_records import BadLine, BadRecords
from engine.replay.blocks import Progress
from engine.replay.document import json_records
from engine.replay.elements import OUTERMOST
from engine.replay.formats.base import BATCH_EVENTS

REMEMBERED_MAX = 200_000  # ids of records, about 25 MB: what is delivered twice mostly comes soon after

# The event of a record, None where it is none. Raises `BadLine`.
ReadRecord = Callable[[dict[str, Json]], Event | None]


def read_events(
    log: str,
    read: ReadRecord,
    bad: BadRecords,
    progress: Progress | None = None,
    within: Collection[str] = (OUTERMOST,),
) -> Iterator[list[Event]]:
    """The events of a log's records, in their order. Raises OSError."""
    batch: list[Event] = []
    for number, text, record in json_records(log, bad, progress, within):
        try:
            event = read(record)
        except BadLine as trouble:
            bad.add(log, number, trouble, text)
            continue
        if event is not None:
            batch.append(event)
            if len(batch) == BATCH_EVENTS:
                yield batch
                batch = []
    if batch:
        yield batch


class Seen:
    """The names that have come, the last `REMEMBERED_MAX` of them."""

    def __init__(self, most: int = REMEMBERED_MAX) -> None:
        self._most = most
        self._digests: dict[bytes, None] = {}

    def before(self, *name: str) -> bool:
        """Whether this name has come before."""
        digest = blake2b("\0".join(name).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if digest in self._digests:
            return True
        if len(self._digests) >= self._most:
            del self._digests[next(iter(self._digests))]
        self._digests[digest] = None
        return False


def at_path(record: Json, path: str) -> Json:
    """What stands at a dotted path, None where nothing does."""
    for step in path.split("."):
        if not isinstance(record, dict):
            return None
        record = record.get(step)
    return record


def part(record: dict[str, Json], name: str) -> dict[str, Json]:
    """The object of that name, an empty one where there is none."""
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def present(**fields: Json) -> dict[str, Json]:
    """The fields that are there: a rule takes what is not for unknown."""
    return {name: value for name, value in fields.items() if value is not None}


def last_part(iri: Json) -> Json:
    """Of an address such as ``http://adlnet.gov/expapi/verbs/answered`` what is behind its last slash or ``#``."""
    return iri.rstrip("/#").replace("#", "/").rpartition("/")[2] if isinstance(iri, str) else iri
