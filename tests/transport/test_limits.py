from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.transport.limits import (
    BURST_S,
    REFUSALS_BURST,
    RETRY_AFTER_MAX_S,
    Admission,
    EventLimits,
    Insistence,
    Limiter,
    Pacer,
    Refusal,
    TokenBucket,
    network_of,
    rate_limited,
    retry_after,
)


def test_a_bucket_gives_its_burst_at_once_and_then_its_rate() -> None:
    bucket = TokenBucket(rate=10, burst=3)
    assert [bucket.take(1, now=100.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take(1, now=100.0) == pytest.approx(0.1)
    assert bucket.take(1, now=100.09) == pytest.approx(0.01)
    assert bucket.take(1, now=100.1) == 0.0
    assert bucket.take(1, now=100.1) == pytest.approx(0.1)


def test_who_waits_as_long_as_it_was_told_gets_it() -> None:
    bucket = TokenBucket(rate=3, burst=7)
    now = 1e6 / 7
    assert bucket.take(7, now) == 0.0
    for n in (1, 5, 7):
        now += bucket.take(n, now)
        assert bucket.take(n, now) == 0.0


def test_what_was_refused_costs_nothing() -> None:
    bucket = TokenBucket(rate=1, burst=1)
    assert bucket.take(1, now=0.0) == 0.0
    assert [bucket.take(1, now=0.5) for _ in range(50)] == [pytest.approx(0.5)] * 50
    assert bucket.take(1, now=1.0) == 0.0


def test_more_than_the_burst_goes_when_the_bucket_is_full_and_is_paid_for_afterwards() -> None:
    bucket = TokenBucket(rate=10, burst=10)
    assert bucket.take(1, now=0.0) == 0.0
    assert bucket.take(30, now=0.0) == pytest.approx(0.1)
    assert bucket.take(30, now=0.1) == 0.0
    assert bucket.take(1, now=0.1) == pytest.approx(2.1)
    assert not bucket.is_full(now=3.0)
    assert bucket.is_full(now=3.1)


def test_a_clock_that_stands_still_or_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(rate=10, burst=1)
    assert bucket.take(1, now=5.0) == 0.0
    assert bucket.take(1, now=5.0) > 0
    assert bucket.take(1, now=1.0) > 4.0


@given(
    rate=st.integers(1, 1000),
    burst=st.integers(1, 1000),
    steps=st.lists(st.tuples(st.integers(1, 50), st.floats(0, 3)), max_size=60),
)
def test_over_any_time_a_bucket_gives_at_most_its_burst_and_its_rate(
    rate: int, burst: int, steps: list[tuple[int, float]]
) -> None:
    bucket, now, start, taken = TokenBucket(rate, burst), 1e5, 1e5, 0
    for n, pause in steps:
        now += pause
        wanted = min(n, burst)
        if not bucket.take(wanted, now):
            taken += wanted
        assert taken <= burst + rate * (now - start + 1e-4)


def test_everybody_has_a_bucket_and_only_those_that_are_not_full_are_kept() -> None:
    limiter = Limiter(10)
    assert limiter.take("ann", 10 * BURST_S, now=0.0) == 0.0
    assert limiter.take("ann", 1, now=0.0) > 0
    assert limiter.take("bob", 1, now=0.0) == 0.0
    assert len(limiter) == 2
    # All are full again; each use clears away at most two.
    assert limiter.take("cleo", 1, now=1e6) == 0.0
    assert len(limiter) == 1


def test_the_table_of_buckets_is_bounded_and_the_longest_unused_goes() -> None:
    limiter = Limiter(1, buckets_max=2)
    for name in ("ann", "bob"):
        assert limiter.take(name, BURST_S, now=0.0) == 0.0
    assert limiter.take("ann", 1, now=0.0) > 0
    assert limiter.take("cleo", BURST_S, now=0.0) == 0.0
    assert len(limiter) == 2
    assert limiter.take("ann", 1, now=0.0) > 0
    assert limiter.take("bob", 1, now=0.0) == 0.0


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20), st.floats(0, 2)), max_size=80))
def test_the_table_never_holds_more_than_it_may(uses: list[tuple[int, int, float]]) -> None:
    limiter, now = Limiter(1, buckets_max=5), 0.0
    for name, n, pause in uses:
        now += pause
        limiter.take(str(name), n, now)
        assert len(limiter) <= 5


