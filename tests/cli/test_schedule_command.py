"""``proactive schedule`` as its user sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.cli.main import app_for

ROOT = Path(__file__).parents[2]
RULES = """
version: 1
policy:
  timezone: Europe/Paris
  quiet_hours: {nights: {from: "22:00", to: "08:00"}}
rules:
  - id: standup
    trigger: {schedule: {at: ["09:30"], days: [mon, wed]}}
    message: {type: question, text: Hm}
  - id: night
    trigger: {schedule: {at: ["02:30"], days: [sun], timezone: user}}
    message: {type: question, text: Hm}
    mode: shadow
  - id: minutes
    trigger: {schedule: {cron: "*/20 2 * * sun", timezone: America/New_York}}
    message: {type: question, text: Hm}
    quiet_hours: none
  - id: break
    trigger: {schedule: {every: 45m}}
    message: {type: question, text: Hm}
  - id: other
    trigger: {event: e}
    message: {type: question, text: Hm}
"""


def run(*words: object) -> Any:
    called = ["schedule", *map(str, words)]
    return CliRunner().invoke(app_for(called), called)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text(RULES)
    return tmp_path


def test_every_time_of_a_week_has_a_line_and_then_come_the_nights_of_a_year(place: Path) -> None:
    done = run("rules.yaml", "--from", "2026-03-27")
    assert done.exit_code == 0
    assert done.stdout == (
        'Sun 2026-03-29 03:00 Europe/Paris     (01:00Z) night  (shadow; quiet hours "nights", not sent)\n'
        "Sun 2026-03-29 02:00 America/New_York (06:00Z) minutes\n"
        "Sun 2026-03-29 02:20 America/New_York (06:20Z) minutes\n"
        "Sun 2026-03-29 02:40 America/New_York (06:40Z) minutes\n"
        "Mon 2026-03-30 09:30 Europe/Paris     (07:30Z) standup\n"
        "Wed 2026-04-01 09:30 Europe/Paris     (07:30Z) standup\n"
        "every 45m of the session: break\n"
        "\n"
        "Sun 2026-03-29 Europe/Paris: clocks go forward from 02:00 to 03:00 (01:00Z)\n"
        "  night: 02:30 is skipped; it comes at 03:00 (01:00Z) instead\n"
        "\n"
        "Sun 2026-10-25 Europe/Paris: clocks go back from 03:00 to 02:00 (01:00Z)\n"
        "  night: 02:30 is repeated; it comes once, the first time (00:30Z)\n"
        "\n"
        "Sun 2026-11-01 America/New_York: clocks go back from 02:00 to 01:00 (06:00Z)\n"
        "  no schedule has a time in between\n"
        "\n"
        "Sun 2027-03-14 America/New_York: clocks go forward from 02:00 to 03:00 (07:00Z)\n"
        "  minutes: 02:00, 02:20, 02:40 are skipped; it comes at 03:00 (07:00Z) instead\n"
    )


def test_one_rule_of_a_user_elsewhere(place: Path) -> None:
    done = run("rules.yaml", "--from", "2026-03-27", "--rule", "night", "--zone", "Asia/Tokyo")
    assert (
        done.stdout == 'Sun 2026-03-29 02:30 Asia/Tokyo (17:30Z -1d) night  (shadow; quiet hours "nights", not sent)\n'
    )


def test_a_span_in_which_nothing_comes_is_told(place: Path) -> None:
    done = run("rules.yaml", "--from", "2026-05-01", "--days", "3", "--rule", "standup")
    assert done.stdout.startswith("nothing before Mon 2026-05-04 00:00 Europe/Paris\n\nSun 2026-10-25 Europe/Paris:")


def test_very_many_times_are_cut_short(place: Path) -> None:
    rule = '{id: a, trigger: {schedule: {cron: "* * * * *"}}, message: {type: question, text: Hm}}'
    (place / "rules.yaml").write_text(f"version: 1\nrules:\n  - {rule}\n")
    lines = run("rules.yaml", "--from", "2026-03-27").stdout.splitlines()
    assert (len(lines), lines[-1]) == (1001, "… and more; these are the first 1,000")


def test_without_a_date_it_begins_now(place: Path) -> None:
    done = run("rules.yaml", "--rule", "standup")
    assert (done.exit_code, done.stdout.count("standup\n")) == (0, 2)


@pytest.mark.parametrize(
    ("zone", "first", "second"),
    [
        ("America/New_York", "(02:59Z +1d)", "(03:00Z +1d)"),
        ("Etc/UTC", "(22:59Z)", "(23:00Z)"),
        ("Asia/Tokyo", "(13:59Z)", "(14:00Z)"),
    ],
)
def test_where_it_is_another_day_by_utc_that_is_told(place: Path, zone: str, first: str, second: str) -> None:
    rule = (
        f'{{id: a, trigger: {{schedule: {{at: ["22:59", "23:00"], timezone: {zone}}}}}, message: {{type: q, text: x}}}}'
    )
    (place / "rules.yaml").write_text(f"version: 1\nrules:\n  - {rule}\n")
    lines = run("rules.yaml", "--from", "2026-06-01", "--days", "1", "--zone", zone).stdout.splitlines()
    assert lines[:2] == [f"Mon 2026-06-01 22:59 {zone} {first} a", f"Mon 2026-06-01 23:00 {zone} {second} a"]


def test_the_day_before_by_utc_is_told_and_the_rules_stand_below_each_other(place: Path) -> None:
    rule = '{id: a, trigger: {schedule: {at: ["08:59", "09:00"], timezone: Asia/Tokyo}}, message: {type: q, text: x}}'
    (place / "rules.yaml").write_text(f"version: 1\nrules:\n  - {rule}\n")
    assert run("rules.yaml", "--from", "2026-06-01", "--days", "1", "--zone", "Asia/Tokyo").stdout.splitlines() == [
        "Mon 2026-06-01 08:59 Asia/Tokyo (23:59Z -1d) a",
        "Mon 2026-06-01 09:00 Asia/Tokyo (00:00Z)     a",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rule", "nigt"], '--rule: there is no rule "nigt", did you mean "night"?\n'),
        (["--rule", "x"], '--rule: there is no rule "x"\n'),
        (["--zone", "Mars/X"], '--zone: expected an IANA time zone such as "Europe/Paris", got "Mars/X"\n'),
        (["--from", "tomorrow"], '--from: expected a date such as "2026-03-30", got "tomorrow"\n'),
        (["--from", "9999-12-31"], '--from: expected a date such as "2026-03-30", got "9999-12-31"\n'),
    ],
)
def test_what_cannot_be_shown_is_refused(place: Path, words: list[str], said: str) -> None:
    done = run("rules.yaml", *words)
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", said)


def test_rules_without_schedules_are_told(place: Path) -> None:
    assert run("rules.yaml", "--rule", "other").stdout == "other has no schedule\n"
    rule = "{id: a, trigger: {event: e}, message: {type: question, text: Hm}}"
    (place / "rules.yaml").write_text(f"version: 1\nrules:\n  - {rule}\n")
    assert run("rules.yaml").stdout == "rules.yaml: no rule has a schedule\n"


def test_rules_that_cannot_be_loaded_are_told(place: Path) -> None:
    (place / "rules.yaml").write_text("version: 2\n")
    done = run("rules.yaml")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("rules.yaml:1:10: expected 1, got 2")


def test_the_shipped_rules_have_schedules() -> None:
    assert "every 45m of the session: take-a-break\n" in run(ROOT / "rules").stdout
