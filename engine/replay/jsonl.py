"""JSON lines to events: the engine's own form (rules-language, section 2), and any other by a mapping.

Two ways lead from lines to events. The careful one decodes a whole record and looks; the fast one decodes many lines at
once to just the fields in question, and leaves to the careful one whatever it does not expect. So the careful one is
the meaning, and no line is read otherwise for what stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from functools import partial
from operator import attrgetter
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec

from engine.core.model import Event, Json
from engine.core.refusal import Refused
from engine.loading.wording import listed
from engine.replay.bad_records import BadLine, BadRecords
from engine.replay.blocks import Progress, read_lines
from engine.replay.json_bounds import DEPTH_MAX, check_bounds
from engine.replay.mapping import Place, Source
from engine.replay.records import make_event
from engine.replay.stamps import Stamps

ReadLine = Callable[[bytes], Event]  # raises `BadLine`, or what msgspec raises for a line that is not JSON
# Takes the number of the first line, and the lines; gives those that are to be read, with their numbers.
Pick = Callable[[int, list[bytes]], tuple[Sequence[int], list[bytes]]]
ReadLines = Callable[[list[bytes]], Sequence[Event | None]]  # None for a line that has to be read with care

# Lines that are decoded at once: one that is odd makes all of them be read with care.
PIECE_LINES = 100

NAMES_LENGTH_MAX = 200  # characters of a list of names that a message has
_decode_json = msgspec.json.Decoder().decode

Record = TypeVar("Record")


def read_jsonl(
    log: str, source: Source | None, bad: BadRecords, events: list[Event], progress: Progress | None = None
) -> None:
    """Append the events of a log, in the order of its lines: of the engine's own form if there is no source."""
    for batch in jsonl_batches(log, source, bad, progress):
        events += batch


def jsonl_batches(
    log: str,
    source: Source | None,
    bad: BadRecords,
    progress: Progress | None = None,
    pick: Pick | None = None,
    bad_bytes: BadRecords | None = None,
) -> Iterator[list[Event]]:
    """The events of a log, in the order of its lines, some thousands at a time: those of one block of its bytes.

    They are of the engine's own form if there is no source. Where others read the log as well, ``pick`` says which of
    the lines are to be read here, and ``bad_bytes`` takes what is wrong before there are lines.
    """
    form = own_form() if source is None else mapped_form(source)
    for first, lines in read_lines(log, bad if bad_bytes is None else bad_bytes, progress):
        numbers, own = (range(first, first + len(lines)), lines) if pick is None else pick(first, lines)
        batch: list[Event] = []
        for start in range(0, len(own), PIECE_LINES):
            end = start + PIECE_LINES
            batch += read_piece(own[start:end], form, Whereabouts(log, numbers[start:end], source, bad))
        if batch:
            yield batch


class Whereabouts(NamedTuple):
    """Where lines stand, by their numbers, and where to write down what is wrong with them."""

    log: str
    numbers: Sequence[int]
    source: Source | None
    bad: BadRecords


def read_piece(lines: list[bytes], form: Form, place: Whereabouts) -> list[Event]:
    """The events of some lines, at most about `PIECE_LINES` of them; empty ones have none."""
    events = form.read_many(lines)
    if not all(events):
        return _with_care(lines, events, form.read, place)
    return events  # type: ignore[return-value]  # all of them are events


def _with_care(lines: list[bytes], events: Sequence[Event | None], read: ReadLine, place: Whereabouts) -> list[Event]:
    """The events of the lines, of which some have been read already."""
    log, numbers, source, bad = place
    read_now: list[Event] = []
    for number, line, event in zip(numbers, lines, events, strict=True):
        try:
            if event is None:
                event = read(line)
            read_now.append(event)
        except BadLine as trouble:
            header = header_of(line) if number == 1 and source is None else None
            if header is not None:
                bad.declare(log, header)
                continue
            bad.add(log, number, trouble, line, partial(_misses, source, line))
        except msgspec.MsgspecError as error:
            if line.strip():
                bad.add(log, number, BadLine("not JSON", str(error)), line)
    return read_now


def header_of(line: bytes) -> dict[str, Json] | None:
    """What a log of the engine's own form says of itself in its first line, ``{"log": {…}}``; None for a record."""
    try:
        record = record_of(line)
    except (BadLine, msgspec.MsgspecError):
        return None
    header = record.get("log")
    return header if len(record) == 1 and isinstance(header, dict) else None


def _no_own(line: bytes) -> str:
    """What a record has that is not of the engine's own form: ``the first record has time, who, and no "at"``."""
    try:
        record = record_of(line)
    except (BadLine, msgspec.MsgspecError):
        return ""
    lacking = [name for name in ("at", "user", "type") if name not in record]
    if not lacking or not record:
        return ""
    has = _short(f"the first record has {', '.join(record)}")
    return f"does the log need --source? {has}, and no {listed(lacking, 'or')}"


