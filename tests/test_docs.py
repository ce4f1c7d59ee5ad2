"""The pages of `docs/` say what is so: rules load, timelines come true, tables are complete."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest
from pages import blocks_of, check_yaml, frames_of, matches, rules_before, run_timeline

from engine.app import Server
from engine.core import shapes
from engine.core.functions import FUNCTION_NAMES
from engine.core.gates import GATES
from engine.core.groups import GROUP_NAME_MAX
from engine.core.model import MESSAGE_TYPES_TAKEN, OUTCOMES
from engine.core.remembered import HELD_MAX, MESSAGES_MAX, NAMES_MAX, VALUES_MAX, WAITING_MAX
from engine.core.rules import HISTORY_EVENTS_MAX
from engine.core.scope import NOW_FIELDS, SESSION_FIELDS
from engine.lint.lint import lint
from engine.loading.diagnostic import RuleErrors
from engine.loading.language import CAPS_MAX, DATA_KEYS_TAKEN, DEFAULTS, DELIVER, POLICY, VARIANTS_MAX, rule_shape
from engine.loading.load import load
from engine.loading.policy import BUDGET, COST_MAX, COUNT_MAX, LIMITS_MAX, MATCHERS_MAX, QUIET_HOURS, SEED_MAX
from engine.loading.policy import NAMES_MAX as RULE_NAMES_MAX
from engine.transport.feedback import OUTCOMES as MESSAGE_OUTCOMES
from engine.transport.feedback import PREFERENCES
from engine.transport.wire import read_frame
from engine.triggers import KINDS

ROOT = Path(__file__).parent.parent
RULES = ROOT / "docs" / "rules.md"
DELIVERY = ROOT / "docs" / "delivery.md"
COOKBOOK = ROOT / "docs" / "cookbook.md"
PROTOCOL = ROOT / "docs" / "protocol.md"
PROTOCOL_RULES = """
version: 1
rules:
  - {id: stuck, trigger: {keywords: {any: [stuck]}}, message: {type: question, text: "Where are you stuck?"}}
