"""JSON lines to events. The careful way is the meaning; the fast way must not differ from it."""

from __future__ import annotations

import json
from datetime import UTC
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.model import Event
from engine.replay import jsonl
from engine.replay.bad_records import BadLine, BadRecords
from engine.replay.json_bounds import DEPTH_MAX
from engine.replay.jsonl import jsonl_batches, mapped_form, own_form, read_jsonl
from engine.replay.mapping import Place, Source

AT = 1_774_605_600_250_000  # 2026-03-27T10:00:00.250Z


def read(form, line):
    """The event of a line or the reason why there is none, by both ways, which must agree."""
    if not isinstance(line, bytes):
        line = json.dumps(line).encode()
    try:
        event = form.read(line)
    except BadLine as trouble:
        event = trouble.reason
    except msgspec.MsgspecError:
        event = "not JSON"
    assert form.read_many([line]) in ([None], [event])
    return event


OWN = {"at": "2026-03-27T10:00:00.250Z", "user": "ann", "type": "t"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (OWN, Event("t", "ann", AT, {})),
        (
            {**OWN, "id": "e1", "session": "s1", "data": {"test": "t1"}},
            Event("t", "ann", AT, {"test": "t1"}, "e1", "s1"),
        ),
        ({**OWN, "test": "t1"}, Event("t", "ann", AT, {"test": "t1"})),
        ({**OWN, "test": "t1", "data": {"n": 1}}, Event("t", "ann", AT, {"test": "t1", "n": 1})),
        ({**OWN, "test": "beside", "data": {"test": "within"}}, Event("t", "ann", AT, {"test": "within"})),
        ({**OWN, "data": {"test": None}}, Event("t", "ann", AT, {"test": None})),
        ({**OWN, "data": None, "session": None, "id": None}, Event("t", "ann", AT, {})),
        ({**OWN, "session": "", "id": ""}, Event("t", "ann", AT, {})),
        ({**OWN, "user": 7, "session": 8, "id": 9}, Event("t", "7", AT, {}, "9", "8")),
        ({**OWN, "user": 0}, Event("t", "0", AT, {})),
        ({**OWN, "at": 1774605600.25}, Event("t", "ann", AT, {})),
        ({**OWN, "at": 1774605600250}, Event("t", "ann", AT, {})),
        ({**OWN, "at": "2026-03-27T11:00:00.250+01:00"}, Event("t", "ann", AT, {})),
        ({**OWN, "at": "2026-03-27T10:00:00.250"}, Event("t", "ann", AT, {})),
        ({**OWN, "at_reported": "2026-03-27T09:00:00.250Z"}, Event("t", "ann", AT, {}, at_reported=AT - 3_600_000_000)),
        ({**OWN, "at_reported": None, "data": {"x": 1}}, Event("t", "ann", AT, {"x": 1})),
        ({**OWN, "at_reported": "yesterday"}, "bad time"),
        ({"user": "ann", "type": "t"}, "no time"),
        ({**OWN, "at": None}, "no time"),
        ({**OWN, "at": ""}, "no time"),
        ({**OWN, "at": "yesterday"}, "bad time"),
        ({**OWN, "at": True}, "bad time"),
        ({**OWN, "at": {}}, "bad time"),
        ({**OWN, "at": -1}, "bad time"),
        ({**OWN, "user": None}, "no user"),
        ({**OWN, "user": ""}, "no user"),
        ({**OWN, "user": 1.5}, "bad user"),
        ({**OWN, "user": True}, "bad user"),
        ({**OWN, "type": None}, "no type"),
        ({**OWN, "type": []}, "bad type"),
        ({**OWN, "session": []}, "bad session"),
        ({**OWN, "id": {}}, "bad id"),
        ({**OWN, "data": []}, "bad data"),
        ({**OWN, "data": "text"}, "bad data"),
        ([OWN], "not an object"),
        (b"null", "not an object"),
        (b"{", "not JSON"),
        (b"at=10:00", "not JSON"),
        (b'{"at": 1} {"at": 2}', "not JSON"),
        (b'{"at": "\\ud800"}', "not JSON"),
    ],
)
def test_a_line_of_the_engines_own_form(line, expected):
    assert read(own_form(), line) == expected


USUAL = [
    {**OWN, "id": "e1", "session": "s1", "data": {"n": 1}},
    {**OWN, "at": "2026-03-27 10:00:00.25", "data": {}},
    {**OWN, "at": 1774605600.25, "data": {}, "id": None, "session": ""},
]


def test_what_is_usual_takes_the_fast_way():
    for record in USUAL:
        form = own_form()
        line = json.dumps(record).encode()
        assert form.read_many([line] * 3) == [form.read(line)] * 3
    mapping = source(data={"level": Place("data.level"), "kind": Place(None, "chat")})
    form, line = mapped_form(mapping), json.dumps(RECORD).encode()
    assert form.read_many([line] * 3) == [form.read(line)] * 3


