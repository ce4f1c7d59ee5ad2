from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.refusal import Refused
from engine.replay.ranges import POINTS_MAX, Setting, grid, parse_setting


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("3", ("3",)),
        ("2..6", ("2", "3", "4", "5", "6")),
        ("2..2", ("2",)),
        ("-1..1", ("-1", "0", "1")),
        ("2..10..4", ("2", "6", "10")),
        ("2..9..4", ("2", "6")),
        ("2m,5m,10m", ("2m", "5m", "10m")),
        ("30s..2m..30s", ("30s", "1m", "1m30s", "2m")),
        ("0%..50%..25%", ("0%", "25%", "50%")),
        ("2..3, 7", ("2", "3", "7")),
        ('[a, b],"x, y",{k: [1, 2]}', ("[a, b]", '"x, y"', "{k: [1, 2]}")),
        ("wait..what", ("wait..what",)),
        ("none,5m", ("none", "5m")),
        ("a=b", ("a=b",)),
    ],
)
def test_values_are_a_list_of_values_and_ranges(text: str, values: tuple[str, ...]) -> None:
    assert parse_setting(f"a.b[0].c={text}") == Setting("a.b[0].c", values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.b", "expected a place and values such as"),
        ("a.b=", "expected a place and values such as"),
        ("=2", "expected a place and values such as"),
        ("a.b=2,,3", 'expected values with commas between them, got "2,,3"'),
        ("a.b=2..4,3", '"a.b" is to be 3 twice'),
        ("a.b=6..2", 'expected a range that goes upward, got "6..2"'),
        ("a.b=2..6..0", 'expected a range that goes upward, got "2..6..0"'),
        ("a.b=2m..6m", 'the range "2m..6m" needs a step'),
        ("a.b=2m..6", 'the parts of the range "2m..6" are of different kinds'),
        ("a.b=2m..6m..0s", "expected a duration longer than nothing"),
        (f"a.b=1..{POINTS_MAX + 1}", f'expected at most {POINTS_MAX} values for "a.b", got more'),
        ("a.b=1..999999999999", f'expected at most {POINTS_MAX} values for "a.b", got more'),
    ],
)
def test_what_is_no_setting_is_refused(text: str, message: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_setting(text)
    assert message in caught.value.message


def test_a_grid_has_all_combinations_the_last_changing_first() -> None:
    settings = [Setting("a", ("1", "2")), Setting("b", ("x", "y"))]
    assert grid(settings) == [("1", "x"), ("1", "y"), ("2", "x"), ("2", "y")]


def test_a_grid_has_a_bound() -> None:
    assert len(grid([parse_setting("a=1..20"), parse_setting("b=1..10")])) == POINTS_MAX
    with pytest.raises(Refused, match=r"expected at most 200 combinations, got 3 × 67 = 201"):
        grid([parse_setting("a=1..3"), parse_setting("b=1..67")])


def test_a_place_is_set_once() -> None:
    with pytest.raises(Refused, match='"a" is set twice'):
        grid([Setting("a", ("1",)), Setting("a", ("2",))])


@given(st.integers(-50, 50), st.integers(0, 60), st.integers(1, 9))
def test_a_range_holds_what_it_says(first: int, length: int, step: int) -> None:
    values = parse_setting(f"a={first}..{first + length}..{step}").values
    assert values == tuple(str(value) for value in range(first, first + length + 1, step))
