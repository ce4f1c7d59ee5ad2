"""`docs/importing.md`: it speaks of every format, of every reason and of what an import prints."""

from __future__ import annotations

import re
from pathlib import Path

from command_pages import ROOT, check_commands, furnish, run
from pages import blocks_of

from engine.replay.formats.registry import FORMATS

PAGE = ROOT / "docs" / "importing.md"
TEXT = PAGE.read_text("utf-8")
HEADINGS = {
    "apache": "Apache and nginx", "caliper": "IMS Caliper", "cloudevents": "CloudEvents", "gharchive": "GH Archive",
    "gitter": "Gitter", "irc": "IRC", "parquet": "Parquet", "progsnap2": "ProgSnap2",
    "segment": "Segment and RudderStack", "xapi": "xAPI",
}  # fmt: skip


def test_the_commands_print_what_the_page_says(tmp_path: Path) -> None:
    blocks = blocks_of(PAGE)
    furnish(tmp_path, blocks)
    check_commands(tmp_path, blocks)


def test_the_logs_of_the_page_are_replayed_as_they_are_and_from_an_archive(tmp_path: Path) -> None:
    furnish(tmp_path, blocks_of(PAGE))
    archive = "tar czf logs.tgz events.jsonl calls.json statements.json; "
    for logs in ("lab5 calls.json statements.json", "lab5/MainTable.csv", "lab5 - < calls.json"):
        done = run(tmp_path, f"proactive replay {logs} --rules rules --strict")
        assert (done.returncode, done.stderr) == (0, "")
    done = run(tmp_path, f"{archive}proactive replay logs.tgz --user-at actor.mbox --rules rules")
    assert "events       1 of 1 user" in done.stdout
    assert "bad records  4: no user 4" in done.stdout


def test_every_format_has_its_section() -> None:
    assert set(HEADINGS) == {known.name for known in FORMATS}
    assert set(re.findall(r"^## (.*)$", TEXT, re.MULTILINE)) >= set(HEADINGS.values())


def test_every_reason_that_only_formats_have_is_listed_and_no_other() -> None:
    folder = ROOT / "engine" / "replay"
    reasons, elsewhere = (
        {reason for path in files for reason in re.findall(r'BadLine\(\s*"([^"]*)"', path.read_text("utf-8"))}
        for files in ((folder / "formats").glob("*.py"), folder.glob("*.py"))
    )
    part = TEXT.split("## What may be wrong with a record", 1)[1]
    cells = [line.split(" | ")[0] for line in re.findall(r"^\| (.*)\|$", part, re.MULTILINE)[2:]]
    assert {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)} == reasons - elsewhere