def test_no_limit_counts_nothing() -> None:
    limiter = Limiter(None)
    assert limiter.take("ann", 10**9, now=0.0) == 0.0
    assert len(limiter) == 0


def test_where_the_user_has_no_room_the_client_is_not_charged() -> None:
    limits = EventLimits(per_client=10, per_user=5)
    assert limits.take("laptop", ["ann"] * 50, 50, now=0.0) is None
    refusal = limits.take("phone", ["ann"] * 5, 5, now=0.0)
    assert refusal is not None
    assert (refusal.code, refusal.retry_after_s, refusal.status) == ("rate_limited", 1, 429)
    assert "devices of this user" in refusal.message
    # The whole bucket of the phone is there for somebody else.
    assert limits.take("phone", ["bob"] * 50, 100, now=0.0) is None
    assert limits.take("phone", ["cleo"], 1, now=0.0) is not None


def test_one_user_without_room_holds_the_whole_frame_back() -> None:
    limits = EventLimits(per_client=None, per_user=1)
    assert limits.take("backend", ["ann"] * 10, 10, now=0.0) is None
    refusal = limits.take("backend", ["bob", "ann", "ann"], 3, now=0.0)
    assert refusal is not None
    assert refusal.retry_after_s == 2
    assert limits.take("backend", ["bob"] * 10, 10, now=0.0) is None


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [(0.0, 1), (0.2, 1), (1.0, 1), (1.01, 2), (59.5, 60), (1e9, RETRY_AFTER_MAX_S), (math.inf, RETRY_AFTER_MAX_S)],
)
def test_a_wait_is_told_in_whole_seconds(wait: float, seconds: int) -> None:
    assert retry_after(wait) == seconds


def test_a_refusal_is_an_error_and_the_reason_of_a_close() -> None:
    refusal = rate_limited(2.5)
    assert str(refusal.error()) == (
        "you send more than the server takes; wait 3 s and send what was refused again [rate_limited]"
    )
    assert refusal.error().retry_after_s == 3
    assert json.loads(refusal.close_reason) == {"code": "rate_limited", "retryAfter": 3}
    assert refusal.close_code == 4008


def test_who_sends_on_regardless_is_closed_after_a_burst_of_refusals_and_who_waits_is_not() -> None:
    insistence = Insistence()
    assert not any(insistence.refused(now=0.0) for _ in range(REFUSALS_BURST))
    assert insistence.refused(now=0.0)
    assert not insistence.refused(now=1.0)
    patient = Insistence()
    assert not any(patient.refused(now=float(second)) for second in range(10 * REFUSALS_BURST))


def test_connections_are_counted_in_total_by_address_and_by_user() -> None:
    admission = Admission(total=3, per_user=1, per_address=2)
    assert admission.admit("10.0.0.1") is None
    assert admission.admit("10.0.0.1") is None
    assert refused(admission.admit("10.0.0.1")) == "there are 2 connections from this address, as many as may be"
    assert admission.admit("10.0.0.2") is None
    assert refused(admission.admit("10.0.0.3")) == "the server has as many connections as it takes, 3"
    assert admission.admit_user("ann") is None
    assert refused(admission.admit_user("ann")) == "this user has 1 connections, as many as may be"
    assert admission.admit_user("bob") is None
    admission.released_user("ann")
    assert admission.admit_user("ann") is None
    admission.released("10.0.0.1")
    assert admission.count == 2
    assert admission.admit("10.0.0.1") is None


