"""``proactive replay`` as it is used: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli.main import app_for

ROOT = Path(__file__).parent.parent.parent
RULES = """
version: 1
rules:
  - id: idle
    trigger: {inactivity: 5m}
    message: {type: question, text: "Still there, {{ user.id }}?"}
    cooldown: 1h
  - id: stuck
    trigger: {keywords: {any: [stuck], event: message}}
    message: {type: suggestion, text: "You say {{ trigger.keyword }}"}
  - {id: never, trigger: {event: never}, message: {type: question, text: "x"}}
"""
LINES = [
    {"at": "2026-03-27T10:00:00Z", "user": "ann", "type": "message", "data": {"message": "I am stuck"}},
    {"at": "2026-03-27T10:01:00Z", "user": "bob", "type": "message", "data": {"message": "hello"}},
    {"at": "2026-03-27T10:20:00Z", "user": "ann", "type": "message", "data": {"message": "still stuck"}},
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yaml").write_text(RULES)
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return tmp_path


def run(*words, given=None):
    words = ["replay", *map(str, words)]
    return CliRunner().invoke(app_for(words), words, input=given)


TABLE = """\
rule   candidates       sent    users  other outcomes
idle            2          2        2
stuck           2          2        1
never           0          0        0

events       3 of 2 users
from         2026-03-27T10:00:00Z
to           2026-03-27T10:20:00Z (20m)
candidates   4 = sent 4
reached      2 users
bad records  0

