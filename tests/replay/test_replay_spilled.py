"""Events on disk are the events in memory, whatever little memory there is."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.model import Event
from engine.core.refusal import Refused
from engine.replay import runs
from engine.replay.activity import InMemory, in_memory
from engine.replay.room import MEMORY_MIN, USER_BYTES, format_size, parse_size, room_of
from engine.replay.spilled import Gathering, Spilled, TooLittleMemory

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=3,
)
EVENTS = st.lists(
    st.builds(
        Event,
        type=st.sampled_from("ab"),
        user=st.sampled_from(["ann", "bob", "\u00e9", "\ud800", "z"]),
        at=st.integers(0, 5),
        data=st.dictionaries(st.text(max_size=2), VALUES, max_size=2),
        id=st.text(max_size=2),
        session=st.none() | st.just("s"),
    ),
    max_size=30,
)


def gathered(events: list[Event], memory: int, batch: int) -> InMemory | Spilled:
    gathering = Gathering(memory)
    for start in range(0, len(events), batch):
        gathering.add(events[start : start + batch])
    found = gathering.activity()
    assert isinstance(found, InMemory | Spilled)
    return found


@given(EVENTS, st.integers(1, 7))
def test_on_disk_and_in_memory_are_the_same(events: list[Event], batch: int) -> None:
    whole = in_memory(events)
    most = room_of(events) + 10_000
    # A bound that one batch fills, and which the events of no user do.
    spilled_ones = Gathering(most)
    for start in range(0, len(events), batch):
        spilled_ones.add(events[start : start + batch])
        spilled_ones._spill()
    found = spilled_ones.activity()
    assert isinstance(found, Spilled) == bool(events)
    assert dict(found) == dict(whole)
    assert [user for user, _ in found] == sorted(user for user, _ in whole) or not events
    assert (found.users, found.events, found.first, found.last) == (
        whole.users,
        whole.events,
        whole.first,
        whole.last,
    )
    for user in ("ann", "bob", "nobody", "zz"):
        assert list(found.of(user)) == list(whole.of(user))


def test_numbers_keep_their_kind() -> None:
    data = {"big": 2**70, "whole": 1, "broken": 1.0, "truth": True, "order": {"b": 1, "a": 2}}
    gathering = Gathering(100_000)
    gathering.add([Event("a", "ann", 1, data)])
    gathering._spill()
    [event] = gathering.activity().of("ann")
    assert [type(value) for value in event.data.values()] == [int, int, float, bool, dict]
    assert list(event.data["order"]) == ["b", "a"]


def test_however_many_runs_there_are_few_are_open() -> None:
    gathering = Gathering(1_000_000)
    count = 3 * runs.RUNS_MAX + 2
    for number in range(count):
        gathering.add([Event("a", f"u{number % 3}", number % 5, {"n": number})])
        gathering._spill()
    found = gathering.activity()
    assert isinstance(found, Spilled)
    assert len(found._runs) == 3 + 2
    assert [[event.data["n"] for event in mine] for _, mine in found] == [
        sorted(range(user, count, 3), key=lambda number: number % 5) for user in range(3)
    ]


def test_what_does_not_fit_goes_to_disk_and_what_does_stays() -> None:
    events = [Event("a", f"u{number}", number, {}) for number in range(1000)]
    room = room_of(events) + 1000 * USER_BYTES
    assert isinstance(gathered(events, 2 * room, 100), InMemory)
    assert isinstance(gathered(events, room // 2, 100), Spilled)


def test_a_user_who_alone_is_too_much_is_named() -> None:
    events = [Event("a", "ann", number, {"n": number}) for number in range(1000)]
    with pytest.raises(TooLittleMemory, match=r'the events of user "ann" alone take about 1MB, and may take 1MB'):
        gathered(events, room_of(events) // 2, 100)


@pytest.mark.parametrize(
    ("text", "size"),
    [("16MB", 16_000_000), ("2GB", 2 * 10**9), ("1.5 gb", 1_500_000_000), ("64MiB", 64 << 20), ("20000000", 2 * 10**7)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "much", "-2GB", "2XB", "1e9", f"{MEMORY_MIN - 1}", "15MB", "0"])
def test_what_is_no_size_or_too_little_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="expected a"):
        parse_size(text)


@pytest.mark.parametrize(("size", "text"), [(1, "1MB"), (16_000_001, "17MB"), (10**9, "1GB"), (4_010_000_000, "4.1GB")])
def test_sizes_are_shown_rounded_up(size: int, text: str) -> None:
    assert format_size(size) == text


def test_a_full_disk_is_told_with_the_folder_and_what_to_do() -> None:
    def blocks() -> Iterator[bytes]:
        yield b"x"
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left on device") as full:
        runs.Run(blocks())
    assert full.value.filename == f"{tempfile.gettempdir()} (for temporary files; TMPDIR names another folder)"
