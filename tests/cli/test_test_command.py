"""``proactive test`` as its user sees it."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from engine.cli.main import main

RULES = """version: 1
rules:
  - {id: hello, trigger: {event: a.b}, message: {type: question, text: "Well \\u0001?"}}
"""
PASSES = "  - {name: it speaks, events: [{after: 0s, type: a.b}], expect: [{after: 0s, rule: hello}]}\n"
FAILS = "  - {name: it is silent, events: [{after: 0s, type: a.b}], expect: []}\n"
SHIPPED = Path(__file__).parents[2] / "rules"


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, what was printed without its times, and what went to the error stream."""
    with pytest.raises(SystemExit) as left:
        main(["test", *words])
    code = left.value.code
    assert isinstance(code, int)
    printed = capsys.readouterr()
    return code, re.sub(r"in [\d.]+ m?s", "in no time", printed.out), printed.err


def folder(tmp_path: Path, *parts: str) -> str:
    (tmp_path / "a.yaml").write_text(RULES + "".join(parts))
    return str(tmp_path)


def test_tests_that_pass_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = folder(tmp_path, "tests:\n", PASSES)
    assert run([rules], capsys) == (0, "1 test passed, in no time\n", "")


def test_a_test_that_fails_is_told_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = folder(tmp_path, "tests:\n", PASSES, FAILS)
    code, printed, _ = run([rules], capsys)
    assert code == 1
    assert printed.splitlines() == [
        f"{rules}/a.yaml:6: it is silent",
        "    expected  got",
        '  +           +0s hello question "Well \x01?"',
        "",
        "1 test passed, 1 failed, in no time",
    ]


def test_rules_that_cannot_be_loaded_are_another_matter_than_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = folder(tmp_path, "tests:\n  - {name: it, events: []}\n")
    code, printed, errors = run([rules], capsys)
    assert (code, printed) == (2, "")
    assert errors.splitlines()[0].startswith(f"{rules}/a.yaml:5:5: missing key: expected at least one of")


@pytest.mark.parametrize(
    ("parts", "words", "said"),
    [
        ((), [], 'no tests; they stand under the key "tests" of any rule file'),
        (("tests:\n", PASSES), ["-k", "nowhere"], 'nothing with "nowhere" in its name or its file\'s, of 1 test'),
    ],
)
def test_where_there_is_nothing_to_test_that_is_said_and_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], parts: tuple[str, ...], words: list[str], said: str
) -> None:
    rules = folder(tmp_path, *parts)
    assert run([rules, *words], capsys) == (5, f"{rules}: {said}\n", "")


@pytest.mark.parametrize(("name", "code"), [("SPEAKS", 0), ("silent", 1), ("a.yaml", 1), ("it", 1)])
def test_a_part_of_a_name_chooses(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, code: int) -> None:
    rules = folder(tmp_path, "tests:\n", PASSES, FAILS)
    assert run([rules, "-k", name], capsys)[0] == code


def test_the_xml_has_a_suite_for_each_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    folder(rules, "tests:\n", PASSES)
    (rules / "b.yaml").write_text("version: 1\ntests:\n" + FAILS + "invariants:\n  - {at_most: 5, per: 1h}\n")
    report = tmp_path / "report.xml"
    assert run([str(rules), "--junit", str(report), "--examples", "1"], capsys)[0] == 1
    root = ElementTree.parse(report).getroot()
    assert (root.tag, root.get("tests"), root.get("failures"), root.get("errors")) == ("testsuites", "3", "1", "0")
    assert [(suite.get("name"), suite.get("tests")) for suite in root] == [
        (f"{rules}/a.yaml", "1"),
        (f"{rules}/b.yaml", "2"),
    ]
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert list(cases) == ["it speaks", "it is silent", "at most 5 messages per 1h"]
    failure = cases["it is silent"].find("failure")
    assert failure is not None
    # What XML cannot hold is replaced.
    assert failure.get("message") == '+           +0s hello question "Well \ufffd?"'
    assert cases["it is silent"].get("line") == "3"
    assert cases["it speaks"].find("failure") is None


def test_a_report_that_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = folder(tmp_path, "tests:\n", PASSES)
    code, _, errors = run([rules, "--junit", str(tmp_path / "no" / "report.xml")], capsys)
    assert code == 2
    assert errors == f"--junit: {tmp_path}/no/report.xml: no such file or directory\n"


def test_an_invariant_that_is_broken_is_told_with_a_test_that_shows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = folder(tmp_path, "invariants:\n  - {at_most: 1, per: 1h}\n")
    code, printed, _ = run([rules], capsys)
    assert code == 1
    lines = printed.splitlines()
    assert lines[0] == f"{rules}/a.yaml:5: at most 1 message per 1h"
    assert lines[-1] == "0 invariants not broken, 1 broken, in no time"
    start = lines.index("  as a test:")
    entry = yaml.safe_load("\n".join(lines[start + 1 : -2]))
    assert [event["type"] for event in entry[0]["events"]] == ["a.b", "a.b"]


def test_what_is_printed_can_be_pasted_below_the_tests_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = ("invariants:\n  - {at_most: 1, per: 1h}\n", "tests:\n", PASSES)
    lines = run([folder(tmp_path, *parts)], capsys)[1].splitlines(keepends=True)
    start = lines.index("  as a test:\n")
    printed = lines[start + 1 : lines.index("\n", start)]
    code, told, errors = run([folder(tmp_path, *parts, *printed)], capsys)
    assert (code, errors) == (1, "")
    assert "1 test passed, 1 failed" in told
    assert f'broken by the test "at most 1 message per 1h (found by proactive test)", {tmp_path}/a.yaml:8: ' in told


def test_trying_leaves_nothing_in_the_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder(tmp_path, "invariants:\n  - {at_most: 1000, per: 1h}\n")
    assert run(["a.yaml", "--examples", "20"], capsys)[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.yaml"]


def test_the_shipped_rules_pass_their_tests(capsys: pytest.CaptureFixture[str]) -> None:
    code, printed, errors = run([str(SHIPPED)], capsys)
    assert code == 0, printed + errors