def _short(names: str) -> str:
    return names if len(names) <= NAMES_LENGTH_MAX else names[: NAMES_LENGTH_MAX - 1] + "…"


def _misses(source: Source | None, line: bytes) -> str:
    """What a record lacks that the mapping needs: ``no field "tme" (at: in s.yaml); the record has seq, time``."""
    if source is None:
        return _no_own(line)
    try:
        record = record_of(line)
    except (BadLine, msgspec.MsgspecError):
        return ""
    for name, place in (("at", source.at), ("user", source.user), ("type", source.type)):
        if place.path is not None and finder_of(place)(record) is None:
            near = get_close_matches(place.path, record, n=1)
            has = f'did you mean "{near[0]}"?' if near else _short(f"the record has {', '.join(record)}")
            return f'no field "{place.path}" ({name}: in {source.file}); {has}'
    return ""


def record_of(line: bytes) -> dict[str, Json]:
    check_bounds(line)
    try:
        record = _decode_json(line)
    except RecursionError:
        raise BadLine("nested too deeply", f"more than {DEPTH_MAX} levels") from None
    if not isinstance(record, dict):
        raise BadLine("not an object", "expected {…}")
    return record


class Form(NamedTuple):
    """The two ways from lines to events: one line with care, and many of which few are odd."""

    read: ReadLine
    read_many: ReadLines


