"""Folders of ProgSnap2: which order counts, which clock, and what became of what was tried."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from engine.core.units import SECOND, format_at, parse_at
from engine.replay.bad_records import BadRecords
from engine.replay.formats.base import Settings, UnknownForm
from engine.replay.formats.progsnap2 import ProgSnap2
from engine.replay.members import logs_in

HEAD = (
    "EventType,EventID,SubjectID,Order,ServerTimestamp,ServerTimezone,ClientTimestamp,ClientTimezone,"
    "AssignmentID,Attempt,CodeStateID,Score,Correct,CompileResult,ExecutionResult,CompileMessageData\n"
)
GLOBAL = "Property,Value\nVersion,6\nIsEventOrderingConsistent,true\nEventOrderScope,Global\nEventOrderScopeColumns,\n"
RESTRICTED = GLOBAL.replace("Global", "Restricted").replace("Columns,", "Columns,SubjectID;AssignmentID")


def row(event_id, order, at, subject="ann", assignment="a1", **cells):
    """A row whose server says ``10:MM:SS``, whose client is an hour behind."""
    cells = {"type": "Run.Program", "zone": "", "client": at and f"2026-03-27T09:{at}", "attempt": "", **cells}
    server = at if at in ("", "NA") else f"2026-03-27T10:{at}"
    known = [cells["type"], event_id, subject, order, server, cells["zone"], cells["client"], ""]
    rest = [
        assignment,
        cells["attempt"],
        "c1",
        *(cells.get(n, "") for n in ("score", "correct", "compiled", "ran", "text")),
    ]
    return ",".join(str(cell) for cell in [*known, *rest]) + "\n"


def read(tmp_path, rows, metadata=None, head=HEAD, **settings):
    (tmp_path / "MainTable.csv").write_text(head + "".join(rows), encoding="utf-8")
    if metadata is not None:
        (tmp_path / "DatasetMetadata.csv").write_text(metadata, encoding="utf-8")
    bad = BadRecords()
    batches = ProgSnap2().read(str(tmp_path), Settings(**settings), bad)
    return [event for batch in batches for event in batch], bad


def told(events):
    return [(event.id, format_at(event.at)[14:19], event.at_reported is not None) for event in events]


OUT_OF_ORDER = [row(1, 1, "00:00"), row(3, 3, "00:10"), row(2, 2, "00:20"), row(4, 4, "00:15")]


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        "",
        "Property,Value\n",
        GLOBAL.replace("Global", "None"),
        GLOBAL.replace("true", "false"),
        GLOBAL.replace("IsEventOrderingConsistent,true\n", ""),
        "Property,Value\nVersion,3\nAreEventsOrdered,false\n",
    ],
)
def test_where_no_order_is_said_to_hold_the_stamps_decide(tmp_path, metadata):
    events, bad = read(tmp_path, OUT_OF_ORDER, metadata)
    assert told(events) == [("1", "00:00", False), ("3", "00:10", False), ("2", "00:20", False), ("4", "00:15", False)]
    assert bad.total == 0


@pytest.mark.parametrize("metadata", [GLOBAL, RESTRICTED, "Property,Value\nVersion,3\nAreEventsOrdered,True\n"])
def test_where_an_order_holds_an_event_is_not_before_the_one_it_follows(tmp_path, metadata):
    events, _ = read(tmp_path, OUT_OF_ORDER, metadata)
    assert told(events) == [("1", "00:00", False), ("2", "00:20", False), ("3", "00:20", True), ("4", "00:20", True)]
    assert events[2].at_reported == parse_at("2026-03-27T10:00:10Z")


def test_the_order_of_one_scope_says_nothing_of_another(tmp_path):
    rows = [
        row(1, 1, "00:30"), row(2, 2, "00:10", assignment="a2"), row(3, 3, "00:20", subject="bob"),
        row(4, 4, "00:00"),
    ]  # fmt: skip
    assert [at for _, at, _ in told(read(tmp_path, rows, RESTRICTED)[0])] == ["00:30", "00:10", "00:20", "00:30"]
    assert [at for _, at, _ in told(read(tmp_path, rows, GLOBAL)[0])] == ["00:30", "00:30", "00:30", "00:30"]


def test_a_table_that_is_out_of_order_is_sorted_and_its_lines_are_still_told(tmp_path):
    rows = [row(number, number, f"{number:02}:00") for number in (3, 1, 2)]
    broken = "Run.Program,9\n"
    events, bad = read(tmp_path, [*rows[:2], broken, rows[2]], GLOBAL)
    assert [event.id for event in events] == ["1", "2", "3"]
    assert [(record.line, record.reason) for record in bad.shown] == [(4, "wrong number of cells")]


def test_orders_compare_as_numbers_and_may_be_written_with_a_point(tmp_path):
    rows = [row(number, f"{number}.0", "00:00") for number in (10, 9)]
    assert [event.id for event in read(tmp_path, rows, GLOBAL)[0]] == ["9", "10"]


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (RESTRICTED.replace("AssignmentID", "TermID"), 'it orders events by "TermID", and'),
        (GLOBAL.replace("Global", "Restricted"), "expected EventOrderScopeColumns"),
        (GLOBAL.replace("Global", "Some"), 'expected the EventOrderScope "Global", "Restricted" or "None", got "Some"'),
    ],
)
def test_metadata_that_cannot_be_meant_are_told(tmp_path, metadata, message):
    with pytest.raises(UnknownForm) as caught:
        read(tmp_path, OUT_OF_ORDER, metadata)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("settings", "zone", "at"),
    [
        ({}, "", "2026-03-27T10:00:00Z"),
        ({"clock": "client"}, "", "2026-03-27T09:00:00Z"),
        ({"zone": ZoneInfo("Europe/Paris")}, "", "2026-03-27T09:00:00Z"),
        ({"zone": ZoneInfo("Europe/Paris")}, "UTC", "2026-03-27T10:00:00Z"),
        ({}, "+0200", "2026-03-27T08:00:00Z"),
        ({}, "-05:00", "2026-03-27T15:00:00Z"),
        ({}, "UTC-0500", "2026-03-27T15:00:00Z"),
        ({}, "America/New_York", "2026-03-27T14:00:00Z"),
    ],
)
def test_a_stamp_is_of_the_clock_that_is_asked_for_and_of_its_zone(tmp_path, settings, zone, at):
    [event], bad = read(tmp_path, [row(1, 1, "00:00", zone=zone)], **settings)
    assert (event.at, bad.total) == (parse_at(at), 0)
    assert ("ServerTimestamp" in event.data, "ClientTimestamp" in event.data) == (
        settings.get("clock") == "client",
        settings.get("clock") != "client",
    )


def test_a_table_of_one_clock_is_read_by_it(tmp_path):
    head = "EventType,EventID,SubjectID,ClientTimestamp\n"
    [event], _ = read(tmp_path, ["Submit,1,ann,2026-03-27T10:00:00-04:00\n"], head=head)
    assert event.at == parse_at("2026-03-27T14:00:00Z")
    with pytest.raises(UnknownForm, match="expected a column ServerTimestamp or ClientTimestamp, got none"):
        read(tmp_path, ["Submit,1,ann\n"], head="EventType,EventID,SubjectID\n")


@pytest.mark.parametrize(("at", "reason"), [("", "no time"), ("NA", "no time"), ("soon", "bad time")])
def test_a_row_without_a_moment_is_a_bad_record(tmp_path, at, reason):
    events, bad = read(tmp_path, [row(1, 1, at), row(2, 2, "00:00")])
    assert [event.id for event in events] == ["2"]
    assert [(record.line, record.reason) for record in bad.shown] == [(2, reason)]


@pytest.mark.parametrize(
    ("cells", "ok"),
    [
        ({}, None),
        ({"correct": "TRUE"}, True),
        ({"correct": "FALSE", "score": 1}, False),
        ({"correct": "NA", "score": 1}, True),
        ({"score": "1.0", "compiled": "Error"}, True),
        ({"score": "0.99"}, False),
        ({"score": "NA", "ran": "Success", "compiled": "Error"}, True),
        ({"ran": "Timeout", "compiled": "Success"}, False),
        ({"ran": "SystemError"}, False),
        ({"compiled": "Success"}, True),
        ({"compiled": "Warning"}, True),
        ({"compiled": "Error"}, False),
    ],
)
def test_what_became_of_it_is_told_by_the_column_that_says_most(tmp_path, cells, ok):
    [event], _ = read(tmp_path, [row(1, 1, "00:00", **cells)])
    assert event.data.get("ok") is ok


def test_cells_are_data_and_numbers_where_the_form_says_so(tmp_path):
    text = '"NameError: name ""x"", line 1|2\nin <module>"'
    line = row(1, 7, "00:00", type="X-Hint.Shown", attempt=2, score=0.5, text=text, ran="NA")
    [event], _ = read(tmp_path, [line])
    said = 'NameError: name "x", line 1|2\nin <module>'
    assert (event.type, event.user, event.session) == ("X-Hint.Shown", "ann", None)
    assert event.data == {
        "Order": 7, "Attempt": 2, "Score": 0.5, "AssignmentID": "a1", "CodeStateID": "c1",
        "ClientTimestamp": "2026-03-27T09:00:00", "CompileMessageData": said, "text": said, "ok": False,
    }  # fmt: skip


def test_a_session_is_one_where_the_table_names_it(tmp_path):
    head = "EventType,EventID,SubjectID,ServerTimestamp,SessionID\n"
    [event], _ = read(tmp_path, ["Session.Start,1,ann,2026-03-27T10:00:00,s1\n"], head=head)
    assert (event.type, event.session) == ("Session.Start", "s1")


def test_the_table_alone_is_read_with_what_lies_beside_it_and_a_folder_is_one_log(tmp_path):
    events, _ = read(tmp_path, OUT_OF_ORDER, GLOBAL)
    (tmp_path / "CodeStates").mkdir()
    (tmp_path / "CodeStates" / "CodeStates.csv").write_text("CodeStateID,Code\nc1,x\n", encoding="utf-8")
    assert list(logs_in(str(tmp_path), BadRecords())) == [str(tmp_path)]
    table = str(tmp_path / "MainTable.csv")
    assert [event for batch in ProgSnap2().read(table, Settings(), BadRecords()) for event in batch] == events


def test_a_long_table_is_sorted_whole(tmp_path):
    count = 12_000
    rows = [
        f"Submit,{number},ann,{number},{format_at(parse_at('2026-03-27T10:00:00Z') + number * SECOND)}\n"
        for number in range(count, 0, -1)
    ]
    events, bad = read(tmp_path, rows, GLOBAL, head="EventType,EventID,SubjectID,Order,ServerTimestamp\n")
    assert [int(event.id) for event in events] == list(range(1, count + 1))
    assert bad.total == 0
