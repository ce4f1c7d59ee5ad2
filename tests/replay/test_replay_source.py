"""The file of ``--source``: what it means, and what it says when it cannot be meant."""

from __future__ import annotations

from datetime import UTC

import pytest

from engine.replay.mapping import Place, Source
from engine.replay.source import SourceErrors, parse_source

ISSUE = """\
format: jsonl            # or csv
at: time                 # paths into the record
user: user
type: type               # or {value: message} for a constant
session: session
data: {message: text, ok: ok, level: data.level}     # or "*" for the whole record
timezone: UTC            # for stamps without a zone
"""


def test_the_mapping_of_the_manual_is_read_with_the_place_of_every_path():
    assert parse_source("source.yaml", ISSUE) == Source(
        at=Place("time", None, 2, 5),
        user=Place("user", None, 3, 7),
        type=Place("type", None, 4, 7),
        session=Place("session", None, 5, 10),
        data={
            "message": Place("text", None, 6, 17),
            "ok": Place("ok", None, 6, 27),
            "level": Place("data.level", None, 6, 38),
        },
        format="jsonl",
        zone=UTC,
        file="source.yaml",
    )


def test_without_a_format_it_is_json_lines_in_utc_without_data():
    source = parse_source("s.yaml", "at: a\nuser: u\ntype: {value: message}\n")
    assert (source.format, source.zone, source.data) == ("jsonl", UTC, {})
    assert source.type == Place(None, "message", 3, 7)


def test_the_records_of_a_document_have_a_path_and_the_cells_of_a_table_a_sign_between_them():
    assert parse_source("s.yaml", "format: json\nrecords: a.b\nat: a\nuser: u\ntype: t\n").records == "a.b"
    for written, delimiter in ((";", ";"), ("tab", "\t"), ('"|"', "|"), ('"\\t"', "\t")):
        source = parse_source("s.yaml", f"format: csv\ndelimiter: {written}\nat: a\nuser: u\ntype: t\n")
        assert source.delimiter == delimiter


def test_a_star_is_the_whole_record():
    assert parse_source("s.yaml", 'at: a\nuser: u\ntype: t\ndata: "*"\n').data is None


def test_a_column_may_have_any_name():
    source = parse_source("s.yaml", "format: csv\nat: a..b\nuser: User full name\ntype: {path: .}\n")
    assert (source.at.path, source.user.path, source.type.path) == ("a..b", "User full name", ".")


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("", ["s.yaml:1:1: expected a mapping, got nothing [wrong-type]"]),
        ("at: a\nuser: u\n", ['s.yaml:1:1: missing key "type" [missing-key]']),
        (
            "at: a\nuser: u\ntype: t\nuser: v\n",
            ['s.yaml:4:1: repeated key "user", first written in line 2 [repeated-key]'],
        ),
        ("at: a\nuser: u\ntype: 3\n", ['s.yaml:3:7: expected text, got 3; put it in quotes: "3" [wrong-type]']),
        ("at: a..b\nuser: u\ntype: t\n", ['s.yaml:1:5: expected names between dots, got "a..b" [bad-value]']),
        (
            "at: a\nuser: u\ntype: t\ndata: {x: a.}\n",
            ['s.yaml:4:11: expected names between dots, got "a." [bad-value]'],
        ),
        (
            "at: a\nuser: u\ntype: t\nformat: xml\n",
            ['s.yaml:4:9: expected "jsonl", "json" or "csv", got "xml" [bad-value]'],
        ),
        (
            "at: a\nuser: u\ntype: t\nrecords: a.b\ndelimiter: tab\n",
            [
                's.yaml:4:10: "records" is for format: json [bad-value]',
                's.yaml:5:12: "delimiter" is for format: csv [bad-value]',
            ],
        ),
        (
            "at: a\nuser: u\ntype: t\nformat: json\nrecords: a.\n",
            ['s.yaml:5:10: expected names between dots, got "a." [bad-value]'],
        ),
        (
            "at: a\nuser: u\ntype: t\nformat: csv\ndelimiter: ;;\n",
            ['s.yaml:5:12: expected one sign such as ";", or tab, got ";;" [bad-value]'],
        ),
        (
            "at: a\nuser: u\ntype: t\ntimezone: Europe/Pari\n",
            ['s.yaml:4:11: expected an IANA time zone such as "Europe/Paris", got "Europe/Pari" [bad-timezone]'],
        ),
        (
            "at: a\nuser: u\ntype: t\ndata: [a]\n",
            ['s.yaml:4:7: expected a mapping of fields, or "*" for the whole record, got a list [wrong-type]'],
        ),
    ],
)
def test_errors_name_the_place_what_was_expected_and_what_was_found(text, errors):
    with pytest.raises(SourceErrors) as caught:
        parse_source("s.yaml", text)
    assert list(map(str, caught.value.diagnostics)) == errors


def test_all_errors_are_told_at_once():
    with pytest.raises(SourceErrors) as caught:
        parse_source("s.yaml", "att: time\nuser: {valu: 3}\ntype: {path: t, value: u}\nfomat: csv\n")
    assert [(found.line, found.code) for found in caught.value.diagnostics] == [
        (1, "unknown-key"),
        (2, "unknown-key"),
        (3, caught.value.diagnostics[2].code),
        (4, "unknown-key"),
    ]
