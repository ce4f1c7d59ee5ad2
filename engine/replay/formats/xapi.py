"""Statements of the Experience API 1.0.3 (github.com/adlnet/xAPI-Spec). It asks no store for more of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from engine.core.model import Event, Json
from engine.replay.bad_records import BadLine, BadRecords
from engine.replay.blocks import Progress, rereadable
from engine.replay.document import json_records
from engine.replay.elements import OUTERMOST
from engine.replay.formats.base import Head, Option, Settings
from engine.replay.formats.json_events import Seen, at_path, last_part, part, present, read_events
from engine.replay.records import make_event
from engine.replay.stamps import Stamps

WITHIN = (OUTERMOST, "statements")
VOIDED = "http://adlnet.gov/expapi/verbs/voided"
VOIDED_MAX = 200_000  # statements that one log can cancel
_SAYS_VOIDED = re.compile(rb"voided")
# ISO 8601, as far as it is a number of seconds: years and months are of no fixed length.
_DURATION = re.compile(
    r"P(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?",
    re.ASCII,
)
_SECONDS = (7 * 86_400, 86_400, 3600, 60, 1)


class Xapi:
    """The verb is the type, the registration the session. A statement that another one cancels does not count."""

    name = "xapi"
    doc = "xAPI statements: lines, a list, or what a store answers."
    options: tuple[Option, ...] = ("--timezone", "--user-at")

    def __init__(self, voided_max: int = VOIDED_MAX) -> None:
        self._voided_max = voided_max

    def recognises(self, head: Head) -> bool:
        records = head.inside("statements")
        return bool(records) and all(
            isinstance(record.get("actor"), dict)
            and isinstance(at_path(record, "verb.id"), str)
            and isinstance(record.get("object"), dict)
            for record in records
        )

    def read(
        self, log: str, settings: Settings, bad: BadRecords, progress: Progress | None = None
    ) -> Iterator[list[Event]]:
        with rereadable(log, progress) as again:
            # A store answers newest first, so what is cancelled may come after what cancels it.
            reader = _Statements(settings, _voided_in(again, bad, self._voided_max))
            yield from read_events(again, reader.read, bad, progress, WITHIN)


def _voided_in(log: str, bad: BadRecords, most: int) -> set[str]:
    """The ids of the statements that others cancel."""
    voided: set[str] = set()
    unread = BadRecords()  # they are counted when all is read
    for number, text, statement in json_records(log, unread, None, WITHIN, _SAYS_VOIDED):
        reference = at_path(statement, "object.id")
        if at_path(statement, "verb.id") == VOIDED and isinstance(reference, str):
            if len(voided) < most:
                voided.add(reference.lower())
            else:
                bad.add(log, number, BadLine("too many voided", f"more than {most}"), text)
    return voided


class _Statements:
    def __init__(self, settings: Settings, voided: set[str]) -> None:
        self._stamps = Stamps(settings.zone)
        self._user_at = settings.user
        self._voided = voided
        self._seen = Seen()

    def read(self, statement: dict[str, Json]) -> Event | None:
        verb = at_path(statement, "verb.id")
        if verb == VOIDED:
            return None
        key = statement.get("id")
        if isinstance(key, str) and (key.lower() in self._voided or self._seen.before(key.lower())):
            return None
        user = _actor(statement.get("actor")) if self._user_at is None else at_path(statement, self._user_at)
        return make_event(
            self._stamps,
            statement.get("timestamp") or statement.get("stored"),
            user,
            last_part(verb),
            at_path(statement, "context.registration"),
            key,
            _data(statement),
        )


def _actor(actor: Json) -> Json:
    """One of the four ways to say who it is; None for a group that is only a list of people."""
    if not isinstance(actor, dict):
        return None
    mbox = actor.get("mbox")
    if isinstance(mbox, str):
        return mbox.removeprefix("mailto:")
    return at_path(actor, "account.name") or actor.get("mbox_sha1sum") or actor.get("openid")


def _data(statement: dict[str, Json]) -> dict[str, Json]:
    thing, result, context = part(statement, "object"), part(statement, "result"), part(statement, "context")
    definition, score = part(thing, "definition"), part(result, "score")
    extensions = part(definition, "extensions") | part(context, "extensions") | part(result, "extensions")
    return present(
        verb=at_path(statement, "verb.id"),
        object=thing.get("id"),
        object_type=last_part(definition.get("type")),
        name=_in_some_language(definition.get("name")),
        ok=result.get("success"),
        completion=result.get("completion"),
        score=score.get("scaled", score.get("raw")),
        duration=seconds_of(result.get("duration")),
        text=result.get("response"),
        platform=context.get("platform"),
        extensions=extensions or None,
    )


def _in_some_language(names: Json) -> Json:
    """English where there is any, else the first."""
    if not isinstance(names, dict):
        return None
    return next((names[tag] for tag in names if tag.lower().split("-")[0] == "en"), next(iter(names.values()), None))


def seconds_of(duration: Json) -> float | None:
    """``"PT1M30.5S"`` is 90.5; None for what is no duration, or is of years or months."""
    found = _DURATION.fullmatch(duration) if isinstance(duration, str) and len(duration) <= 60 else None
    if found is None or not any(found.groups()):
        return None
    return float(sum(Decimal(number) * size for number, size in zip(found.groups(), _SECONDS, strict=True) if number))