class _Own(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A record as nearly all of them are; any other is read with care."""

    at: str | float | int
    user: Annotated[str, msgspec.Meta(min_length=1)]
    type: Annotated[str, msgspec.Meta(min_length=1)]
    data: dict[str, Any]
    session: str | None = None
    id: str | None = None


OWN_FIELDS = frozenset({*_Own.__struct_fields__, "at_reported"})


def own_form() -> Form:
    """Reads lines of the engine's own form. Fields beside ``data`` are data too; ``data`` wins over them."""
    stamps = Stamps()
    decode = msgspec.json.Decoder(_Own).decode_lines

    def read(line: bytes) -> Event:
        record = record_of(line)
        data = record.get("data")
        if data is None:
            data = {}
        elif not isinstance(data, dict):
            raise BadLine("bad data", f"expected an object, got {data!r}"[:120])
        get = record.get
        further = {name: value for name, value in record.items() if name not in OWN_FIELDS}
        data = {**further, **data}
        event = make_event(stamps, get("at"), get("user"), get("type"), get("session"), get("id"), data)
        reported = get("at_reported")
        if reported is None:
            return event
        try:
            return msgspec.structs.replace(event, at_reported=stamps.parse(reported))
        except Refused as refused:
            raise BadLine("bad time", refused.message) from None

    def read_many(lines: list[bytes]) -> Sequence[Event | None]:
        records = decoded(decode, lines)
        if records is None:
            return [None] * len(lines)
        moments = stamps.parse_all([own.at for own in records])
        return [
            None if at is None else Event(own.type, own.user, at, own.data, own.id or "", own.session or None)
            for own, at in zip(records, moments, strict=True)
        ]

    return Form(read, read_many)


def decoded(decode: Callable[[bytes], list[Record]], lines: list[bytes]) -> list[Record] | None:
    """A record for each line, or None where any of them is not what the decoder is made for."""
    try:
        # As many brackets take at least so much room, and most lines are shorter.
        if max(map(len, lines), default=0) > 2 * DEPTH_MAX:
            for line in lines:
                check_bounds(line)
        text = b"\n".join(lines)
        # Where each line ends and begins like this, none is blank and no record goes over several, for within a record
        # there is a comma between the two; and as many records as lines are then one in each.
        ends = text.count(b"}\n{")
        if ends != len(lines) - 1 and ends + text.count(b"}\r\n{") != len(lines) - 1:
            return None
        records = decode(text)
    except (BadLine, msgspec.MsgspecError):
        return None
    return records if len(records) == len(lines) else None


def mapped_form(source: Source) -> Form:
    """Reads lines of a foreign log as the mapping says."""
    careful = _careful(source)
    fields = fields_of([*_main_places(source), *(source.data or {}).values()])
    if source.data is None or fields is None:
        return Form(careful, lambda lines: [None] * len(lines))
    read_many = _fast(source, fields)

    def read(line: bytes) -> Event:
        try:
            return careful(line)
        except msgspec.MsgspecError:
            # A number that no float can be does not matter where nobody asks for it, as it does not in the fast way.
            (event,) = read_many([line])
            if event is None:
                raise
            return event

    return Form(read, read_many)


def _careful(source: Source) -> ReadLine:
    stamps = Stamps(source.zone)
    main = [finder_of(place) for place in _main_places(source)]
    data_finders = None if source.data is None else [(name, finder_of(place)) for name, place in source.data.items()]

    def read(line: bytes) -> Event:
        record = record_of(line)
        if data_finders is None:
            data = {name: value for name, value in record.items() if value is not None}
        else:
            found = ((name, find(record)) for name, find in data_finders)
            data = {name: value for name, value in found if value is not None}
        at, user, event_type, session, event_id = [find(record) for find in main]
        return make_event(stamps, at, user, event_type, session, event_id, data)

    return read


def _main_places(source: Source) -> tuple[Place, Place, Place, Place, Place]:
    nothing = Place(path=None)
    return source.at, source.user, source.type, source.session or nothing, source.id or nothing


def finder_of(place: Place) -> Callable[[dict[str, Json]], Json]:
    """What stands at a place of a record; None where nothing does."""
    if place.path is None:
        return lambda record: place.value
    *outer, last = place.path.split(".")

    def find(record: Json) -> Json:
        for step in outer:
            record = record.get(step)
            if type(record) is not dict:
                return None
        return record.get(last)

    return find


def fields_of(places: Iterable[Place]) -> dict[str, Any] | None:
    """The paths of places as a tree of fields to decode; None where that cannot be, such as one within another."""
    tree: dict[str, Any] = {}
    for path in dict.fromkeys(place.path for place in places if place.path is not None):
        if not path.isprintable() or '"' in path or "\\" in path:
            return None  # the made decoder knows no fields of such names
        *outer, last = path.split(".")
        branch = tree
        for step in outer:
            branch = branch.setdefault(step, {})
            if branch is _LEAF:
                return None
        if last in branch:
            return None
        branch[last] = _LEAF
    return tree


_LEAF: dict[str, Any] = {"": None}  # known by identity, never changed


def _fast(source: Source, fields: dict[str, Any]) -> ReadLines:
    attributes: dict[str, str] = {}
    decode = msgspec.json.Decoder(struct_of(fields, "", "", attributes)).decode_lines
    places = [*_main_places(source), *(source.data or {}).values()]
    # A constant has no field; it takes the place of what is not there.
    get = attrgetter(*(_ABSENT if place.path is None else attributes[place.path] for place in places))
    constants = [place.value for place in places]
    has_constants = any(value is not None for value in constants)
    names = tuple(source.data or {})
    stamps = Stamps(source.zone)

    def read_many(lines: list[bytes]) -> Sequence[Event | None]:
        records = decoded(decode, lines)
        try:
            found: list[Sequence[Json]] = list(map(get, records or ()))
        except AttributeError:
            records = None  # such as text where an object was expected on the way
        if records is None:
            return [None] * len(lines)
        if has_constants:
            found = [_filled(values, constants) for values in found]
        events: list[Event | None] = []
        moments = stamps.parse_all([values[0] for values in found])
        for at, (_, user, event_type, session, event_id, *values) in zip(moments, found, strict=True):
            event = None
            if (
                at is not None
                and type(user) is str and user
                and type(event_type) is str and event_type
                and (session is None or type(session) is str)
                and (event_id is None or type(event_id) is str)
            ):  # fmt: skip
                data = {}
                for name, value in zip(names, values, strict=False):
                    if value is not None:
                        data[name] = value  # noqa: PERF403  # a comprehension is one more call for each record
                event = Event(event_type, user, at, data, event_id or "", session or None)
            events.append(event)
        return events

    return read_many


def _filled(values: Sequence[Json], constants: list[Json]) -> list[Json]:
    return [constant if value is None else value for value, constant in zip(values, constants, strict=True)]


_ABSENT = "absent"  # an attribute of the class: no field of a record can fill it


def struct_of(fields: dict[str, Any], prefix: str, dotted: str, attributes: dict[str, str]) -> type[msgspec.Struct]:
    """A type that decodes just these fields. ``attributes`` gets the attribute path of every dotted path."""
    members: list[tuple[str, Any, Any]] = []
    renamed = {}
    for index, (name, inner) in enumerate(fields.items()):
        member = f"f{index}"
        renamed[member] = name
        path = dotted + name
        if inner is _LEAF:
            attributes[path] = prefix + member
            members.append((member, Any, None))
        else:
            struct = struct_of(inner, f"{prefix}{member}.", f"{path}.", attributes)
            members.append((member, struct | None, msgspec.field(default_factory=struct)))
    return msgspec.defstruct("Fields", members, rename=renamed, namespace={_ABSENT: None}, gc=False, frozen=True)
