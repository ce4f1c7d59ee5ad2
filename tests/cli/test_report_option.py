"""``--report`` of replay, diff and sweep: the page is written beside what is printed, and over nothing that matters."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from re import DOTALL, findall, search

import pytest
from typer.testing import CliRunner, Result

from engine.cli.main import app_for

RULES = """
version: 1
rules:
  - id: stuck
    trigger: {keywords: {any: [stuck], event: message}}
    message: {type: suggestion, text: "You say {{ trigger.keyword }}"}
    cooldown: 10m
"""
LINES = [
    {"at": "2026-03-27T10:00:00Z", "user": "ann", "type": "message", "data": {"message": "I am stuck"}},
    {"at": "2026-03-27T10:01:00Z", "user": "bob", "type": "message", "data": {"message": "stuck"}},
    {"at": "2026-03-27T10:05:00Z", "user": "ann", "type": "message", "data": {"message": "still stuck"}},
]
COMMANDS = {
    "replay": ["replay", "log.jsonl"],
    "diff": ["diff", "log.jsonl", "--before", "before", "--after", "rules"],
    "sweep": ["sweep", "log.jsonl", "--set", "stuck.cooldown=1m,10m"],
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for folder, cooldown in (("rules", "10m"), ("before", "1m")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.yaml").write_text(RULES.replace("10m", cooldown))
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(app_for(words), list(words))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_comes_beside_what_is_printed_and_is_the_same_each_time(place: Path, name: str) -> None:
    words = COMMANDS[name]
    alone, first, second = run(*words), run(*words, "--report", "a.html"), run(*words, "--report", "b.html")
    assert (first.exit_code, first.stdout, first.stderr) == (alone.exit_code, alone.stdout, alone.stderr)
    assert second.exit_code == 0
    page = (place / "a.html").read_bytes()
    assert page == (place / "b.html").read_bytes()
    assert page.startswith(b"<!doctype html>")
    assert b"log.jsonl" in page


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_loads_nothing_and_lets_only_its_own_scripts_run(place: Path, name: str) -> None:
    assert run(*COMMANDS[name], "--report", "a.html").exit_code == 0
    page = (place / "a.html").read_text("utf-8")
    found = search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert found is not None
    rules = dict(rule.strip().split(" ", 1) for rule in found[1].split(";"))
    assert rules["default-src"] == "'none'"
    scripts = findall(r"<script>(.*?)</script>", page, DOTALL)
    sums = [b64encode(sha256(script.encode()).digest()).decode() for script in scripts]
    assert rules["script-src"] == " ".join(f"'sha256-{one}'" for one in sums)
    markup = page
    for script in scripts:
        markup = markup.replace(script, "")
    assert findall(r"(?:src|href|action)=\"([^\"]*)\"", markup) == ["#content"]
    assert "url(" not in markup
    assert " on" not in " ".join(findall(r"<[a-z][^>]*>", markup)).replace(" one", "")


def test_how_many_processes_there_are_makes_no_difference(place: Path) -> None:
    assert run("replay", "log.jsonl", "--report", "a.html").exit_code == 0
    assert run("replay", "log.jsonl", "--jobs", "2", "--report", "b.html").exit_code == 0
    assert (place / "a.html").read_bytes() == (place / "b.html").read_bytes()


def test_what_a_log_says_of_itself_and_until_where_it_ran_is_on_the_page(place: Path) -> None:
    log = place / "log.jsonl"
    log.write_text('{"log": {"synthetic": true}}\n' + log.read_text() + "{\n")
    assert run("replay", "log.jsonl", "--until", "2026-03-27T10:02:00Z", "--report", "a.html").exit_code == 0
    page = (place / "a.html").read_text("utf-8")
    assert '<p class="label" role="note">log.jsonl: it is synthetic: nobody did any of this' in page
    assert "2026-03-27T10:02:00Z, 1 event after it left out" in page
    assert '<dt>Bad records</dt><dd>1</dd><dd class="note">not JSON 1</dd>' in page


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("report", "said"),
    [
        ("nowhere/a.html", "--report: there is no folder nowhere"),
        ("rules", "--report: rules is a folder"),
        ("log.jsonl", "--report: log.jsonl is the log itself"),
        ("-", "--report writes a file; name one, such as out.html"),
    ],
)
def test_a_page_that_cannot_be_written_is_told_before_anything_runs(
    place: Path, name: str, report: str, said: str
) -> None:
    before = (place / "log.jsonl").read_bytes()
    result = run(*COMMANDS[name], "--report", report)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", said + "\n")
    assert (place / "log.jsonl").read_bytes() == before
