"""JSON lines to events: the engine's own form (rules-language, section 2), and any other by a mapping.

Two ways lead from a line to an event. The careful one decodes the whole record and looks; the fast one has a
decoder made for just the fields in question. The fast one hands over to the careful one whatever it does not
expect, so the careful one is the meaning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from operator import attrgetter
from typing import Any

import msgspec

from engine.core.model import Event, Json
from engine.loading.wording import listed
from engine.replay.bad_records import BadLine, BadRecords
from engine.replay.blocks import Progress, read_lines
from engine.replay.mapping import Place, Source
from engine.replay.records import make_event
from engine.replay.stamps import Stamps

ReadLine = Callable[[bytes], Event]  # raises `BadLine`, or what msgspec raises for a line that is not JSON

# Of lists and objects within each other, the record itself counted: more than anybody writes, and so few that neither
# reading nor judging comes near the interpreter's own limit, which differs between machines.
DEPTH_MAX = 200
NAMES_LENGTH_MAX = 200  # characters of a list of names that a message has
_OPENING, _CLOSING = b"[{", b"]}"
# Texts, also one that never ends, and the brackets outside of them.
_TEXT_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)

_decode_json = msgspec.json.Decoder().decode


def read_jsonl(
    log: str, source: Source | None, bad: BadRecords, events: list[Event], progress: Progress | None = None
) -> None:
    """Append the events of a log, in the order of its lines: of the engine's own form if there is no source."""
    for batch in jsonl_batches(log, source, bad, progress):
        events += batch


def jsonl_batches(
    log: str, source: Source | None, bad: BadRecords, progress: Progress | None = None
) -> Iterator[list[Event]]:
    """The events of a log, in the order of its lines, some thousands at a time: those of one block of its bytes.

    They are of the engine's own form if there is no source.
    """
    read = own_line() if source is None else mapped_line(source)
    for first, lines in read_lines(log, bad, progress):
        batch: list[Event] = []
        append = batch.append
        for number, line in enumerate(lines, first):
            try:
                # As many brackets take at least so much room, and most lines are shorter.
                if len(line) > 2 * DEPTH_MAX:
                    check_depth(line)
                append(read(line))
            except BadLine as trouble:
                if not bad.total:
                    bad.misses = _no_own(line) if source is None else _misses(source, line)
                bad.add(log, number, trouble, line)
            except msgspec.MsgspecError as error:
                if line.strip():
                    bad.add(log, number, BadLine("not JSON", str(error)), line)
        if batch:
            yield batch


def _no_own(line: bytes) -> str:
    """What a record has that is not of the engine's own form: ``the first record has time, who, and no "at"``."""
    try:
        record = _record(line)
    except (BadLine, msgspec.MsgspecError):
        return ""
    lacking = [name for name in ("at", "user", "type") if name not in record]
    if not lacking or not record:
        return ""
    has = _short(f"the first record has {', '.join(record)}")
    return f"does the log need --source? {has}, and no {listed(lacking, 'or')}"


def _short(names: str) -> str:
    return names if len(names) <= NAMES_LENGTH_MAX else names[: NAMES_LENGTH_MAX - 1] + "…"


def _misses(source: Source, line: bytes) -> str:
    """What a record lacks that the mapping needs: ``no field "tme" (at: in s.yaml); the record has seq, time``."""
    try:
        record = _record(line)
    except (BadLine, msgspec.MsgspecError):
        return ""
    for name, place in (("at", source.at), ("user", source.user), ("type", source.type)):
        if place.path is not None and _finder(place)(record) is None:
            near = get_close_matches(place.path, record, n=1)
            has = f'did you mean "{near[0]}"?' if near else _short(f"the record has {', '.join(record)}")
            return f'no field "{place.path}" ({name}: in {source.file}); {has}'
    return ""


def check_depth(line: bytes) -> None:
    """Raises `BadLine` for a line that nests deeper than `DEPTH_MAX`, whether or not it is JSON."""
    if line.count(b"[") + line.count(b"{") <= DEPTH_MAX:
        return
    depth = 0
    for match in _TEXT_OR_BRACKET.finditer(line):
        token = match.group()
        if token in _OPENING:
            depth += 1
            if depth > DEPTH_MAX:
                raise BadLine("nested too deeply", f"more than {DEPTH_MAX} levels")
        elif token in _CLOSING:
            depth -= 1


def _record(line: bytes) -> dict[str, Json]:
    record = _decode_json(line)
    if not isinstance(record, dict):
        raise BadLine("not an object", "expected {…}")
    return record


