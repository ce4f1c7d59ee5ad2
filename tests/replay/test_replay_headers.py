"""What a log of the engine's own form says of itself in its first line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.replay.bad_records import SHOWN_MAX, BadRecords
from engine.replay.mapping import Place, Source
from engine.replay.reading import read_logs
from engine.replay.report import details

RECORD = {"at": "2026-03-27T10:00:00Z", "user": "ann", "type": "t"}
HEADER = {"log": {"synthetic": True, "by": "proactive simulate --users 1"}}


def read(folder: Path, *lines: object, source: Source | None = None) -> tuple[int, BadRecords]:
    log = folder / "log.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    bad = BadRecords()
    return len(read_logs([str(log)], source, bad)), bad


def test_a_header_is_shown_and_is_no_bad_record(tmp_path: Path) -> None:
    events, bad = read(tmp_path, HEADER, RECORD, RECORD)
    assert (events, bad.total) == (2, 0)
    told = "it is synthetic: nobody did any of this (synthetic true, by proactive simulate --users 1)"
    assert details(bad, []) == [f"{tmp_path}/log.jsonl: {told}"]


def test_a_header_may_say_something_else_or_nothing(tmp_path: Path) -> None:
    assert (
        read(tmp_path, {"log": {"of": "class 4b"}}, RECORD)[1].declared[0].endswith(": it has a header (of class 4b)")
    )
    assert read(tmp_path, {"log": {}}, RECORD)[1].declared[0].endswith("log.jsonl: it has a header")


@pytest.mark.parametrize(
    "lines",
    [
        [RECORD, HEADER],
        [{**HEADER, "user": "ann"}, RECORD],
        [{"log": "text"}, RECORD],
        [{"log": [1]}, RECORD],
        [[1], RECORD],
    ],
)
def test_anything_else_is_a_bad_record_as_ever(tmp_path: Path, lines: list[object]) -> None:
    events, bad = read(tmp_path, *lines)
    assert (events, bad.total, bad.declared) == (1, 1, [])


def test_a_log_of_another_form_has_no_header(tmp_path: Path) -> None:
    source = Source(at=Place(path="at"), user=Place(path="user"), type=Place(path="type"))
    events, bad = read(tmp_path, HEADER, RECORD, source=source)
    assert (events, bad.total, bad.declared) == (1, 1, [])


def test_the_headers_of_a_few_logs_are_enough() -> None:
    bad = BadRecords()
    for number in range(SHOWN_MAX + 1):
        bad.declare(str(number), {})
    assert len(bad.declared) == SHOWN_MAX
