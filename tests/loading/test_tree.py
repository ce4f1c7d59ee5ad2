"""What plain YAML means, where it stands, and what it may not cost."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from samples_for_loading import BAD, text_of

from engine.loading import tree
from engine.loading.tree import ALIAS_NODES_MAX, DEPTH_MAX, FILE_BYTES_MAX, Mapping, Scalar, Sequence, parse_tree

PARSERS = [yaml.SafeLoader, *([yaml.CSafeLoader] if hasattr(yaml, "CSafeLoader") else [])]


def value_of(text: str, parser: Any = tree.PARSER) -> Any:
    """The value under the key ``a``."""
    parsed = parse_tree("x.yaml", text, parser)
    assert parsed.errors == []
    return plain(parsed.root).get("a")


def plain(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {name: plain(value) for name, (_, value) in node.entries.items()}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return node.value


def codes(text: str) -> list[str]:
    return [error.code for error in parse_tree("x.yaml", text).errors]


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.__name__)
@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"), ("True", True), ("TRUE", True),
        ("true", True), ("tRUE", "tRUE"), ("false", False), ("null", None), ("Null", None), ("~", None), ("", None),
        ("nULL", "nULL"), ("22:00", "22:00"), ("1:30:00", "1:30:00"), ("2026-03-27", "2026-03-27"), ("12", 12),
        ("012", 12), ("-12", -12), ("+12", 12), ("0o17", 15), ("0o18", "0o18"), ("0x1F", 31), ("-0x1F", "-0x1F"),
        ("0b11", "0b11"), ("1_000", "1_000"), ("1.5", 1.5), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("1e", "1e"),
        ("-1.5E-2", -0.015), (".inf", math.inf), ("-.Inf", -math.inf), ("+.INF", math.inf), (".iNF", ".iNF"),
        ("'12'", "12"), ('"true"', "true"), ('"~"', "~"), ("5m", "5m"), (".", "."), ("1.2.3", "1.2.3"), ("١٢", "١٢"),
        ("<<", "<<"), ("=", "="), ("|\n  12\n", "12\n"), (">-\n  x\n  y\n", "x y"), ('"a\\u0041\\n"', "aA\n"),
    ],
)  # fmt: skip
def test_plain_text_means_what_the_core_schema_says(written: str, value: Any, parser: Any) -> None:
    found = value_of(f"a: {written}\n", parser)
    assert found == value
    assert type(found) is type(value)


def test_not_a_number_is_not_a_number() -> None:
    assert math.isnan(value_of("a: .nan"))


def test_every_key_and_value_knows_its_place() -> None:
    parsed = parse_tree("x.yaml", "a: [x, {b: 'y'}]\nlong:\n  - z\n")
    assert isinstance(parsed.root, Mapping)
    key, value = parsed.root.entries["a"]
    assert (key.line, key.column, value.line, value.column) == (1, 1, 1, 4)
    assert isinstance(value, Sequence)
    inner = value.items[1]
    assert isinstance(inner, Mapping)
    assert [(node.line, node.column) for node in (inner, *inner.entries["b"])] == [(1, 8), (1, 9), (1, 12)]
    items = parsed.root.entries["long"][1]
    assert isinstance(items, Sequence)
    assert (items.items[0].line, items.items[0].column) == (3, 5)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.__name__)
@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: one X two", (1, 8)),
        ("a: 'one X two'", (1, 9)),
        ('a: "one X two"', (1, 9)),
        ("{a: ä😀 X}", (1, 8)),
        ('a: "one\\tX"', (1, 4)),  # with an escape: where the value begins
        ("a: one\n  X two", (1, 4)),  # over several lines: likewise
        ("a: >\n  one\n  X two", (1, 4)),
        ("a: |\n  one\n  X two", (3, 3)),
        ("a: |\n\n\n    one\n\n      X two\n", (6, 7)),
        ("b: 1\na: |2\n      one\n    X\n", (4, 5)),
        ("a: |-\n  X\n", (2, 3)),
        ("a: | # comment\n  X\n", (2, 3)),
    ],
)
def test_an_offset_in_a_value_leads_back_into_the_file(
    text: str, place: tuple[int, int], line_break: str, parser: Any
) -> None:
    parsed = parse_tree("x.yaml", text.replace("\n", line_break), parser)
    assert isinstance(parsed.root, Mapping)
    node = parsed.root.entries["a"][1]
    assert isinstance(node, Scalar)
    assert parsed.locate(node, node.written.index("X")) == place


def test_a_byte_order_mark_is_no_part_of_the_file() -> None:
    parsed = parse_tree("x.yaml", "\ufeffa: 1\na: 2\n")
    assert [(error.line, error.column) for error in parsed.errors] == [(2, 1)]
    assert codes("a: 1 # \ufeff") == ["bad-character"]


def test_both_parsers_report_the_same_lines_and_codes() -> None:
    for path in BAD:
        # PyYAML's own parser takes no "?" within text in brackets, which libyaml and YAML 1.2 do.
        text = text_of(path).replace("?,", ",")
        first, *others = [[(e.line, e.code) for e in parse_tree("x", text, parser).errors] for parser in PARSERS]
        for other in others:
            assert other == first or path.stem == "yaml-escape-names-nothing", path.stem


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.__name__)
@pytest.mark.parametrize("escape", [r"\ud800", r"\U00110000"])
def test_an_escape_that_names_no_character_is_an_error(escape: str, parser: Any) -> None:
    assert [error.code for error in parse_tree("x", f'a: "{escape}"', parser).errors] == ["yaml-syntax"]


def test_nesting_is_bounded() -> None:
    assert codes("[" * DEPTH_MAX + "]" * DEPTH_MAX) == []
    assert codes("[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1)) == ["too-deep"]
    assert codes("[" * 1_000_000) == ["too-deep"]
    assert codes("- " * 500_000) == ["too-deep"]


def test_the_size_of_a_file_is_bounded_in_bytes() -> None:
    assert codes("#" * FILE_BYTES_MAX) == []
    assert codes("#" * (FILE_BYTES_MAX + 1)) == ["too-large"]
    assert codes("#" + "ä" * (FILE_BYTES_MAX // 2)) == ["too-large"]


def test_an_alias_may_stand_for_so_much_and_no_more() -> None:
    # The list is a value itself.
    just = "a: &a [" + "x, " * (ALIAS_NODES_MAX - 1) + "]\nb: *a\n"
    assert codes(just) == []
    assert codes(just.replace("[", "[x, ")) == ["too-large"]


def test_all_aliases_of_a_file_together_are_bounded() -> None:
    one = "a: &a [" + "x, " * (ALIAS_NODES_MAX - 1) + "]\n"
    uses = [f"b{number}: *a\n" for number in range(11)]
    assert codes(one + "".join(uses[:10])) == []
    assert codes(one + "".join(uses)) == ["too-large"]


def test_a_bomb_of_aliases_is_reported_once_and_costs_nothing() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]" for number in range(1, 40)]
    assert codes("\n".join(lines)) == ["too-large"]


def test_an_anchor_may_be_given_again_and_the_latest_counts() -> None:
    assert value_of("x: &b 1\ny: &b 2\na: *b\n") == 2


def test_an_alias_may_be_a_key() -> None:
    assert value_of("x: &b a\n*b : 5\n") == 5


def test_what_is_wrong_with_the_structure_is_all_reported() -> None:
    assert codes("a: 1\na: 2\n5: x\nb: !!int 5\nc: *nobody\n<<: {}\n") == [
        "repeated-key", "bad-key", "tag", "bad-alias", "merge-key",
    ]  # fmt: skip


def test_an_empty_file_has_no_root_and_no_error() -> None:
    for text in ("", "\n", "# nothing\n", "---\n...\n"):
        parsed = parse_tree("x", text)
        assert parsed.errors == []
        assert parsed.root is None or isinstance(parsed.root, Scalar)
