"""Decisions are written in one order, whether they waited in memory, on disk, or in several processes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.core.model import Decision
from engine.core.state import UserState
from engine.isolation import Evaluated
from engine.replay.driver import Ran
from engine.replay.written import Line, SortedLines, merged, write_lines
from engine.storage.codec import encode_decision

MADE = st.dictionaries(
    st.sampled_from(["ann", "bob", "cem", "dan"]),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=6),
)


def ran(user: str, moments: list[tuple[int, int]]) -> Ran:
    made = [Decision(at, user, f"r{order}", order, "sent", None, {"n": n}) for n, (at, order) in enumerate(moments)]
    return Ran(user, [], 9, [Evaluated(UserState(user), made)])


def written(lines: SortedLines) -> bytes:
    out: list[bytes] = []
    write_lines(out.append, lines.chunks())
    return b"".join(out)


@given(MADE, st.sampled_from([0, 400, 10**6]), st.integers(1, 3))
def test_the_order_is_that_of_moment_user_rule_and_making(
    made: dict[str, list[tuple[int, int]]], memory: int, of: int
) -> None:
    users = [ran(user, moments) for user, moments in made.items()]
    decisions = [decision for one in users for decision in one.evaluated[0].decisions]
    decisions.sort(key=lambda decision: (decision.at, decision.user, decision.order))
    expected = b"".join(encode_decision(decision) + b"\n" for decision in decisions)
    shares = [SortedLines(memory) for _ in range(of)]
    for number, one in enumerate(users):
        shares[number % of].see(one)
    assert sum(share.count for share in shares) == len(decisions)
    out: list[bytes] = []
    write_lines(out.append, merged([share.chunks() for share in shares]))
    assert b"".join(out) == expected
    if of == 1:
        assert written(shares[0]) == expected


def test_merging_holds_a_chunk_of_each_and_no_more() -> None:
    taken: list[int] = []

    def source(name: int) -> list[list[Line]]:
        return [[(at, "ann", name, 0, b"")] for at in range(5)]

    def told(name: int):  # type: ignore[no-untyped-def]
        for chunk in source(name):
            taken.append(name)
            yield chunk

    chunks = merged([told(0), told(1)])
    assert next(chunks) == [(0, "ann", 0, 0, b"")]
    assert taken.count(0) <= 2
    assert taken.count(1) == 1
