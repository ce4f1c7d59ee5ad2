"""Events and facts as a state remembers them: what comes out is what went in, also where it has to be written."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.kept import KEPT_EVENT_BYTES_MAX, frozen_facts, keep, kept_event, restored_event, thawed_facts
from engine.core.model import Event
from engine.core.units import to_datetime

MARKS = ("\0span", "\0at", "\0list", "", "x")
zones = st.sampled_from(("Etc/UTC", "Europe/Paris", "Asia/Kathmandu")).map(ZoneInfo)
texts = st.sampled_from(MARKS) | st.text(max_size=4)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | texts
    | st.integers(-(2**50), 2**50).map(lambda span: timedelta(microseconds=span))
    | st.builds(to_datetime, st.integers(0, 2**51), zones)
)
facts = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=8
)


def written_and_read(value: Any) -> Any:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value))


@given(facts)
def test_facts_come_back_as_they_were(value: Any) -> None:
    assert thawed_facts(written_and_read(frozen_facts(value))) == value
    assert thawed_facts(frozen_facts(value)) == value


@pytest.mark.parametrize(
    "value",
    [
        [],
        [[]],
        ["\0span", 5],
        ["\0at", 5, "Etc/UTC"],
        ["\0list"],
        [timedelta(0)],
        {"\0span": ["\0span", 1]},
        {"steps": [{"at": timedelta(days=1), "n": [1, 2.5, None]}]},
    ],
)
def test_no_list_is_taken_for_something_else(value: Any) -> None:
    assert thawed_facts(written_and_read(frozen_facts(value))) == value


def test_a_moment_keeps_its_zone_and_which_of_two_equal_times_it_is() -> None:
    # 02:30 comes twice in that night.
    for fold in (0, 1):
        moment = datetime(2026, 10, 25, 2, 30, fold=fold, tzinfo=ZoneInfo("Europe/Paris"))
        back = thawed_facts(written_and_read(frozen_facts(moment)))
        assert (back.isoformat(), str(back.tzinfo), back.fold) == (moment.isoformat(), "Europe/Paris", fold)


def test_a_moment_in_a_zone_that_is_not_known_any_more_is_still_that_moment() -> None:
    frozen = ["\0at", 1774605600000000, "Atlantis/Poseidonis"]
    assert thawed_facts(frozen) == datetime(2026, 3, 27, 10, tzinfo=ZoneInfo("Etc/UTC"))


def test_tuples_come_back_as_lists_written_or_not() -> None:
    assert thawed_facts(frozen_facts({"group": ("a", 1)})) == {"group": ["a", 1]}


def test_an_event_comes_back_less_what_is_too_much_of_it() -> None:
    small = Event("e", "ann", 7, {"n": [1, {"m": None}]}, "id", "s", 5)
    large = Event("e", "ann", 7, {"n": 1, "long": "x" * (2 * KEPT_EVENT_BYTES_MAX)}, "id")
    for event in (small, large):
        parts = written_and_read(kept_event(event))
        assert restored_event("ann", parts) == keep(event)
        assert restored_event("bob", kept_event(event)) == msgspec.structs.replace(keep(event), user="bob")


def test_no_event_is_none() -> None:
    assert kept_event(None) is None
    assert restored_event("ann", None) is None
