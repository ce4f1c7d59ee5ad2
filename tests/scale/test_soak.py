"""What judges an hour of samples: what is level holds, and what grows is told by its name."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from tests.chaos.verdict import Verdict
from tests.scale.soak import FOLD_EVERY_S, FOLDS_LATE, Samples, judge_samples
from tests.scale.world import Outcome

MIB = 1024 * 1024
KEEP_S = 300.0
LATE_S = KEEP_S + FOLDS_LATE * FOLD_EVERY_S
Course = Callable[[float], float]


def level(value: float) -> Course:
    return lambda _: value


def judged(courses: dict[str, Course]) -> Verdict:
    """Of an hour in which all is level but these."""
    given = {
        "memory of worker-1": level(100 * MIB),
        "memory of workers started anew": level(90 * MIB),
        "used_memory of redis": level(40 * MIB),
        "open files of worker-1": level(20),
        "age of the log, s": level(KEEP_S),
    } | courses
    samples = Samples(3600.0)
    samples.values = {name: [(step / 100, course(step / 100)) for step in range(100)] for name, course in given.items()}
    outcome = Outcome(Verdict())
    judge_samples(samples, KEEP_S, outcome)
    return outcome.verdict


def test_what_is_level_holds() -> None:
    assert judged({}).holds


def test_what_grows_only_until_its_bound_holds() -> None:
    assert judged({"used_memory of redis": lambda share: 40 * MIB * min(share * 4, 1.0)}).holds


@pytest.mark.parametrize("age_s", [LATE_S + 1, math.inf], ids=["late", "never"])
def test_a_log_that_is_not_trimmed_is_told(age_s: float) -> None:
    assert list(judged({"age of the log, s": level(age_s)}).violations) == ["the log is not trimmed"]


@pytest.mark.parametrize("name", ["memory of worker-1", "used_memory of redis"])
def test_what_grows_by_a_fifth_in_half_the_time_is_told(name: str) -> None:
    verdict = judged({name: lambda share: 100 * MIB * (1 + 0.4 * share)})
    assert name in verdict.violations["memory that grows"][0]


def test_peaks_that_grow_are_told_also_of_what_was_started_anew() -> None:
    verdict = judged({"memory of workers started anew": lambda share: (90 if share < 0.5 else 120) * MIB})
    assert verdict.violations["memory that grows"] == [
        "peak of memory of workers started anew: 90.0 MiB, later 120.0 MiB"
    ]


def test_open_files_that_grow_are_told() -> None:
    assert list(judged({"open files of worker-1": lambda share: 20 + 20 * share}).violations) == [
        "open files that grow"
    ]


def test_too_few_samples_prove_nothing() -> None:
    samples = Samples(3600.0)
    samples.values = {"memory of worker-1": [(0.9, 1.0)], "age of the log, s": [(0.9, 1.0)]}
    outcome = Outcome(Verdict())
    judge_samples(samples, KEEP_S, outcome)
    assert list(outcome.verdict.violations) == ["it proves nothing"]


@pytest.mark.parametrize(
    ("seconds", "kinds"), [(8 * KEEP_S, []), (8 * KEEP_S - 1, ["it proves nothing"])], ids=["long", "short"]
)
def test_a_time_too_short_proves_nothing(seconds: float, kinds: list[str]) -> None:
    samples = Samples(seconds)
    samples.values = {"age of the log, s": [(0.9, KEEP_S)]}
    outcome = Outcome(Verdict())
    judge_samples(samples, KEEP_S, outcome)
    assert list(outcome.verdict.violations) == kinds
