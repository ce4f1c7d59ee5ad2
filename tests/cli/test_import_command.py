"""``proactive import`` as it is used: what it writes, what it tells, and how it ends."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli.main import app_for

ROOT = Path(__file__).parent.parent.parent
ACCESS = '10.0.0.{0} - - [17/May/2015:10:05:{1:02} +0000] "GET /a HTTP/1.1" 200 5\n'
LINE = (
    '{{"at":"2015-05-17T10:05:{1:02}.000000Z","user":"10.0.0.{0}","type":"page_view",'
    '"data":{{"path":"/a","method":"GET","status":200,"ok":true,"bytes":5}}}}\n'
)
ORDER = [(1, 3), (2, 1), (1, 2)]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "access.log").write_text("".join(ACCESS.format(*each) for each in ORDER))
    return tmp_path


def run(*words, given=None):
    words = ["import", *map(str, words)]
    return CliRunner().invoke(app_for(words), words, input=given)


def test_events_are_printed_in_the_order_of_the_log(place):
    done = run("access.log")
    assert done.exit_code == 0
    assert done.stdout == "".join(LINE.format(*each) for each in ORDER)
    assert done.stderr == "access.log: apache, 3 events of 2 users; 2015-05-17T10:05:01Z to 2015-05-17T10:05:03Z\n"


def test_events_are_sorted_if_asked(place):
    assert run("access.log", "--sort").stdout == "".join(
        LINE.format(*each) for each in sorted(ORDER, key=lambda e: e[1])
    )


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out.jsonl.zst", "out.GZ"])
def test_what_is_written_is_read_again(place, name):
    done = run("access.log", "--output", name)
    assert (done.exit_code, done.stdout) == (0, "")
    assert sorted(path.name for path in place.iterdir()) == sorted(["access.log", name])
    again = run(name)
    assert again.stdout == run("access.log").stdout
    assert again.stderr.startswith(f"{name}: jsonl, 3 events")
    first = (place / name).read_bytes()
    run("access.log", "--output", name)
    assert (place / name).read_bytes() == first  # no time, no name in it


def test_bad_records_are_told_of_each_log(place):
    (place / "more.log").write_text(ACCESS.format(1, 9) + "garbage\n" + ACCESS.format(1, 9))
    done = run("access.log", "more.log")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 5
    assert done.stderr.splitlines()[1:] == [
        'more.log:2: not an access line (expected address ident user [time] "request" status bytes): garbage',
        "more.log: apache, 2 events of 1 user; 2015-05-17T10:05:09Z to 2015-05-17T10:05:09Z; "
        "1 bad record: not an access line 1",
    ]


def test_standard_input_is_recognised_too(place):
    packed = gzip.compress((place / "access.log").read_bytes())
    done = run("-", given=packed)
    assert done.stdout == run("access.log").stdout
    assert done.stderr.startswith("-: apache, 3 events")


def test_a_format_that_is_said_is_believed(place):
    done = run("access.log", "--format", "jsonl")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-2:] == [
        "access.log: jsonl, 0 events of 0 users; 3 bad records: not JSON 3",
        "no record could be read: is --format jsonl right? access.log begins like apache",
    ]


def test_where_nothing_could_be_read_the_file_is_left_as_it_was(place):
    (place / "out.jsonl").write_text("mine\n")
    (place / "bad.jsonl").write_text("bad\n")
    assert run("bad.jsonl", "--output", "out.jsonl").exit_code == 1
    assert (place / "out.jsonl").read_text() == "mine\n"
    assert sorted(path.name for path in place.iterdir()) == ["access.log", "bad.jsonl", "out.jsonl"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "expected the logs to be imported, got none; --list lists their forms\n"),
        (["nowhere"], "nowhere: no such file or directory\n"),
        (["access.log", "--output", "no/out"], "--output: there is no folder no\n"),
        (["access.log", "--output", "access.log"], "--output: access.log is the log itself\n"),
        (["access.log", "--output", "."], "--output: . is a folder\n"),
        (["access.log", "--memory", "1GB"], "--memory is for --sort: in the order of the logs nothing is held\n"),
        (["access.log", "--sort", "--memory", "1"], '--memory: expected at least 16MB, got "1"\n'),
        (["-", "-"], "standard input can be read only once\n"),
        (["access.log", "--day", "soon"], '--day: expected a date such as "2026-03-30", got "soon"\n'),
    ],
)
def test_wrong_usage_is_told_and_leaves_with_2(place, words, said):
    done = run(*words)
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", said)


def test_a_chat_of_an_unknown_day_is_refused_and_leaves_no_file(place):
    (place / "chan.txt").write_text("[10:00] <ann> hi\n")
    done = run("chan.txt", "--output", "out.jsonl")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("chan.txt: the log has times and no day; say it with --day")
    assert not list(place.glob("out*"))
    assert json.loads(run("chan.txt", "--day", "2026-03-27").stdout)["at"] == "2026-03-27T10:00:00.000000Z"


def test_the_formats_are_listed():
    done = run("--list")
    assert done.exit_code == 0
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert names == sorted(names)
    assert {"apache", "gitter", "irc", "jsonl", "parquet"} <= set(names)


def test_a_formula_stays_what_it_says(place):
    formulas = ["=cmd|' /C calc'!A0", "+1+1", "-2", "@SUM(A1)", "=1+1"]
    rows = "".join(f'2026-03-27 10:00:00,{index},"{formula}"\n' for index, formula in enumerate(formulas))
    (place / "log.csv").write_text("when,who,what\n" + rows)
    (place / "source.yaml").write_text("format: csv\nat: when\nuser: who\ntype: what\ndata: {cell: what}\n")
    lines = [json.loads(line) for line in run("log.csv", "--source", "source.yaml").stdout.splitlines()]
    assert [line["type"] for line in lines] == [line["data"]["cell"] for line in lines] == formulas


def test_who_stops_it_finds_what_was_written_so_far_and_is_told_where(place):
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from engine.cli.main import main; main(['import', '-', '--output', 'out.jsonl.gz'])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        # A pipe takes no more than a few blocks ahead, so that when all is handed over the first of it has been read.
        lines = "".join(ACCESS.format(1, number % 60) for number in range(60_000))
        running.stdin.write(lines)
        running.stdin.flush()
        running.send_signal(signal.SIGINT)
        running.stdin.close()  # a signal that comes right before a read is seen right after it
        said = running.stderr.read()
    assert running.returncode == 130
    assert said == "interrupted; what was written so far is in out.jsonl.gz.part\n"
    assert not (place / "out.jsonl.gz").exists()
    written = gzip.decompress((place / "out.jsonl.gz.part").read_bytes()).decode()
    assert written.splitlines()
    assert written == "".join(LINE.format(1, number % 60) for number in range(written.count("\n")))


def test_a_json_document_that_needs_a_mapping_is_told_so(place):
    (place / "log.json").write_text('[\n{"who": "ann"}\n]\n')
    (place / "log.json").write_text('[\n{\n"who": "ann"\n}\n]\n')
    last = run("log.json").stderr.splitlines()[-1]
    assert last == (
        "no record could be read: does the log need --source? "
        'a JSON document that goes over several lines does, with "format: json"'
    )


@pytest.mark.parametrize(
    "words",
    [
        ["--format", "jsonl"],
        ["--user-at", "who"],
        ["--timezone", "UTC"],
        ["--clock", "client"],
        ["--day", "2026-03-27"],
    ],
)
def test_what_a_mapping_says_is_not_said_beside_it(place, words):
    (place / "source.yaml").write_text("at: at\nuser: who\ntype: what\n")
    done = run("access.log", "--source", "source.yaml", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"{words[0]}: with --source the mapping says it; write it there, and leave {words[0]} out\n"