@pytest.mark.parametrize("size", [1, jsonl.PIECE_LINES - 1, jsonl.PIECE_LINES, jsonl.PIECE_LINES + 1])
@pytest.mark.parametrize(
    "odd",
    [b"", b"{", b"\t", b"[]", b'{"at": 0,', json.dumps({**OWN, "at": 1e17}).encode(), json.dumps(OWN).encode() * 2],
)
def test_one_odd_line_among_many_is_the_only_bad_one_wherever_it_stands(tmp_path, size, odd):
    log = tmp_path / "log.jsonl"
    usual = json.dumps(USUAL[0]).encode()
    for place in (0, size // 2, size - 1):
        lines = [usual] * size
        lines[place] = odd
        log.write_bytes(b"\n".join(lines))
        bad = BadRecords()
        events = [event for batch in jsonl_batches(str(log), None, bad) for event in batch]
        assert events == [own_form().read(usual)] * (size - 1)
        assert [record.line for record in bad.shown] == ([place + 1] if odd.strip() else [])


@pytest.mark.parametrize("number", ["1e999", "-1E+400", "9" * 5000])
def test_a_number_that_no_float_can_be_does_not_matter_where_nobody_asks_for_it(tmp_path, number):
    log = tmp_path / "log.jsonl"
    mapping = Source(at=Place("at"), user=Place("user"), type=Place("type"), data={"level": Place("level")})
    usual = json.dumps(OWN).encode()
    ignored = usual[:-1] + b', "x": %s}' % number.encode()
    asked_for = usual[:-1] + b', "level": %s}' % number.encode()
    for beside, bad_lines in ((usual, []), (b"{", [2]), (asked_for, [2])):
        log.write_bytes(b"\n".join([ignored, beside, ignored]))
        bad, events = BadRecords(), []
        read_jsonl(str(log), mapping, bad, events)
        assert len(events) == 3 - len(bad_lines)
        assert [record.line for record in bad.shown] == bad_lines


def test_a_record_over_two_lines_is_two_bad_ones(tmp_path):
    log = tmp_path / "log.jsonl"
    usual = json.dumps(USUAL[0]).encode()
    log.write_bytes(usual + b"\n" + usual.replace(b",", b",\n", 1) + b"\n" + usual + b"\n\n")
    bad, events = BadRecords(), []
    read_jsonl(str(log), None, bad, events)
    assert len(events) == 2
    assert [record.line for record in bad.shown] == [2, 3]


def test_blank_lines_are_no_records(tmp_path):
    log = tmp_path / "log.jsonl"
    line = json.dumps(OWN).encode()
    log.write_bytes(b"\n  \n\t\r\n" + line + b"\r\n\n" + line + b"\nbad\n")
    bad, events = BadRecords(), []
    read_jsonl(str(log), None, bad, events)
    assert events == [Event("t", "ann", AT, {})] * 2
    assert [(record.line, record.reason, record.text) for record in bad.shown] == [(7, "not JSON", "bad")]
    assert str(bad.shown[0]).startswith(f"{log}:7: not JSON (")


def source(**places):
    made = {"at": Place("time"), "user": Place("user"), "type": Place("type")}
    return Source(**{**made, **places})


RECORD = {"time": "2026-03-27T10:00:00.250Z", "user": "ann", "type": "t", "n": None, "data": {"level": 3}}


@pytest.mark.parametrize(
    ("mapping", "record", "expected"),
    [
        (source(), RECORD, Event("t", "ann", AT, {})),
        (source(data=None), {**RECORD, "x": 1}, Event("t", "ann", AT, {**RECORD, "x": 1} | {})),
        (source(data={"level": Place("data.level")}), RECORD, Event("t", "ann", AT, {"level": 3})),
        (source(data={"level": Place("data.level")}), {**RECORD, "data": None}, Event("t", "ann", AT, {})),
        (source(data={"level": Place("data.level")}), {**RECORD, "data": "text"}, Event("t", "ann", AT, {})),
        (source(data={"level": Place("data.level")}), {**RECORD, "data": [3]}, Event("t", "ann", AT, {})),
        (source(data={"n": Place("n"), "gone": Place("gone")}), RECORD, Event("t", "ann", AT, {})),
        (
            source(data={"all": Place("data"), "level": Place("data.level")}),
            RECORD,
            Event("t", "ann", AT, {"all": {"level": 3}, "level": 3}),
        ),
        (
            source(data={"one": Place("type"), "two": Place("type")}),
            RECORD,
            Event("t", "ann", AT, {"one": "t", "two": "t"}),
        ),
        (source(data={"kind": Place(None, "chat")}), RECORD, Event("t", "ann", AT, {"kind": "chat"})),
        (source(type=Place(None, "message")), RECORD, Event("message", "ann", AT, {})),
        (source(session=Place(None, 5), id=Place("data.level")), RECORD, Event("t", "ann", AT, {}, "3", "5")),
        (source(data={"odd": Place('a"b')}), {**RECORD, 'a"b': 1}, Event("t", "ann", AT, {"odd": 1})),
        (source(data={"absent": Place("absent")}), {**RECORD, "absent": 1}, Event("t", "ann", AT, {"absent": 1})),
        (source(data={"f0": Place("f1")}), {**RECORD, "f1": 1}, Event("t", "ann", AT, {"f0": 1})),
        (source(), {**RECORD, "time": None}, "no time"),
        (source(user=Place("data.user")), RECORD, "no user"),
        (source(type=Place("data")), RECORD, "bad type"),
        (source(), [RECORD], "not an object"),
        (
            source(zone=ZoneInfo("Europe/Paris")),
            {**RECORD, "time": "2026-03-27T11:00:00.25"},
            Event("t", "ann", AT, {}),
        ),
    ],
)
def test_a_line_of_another_form(mapping, record, expected):
    if isinstance(expected, Event) and mapping.data is None:
        expected = Event("t", "ann", AT, {name: value for name, value in expected.data.items() if value is not None})
    assert read(mapped_form(mapping), record) == expected


NAMES = st.sampled_from(["time", "user", "type", "session", "id", "data", "level", "absent", "f0", "é", ""])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "ann", "2026-03-27T10:00:00Z", "2026-03-27 10:00", "x"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(".".join)
PLACES = st.builds(Place, path=PATHS) | VALUES.map(lambda value: Place(None, value))


@given(
    mapping=st.builds(
        Source,
        at=st.builds(Place, path=st.just("time") | PATHS),
        user=st.just(Place("user")) | PLACES,
        type=st.just(Place("type")) | PLACES,
        session=st.none() | PLACES,
        id=st.none() | PLACES,
        data=st.none() | st.dictionaries(NAMES, PLACES, max_size=4),
        zone=st.sampled_from([UTC, ZoneInfo("America/New_York")]),
    ),
    records=st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "time": st.just("2026-03-27T10:00:00Z") | VALUES,
                "user": st.just("ann") | VALUES,
                "type": VALUES,
                "session": VALUES,
                "id": VALUES,
                "data": VALUES,
                "absent": VALUES,
                "level": VALUES,
            },
        )
        | VALUES,
        max_size=3,
    ),
)
def test_the_fast_way_is_the_careful_way(mapping, records):
    form = mapped_form(mapping)
    lines = [json.dumps(record).encode() for record in records]
    for line, event in zip(lines, form.read_many(lines), strict=True):
        assert event is None or event == read(form, line)


