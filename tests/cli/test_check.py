"""``proactive check`` as its user sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cli.main import main


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as left:
        main(words)
    code = left.value.code
    assert isinstance(code, int)
    return code, capsys.readouterr().out


def test_good_rules_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule = "  - {id: a, trigger: {event: x}, message: {type: question, text: Well?}}\n"
    (tmp_path / "a.yaml").write_text("version: 1\nrules:\n" + rule)
    assert run(["check", str(tmp_path)], capsys) == (0, f"{tmp_path}: 1 rule in 1 file, no errors\n")


def test_every_error_has_a_line_of_its_own_and_then_they_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b.yaml").write_text("version: 1\nruls: []\nversion: 1\n")
    (tmp_path / "a.yaml").write_text("version: 2\n")
    code, printed = run(["check", str(tmp_path)], capsys)
    assert code == 1
    assert printed.splitlines() == [
        f"{tmp_path}/a.yaml:1:10: expected 1, got 2 [bad-value]",
        f'{tmp_path}/b.yaml:2:1: unknown key "ruls", did you mean "rules"? [unknown-key]',
        f'{tmp_path}/b.yaml:3:1: repeated key "version", first written in line 1 [repeated-key]',
        "3 errors in 2 files",
    ]


def test_the_folder_rules_is_the_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yaml").write_text("version: 2\n")
    assert run(["check"], capsys) == (
        1,
        "rules/a.yaml:1:10: expected 1, got 2 [bad-value]\n1 error in 1 file\n",
    )


def test_a_folder_without_rules_is_said_to_be_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, printed = run(["check", str(tmp_path)], capsys)
    assert code == 1
    assert f"no rule files in {tmp_path}" in printed


def test_the_shipped_rules_are_right(capsys: pytest.CaptureFixture[str]) -> None:
    code, printed = run(["check", str(Path(__file__).parents[2] / "rules")], capsys)
    assert (code, "no errors; standing apart: examples/conversation.yaml (" in printed) == (0, True)


def test_a_folder_that_is_not_there_has_no_place_and_is_in_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed = run(["check", str(tmp_path / "gone")], capsys)
    assert code == 1
    first, last = printed.splitlines()
    assert first.startswith(f"{tmp_path}/gone: expected a folder of rules or a rule file, and there is nothing; name")
    assert last == "1 error"


def test_the_help_has_the_form_of_an_error_whole(capsys: pytest.CaptureFixture[str]) -> None:
    code, printed = run(["check", "--help"], capsys)
    assert code == 0
    assert "file:line:column: message [code]." in " ".join(printed.split())
