"""Every claim of `engine/storage/base.py` about folding, erasing and probing, made of every store."""

from __future__ import annotations

from dataclasses import replace

import pytest
from samples_for_stores import ANN, BOB, CAT, DAN, event, look, outgoing, send, with_states

from engine.core.model import Event
from engine.storage.base import Base, Commit, Conflict, Entry, Fault, Fold, Folded, Store, StoreError

ODD = "odd \ud800"


def once(user: str, at: int, name: str) -> Entry:
    return Entry("event", at, user, Event("test.failed", user, at, {}, name), once=True)


async def filled(store: Store) -> None:
    """A partition with ticks at 4 (number 3) and 8 (number 6), a decision at each moment, and one entry after those."""
    entries = [once(ANN, 1, "a"), event(BOB, 3), Entry("tick", 4), event(ANN, 5), send(BOB, 7), Entry("tick", 8)]
    commit = with_states(Commit(0, 0, 6, entries), {ANN: 20, BOB: None}, [ANN])
    decisions = [(ANN, at, b'{"at":%d}' % at) for at in (1, 4, 5, 8)]
    await store.commit([replace(commit, decisions=decisions, outbox=[outgoing(ANN, 1)])])
    await store.append([event(ANN, 9)])


def fold_to(number: int, at: int, *bases: Base, former: Folded | None = None, past_wanted: bool = True) -> Fold:
    return Fold(0, former or Folded(), number, at, list(bases), past_wanted)


async def test_nothing_is_folded_at_first(store: Store) -> None:
    assert await store.folded(0) == Folded(0, -1, 0)
    assert await store.bases(0) == []


async def test_a_fold_takes_entries_and_decisions_away_and_puts_bases_in_their_place(store: Store) -> None:
    await filled(store)
    before = await store.poll([0], 100)
    base = Base(ANN, b"state", 20, (Event("x", ANN, 1, {"a": "\ud800"}, "a", "s", 0),))
    await store.fold(fold_to(3, 4, base, Base(BOB, b"other")))
    assert await store.folded(0) == Folded(3, 4, 0)
    assert await store.log(0, 0, 9) == [event(ANN, 5), send(BOB, 7), Entry("tick", 8), event(ANN, 9)]
    assert [number for number, _ in await store.numbered(0, 0, 9)] == [4, 5, 6, 7]
    assert [number for number, _ in await store.numbered(0, 4, 2)] == [5, 6]
    assert await store.decisions(0) == [b'{"at":5}', b'{"at":8}']
    assert sorted(await store.bases(0), key=lambda each: each.user) == sorted(
        [base, Base(BOB, b"other")], key=lambda each: each.user
    )
    assert await store.known([(ANN, "a")]) == set()
    described = await store.describe()
    assert (described["entries"], described["folded"], described["unevaluated"]) == (4, 3, 1)
    assert described["decisions"] == 2
    # Who takes turns does not notice.
    assert await store.poll([0], 100) == before
    assert await store.pending(ANN, 0) == [outgoing(ANN, 1)]


async def test_after_a_fold_the_store_goes_on_where_it_was(store: Store) -> None:
    await filled(store)
    await store.fold(fold_to(6, 8))
    (batch,) = await store.poll([0], 0)
    assert (batch.version, batch.cursor, batch.last_at, batch.entries) == (1, 6, 9, [event(ANN, 9)])
    await store.commit([Commit(0, 1, 8, [event(BOB, 10)], decisions=[(BOB, 10, b"{}")])])
    assert await store.numbered(0, 0, 9) == [(7, event(ANN, 9)), (8, event(BOB, 10))]
    assert await store.decisions(0) == [b"{}"]


async def test_a_later_fold_replaces_the_bases_it_names_and_keeps_the_others(store: Store) -> None:
    await filled(store)
    past = (Event("x", BOB, 3, {}),)
    await store.fold(fold_to(3, 4, Base(ANN, b"1", 20), Base(BOB, b"2", 30, past)))
    await store.fold(fold_to(6, 8, Base(ANN, b"3", None), former=Folded(3, 4)))
    assert {base.user: base for base in await store.bases(0)} == {ANN: Base(ANN, b"3"), BOB: Base(BOB, b"2", 30, past)}


async def test_pasts_that_nobody_wants_any_more_go(store: Store) -> None:
    await filled(store)
    past = (Event("x", BOB, 3, {}),)
    await store.fold(fold_to(3, 4, Base(BOB, b"2", 30, past)))
    await store.fold(fold_to(6, 8, former=Folded(3, 4), past_wanted=False))
    assert await store.bases(0) == [Base(BOB, b"2", 30)]


@pytest.mark.parametrize(("due_by", "due"), [(None, set()), (19, set()), (20, {ANN}), (30, {ANN, BOB})])
async def test_bases_are_those_of_the_users_asked_for_and_those_due(
    store: Store, due_by: int | None, due: set[str]
) -> None:
    await filled(store)
    await store.fold(fold_to(3, 4, Base(ANN, b"1", 20), Base(BOB, b"2", 30), Base(CAT, b"3")))
    found = await store.bases(0, [CAT, "unknown"], due_by)
    assert sorted(base.user for base in found) == sorted({CAT, *due})


async def test_a_history_begins_with_the_past_of_the_base(store: Store) -> None:
    await filled(store)
    past = tuple(Event("x", ANN, at, {}) for at in (1, 2, 4))
    await store.fold(fold_to(3, 4, Base(ANN, b"1", 20, past)))
    assert await store.history([ANN, BOB], 9, 9) == {ANN: [*past, event(ANN, 5).event]}
    assert await store.history([ANN], 9, 3) == {ANN: [*past[1:], event(ANN, 5).event]}
    assert await store.history([ANN], 4, 9) == {ANN: [*past[:2]]}
    assert await store.history([ANN], 9, 1) == {ANN: [event(ANN, 5).event]}
    assert await store.history([ANN], 9, 0) == {}