@given(
    record=st.fixed_dictionaries(
        {},
        optional={
            "at": st.just("2026-03-27T10:00:00Z") | VALUES,
            "user": st.just("ann") | VALUES,
            "type": st.just("t") | VALUES,
            "session": VALUES,
            "id": VALUES,
            "data": VALUES,
            "more": VALUES,
        },
    )
)
def test_the_engines_own_form_as_a_mapping_of_itself_gives_the_same(record):
    """Where nothing stands beside the data, a mapping that names each part must find what the own reader finds."""
    data = record.get("data")
    if "more" in record or (data is not None and not isinstance(data, dict)):
        return
    found = read(own_form(), record)
    mapping = Source(at=Place("at"), user=Place("user"), type=Place("type"), session=Place("session"), id=Place("id"))
    mapped = read(mapped_form(mapping), record)
    if isinstance(found, Event):
        assert msgspec.structs.replace(found, data={}) == mapped
    else:
        assert found == mapped


def nested(levels: int) -> bytes:
    """A line of that many levels, of which the record is one and its data another."""
    inner = (levels - 2) * "[" + '"]\\"[[[{"' + (levels - 2) * "]"
    return json.dumps(OWN).encode()[:-1] + b', "data": {"x": ' + inner.encode() + b"}}\n"


@pytest.mark.parametrize("source", [None, Source(at=Place("at"), user=Place("user"), type=Place("type"), data=None)])
def test_a_line_that_nests_too_deeply_is_a_bad_record_wherever_it_is_read(tmp_path, source):
    log = tmp_path / "log.jsonl"
    brackets_in_text = json.dumps({**OWN, "text": 300 * '[\\"{'}).encode() + b"\n"
    # The last two are no JSON either.
    log.write_bytes(
        nested(DEPTH_MAX) + nested(DEPTH_MAX + 1) + brackets_in_text
        + nested(100_000) + 100_000 * b"[" + b"\n" + 300 * b"{" + 1000 * b'\\"'
    )  # fmt: skip
    bad, events = BadRecords(), []
    read_jsonl(str(log), source, bad, events)
    assert len(events) == 2
    assert bad.counts == {"nested too deeply": 4}
    assert [record.line for record in bad.shown] == [2, 4, 5, 6]


@pytest.mark.parametrize("source", [None, Source(at=Place("at"), user=Place("user"), type=Place("type"))])
@pytest.mark.parametrize("lines", [["{0}{0}", ""], ["", "{0} {0}"], ["{0}{0}", "{1}", "{2}"], ["{1}", "{2}", "{0}{0}"]])
def test_two_records_in_a_line_do_not_make_up_for_a_line_without_one(tmp_path, source, lines):
    record = json.dumps(OWN)
    half = record.index(", ") + 1
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(line.format(record, record[:half], record[half:]) for line in lines) + f"\n{record}\n")
    bad, events = BadRecords(), []
    read_jsonl(str(log), source, bad, events)
    assert len(events) == 1
    assert bad.counts == {"not JSON": sum(line != "" for line in lines)}
