"""Lines by moment, whether or not they fit into memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.replay import sorting
from engine.replay.sorting import SortedLines


@given(
    lines=st.lists(st.tuples(st.integers(0, 5), st.binary(max_size=20)), max_size=60),
    memory=st.sampled_from([0, 500, 10**6]),
)
def test_lines_come_by_moment_and_equals_as_they_were_added(lines, memory):
    with SortedLines(memory) as sort:
        for at, line in lines:
            sort.add(at, line)
        assert list(sort) == [line for _, line in sorted(lines, key=lambda stamped: stamped[0])]


@pytest.mark.parametrize(
    "count", [sorting.FILES_MAX - 1, sorting.FILES_MAX, sorting.FILES_MAX + 1, 3 * sorting.FILES_MAX]
)
def test_no_more_than_so_many_files_are_open(count):
    with SortedLines(0) as sort:
        for number in range(count):
            sort.add(-number // 2, b"%d" % number)
            assert len(sort._files) < sorting.FILES_MAX
        expected = sorted(range(count), key=lambda number: -number // 2)
        assert list(sort) == [b"%d" % number for number in expected]
