"""The share of each worker: all of the partitions, evenly, and few of them move when a worker comes or goes."""

from __future__ import annotations

import pytest

from engine.fleet.assignment import shares

NAMES = [f"host{number}-{number * 7}-ab" for number in range(12)]


@pytest.mark.parametrize("partitions", [1, 2, 8, 16, 256])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 12])
def test_every_partition_is_somebodys_and_nobody_has_two_more_than_another(count: int, partitions: int) -> None:
    found = shares(NAMES[:count], partitions)
    assert sorted(number for share in found.values() for number in share) == list(range(partitions))
    lengths = [len(share) for share in found.values()]
    assert max(lengths) - min(lengths) <= 1
    assert len(found) == count


def test_where_there_is_nobody_nobody_has_any() -> None:
    assert shares([], 8) == {}


def test_all_find_the_same_whatever_the_order_in_which_they_know_of_each_other() -> None:
    assert shares(reversed(NAMES), 256) == shares([*NAMES, *NAMES], 256)


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_when_a_worker_comes_few_partitions_move_besides_its_own(count: int) -> None:
    before = {number: name for name, share in shares(NAMES[:count], 256).items() for number in share}
    after = {number: name for name, share in shares(NAMES[: count + 1], 256).items() for number in share}
    moved = [number for number in before if before[number] != after[number]]
    of_its_own = sum(1 for name in after.values() if name == NAMES[count])
    assert of_its_own <= len(moved) <= 2 * of_its_own