@pytest.mark.parametrize("former", [Folded(3, 4), Folded(0, -1, 1)], ids=["folded meanwhile", "erased meanwhile"])
async def test_a_fold_of_what_is_not_so_any_more_is_a_conflict_and_changes_nothing(
    store: Store, former: Folded
) -> None:
    await filled(store)
    before = await look(store), await store.bases(0)
    with pytest.raises(Conflict):
        await store.fold(fold_to(6, 8, Base(ANN, b"1"), former=former))
    assert (await look(store), await store.bases(0)) == before


@pytest.mark.parametrize(
    ("number", "at"), [(2, 3), (3, 5), (0, 0), (7, 9), (8, 9)],
    ids=["no tick", "another moment", "nothing", "not evaluated", "not there"],
)  # fmt: skip
async def test_a_log_is_folded_up_to_a_tick_that_is_evaluated(store: Store, number: int, at: int) -> None:
    await filled(store)
    before = await look(store)
    with pytest.raises(ValueError, match="partition 0"):
        await store.fold(fold_to(number, at, Base(ANN, b"1")))
    assert await look(store) == before


async def test_states_come_in_pages_of_one_partition(store: Store) -> None:
    await store.commit(
        [with_states(Commit(0, 0, 0), {ANN: None, BOB: 3, CAT: None}), with_states(Commit(1, 0, 0), {DAN: 1})]
    )
    first = await store.states(0, 0, 2)
    rest = await store.states(0, first[-1][0], 2)
    assert [len(first), len(rest)] == [2, 1]
    assert {user: state for _, user, state in (*first, *rest)} == {
        user: f"{user}@0".encode() for user in (ANN, BOB, CAT)
    }
    assert await store.states(0, rest[-1][0], 2) == []


async def test_rule_sets_that_nobody_asks_for_leave_but_not_texts_that_hold_again(store: Store) -> None:
    for rules_hash in ("a", "b", "c"):
        await store.save_rules(rules_hash, {"x": rules_hash})
    entries = [Entry("rules", at, rules_hash=name) for at, name in ((1, "a"), (2, "b"), (3, "a"), (4, "c"))]
    await store.commit([Commit(0, 0, 4, entries)])
    assert await store.drop_rules(1) == 0
    assert await store.drop_rules(3) == 2
    assert await store.rule_moments() == [(3, "a"), (4, "c")]
    assert [await store.load_rules(name) for name in ("a", "b", "c")] == [{"x": "a"}, None, {"x": "c"}]


# Erasing


async def test_all_that_there_is_of_a_user_is_erased_and_nothing_of_others(store: Store) -> None:
    await filled(store)
    await store.commit(
        [Commit(0, 1, 7, faults=[Fault(ANN, 9, event(ANN, 9), "a trace"), Fault(BOB, 9, event(BOB, 9), "b")])]
    )
    await store.fold(fold_to(3, 4, Base(ANN, b"1", 20, (Event("x", ANN, 1, {}),)), Base(BOB, b"2")))
    assert await store.erase(ANN) == 2 + 2 + 1 + 1 + 1 + 1  # entries, decisions, state, base, outbox, fault
    assert await store.load([ANN, BOB]) == {BOB: f"{BOB}@6".encode()}
    assert await store.numbered(0, 0, 9) == [(5, send(BOB, 7)), (6, Entry("tick", 8))]
    assert await store.decisions(0) == []
    assert [base.user for base in await store.bases(0)] == [BOB]
    assert await store.history([ANN], 99, 9) == {}
    assert await store.pending(ANN, 0) == []
    assert (await store.present_users(), await store.next_wake()) == ([], None)
    described = await store.describe()
    assert (described["users"], described["faults"], described["outbox"], described["unevaluated"]) == (1, 1, 0, 0)
    assert (await store.folded(0)).erasures == 1


async def test_after_an_erasure_numbers_go_on_and_writers_do_not_notice(store: Store) -> None:
    await filled(store)
    await store.commit([Commit(0, 1, 7)])
    (before,) = await store.poll([0], 0)
    await store.erase(ANN)
    (after,) = await store.poll([0], 0)
    assert (after.version, after.cursor, after.last_at) == (before.version, before.cursor, before.last_at) == (2, 7, 9)
    await store.commit([Commit(0, 2, 8, [event(ANN, 9)])])
    assert (await store.numbered(0, 6, 9)) == [(8, event(ANN, 9))]


async def test_erasing_a_user_of_whom_nothing_is_known_is_nothing(store: Store) -> None:
    await filled(store)
    before = await look(store)
    assert await store.erase(CAT) == await store.erase(ODD) == 0
    assert await look(store) == before


async def test_a_user_with_an_odd_name_is_erased(store: Store) -> None:
    await store.append([event(ODD, 1)])
    number = next(batch.partition for batch in await store.poll([0, 1, 2, 3], 0) if batch.entries)
    await store.commit([with_states(Commit(number, 0, 1), {ODD: 7})])
    assert await store.erase(ODD) == 2
    assert await store.next_wake() is None


async def test_entries_that_wait_to_be_evaluated_are_not_erased(store: Store) -> None:
    await filled(store)
    before = await look(store)
    with pytest.raises(StoreError, match="wait to be evaluated"):
        await store.erase(ANN)
    assert await look(store) == before


async def test_probing_changes_nothing(store: Store) -> None:
    await filled(store)
    before = await look(store)
    await store.probe()
    assert await look(store) == before
