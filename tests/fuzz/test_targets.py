"""What strangers write, tried with inputs nobody would: a bounded part of what `make fuzz` does without end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.target import Target, TooSlow, attempt_within
from fuzz.targets import TARGETS, target

ROOT = Path(__file__).parents[2]
INPUTS = 400  # of each target, by chance; hypothesis adds some that it makes smaller where one fails
BOUNDED = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("name", TARGETS)
def test_what_the_project_itself_has_written_is_answered(name: str) -> None:
    chosen = target(name)
    seeds = chosen.seeds()
    assert seeds
    for seed in seeds:
        chosen.attempt(seed)


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.binary(min_size=1, max_size=300))
@BOUNDED
def test_any_bytes_are_answered(name: str, data: bytes) -> None:
    target(name).attempt(data)


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
@BOUNDED
def test_any_words_of_the_language_are_answered(name: str, data: st.DataObject) -> None:
    chosen = target(name)
    if not chosen.words:
        pytest.skip("this target has no words")
    words = data.draw(st.lists(st.sampled_from(list(chosen.words)), max_size=40))
    first = data.draw(st.sampled_from(["", "\x00", "\x40"]))
    between = data.draw(st.sampled_from(["", " ", "\n", ", "]))
    chosen.attempt((first + between.join(words) or "\x00").encode("utf-8", "surrogatepass"))


def test_no_input_takes_more_memory_than_it_may_or_goes_on_for_ever() -> None:
    command = [sys.executable, "-m", "fuzz.bounded", "--inputs", str(INPUTS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "".join(f"{name} {INPUTS}\n" for name in TARGETS)


def test_an_input_that_takes_too_long_is_a_finding() -> None:
    busy = Target(lambda data: sum(range(10**5)) and None, lambda: [b""])
    with pytest.raises(TooSlow, match="3 bytes took"):
        attempt_within(busy, b"abc", seconds=0.0)
