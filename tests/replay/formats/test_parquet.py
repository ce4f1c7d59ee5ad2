"""Parquet: columns of the engine's own form or by a mapping, and what is told of a damaged file."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.core.model import Event
from engine.core.units import parse_at
from engine.replay.bad_records import BadRecords
from engine.replay.formats.base import Head, Settings, UnknownForm
from engine.replay.formats.parquet import ROWS, Parquet
from engine.replay.reading import event_batches
from engine.replay.source import parse_source
from engine.replay.table import UnknownColumn

ROOT = Path(__file__).parent.parent.parent.parent
AT = parse_at("2026-03-27T10:00:00.250Z")
MOMENT = datetime(2026, 3, 27, 10, 0, 0, 250_000)


def put(tmp_path, columns, **options):
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table(columns), path, **options)
    return str(path)


def read(log, **settings):
    bad = BadRecords()
    return [event for batch in Parquet().read(log, Settings(**settings), bad) for event in batch], bad


@pytest.mark.parametrize(
    ("at", "zone", "expected"),
    [
        (pa.array([MOMENT], pa.timestamp("us")), None, AT),
        (pa.array([MOMENT], pa.timestamp("ns")), None, AT),
        (pa.array([MOMENT], pa.timestamp("ms", "Europe/Paris")), None, AT),
        (pa.array([MOMENT], pa.timestamp("us")), "Europe/Paris", AT - 3_600_000_000),
        (pa.array(["2026-03-27T10:00:00.250Z"]), "Europe/Paris", AT),
        (pa.array([1_774_605_600_250]), None, AT),
        (pa.array([1_774_605_600.25]), None, AT),
    ],
)
def test_a_moment_is_of_any_type(tmp_path, at, zone, expected):
    log = put(tmp_path, {"at": at, "user": ["ann"], "type": ["t"]})
    events, bad = read(log) if zone is None else read(log, zone=ZoneInfo(zone))
    assert (events, bad.counts) == ([Event("t", "ann", expected, {})], {})


def test_columns_of_the_own_form_are_parts_and_all_others_data(tmp_path):
    log = put(
        tmp_path,
        {
            "at": [MOMENT], "user": [7], "type": ["t"], "session": ["s"], "id": ["e1"],
            "data": [{"x": 1, "gone": None}], "x": [2], "y": [None], "z": [[1, 2]], "n": [float("nan")],
            "bytes": [b"ab"], "day": [date(2026, 3, 27)], "price": [Decimal("1.50")], "took": [timedelta(seconds=90)],
            "when": [MOMENT],
        },
    )  # fmt: skip
    data = {
        "x": 1, "z": [1, 2], "bytes": "YWI=", "day": "2026-03-27", "price": 1.5, "took": 90.0,
        "when": "2026-03-27T10:00:00.250000Z",
    }  # fmt: skip
    assert read(log)[0] == [Event("t", "7", AT, data, "e1", "s")]


SOURCE = """
at: ts
user: who.id
type: {value: click}
data: {"": a.b, level: who.level, gone: who.nothing}
"""


def test_a_mapping_names_columns_and_what_is_in_them(tmp_path):
    log = put(tmp_path, {"ts": [MOMENT], "who": [{"id": 7, "level": 3}], "a.b": ["dotted"]})
    bad = BadRecords()
    settings = Settings(source=parse_source("source.yaml", SOURCE))
    batches = event_batches([log], settings, None, bad)
    expected = Event("click", "7", AT, {"": "dotted", "level": 3})
    assert ([event for batch in batches for event in batch], bad.counts) == ([expected], {})


def test_a_column_that_is_not_there_is_said(tmp_path):
    log = put(tmp_path, {"time": [MOMENT], "user": ["ann"]})
    with pytest.raises(UnknownForm, match='no column "at" or "type"; it has "time" and "user"; --source'):
        read(log)
    source = parse_source("source.yaml", "at: tiem\nuser: user\ntype: {value: t}\n")
    with pytest.raises(UnknownColumn, match='no column "tiem"; did you mean "time"') as caught:
        read(log, source=source)
    assert caught.value.place.line == 1


def test_rows_come_some_thousands_at_a_time_and_bad_ones_are_counted_by_row(tmp_path):
    count = 2 * ROWS + 1
    users = ["ann"] * count
    users[ROWS] = ""
    log = put(tmp_path, {"at": [MOMENT] * count, "user": users, "type": ["t"] * count}, row_group_size=count)
    bad, told = BadRecords(), []
    batches = [len(batch) for batch in Parquet().read(log, Settings(), bad, told.append)]
    assert batches == [ROWS, ROWS - 1, 1]
    assert [(record.line, record.reason) for record in bad.shown] == [(ROWS + 1, "no user")]
    assert sum(told) == Path(log).stat().st_size


def test_a_text_that_is_not_utf_8_is_one_bad_record(tmp_path):
    users = pa.array([b"ann", b"\xff", b"bob"]).view(pa.binary()).cast(pa.string(), safe=False)
    log = put(tmp_path, {"at": [MOMENT] * 3, "user": users, "type": ["t"] * 3})
    events, bad = read(log)
    assert ([event.user for event in events], bad.counts) == (["ann", "bob"], {"not UTF-8": 1})
    assert bad.shown[0].line == 2


@pytest.mark.parametrize("size", [4, 8, 100, -1])
def test_a_file_that_breaks_off_is_damaged(tmp_path, size):
    log = put(tmp_path, {"at": [MOMENT], "user": ["ann"], "type": ["t"]})
    content = Path(log).read_bytes()
    Path(log).write_bytes(content[:size])
    events, bad = read(log)
    assert (events, bad.counts) == ([], {"damaged Parquet": 1})


def test_a_packed_file_is_refused_with_the_reason(tmp_path):
    log = tmp_path / "log.parquet"
    log.write_bytes(b"\x1f\x8b")
    with pytest.raises(UnknownForm, match="unpack it"):
        read(str(log))


def test_without_pyarrow_it_is_said_how_to_install_it(tmp_path):
    log = put(tmp_path, {"at": [MOMENT], "user": ["ann"], "type": ["t"]})
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.modules['pyarrow'] = None\n"
        f"from engine.cli.main import main; main(['import', {log!r}])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert 'pyarrow must be installed: pip install "proactive-engine[parquet]"' in done.stderr


def test_it_is_recognised_by_its_first_bytes():
    assert Parquet().recognises(Head("x", b"PAR1\x15\x04"))
    assert not Parquet().recognises(Head("x.parquet", b"PAR"))