"""
PAGES = sorted((ROOT / "docs").glob("*.md"))
BLOCKS = {page: blocks_of(page) for page in PAGES}
PLACED = [(page, number) for page in PAGES for number in range(len(BLOCKS[page]))]
LOADER = [
    *(ROOT / "engine" / "loading").glob("*.py"),
    *(ROOT / "engine" / "core").glob("*.py"),
    *(ROOT / "engine" / "triggers").glob("*.py"),
    ROOT / "engine" / "folder.py",
]


def code_of_the_first_line(path: Path) -> str:
    match = re.match(r"# expect: \d+:\d+ ([a-z0-9-]+)", path.read_bytes().decode())
    assert match is not None
    return match[1]


def named(place: tuple[Path, int]) -> str:
    page, number = place
    return f"{page.name}, {BLOCKS[page][number]}"


def places(language: str, word: str | None = None) -> list[tuple[Path, int]]:
    return [
        (page, number)
        for page, number in PLACED
        if BLOCKS[page][number].language == language and (word is None or BLOCKS[page][number].word == word)
    ]


@pytest.mark.parametrize("place", [p for p in places("yaml") if p not in places("yaml", "wrong")], ids=named)
def test_the_yaml_is_accepted(place: tuple[Path, int]) -> None:
    page, number = place
    check_yaml(BLOCKS[page][number])


@pytest.mark.parametrize("place", places("yaml", "wrong"), ids=named)
def test_a_wrong_file_is_refused_in_these_words(place: tuple[Path, int]) -> None:
    page, number = place
    with pytest.raises(RuleErrors) as caught:
        load({"rules.yaml": BLOCKS[page][number].text}, KINDS)
    assert str(caught.value) + "\n" == BLOCKS[page][number + 1].text


@pytest.mark.parametrize("place", places("timeline"), ids=named)
def test_a_timeline_comes_true(place: tuple[Path, int]) -> None:
    page, number = place
    expected, came, _ = run_timeline(rules_before(BLOCKS[page], number), BLOCKS[page][number].text)
    assert came == expected


@pytest.mark.parametrize("place", places("json"), ids=named)
def test_the_json_is_json(place: tuple[Path, int]) -> None:
    page, number = place
    assert frames_of(BLOCKS[page][number])


@pytest.mark.parametrize("place", places("json", "client"), ids=named)
def test_frames_of_a_client_are_accepted(place: tuple[Path, int]) -> None:
    page, number = place
    for frame in frames_of(BLOCKS[page][number]):
        assert read_frame(json.dumps(frame))


async def test_requests_are_answered_as_the_page_says(start_server: Callable[..., Awaitable[Server]]) -> None:
    server = await start_server(rules=PROTOCOL_RULES)
    asked = places("http")
    assert asked
    async with aiohttp.ClientSession() as session:
        for page, number in asked:
            block = BLOCKS[page][number]
            request, status, reply = re.fullmatch(r"(.*)\n\n(\d{3})\n(.*)", block.text, re.DOTALL).groups()  # type: ignore[union-attr]
            head, _, body = request.partition("\n")
            method, path = head.split()
            async with session.request(method, server.http_url + path, data=body) as response:
                assert response.status == int(status), str(block)
                assert matches(json.loads(reply), await response.json()), str(block)


def test_every_code_of_the_protocol_is_listed_and_no_other() -> None:
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "engine" / "transport").glob("*.py"))
    codes = set(re.findall(r'(?:WireError|error_frame)\(\s*"([a-z_]+)"', sources))
    codes |= set(re.findall(r'"([a-z_]+)": \d{3}\b', sources))
    table = next(part for part in section("### Errors", PROTOCOL).split("\n\n") if part.startswith("| code |"))
    listed = {word for cells in rows(table) for word in words(cells[0])}
    assert listed == codes


def test_what_a_rule_cannot_use_is_listed() -> None:
    paragraph = next(
        part for part in section("### Messages", PROTOCOL).split("\n\n") if part.startswith("A rule cannot")
    )
    types, _, keys = paragraph.partition("nor in `data`")
    assert (tuple(words(types)), tuple(words(keys))) == (MESSAGE_TYPES_TAKEN, DATA_KEYS_TAKEN)


def section(heading: str, page: Path = RULES) -> str:
    text = page.read_text("utf-8")
    return re.split(r"^#+ ", text.split(f"\n{heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> Iterator[list[str]]:
    """The cells of a table, less its head."""
    for line in re.findall(r"^\|(.*)\|$", text, re.MULTILINE)[2:]:
        yield line.split(" | ")


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_key_of_a_rule_is_explained() -> None:
    shape = rule_shape(KINDS)
    listed = {word for cells in rows(section("### The keys of a rule")) for word in words(cells[0])}
    assert listed == set(shape.keys)


def test_every_key_of_a_policy_is_explained() -> None:
    (table,) = [part for part in section("## A file").split("\n\n") if part.startswith("| key of `policy`")]
    assert {word for cells in rows(table) for word in words(cells[0])} == set(POLICY.keys)


def test_what_defaults_may_not_hold_is_listed() -> None:
    (paragraph,) = [line for line in section("## A file").split("\n- ") if line.startswith("**defaults**")]
    listed, _, _ = paragraph.partition(". A rule")
    assert set(words(listed)) == set(rule_shape(KINDS).keys) - set(DEFAULTS)


def test_every_code_of_the_loader_is_listed_and_no_other() -> None:
    sources = "\n".join(path.read_text("utf-8") for path in LOADER)
    codes = set(re.findall(r'code(?:: str)? ?= ?"([a-z0-9-]+)"', sources))
    codes |= set(re.findall(r'[",] "([a-z0-9]+(?:-[a-z0-9]+)+|conflict|tag|unreadable)"\)', sources))
    codes |= {f"repeated-{what}" for what in re.findall(r'self\.first\(\w+, .*?, "(\w+)"', sources)}
    codes |= {f"unknown-{what}" for what in ("filter", "test")}  # written as f"unknown-{what}"
    codes |= set(re.findall(r'^SYNTAX = "(.*)"', sources, re.MULTILINE))
    listed = [word for cells in rows(section("## Errors")) for word in words(cells[0])]
    assert sorted(listed) == sorted(codes)


def test_every_code_that_a_bad_file_shows_is_listed() -> None:
    shown = {code_of_the_first_line(path) for path in (ROOT / "tests" / "loading" / "bad").glob("*.yaml")}
    assert shown <= {word for cells in rows(section("## Errors")) for word in words(cells[0])}


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_and_fact_of_a_trigger_is_in_its_section(kind: str) -> None:
    text = section(f"### `{kind}`")
    for name in KINDS[kind].shape.keys:
        assert re.search(rf"\b{name}\b", text), name
    for fact in KINDS[kind].facts:
        assert f"trigger.{fact}" in text, fact


def test_the_gates_are_listed_in_their_order_and_every_outcome_is_there() -> None:
    listed = [
        words(cells[3])[0] for cells in rows(section("## Gates and outcomes", DELIVERY)) if cells[0].strip().isdigit()
    ]
    assert listed == [outcome for outcome, _ in GATES]
    for text in (section("## Gates and outcomes", DELIVERY), section("## Gates and outcomes")):
        assert set(OUTCOMES) <= set(words(text))


def test_every_key_of_deliver_of_a_budget_and_of_preferences_is_explained() -> None:
    for heading, keys in (
        ("## A good moment", DELIVER.keys),
        ("## Budgets", BUDGET.keys),
        ("## Quiet hours", QUIET_HOURS.keys),
        ("## What users wish", dict.fromkeys(PREFERENCES)),
    ):
        listed = {word for cells in rows(section(heading, DELIVERY)) for word in words(cells[0])}
        assert set(keys) <= listed, heading


def test_every_event_that_tells_of_a_message_is_listed() -> None:
    listed = {cells[0].strip(" `") for cells in rows(section("## Messages that come back", DELIVERY))}
    assert listed == {f"message.{word}" for word in (*MESSAGE_OUTCOMES, "delivered", "expired")}


def test_the_bounds_are_those_of_the_code() -> None:
    table = section("## Bounds", DELIVERY)
    listed = {
        cells[0].strip(): [int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*", cells[1])] for cells in rows(table)
    }
    assert listed == {
        "caps of a rule, limits of a budget": [CAPS_MAX, COUNT_MAX],
        "`cost` of an event of `charged_by`": [COST_MAX],
        "matchers of `at`, `cancel_on`, `charged_by`, `reset_on`": [MATCHERS_MAX],
        "budgets or quiet hours that a rule names": [RULE_NAMES_MAX],
        "variants of a message": [VARIANTS_MAX],
        "characters of `seed`": [SEED_MAX],
        "messages of a user that may still be answered": [MESSAGES_MAX],
        "messages of an absent user that wait for them": [WAITING_MAX, MESSAGES_MAX],
        "messages of a user that are held": [HELD_MAX],
        "rules and topics that a user has muted, and as many snoozed": [NAMES_MAX],
        "values of `cooldown_by` that are remembered per rule and user": [VALUES_MAX, GROUP_NAME_MAX],
    }
    assert CAPS_MAX == LIMITS_MAX
    assert f"{HISTORY_EVENTS_MAX:,} events" in section("## What is remembered, and changed rules")


def test_every_recipe_has_one_file_and_one_timeline_and_is_in_the_table() -> None:
    head, *recipes = re.split(r"^## ", COOKBOOK.read_text("utf-8"), flags=re.MULTILINE)
    assert len(recipes) >= 20
    for recipe in recipes:
        assert re.findall(r"^```(\w+)", recipe, re.MULTILINE) == ["yaml", "timeline"], recipe.splitlines()[0]
    linked = re.findall(r"\(#([^)]+)\)", head)
    assert sorted(linked) == sorted(anchor(recipe.splitlines()[0]) for recipe in recipes)


@pytest.mark.parametrize("place", [p for p in places("yaml") if p[0] == COOKBOOK], ids=named)
def test_lint_finds_nothing_in_a_recipe(place: tuple[Path, int]) -> None:
    page, number = place
    assert lint(load({"rules.yaml": BLOCKS[page][number].text}, KINDS)) == ()


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.name)
def test_every_link_to_a_page_or_a_section_leads_somewhere(page: Path) -> None:
    for link in re.findall(
        r"\]\((?!https?:)([^)]+)\)", re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)
    ):
        path, _, fragment = link.partition("#")
        there = page if not path else (page.parent / path).resolve()
        assert there.exists(), link
        if fragment:
            headings = re.findall(r"^#+ (.*)$", there.read_text("utf-8"), re.MULTILINE)
            assert fragment in {anchor(heading) for heading in headings}, link


def anchor(heading: str) -> str:
    """The name under which a heading can be linked to."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_function_and_namespace_is_explained() -> None:
    text = section("## Expressions")
    for name in FUNCTION_NAMES:
        assert f"`{name}(" in text, name
    for name in (*shapes.NAMESPACES, *NOW_FIELDS, *SESSION_FIELDS):
        assert f"`{name}`" in text, name
