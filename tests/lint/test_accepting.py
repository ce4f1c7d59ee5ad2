"""``# lint: ok CODE`` accepts a finding, and is one itself where there is nothing to accept."""

from __future__ import annotations

import pytest

from engine.lint.lint import lint
from engine.loading.load import load
from engine.triggers import KINDS

END = "trigger: {session: end}"


def shown(*lines: str) -> list[str]:
    text = "\n".join(["version: 1", "rules:", *lines, ""])
    return [f"{one.line}:{one.column} {one.code}: {one.message}" for one in lint(load({"r.yaml": text}, KINDS))]


def rule(end: str = "", above: str | None = None) -> list[str]:
    lines = ["  - id: a", f"    {END}{end}", "    message: {type: question, text: Hm}"]
    return lines if above is None else [lines[0], above, *lines[1:]]


def test_without_a_comment_it_is_found() -> None:
    assert shown(*rule()) == ["4:15 never-speaks: at the end of a session the user is absent, so a sends nothing"]


@pytest.mark.parametrize(
    "lines",
    [
        rule(end="  # lint: ok never-speaks"),
        rule(end=" # lint:ok never-speaks - they read it later"),
        rule(above="    # lint: ok never-speaks"),
        rule(above="    # lint: ok never-speaks\n    # and a further comment between the two"),
    ],
)
def test_at_the_end_of_the_line_or_above_it_a_comment_accepts_it(lines: list[str]) -> None:
    assert shown(*lines) == []


def test_one_comment_may_accept_several() -> None:
    both = "  - {id: b, trigger: {session: end}, message: {type: question, text: Hm}, condition: 1 == 1}"
    assert len(shown(both)) == 2
    assert shown(f"{both} # lint: ok never-speaks, always-holds because of both") == []


def test_the_end_of_another_line_accepts_nothing() -> None:
    [first, second] = shown("  - id: a # lint: ok never-speaks", *rule()[1:])
    assert first == '3:11 unused-accept: "never-speaks" is accepted here and not found'
    assert second.startswith("4:15 never-speaks")


def test_another_code_accepts_nothing() -> None:
    [first, second] = shown(*rule(end=" # lint: ok always-holds"))
    assert first.startswith("4:15 never-speaks")
    assert second == '4:29 unused-accept: "always-holds" is accepted here and not found'


def test_a_code_that_does_not_exist_is_said_to_be_none() -> None:
    found = shown(*rule(end=" # lint: ok never-speak"))
    assert found[1] == '4:29 unused-accept: there is no finding "never-speak"'


def test_a_comment_without_a_code_accepts_nothing() -> None:
    assert shown(*rule(end=" # lint: ok"))[1] == "4:29 unused-accept: this accepts no code"


def test_what_only_logs_can_show_may_be_accepted_without_one() -> None:
    assert shown("  - {id: a, trigger: {event: e}, message: {type: question, text: Hm}} # lint: ok unknown-type") == []


def test_a_text_that_looks_like_a_comment_accepts_nothing() -> None:
    quoted = '  - {id: a, message: {type: question, text: "# lint: ok never-speaks"}, trigger: {session: end}}'
    assert len(shown(quoted)) == 1
    block = ["  - id: a", "    message:", "      type: question", "      text: |", "        # lint: ok never-speaks"]
    assert len(shown(*block, f"    {END}")) == 1