never: the log has no event of type "never"
"""


def test_it_prints_a_table_per_rule_and_a_summary_that_adds_up(place):
    result = run("log.jsonl")
    assert (result.exit_code, result.stdout, result.stderr) == (0, TABLE, "")


def test_decisions_have_the_fields_of_the_manual_in_their_order(place):
    assert run("log.jsonl", "--decisions", "out.jsonl").exit_code == 0
    lines = (place / "out.jsonl").read_text().splitlines()
    decisions = [json.loads(line) for line in lines]
    assert [(decision["at"], decision["user"], decision["rule"]) for decision in decisions] == [
        ("2026-03-27T10:00:00.000000Z", "ann", "stuck"),
        ("2026-03-27T10:05:00.000000Z", "ann", "idle"),
        ("2026-03-27T10:06:00.000000Z", "bob", "idle"),
        ("2026-03-27T10:20:00.000000Z", "ann", "stuck"),
    ]
    fields = ["at", "user", "rule", "outcome", "reason", "trigger", "message"]
    assert [name for name in decisions[1] if name in fields] == fields
    assert list(decisions[1]["message"])[:3] == ["id", "type", "text"]
    assert decisions[1]["message"]["text"] == "Still there, ann?"


def test_decisions_can_go_to_standard_output_and_the_table_then_does_not(place):
    result = run("log.jsonl", "--decisions", "-")
    assert [json.loads(line)["rule"] for line in result.stdout.splitlines()] == ["stuck", "idle", "idle", "stuck"]
    assert result.stderr == TABLE


def test_a_log_may_be_packed_come_in_parts_or_by_standard_input(place):
    whole = (place / "log.jsonl").read_bytes()
    (place / "log.gz").write_bytes(gzip.compress(whole))
    first, rest = whole.split(b"\n", 1)
    (place / "late.jsonl").write_bytes(rest)
    (place / "early.jsonl").write_bytes(first)
    assert run("log.gz").stdout == TABLE
    assert run("late.jsonl", "early.jsonl").stdout == TABLE
    assert run("-", given=whole).stdout == TABLE


def test_until_ends_the_users_time_there(place):
    result = run("log.jsonl", "--until", "2026-03-27T10:05:00Z")
    assert result.exit_code == 0
    assert "left out     1 event after --until" in result.stdout
    assert "candidates   2 = sent 2" in result.stdout


def test_bad_records_are_counted_and_the_first_few_shown_with_their_lines(place):
    with (place / "log.jsonl").open("a") as log:
        log.write("\n" + '{"user": "ann", "type": "t"}\n' * 6 + "{\n")
    result = run("log.jsonl")
    assert result.exit_code == 0
    shown = result.stderr.splitlines()
    assert shown[0] == 'log.jsonl:5: no time: {"user": "ann", "type": "t"}'
    assert shown[-1] == "… and 2 further bad records"
    assert len(shown) == 6
    assert "bad records  7: no time 6, not JSON 1" in result.stdout
    strict = run("log.jsonl", "--strict", "--decisions", "out.jsonl")
    assert strict.exit_code == 1
    assert strict.stdout == ""
    assert strict.stderr.splitlines() == [*shown, "7 bad records"]
    assert not (place / "out.jsonl").exists()


def test_a_log_of_another_form_is_read_by_its_mapping(place):
    (place / "chat.csv").write_text("time,who,text\n1774605600,ann,I am stuck\n1774606800,bob,hello\n")
    (place / "source.yaml").write_text(
        "format: csv\nat: time\nuser: who\ntype: {value: message}\ndata: {message: text}\n"
    )
    result = run("chat.csv", "--source", "source.yaml")
    assert result.exit_code == 0, result.output
    assert "candidates   2 = sent 2" in result.stdout


def test_a_log_in_which_nothing_can_be_read_asks_for_a_mapping(place):
    (place / "other.jsonl").write_text('{"time": 1}\n')
    result = run("other.jsonl")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        "1 bad record; no record could be read: does the log need --source? the first record has time, and no"
        ' "at", "user" or "type"'
    )
    (place / "other.jsonl").write_text('{"at": 1, "type": "a", "' + "x" * 300 + '": 1}\n')
    last = run("other.jsonl").stderr.splitlines()[-1]
    assert last.endswith('xxx…, and no "user"')
    assert len(last) < 300
    (place / "other.jsonl").write_text('{"at": "noon", "user": "ann", "type": "a"}\n')
    assert run("other.jsonl").stderr.splitlines()[-1].endswith("could be read: does the log need --source?")


def test_a_mapping_that_fits_no_record_is_told_what_the_records_have(place):
    (place / "other.jsonl").write_text('{"seq": 1, "time": 1774605600, "who": "ann", "type": "a"}\n')
    found = {}
    for at, user in (("tme", "who"), ("moment", "who"), ("time", "data.name")):
        (place / "source.yaml").write_text(f"at: {at}\nuser: {user}\ntype: type\n")
        result = run("other.jsonl", "--source", "source.yaml")
        assert result.exit_code == 1
        found[at] = result.stderr.splitlines()[-1].removeprefix("1 bad record; no record could be read: ")
    assert found == {
        "tme": 'no field "tme" (at: in source.yaml); did you mean "time"?',
        "moment": 'no field "moment" (at: in source.yaml); the record has seq, time, who, type',
        "time": 'no field "data.name" (user: in source.yaml); the record has seq, time, who, type',
    }


def test_a_mapping_under_which_nothing_is_json_is_not_asked_for_again(place):
    (place / "other.jsonl").write_text("time=1\n")
    (place / "source.yaml").write_text("at: time\nuser: who\ntype: type\n")
    result = run("other.jsonl", "--source", "source.yaml")
    assert result.stderr.splitlines()[-1] == "1 bad record; no record could be read"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("gone.jsonl",), "gone.jsonl: no such file or directory"),
        (("log.jsonl", "--source", "gone.yaml"), "gone.yaml: no such file or directory"),
        (("chat.csv",), "chat.csv: a CSV log needs --source, which says what its columns mean"),
        (("chat.csv.gz",), "chat.csv.gz: a CSV log needs --source, which says what its columns mean"),
        (("-", "-"), "standard input can be read only once"),
        (("log.jsonl", "--decisions", "log.jsonl"), "--decisions: log.jsonl is the log itself"),
        (("log.jsonl", "--decisions", "gone/out"), "--decisions: there is no folder gone"),
        (("log.jsonl", "--decisions", "rules"), "--decisions: rules: is a directory"),
        (
            ("log.jsonl", "--until", "noon"),
            '--until: expected an RFC 3339 time such as "2026-03-27T10:00:00Z", got "noon"',
        ),
        (
            ("chat.csv", "--source", "wrong.yaml"),
            'wrong.yaml:2:5: the log has no column "tme"; did you mean "time" [unknown-column]',
        ),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(place, words, error):
    (place / "chat.csv").write_text("time,who\n1774605600,ann\n")
    (place / "chat.csv.gz").write_bytes(b"")
    (place / "wrong.yaml").write_text("format: csv\nat: tme\nuser: who\ntype: {value: t}\n")
    result = run(*words)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", error + "\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_is_one_line_and_exit_code_2(place):
    result = run("log.jsonl", "--decisions", "/dev/full")
    assert (result.exit_code, result.stderr) == (2, "--decisions: /dev/full: no space left on device\n")


def test_errors_in_rules_and_mappings_are_all_listed_with_exit_code_1(place):
    (place / "rules" / "b.yaml").write_text("version: 1\nruls: []\n")
    result = run("log.jsonl")
    assert result.exit_code == 1
    assert result.stderr.startswith("rules/b.yaml:2:1: ")
    assert result.stderr.endswith("1 error in 1 file\n")
    (place / "source.yaml").write_text("at: 3\nuser: u\n")
    result = run("log.jsonl", "--rules", "rules/a.yaml", "--source", "source.yaml")
    assert result.exit_code == 1
    assert [line.split(": ")[0] for line in result.stderr.splitlines()[:2]] == ["source.yaml:1:1", "source.yaml:1:5"]


def test_the_settings_name_the_rules_where_the_command_does_not(place):
    (place / "elsewhere").mkdir()
    (place / "elsewhere" / "only.yaml").write_text(
        'version: 1\nrules:\n  - {id: only, trigger: {event: message}, message: {type: question, text: "x"}}\n'
    )
    (place / "my.yaml").write_text("rules: elsewhere\n")
    assert run("log.jsonl", "--config", "my.yaml").stdout.splitlines()[1].split()[:2] == ["only", "3"]
    assert run("log.jsonl", "--config", "my.yaml", "--rules", "rules").stdout == TABLE


def proactive(*words, seed="0", **more):
    return subprocess.run(
        [sys.executable, "-c", "from engine.cli.main import main; main()", "replay", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        **more,
    )


def test_the_same_log_gives_the_same_bytes_under_any_hash_seed():
    words = ("examples/logs/tutor.jsonl", "--rules", "rules", "--decisions", "-")
    one, other = proactive(*words, seed="1"), proactive(*words, seed="4242")
    assert (one.returncode, other.returncode) == (0, 0)
    assert len(one.stdout.splitlines()) > 20
    assert (one.stdout, one.stderr) == (other.stdout, other.stderr)


def test_what_is_piped_has_no_escape_codes_and_a_report_of_at_most_80_columns():
    result = proactive("examples/logs/tutor.jsonl", "--rules", "rules")
    assert b"\x1b" not in result.stdout + result.stderr
    report = result.stdout.decode().split("\n\n")[:2]
    assert max(map(len, "\n".join(report).splitlines())) <= 80


LONG = "a-rule-with-a-name-that-is-really-rather-long: "
SAID = "none of the 3 message events satisfied the where; event.lvel is missing in all of them"


def test_the_cause_of_a_silence_stands_on_one_line_in_a_pipe_and_is_wrapped_on_a_terminal(place):
    rule = LONG + "{event: message, where: event.lvel > 3}"
    name, _, trigger = rule.partition(": ")
    (place / "rules" / "a.yaml").write_text(
        f"version: 1\nrules:\n  - {{id: {name}, trigger: {{event: {trigger}}}, message: {{type: question, text: x}}}}\n"
    )
    words = (place / "log.jsonl", "--rules", place / "rules")
    assert (LONG + SAID) in proactive(*words).stdout.decode().splitlines()
    master, terminal = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", "from engine.cli.main import main; main()", "replay", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=terminal,
        stderr=subprocess.DEVNULL,
    )
    os.close(terminal)
    process.wait()
    shown = os.read(master, 65536).decode().splitlines()
    os.close(master)
    assert max(map(len, shown)) <= 80
    start = shown.index(next(line for line in shown if line.startswith(LONG)))
    assert " ".join(line.strip() for line in shown[start:]) == LONG + SAID


def test_interrupted_it_says_so_without_a_traceback():
    # Standard input stays open, so that it is reading when the signal comes.
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, "replay", "-", "--rules", "rules"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    output, errors = process.communicate()
    assert (process.returncode, output, errors) == (130, b"", b"interrupted\n")


# The signal is raised by the process itself, at the moment at which it asks for input.
INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is started deaf to it
from engine.cli.main import main
class Interrupting:
    def read(self, size):
        signal.raise_signal(signal.SIGINT)
        return b""
class Input:
    buffer = Interrupting()
sys.stdin = Input()
main()
"""
