"""One mistake per file: its first line says where it is, its code, and what the author is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from samples_for_loading import BAD, text_of

from engine.loading.diagnostic import RuleErrors
from engine.loading.load import load
from engine.triggers import KINDS

EXPECT = re.compile(r"# expect: (\d+):(\d+) ([a-z0-9-]+)(?:: (.*))?")


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_mistake_is_reported_once_where_it_is(path: Path) -> None:
    text = text_of(path)
    expected = EXPECT.fullmatch(text.split("\n", 1)[0])
    assert expected is not None, "the first line must say what to expect"
    line, column, code, fragment = expected.groups()
    with pytest.raises(RuleErrors) as caught:
        load({path.name: text}, KINDS)
    found = [(error.line, error.column, error.code) for error in caught.value.diagnostics]
    assert found == [(int(line), int(column), code)], str(caught.value)
    assert (fragment or "") in caught.value.diagnostics[0].message


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_message_is_lower_case_on_one_line_and_without_a_full_stop(path: Path) -> None:
    with pytest.raises(RuleErrors) as caught:
        load({path.name: text_of(path)}, KINDS)
    for error in caught.value.diagnostics:
        assert "\n" not in error.message
        assert not error.message[0].isupper()
        assert not error.message.endswith(".") or error.message.endswith('".')


def test_there_is_a_file_for_every_code_that_the_loader_knows() -> None:
    """Codes stand in the sources as the argument after the message; those of other tests are named here."""
    sources = (Path(__file__).parents[2] / "engine" / "loading").glob("*.py")
    known = {
        code for source in sources for code in re.findall(r'"([a-z]+(?:-[a-z0-9]+)+)"\)', source.read_text("utf-8"))
    }
    tested = {match.group(3) for path in BAD if (match := EXPECT.match(text_of(path)))}
    assert known - tested <= {"repeated-list", "repeated-policy"}
