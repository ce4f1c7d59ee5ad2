from __future__ import annotations

import pytest

from engine.cli.outbox import BYTES_MAX, WAITING_MAX, Entry, Outbox


def entry(name: str, text: str = "") -> Entry:
    return Entry(name, {"type": "x", "id": name, "text": text})


def test_what_waits_goes_in_order_and_stays_until_it_is_taken_out() -> None:
    outbox = Outbox()
    first, second = entry("a"), entry("b")
    assert (outbox.add(first), outbox.add(second)) == ("", "")
    assert outbox.next_unsent() is first
    first.is_sent = True
    assert outbox.next_unsent() is second
    outbox.unsend_all()
    assert outbox.next_unsent() is first
    outbox.remove(first)
    assert list(outbox) == [second]


def test_a_hundred_wait_and_no_more() -> None:
    outbox = Outbox(entry(str(number)) for number in range(WAITING_MAX - 1))
    assert not outbox.is_full
    assert outbox.add(entry("last")) == ""
    assert outbox.is_full
    assert outbox.add(entry("beyond")) == f"{WAITING_MAX} wait already; this one was not kept"
    assert [each.id for each in outbox][-1] == "last"
    outbox.remove(next(iter(outbox)))
    assert outbox.add(entry("beyond")) == ""


@pytest.mark.parametrize(("over", "refusal"), [(0, ""), (1, "too much waits already; this one was not kept")])
def test_all_together_have_a_bound_in_bytes(over: int, refusal: str) -> None:
    outbox = Outbox([entry("a", "x" * 1000)])
    room = BYTES_MAX - next(iter(outbox)).size - entry("b").size
    assert outbox.add(entry("b", "x" * (room + over))) == refusal


def test_whoever_keeps_it_hears_of_every_change() -> None:
    kept: list[list[str]] = []
    outbox = Outbox([entry("a")], keep=lambda entries: kept.append([each.id for each in entries]))
    outbox.add(entry("b"))
    outbox.remove(next(iter(outbox)))
    assert kept == [["a", "b"], ["b"]]


def test_of_two_with_the_same_id_one_is_taken_out() -> None:
    first, second = entry("a"), entry("a")
    outbox = Outbox([first, second])
    outbox.remove(first)
    assert list(outbox) == [second]


def test_it_can_be_emptied() -> None:
    outbox = Outbox([entry("a"), entry("b")])
    assert outbox.clear() == 2
    assert (len(outbox), outbox.clear()) == (0, 0)
