"""What is said of logs on the command line: nothing of it goes unheard, and all commands take it alike."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest
from typer.testing import CliRunner

from engine.cli.main import app_for

ACCESS = '10.0.0.1 - - [27/Mar/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 5\n'
CHAT = "[10:00] <ann> hello there\n[10:01] <bob> hello ann\n[10:02] <ann> is the meeting today?\n"
RULE = """version: 1
rules:
  - id: hm
    trigger: {count: {event: a, at_least: 2, within: 1h}}
    message: {type: suggestion, text: Hm}
"""
OWN = '{"at": "2026-03-27T10:00:00Z", "user": "ann", "type": "a"}\n'


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.yaml").write_text(RULE)
    (tmp_path / "access.log").write_text(ACCESS * 3)
    (tmp_path / "own.jsonl").write_text(OWN)
    (tmp_path / "chat.txt").write_text(CHAT)
    (tmp_path / "empty.log").write_text("")
    return tmp_path


def run(*words):
    return CliRunner().invoke(app_for(list(words)), list(words))


def commands(log):
    """Each command that reads logs, on that one."""
    yield ["replay", log]
    yield ["sweep", log, "--set", "hm.trigger.count.at_least=3"]
    yield ["diff", log, "--before", "rules", "--after", "rules"]
    yield ["why", "hm", log, "--user", "ann"]
    yield ["capture", log, "--user", "ann", "--around", "2026-03-27T10:00:00Z"]
    yield ["import", log]
    yield ["lint", "--log", log]


NAMES = ["replay", "sweep", "diff", "why", "capture", "import", "lint"]


@pytest.mark.parametrize("words", list(commands("access.log")), ids=NAMES)
def test_an_option_that_the_format_has_no_use_for_is_an_error(place, words):
    done = run(*words, "--user-at", "nobody")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        'access.log: "apache" has no use for --user-at,'
        ' which is for "caliper", "cloudevents", "gharchive", "progsnap2", "segment" and "xapi"\n'
    )


@pytest.mark.parametrize(
    ("option", "value", "formats"),
    [
        ("--user-at", "who", '"caliper", "cloudevents", "gharchive", "progsnap2", "segment" and "xapi"'),
        ("--clock", "server", '"progsnap2"'),
        ("--day", "2026-03-27", '"irc"'),
        (
            "--timezone",
            "UTC",
            '"caliper", "cloudevents", "gharchive", "gitter", "irc", "parquet", "progsnap2", "segment" and "xapi"',
        ),
    ],
)
def test_so_it_is_with_the_own_form_also_where_it_says_what_is_so_anyhow(place, option, value, formats):
    done = run("replay", "own.jsonl", option, value)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        f'own.jsonl: "jsonl" has no use for {option}, which is for {formats};'
        " of JSON or CSV of another form a mapping says it, --source\n"
    )


def test_several_processes_say_the_same(place):
    assert run("replay", "own.jsonl", "--clock", "client", "--jobs", "2").stderr == (
        run("replay", "own.jsonl", "--clock", "client").stderr
    )


def test_one_log_of_several_that_has_a_use_for_it_is_enough(place):
    assert run("import", "access.log", "chat.txt", "--day", "2026-03-27").exit_code == 0
    assert run("replay", "access.log", "chat.txt", "--day", "2026-03-27").exit_code == 0
    done = run("replay", "access.log", "own.jsonl", "--day", "2026-03-27")
    assert done.exit_code == 2
    assert done.stderr.startswith(
        'access.log, own.jsonl: "apache" and "jsonl" have no use for --day, which is for "irc"; '
    )
    assert run("import", "access.log", "own.jsonl", "--day", "2026-03-27").stderr.splitlines()[-1] == (
        done.stderr.rstrip("\n")
    )


def test_a_file_of_a_folder_that_has_no_use_for_it_does_not_matter(place):
    (place / "logs").mkdir()
    for name in ("access.log", "chat.txt"):
        (place / name).rename(place / "logs" / name)
    assert run("replay", "logs", "--day", "2026-03-27").exit_code == 0
    (place / "logs" / "chat.txt").rename(place / "logs" / "2026-03-27.txt")
    assert run("replay", "logs", "--clock", "client").stderr == (
        'logs: "irc" and "apache" have no use for --clock, which is for "progsnap2"\n'
    )


@pytest.mark.parametrize("words", list(commands("empty.log")), ids=NAMES)
@pytest.mark.parametrize("more", [[], ["--user-at", "who"]])
def test_of_an_empty_log_all_say_the_same_and_end_with_1(place, words, more):
    done = run(*words, *more)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "empty.log: there is nothing in it"


def test_so_do_several_processes(place):
    done = run("replay", "empty.log", "--jobs", "2")
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", "empty.log: there is nothing in it\n")


@pytest.mark.parametrize(
    ("log", "form", "question"),
    [
        ("chat.txt", "apache", "is --format apache right? chat.txt begins like irc"),
        ("access.log", "jsonl", "is --format jsonl right? access.log begins like apache"),
        ("own.jsonl", "apache", "is --format apache right? own.jsonl begins like jsonl"),
        ("words.txt", "apache", "is --format apache right? words.txt begins like no form that is known"),
    ],
)
def test_where_nothing_could_be_read_as_the_format_that_was_said_it_is_asked_whether_that_is_right(
    place, log, form, question
):
    (place / "words.txt").write_text("some words\nand more of them\n")
    for words in (["replay", log], ["import", log]):
        done = run(*words, "--format", form)
        assert done.exit_code == 1
        assert done.stderr.splitlines()[-1].endswith(f"no record could be read: {question}")


def test_of_a_folder_it_is_asked_alone_for_its_files_may_be_of_several(place):
    (place / "logs").mkdir()
    (place / "chat.txt").rename(place / "logs" / "chat.txt")
    done = run("replay", "logs", "--format", "apache")
    assert done.stderr.splitlines()[-1] == "3 bad records; no record could be read: is --format apache right?"


def test_what_is_counted_of_a_log_that_cannot_be_read_has_its_thousands_apart(place):
    (place / "words.txt").write_text("some words\n" * 1500)
    assert run("replay", "words.txt").stderr.splitlines()[-1].startswith("1,500 bad records; ")


@pytest.mark.parametrize("option", [["--user-at", "u"], ["--timezone", "UTC"], ["--clock", "server"]])
def test_the_file_of_a_server_needs_none_of_them(place, option):
    with closing(sqlite3.connect("store.db")) as store:
        store.execute("CREATE TABLE t (x)")
    for words in commands("store.db"):
        done = run(*words, *option)
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr == f"{option[0]} is for logs; a store says it itself\n"


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_form_that_says_nothing_of_its_records_is_for_a_mapping(place, form):
    done = run("replay", "own.jsonl", "--format", form)
    assert done.exit_code == 2
    assert done.stderr.endswith(
        f'got "{form}"; of another form such a log is read by --source, with "format: {form}" in its mapping\n'
    )


@pytest.mark.parametrize("name", ["replay", "sweep", "diff", "why"])
def test_a_moment_without_a_zone_is_in_that_of_the_option(place, name):
    (place / "own.jsonl").write_text(OWN + OWN.replace("10:00", "10:30"))
    [words] = [words for words in commands("own.jsonl") if words[0] == name]
    here = run(*words, "--until", "2026-03-27T11:10:00", "--timezone", "Europe/Paris")
    assert here.exit_code == 0, here.stderr
    assert here.stdout == run(*words, "--until", "2026-03-27T10:10:00Z").stdout
    assert here.stdout != run(*words, "--until", "2026-03-27T11:10:00").stdout


def test_beside_a_moment_that_names_its_zone_the_option_has_no_use(place):
    done = run("replay", "own.jsonl", "--until", "2026-03-27T10:10:00Z", "--timezone", "Europe/Paris")
    assert done.exit_code == 2
    assert "has no use for --timezone" in done.stderr


def test_with_a_mapping_the_zone_of_the_option_is_that_of_the_moment_alone(place):
    (place / "game.jsonl").write_text(json.dumps({"t": "2026-03-27T10:00:00", "who": "ann"}) + "\n")
    (place / "source.yaml").write_text("at: t\nuser: who\ntype: {value: a}\n")
    words = ["replay", "game.jsonl", "--source", "source.yaml", "--timezone", "Europe/Paris"]
    assert run(*words).exit_code == 2
    done = run(*words, "--until", "2026-03-27T11:10:00")
    assert "time ran to  2026-03-27T10:10:00Z" in done.stdout
    assert "from         2026-03-27T10:00:00Z" in done.stdout


@pytest.mark.parametrize("words", [*commands("own.jsonl")][:5], ids=NAMES[:5])
def test_where_there_are_no_rules_the_way_to_name_them_that_is_told_is_that_of_the_command(place, words):
    (place / "rules" / "rules.yaml").unlink()
    (place / "rules").rmdir()
    if words[0] == "diff":
        assert run(*words).stderr.startswith('"rules" is no folder of rules')
        return
    assert "name the folder (--rules DIR; of check, lint, schedule and test just DIR)" in run(*words).stderr
    (place / "mine").mkdir()
    (place / "mine" / "rules.yaml").write_text(RULE)
    assert run(*words, "--rules", "mine").exit_code == 0


@pytest.mark.parametrize("name", ["check", "lint", "schedule", "test"])
def test_so_it_is_where_rules_are_an_argument(place, name):
    done = run(name, "nowhere")
    assert "of check, lint, schedule and test just DIR" in done.stdout + done.stderr
    assert "expected a folder of rules" not in run(name, "rules").output


def test_the_help_of_import_says_why_it_takes_the_file_of_a_server(place):
    told = " ".join(run("import", "--help").stdout.split())
    assert "Write logs of other makers, or what a server has recorded, in the engine's own form" in told