def test_of_connections_that_nobody_admitted_the_first_may_stay() -> None:
    connections = [("a", "10.0.0.1"), ("b", "10.0.0.1"), ("c", "10.0.0.1"), ("d", "10.0.0.2"), ("e", "10.0.0.3")]
    assert Admission(total=3, per_user=1, per_address=2).beyond(connections) == ["c", "e"]
    assert Admission(total=5, per_user=1, per_address=3).beyond(connections) == []
    assert Admission(total=None, per_user=0, per_address=None).beyond(connections) == []
    assert Admission(total=0, per_user=None, per_address=None).beyond(connections) == ["a", "b", "c", "d", "e"]


def test_who_was_not_admitted_is_not_counted_and_nothing_is_kept_of_who_has_gone() -> None:
    admission = Admission(total=None, per_user=None, per_address=0)
    assert admission.admit("10.0.0.1") is not None
    assert admission.count == 0
    admission = Admission(total=None, per_user=None, per_address=None)
    for number in range(100):
        assert admission.admit(f"10.0.0.{number}") is None
        assert admission.admit_user(str(number)) is None
    for number in range(100):
        admission.released_user(str(number))
        admission.released(f"10.0.0.{number}")
    assert (admission._of_address, admission._of_user, admission.count) == ({}, {}, 0)


def test_while_the_doors_are_shut_nobody_is_admitted() -> None:
    admission = Admission(total=None, per_user=None, per_address=None)
    assert admission.admit("::1") is None
    admission.shut = Refusal("overloaded", "no memory", 5, status=503)
    assert admission.admit("::1") is admission.shut
    admission.shut = None
    assert admission.admit("::1") is None


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("/run/proactive.sock", "/run/proactive.sock"),
    ],
)
def test_a_household_is_one_address(address: str, network: str) -> None:
    assert network_of(address) == network


def test_messages_over_the_rate_go_a_moment_later_in_their_order_and_what_is_urgent_first() -> None:
    pacer: Pacer[str] = Pacer(2)
    assert pacer.offer([("n1", False), ("n2", False), ("q1", True), ("n3", False), ("q2", True)], now=0.0) == [
        "q1",
        "q2",
    ]
    assert (len(pacer), pacer.next_at) == (3, pytest.approx(0.5))
    assert pacer.due(now=0.49) == []
    assert pacer.due(now=0.5) == ["n1"]
    assert pacer.offer([("q3", True)], now=0.6) == []
    assert pacer.due(now=1.0) == ["q3"]
    assert pacer.due(now=2.0) == ["n2", "n3"]
    assert (len(pacer), pacer.next_at) == (0, None)


def test_what_finds_no_room_to_wait_is_told_and_the_newest_goes() -> None:
    pacer: Pacer[str] = Pacer(1, waiting_max=2)
    offered = [("a", False), ("b", False), ("c", False), ("q", True), ("r", True)]
    assert pacer.offer(offered, now=0.0) == ["q"]
    assert pacer.overflow == ["c", "b"]
    assert [pacer.due(now=float(second)) for second in (1, 2, 3)] == [["r"], ["a"], []]


def test_without_a_rate_everything_goes_at_once() -> None:
    pacer: Pacer[str] = Pacer(None)
    assert pacer.offer([("a", False), ("q", True)], now=0.0) == ["a", "q"]
    assert (pacer.due(now=1.0), pacer.next_at) == ([], None)


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0, 2)), max_size=40))
def test_no_message_is_lost_or_doubled_and_their_order_is_kept(steps: list[tuple[int, float]]) -> None:
    pacer: Pacer[int] = Pacer(3)
    now, offered, gone = 0.0, 0, list[int]()
    for n, pause in steps:
        now += pause
        gone += pacer.due(now)
        gone += pacer.offer([(number, False) for number in range(offered, offered + n)], now)
        offered += n
        assert len(gone) <= 3 + 3 * now + 1e-3
    while pacer.next_at is not None:
        now = pacer.next_at
        gone += pacer.due(now)
    assert gone == list(range(offered))


def refused(refusal: Refusal | None) -> str:
    assert refusal is not None
    assert (refusal.code, refusal.status) == ("too_many_connections", 429)
    return refusal.message
