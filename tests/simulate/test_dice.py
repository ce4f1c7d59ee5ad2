from __future__ import annotations

import math
from statistics import fmean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.simulate.dice import Dice, exponential, odds


def test_the_numbers_are_these_on_every_machine() -> None:
    dice = Dice("simulate", 1)
    drawn = [dice.bits(), dice.fraction(), dice.between(1, 6), dice.normal(), dice.around(1000, 0.5), dice.times(3, 9)]
    assert drawn == [16796599731117711110, 0.8796673554017282, 3, -1.0945833777812595, 787, 3]


def test_another_cause_is_another_chance() -> None:
    assert len({Dice("a", number).bits() for number in range(1000)}) == 1000


@given(st.integers(-1000, 1000), st.integers(0, 1000), st.integers(0, 10**6))
def test_numbers_lie_between_their_ends(low: int, span: int, seed: int) -> None:
    assert low <= Dice(seed).between(low, low + span) <= low + span


def test_both_ends_come_about_as_often_as_what_lies_between() -> None:
    dice = Dice("ends")
    drawn = [dice.between(1, 4) for _ in range(4000)]
    assert all(900 < drawn.count(number) < 1100 for number in (1, 2, 3, 4))


def test_the_normal_numbers_are_about_normal() -> None:
    dice = Dice("normal")
    drawn = [dice.normal() for _ in range(5000)]
    assert abs(fmean(drawn)) < 0.05
    assert abs(pstdev(drawn) - 1) < 0.05
    assert max(map(abs, drawn)) < 3.5


def test_half_of_the_log_normal_numbers_lie_below_their_median() -> None:
    dice = Dice("around")
    drawn = sorted(dice.around(1000, 0.8) for _ in range(5000))
    assert 950 < drawn[2500] < 1050
    assert drawn[-1] > 5000


def test_what_is_done_again_and_again_has_its_mean_and_its_bound() -> None:
    dice = Dice("times")
    drawn = [dice.times(3, 50) for _ in range(5000)]
    assert abs(fmean(drawn) - 3) < 0.15
    assert {dice.times(30, 4) for _ in range(100)} <= {1, 2, 3, 4}


@pytest.mark.parametrize("x", [-4, -1.5, 0, 0.3, 2, 4])
def test_the_exponential_is_near_enough(x: float) -> None:
    assert exponential(x) == pytest.approx(math.exp(x), rel=0.003)
    assert odds(x) == pytest.approx(1 / (1 + math.exp(-x)), rel=0.003)
