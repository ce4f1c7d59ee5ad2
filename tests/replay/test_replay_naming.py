"""What logs are called, and a mapping that makes something of it."""

from __future__ import annotations

import json

import pytest

from engine.replay.bad_records import BadRecords
from engine.replay.formats.base import Settings
from engine.replay.naming import name_of, path_of
from engine.replay.reading import event_batches
from engine.replay.source import parse_source


@pytest.mark.parametrize(
    ("log", "name"),
    [
        ("logs/2026-03-27.txt.gz", "2026-03-27"),
        ("a.b.jsonl.zst", "a.b"),
        ("ann", "ann"),
        ("logs\\ann.CSV", "ann"),
        ("x.tar.gz:ann.json", "ann"),
        ("x.tgz:a/ann.json", "ann"),
        ("a:b.json", "a:b"),
        ("-", None),
        (".txt", None),
        ("", None),
    ],
)
def test_a_name_has_no_folders_and_no_endings(log, name):
    assert name_of(log) == name


@pytest.mark.parametrize(
    ("log", "given", "path"),
    [
        ("logs/a/ann.json", "logs", "a/ann"),
        ("logs/a/ann.json", "logs/", "a/ann"),
        ("logs/ann.json", "logs/ann.json", "ann"),
        ("x.tar.gz/a/ann.json", "x.tar.gz", "a/ann"),
        ("x.tar.gz:a/ann.json", "x.tar.gz", "a/ann"),
        ("-", "-", None),
    ],
)
def test_a_path_begins_where_the_folder_or_archive_does(log, given, path):
    assert path_of(log, given) == path


@pytest.mark.parametrize("form", ["jsonl", "json", "csv"])
def test_a_mapping_takes_the_log_for_a_user(tmp_path, form):
    for user in ("ann", "bob"):
        folder = tmp_path / "logs" / user
        folder.mkdir(parents=True)
        text = "t,x\n2026-03-27,1\n" if form == "csv" else json.dumps({"t": "2026-03-27", "x": "1"})
        (folder / f"day.{form}").write_text(text)
    mapping = f"format: {form}\nat: t\nuser: {{log: path}}\ntype: {{log: name}}\ndata: {{x: x, from: {{log: name}}}}\n"
    bad = BadRecords()
    settings = Settings(source=parse_source("source.yaml", mapping))
    events = [event for batch in event_batches([str(tmp_path / "logs")], settings, None, bad) for event in batch]
    assert bad.total == 0
    assert [(e.user, e.type, e.data) for e in events] == [
        (f"{user}/day", "day", {"x": "1", "from": "day"}) for user in ("ann", "bob")
    ]
