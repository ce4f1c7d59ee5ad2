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
from engine.core.model import MESSAGE_TYPES_TAKEN
from engine.core.scope import NOW_FIELDS, SESSION_FIELDS
from engine.core.shapes import Later
from engine.loading.diagnostic import RuleErrors
from engine.loading.language import (
    DATA_KEYS_TAKEN,
    DEFAULTS,
    MESSAGE,
    POLICY,
    file_shape,
    rule_shape,
    trigger_shape,
)
from engine.loading.load import load
from engine.transport.wire import read_frame
from engine.triggers import KINDS

ROOT = Path(__file__).parent.parent
RULES = ROOT / "docs" / "rules.md"
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


def later(shape: shapes.Shape) -> set[str]:
    assert isinstance(shape, shapes.Fields)
    return {name for name, key in shape.keys.items() if isinstance(key, Later)}


def test_every_key_that_is_refused_is_listed_and_no_other() -> None:
    listed = [set(words(cells[1])) for cells in rows(section("## Not supported yet"))]
    of_defaults = {name for name, key in DEFAULTS.items() if isinstance(key, Later)}
    assert listed == [
        later(file_shape(KINDS)),
        later(trigger_shape(KINDS)),
        of_defaults,
        later(rule_shape(KINDS)) - of_defaults,
        later(MESSAGE),
        later(POLICY),
    ]


def test_every_key_of_a_rule_is_explained() -> None:
    shape = rule_shape(KINDS)
    listed = {word for cells in rows(section("### The keys of a rule")) for word in words(cells[0])}
    assert listed == set(shape.keys) - later(shape)


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


def test_every_function_and_namespace_is_explained() -> None:
    text = section("## Expressions")
    for name in FUNCTION_NAMES:
        assert f"`{name}(" in text, name
    for name in (*shapes.NAMESPACES, *NOW_FIELDS, *SESSION_FIELDS):
        assert f"`{name}`" in text, name