class _Own(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    at: Any = None
    user: Any = None
    type: Any = None
    session: Any = None
    id: Any = None
    data: Any = None


OWN_FIELDS = frozenset(_Own.__struct_fields__)


def own_line() -> ReadLine:
    """Reads a line of the engine's own form. Fields beside ``data`` are data too; ``data`` wins over them."""
    stamps = Stamps()
    parse_at = stamps.parse
    decode = msgspec.json.Decoder(_Own).decode

    def read_carefully(line: bytes) -> Event:
        record = _record(line)
        data = record.get("data")
        if data is None:
            data = {}
        elif not isinstance(data, dict):
            raise BadLine("bad data", f"expected an object, got {data!r}"[:120])
        get = record.get
        further = {name: value for name, value in record.items() if name not in OWN_FIELDS}
        return make_event(stamps, get("at"), get("user"), get("type"), get("session"), get("id"), {**further, **data})

    def read(line: bytes) -> Event:
        try:
            own = decode(line)
        except msgspec.ValidationError:
            return read_carefully(line)
        user, event_type, session, event_id, data = own.user, own.type, own.session, own.id, own.data
        if (
            type(user) is str and user
            and type(event_type) is str and event_type
            and type(data) is dict
            and (session is None or (type(session) is str and session))
            and (event_id is None or type(event_id) is str)
        ):  # fmt: skip
            try:
                return Event(event_type, user, parse_at(own.at), data, event_id or "", session)
            except ValueError:
                pass  # no time or a bad one: the careful way says which
        return read_carefully(line)

    return read


def mapped_line(source: Source) -> ReadLine:
    """Reads a line of a foreign log as the mapping says."""
    careful = _careful(source)
    fields = _fields(source)
    if source.data is None or fields is None:
        return careful
    return _fast(source, fields, careful)


def _careful(source: Source) -> ReadLine:
    stamps = Stamps(source.zone)
    main = [_finder(place) for place in _main_places(source)]
    data_finders = None if source.data is None else [(name, _finder(place)) for name, place in source.data.items()]

    def read(line: bytes) -> Event:
        record = _record(line)
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


def _finder(place: Place) -> Callable[[dict[str, Json]], Json]:
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


def _fields(source: Source) -> dict[str, Any] | None:
    """The paths of a mapping as a tree of fields to decode; None where that cannot be, such as one within another."""
    tree: dict[str, Any] = {}
    places = [*_main_places(source), *(source.data or {}).values()]
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


def _fast(source: Source, fields: dict[str, Any], careful: ReadLine) -> ReadLine:
    attributes: dict[str, str] = {}
    decode = msgspec.json.Decoder(_struct(fields, "", "", attributes)).decode
    places = [*_main_places(source), *(source.data or {}).values()]
    # A constant has no field; it takes the place of what is not there.
    get = attrgetter(*(_ABSENT if place.path is None else attributes[place.path] for place in places))
    main_constants = [place.value for place in _main_places(source)]
    has_constants = any(value is not None for value in main_constants)
    names = tuple(source.data or {})
    constants = {
        name: place.value
        for name, place in (source.data or {}).items()
        if place.path is None and place.value is not None
    }
    stamps = Stamps(source.zone)
    parse_at = stamps.parse

    def read(line: bytes) -> Event:
        try:
            found = get(decode(line))
        except (msgspec.ValidationError, AttributeError):
            return careful(line)  # such as text where an object was expected on the way
        at, user, event_type, session, event_id, *values = found
        if has_constants:
            at, user, event_type, session, event_id = [
                constant if value is None else value for value, constant in zip(found, main_constants, strict=False)
            ]
        data = {}
        for name, value in zip(names, values, strict=False):
            if value is not None:
                data[name] = value  # noqa: PERF403  # a comprehension is one more call for each record
        if constants:
            data |= constants
        if type(user) is type(event_type) is str and user and event_type:
            try:
                moment = parse_at(at)
            except ValueError:
                pass  # no time or a bad one: the careful way says which
            else:
                if event_id is None and (session is None or (type(session) is str and session)):
                    return Event(event_type, user, moment, data, "", session)
        return make_event(stamps, at, user, event_type, session, event_id, data)

    return read


_ABSENT = "absent"  # an attribute of the class: no field of a record can fill it


def _struct(fields: dict[str, Any], prefix: str, dotted: str, attributes: dict[str, str]) -> type[msgspec.Struct]:
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
            struct = _struct(inner, f"{prefix}{member}.", f"{path}.", attributes)
            members.append((member, struct | None, msgspec.field(default_factory=struct)))
    return msgspec.defstruct("Fields", members, rename=renamed, namespace={_ABSENT: None}, gc=False, frozen=True)
