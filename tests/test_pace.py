"""How much is done at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.pace import Pace


@pytest.mark.parametrize(
    ("seconds", "size"),
    [
        (0.0, 20),  # however fast, at most twice as many
        (0.15, 20),
        (0.2, 15),
        (0.3, 10),
        (0.6, 5),
        (3.0, 1),
        (1000.0, 1),  # there is always something done
    ],
)
def test_the_next_piece_is_so_large_that_it_takes_about_as_long_as_it_should(seconds: float, size: int) -> None:
    pace = Pace(10, 100, piece_s=0.3)
    pace.took(seconds)
    assert pace.size == size


def test_it_never_does_more_at_once_than_it_may() -> None:
    pace = Pace(60, 100, piece_s=0.3)
    pace.took(0.001)
    assert pace.size == 100
    pace.took(0.001)
    assert pace.size == 100


@given(st.lists(st.floats(min_value=0, max_value=1e6)), st.floats(min_value=1e-4, max_value=0.1))
def test_whatever_happened_it_finds_the_size_again(before: list[float], each_s: float) -> None:
    pace = Pace(10, 500)
    for seconds in before:
        pace.took(seconds)
    for _ in range(12):
        pace.took(pace.size * each_s)
    assert 1 <= pace.size <= 500
    assert pace.size * each_s <= 0.0301 or pace.size == 1
    assert (pace.size + 1) * each_s > 0.0299 or pace.size == 500
