"""Several processes read a log as one does: every line belongs to one of them, and a user's lines to the same."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.model import Event
from engine.replay.bad_records import BadRecords
from engine.replay.formats.base import Settings
from engine.replay.mapping import Place, Source
from engine.replay.reading import event_batches
from engine.replay.report import details
from engine.replay.shares import Share

MAPPED = Source(at=Place("at"), user=Place("who.id"), type=Place("type"), data={"n": Place("n")}, file="s.yaml")
ALL_ONE = replace(MAPPED, user=Place(None, "ann"))
USERS = st.one_of(
    st.sampled_from(["ann", "bob", "cem", "dan", "", "\u00e9\U0001f600", "7"]),
    st.integers(-3, 8),
    st.none(),
    st.booleans(),
)


@st.composite
def lines(draw: Any) -> bytes:
    user = draw(USERS)
    record: dict[str, Any] = {"at": 1, "user": user, "who": draw(st.sampled_from([{"id": user}, "x", None]))}
    record |= {"type": draw(st.sampled_from(["a", "b", None])), "data": {"user": "eve", "n": draw(st.integers())}}
    text = json.dumps(record, ensure_ascii=draw(st.booleans()))
    odd = draw(st.integers(0, 19))
    if odd == 0:
        # The same name twice, and once more in disguise: the last one counts.
        text = text[:-1] + ', "user": "ann", "us\\u0065r": "bob"}'
    elif odd == 1:
        text = draw(
            st.sampled_from(["", "{", "[]", "3", '{"user": "ann"} {"user": "bob"}', "[" * 300, '{"at": "noon"}'])
        )
    elif odd == 2:
        # A number that is none, where nobody asks for it.
        text = text[:-1] + ', "x": 1e999}'
    elif odd == 3:
        return text.encode() + b"\xff"
    return text.encode()


LOGS = st.lists(st.lists(lines(), max_size=12), min_size=1, max_size=3)


def read(logs: list[Path], source: Source | None, share: Share | None) -> tuple[list[Event], BadRecords]:
    bad = BadRecords()
    batches = event_batches([str(log) for log in logs], Settings(source=source), "jsonl", bad, None, share)
    return [event for batch in batches for event in batch], bad


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.mark.parametrize("source", [None, MAPPED, ALL_ONE], ids=["own", "mapped", "constant"])
@given(written=LOGS, of=st.integers(1, 4))
def test_the_shares_together_are_the_log(folder: Path, source: Source | None, written: list[Any], of: int) -> None:
    logs = [folder / f"{number}.jsonl" for number in range(len(written))]
    for log, content in zip(logs, written, strict=True):
        log.write_bytes(b"\n".join(content))
    events, bad = read(logs, source, None)
    merged = BadRecords()
    found: list[Event] = []
    for number in range(of):
        share = Share(number, of)
        mine, theirs = read(logs, source, share)
        assert all(share.has(event.user) for event in mine)
        assert mine == [event for event in events if share.has(event.user)]
        found += mine
        merged.merge(theirs)
    assert len(found) == len(events)
    assert details(merged, []) == details(bad, [])
    assert (merged.by_reason(), merged.misses) == (bad.by_reason(), bad.misses)


@given(written=st.lists(st.lists(lines(), max_size=9), min_size=1, max_size=8), of=st.integers(1, 4))
def test_of_the_files_of_a_folder_that_have_nothing_to_be_read_they_say_the_same(written: list[Any], of: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate(written):
            (Path(folder) / f"{number}.jsonl").write_bytes(b"\n".join(content))
        _, bad = read([Path(folder)], None, None)
        merged = BadRecords()
        for number in range(of):
            merged.merge(read([Path(folder)], None, Share(number, of))[1])
        assert details(merged, []) == details(bad, [])


def test_a_log_of_another_format_is_read_by_all_and_each_keeps_its_own(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    rows = [f"{number},u{number % 5},a" for number in range(20)] + ["late,u1,a", "1,2"]
    log.write_text("\n".join(["at,user,type", *rows]))
    source = Source(at=Place("at"), user=Place("user"), type=Place("type"), format="csv")

    def read_csv(share: Share | None) -> tuple[list[Event], BadRecords]:
        bad = BadRecords()
        batches = event_batches([str(log)], Settings(source=source), None, bad, None, share)
        return [event for batch in batches for event in batch], bad

    events, bad = read_csv(None)
    shares = [read_csv(Share(number, 3)) for number in range(3)]
    assert sorted(event.at for mine, _ in shares for event in mine) == sorted(event.at for event in events)
    assert [theirs.total for _, theirs in shares] == [bad.total, 0, 0]


def test_the_beginning_of_a_log_belongs_to_the_first(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"log": {"synthetic": true}}\n{"at": 1, "user": "ann", "type": "a"}\n')
    declared = [read([log], None, Share(number, 2))[1].declared for number in range(2)]
    assert [len(each) for each in declared] == [1, 0]


def test_a_line_that_is_read_although_a_part_of_it_is_wrong_belongs_to_its_user(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    users = [f"u{number}" for number in range(20)]
    records = [json.dumps({"at": 1, "type": "a", "who": {"id": user}, "x": 0}) for user in users]
    log.write_text("".join([record.replace(": 0}", ": 1e999}") + "\n" for record in records]) + "{\n")
    shares = [Share(number, 2) for number in range(2)]
    assert [[event.user for event in read([log], MAPPED, share)[0]] for share in shares] == [
        [user for user in users if share.has(user)] for share in shares
    ]
