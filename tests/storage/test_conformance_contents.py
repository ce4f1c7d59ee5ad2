"""Every claim of `engine/storage/base.py`, made of every store: decisions, rules, and values hard to keep."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples_for_stores import (
    ANN,
    BOB,
    CAT,
    DAN,
    KINDS,
    PARTITION_COUNT,
    event,
    make_store,
    outgoing,
    send,
    users_of,
    with_states,
)

from engine.core.model import Event, Message
from engine.core.units import AT_MAX, AT_MIN
from engine.storage.base import (
    FAULTS_MAX,
    Commit,
    Conflict,
    Entry,
    Fault,
    Recorded,
    Store,
    StoreError,
    partition_of,
)
from engine.storage.order import EXPIRY_MAX

ODD_NAMES = [
    "", "Ünïcode 漢字 🙂", "nul\0in it", "' OR 1=1 --", "lone \ud800 surrogate", "\udc00", "\ufeff",
]  # fmt: skip


# Decisions and the log


async def test_decisions_stay_in_the_order_they_were_made(store: Store) -> None:
    lines = [b'{"n":1}', '{"n":"\u00fc"}'.encode(), b'{"n":"\\ud800"}']
    await store.commit([Commit(0, 0, 0, decisions=[(ANN, 5, lines[0]), (BOB, 4, lines[1])])])
    await store.commit([Commit(0, 1, 0, decisions=[(ANN, 6, lines[2])]), Commit(1, 0, 0, decisions=[(DAN, 1, b"{}")])])
    assert await store.decisions(0) == lines
    assert await store.decisions(1) == [b"{}"]


async def test_the_log_is_read_in_parts_entries_after_the_cursor_included(store: Store) -> None:
    entries = [event(ANN, at, n=at) for at in range(1, 6)]
    await store.commit([Commit(0, 0, 3, entries[:3])])
    await store.append(entries[3:])
    assert await store.log(0, 0, 2) == entries[:2]
    assert await store.log(0, 2, 2) == entries[2:4]
    assert await store.log(0, 4, 2) == entries[4:]
    assert await store.log(0, 5, 2) == []
    assert await store.log(0, 0, 0) == []


def events_of(*entries: Entry) -> list[Event]:
    return [entry.event for entry in entries if entry.event is not None]


async def test_what_is_recorded_of_one_user_comes_newest_first_and_in_pieces(store: Store) -> None:
    mine = [event(ANN, 1), send(ANN, 2), event(ANN, 3)]
    others = [event(BOB, 1), send(BOB, 2), Entry("tick", 2)]
    log = [mine[0], *others[:2], mine[1], others[2], mine[2]]
    decisions = [(ANN, 1, b'{"n":1}'), (BOB, 1, b"{}"), (ANN, 3, b'{"n":2}')]
    await store.commit([Commit(0, 0, 5, log[:5], decisions=decisions)])
    await store.append(log[5:])
    end = (2**63 - 1, 2**63 - 1)
    whole = await store.recorded(ANN, end, 10)
    assert whole.entries == [(6, mine[2]), (4, mine[1]), (1, mine[0])]
    assert whole.decisions == [(3, b'{"n":2}'), (1, b'{"n":1}')]
    assert await store.recorded(ANN, end, 1) == Recorded(whole.entries[:1], whole.decisions[:1])
    assert await store.recorded(ANN, (6, 3), 1) == Recorded(whole.entries[1:2], whole.decisions[1:])
    assert await store.recorded(ANN, (1, 1), 10) == await store.recorded(CAT, end, 10) == Recorded([], [])


async def test_a_history_is_of_one_user_oldest_first_and_of_events_alone(store: Store) -> None:
    mine = [event(ANN, 1, n=1), event(ANN, 1, n=2), event(ANN, 3)]
    between = [send(ANN, 1), event(BOB, 1), Entry("tick", 2)]
    await store.commit([Commit(0, 0, 5, [*mine[:2], *between]), Commit(1, 0, 1, [event(DAN, 9)])])
    await store.append([mine[2]])
    found = await store.history([ANN, CAT, DAN, BOB], 10, 10)
    assert found == {ANN: events_of(*mine), DAN: events_of(event(DAN, 9)), BOB: events_of(event(BOB, 1))}
    assert await store.history([], 10, 10) == {}


@pytest.mark.parametrize(("before", "stamps"), [(2, []), (3, [2]), (4, [2, 3]), (5, [2, 3, 4])])
async def test_a_history_ends_before_its_moment(store: Store, before: int, stamps: list[int]) -> None:
    await store.commit([Commit(0, 0, 3, [event(ANN, at) for at in (2, 3, 4)])])
    found = await store.history([ANN], before, 10)
    assert [known.at for known in found.get(ANN, [])] == stamps


@pytest.mark.parametrize(("events_max", "stamps"), [(0, []), (1, [3]), (2, [2, 3]), (3, [1, 2, 3]), (4, [1, 2, 3])])
async def test_of_a_history_the_newest_events_are_kept(store: Store, events_max: int, stamps: list[int]) -> None:
    await store.commit([Commit(0, 0, 4, [event(ANN, at) for at in (1, 2, 3, 4)])])
    found = await store.history([ANN], 4, events_max)
    assert [known.at for known in found.get(ANN, [])] == stamps


async def test_a_history_has_events_at_the_moments_at_which_they_are_evaluated(store: Store) -> None:
    await store.append([event(ANN, 9), event(ANN, 2)])
    found = await store.history([ANN], 10, 10)
    assert [(known.at, known.at_reported) for known in found[ANN]] == [(9, None), (9, 2)]


# Events that happen once


def once(user: str, at: int, name: str) -> Entry:
    return Entry("event", at, user, Event("test.failed", user, at, {}, name), once=True)


async def test_events_that_happen_once_are_known_by_user_and_id_whether_evaluated_or_not(store: Store) -> None:
    await store.commit([Commit(0, 0, 2, [once(ANN, 1, "a"), event(BOB, 2)])])
    await store.append([once(ANN, 3, "tab/1 \ud800"), once(DAN, 3, "a")])
    asked = [(ANN, "a"), (ANN, "tab/1 \ud800"), (ANN, "b"), (BOB, "a"), (BOB, "e2"), (DAN, "a"), (ANN, "a"), ("", "")]
    assert await store.known(asked) == {(ANN, "a"), (ANN, "tab/1 \ud800"), (DAN, "a")}
    assert await store.known([]) == set()
    assert await store.log(0, 0, 9) == [once(ANN, 1, "a"), event(BOB, 2), once(ANN, 3, "tab/1 \ud800")]


async def test_sends_that_happen_once_are_known_and_are_no_events_of_the_same_id(store: Store) -> None:
    send = Entry("send", 2, ANN, message=Message("m1", "question", "Well?"), once=True)
    again = Entry("send", 2, BOB, message=Message("m1", "question", "Well?"))
    await store.commit([Commit(0, 0, 3, [once(ANN, 1, "e1"), send, again])])
    assert await store.known([(ANN, send.once_id), (ANN, "m1"), (BOB, send.once_id), (ANN, "e1")]) == {
        (ANN, send.once_id), (ANN, "e1"),
    }  # fmt: skip
    assert again.once_id == ""
    assert await store.log(0, 1, 9) == [send, again]


async def test_many_ids_are_asked_for_at_once(store: Store) -> None:
    names = [f"e{number}" for number in range(250)]
    await store.commit([Commit(0, 0, 125, [once(ANN, 1, name) for name in names[::2]])])
    assert await store.known([(ANN, name) for name in names]) == {(ANN, name) for name in names[::2]}


async def test_what_a_commit_that_conflicts_would_have_logged_is_not_known(store: Store) -> None:
    with pytest.raises(Conflict):
        await store.commit([Commit(0, 7, 1, [once(ANN, 1, "a")])])
    assert await store.known([(ANN, "a")]) == set()


# Faults and rules


async def test_faults_are_counted_and_bounded(store: Store) -> None:
    faults = [Fault(ANN, at, event(ANN, at), "trace \ud800" * 10_000) for at in (1, 2)]
    await store.commit([Commit(0, 0, 0, faults=faults)])
    assert (await store.describe())["faults"] == 2
    await store.commit([Commit(0, 1, 0, faults=[Fault(ANN, 3, event(ANN, 3), "t")] * (FAULTS_MAX - 1))])
    assert (await store.describe())["faults"] == FAULTS_MAX


async def test_rules_are_kept_once_under_their_hash(store: Store) -> None:
    sources = {"a.yaml": "rules: []\n", "b/ü.yaml": "# 漢字\n\ud800"}
    await store.save_rules("h1", sources)
    await store.save_rules("h1", {"a.yaml": "something else"})
    await store.save_rules("h2", {})
    assert await store.load_rules("h1") == sources
    assert await store.load_rules("h2") == {}
    assert await store.load_rules("h3") is None


async def test_rule_moments_come_earliest_first_and_each_once(store: Store) -> None:
    def rules(at: int, name: str) -> Entry:
        return Entry("rules", at, rules_hash=name)

    await store.commit([Commit(0, 0, 2, [rules(5, "b"), rules(5, "a")])])
    await store.commit([Commit(1, 0, 3, [rules(2, "z"), rules(5, "b"), rules(9, "b")])])
    assert await store.rule_moments() == [(2, "z"), (5, "b"), (5, "a"), (9, "b")]


# Values that are hard to keep


@pytest.mark.parametrize("user", ODD_NAMES, ids=range(len(ODD_NAMES)))
async def test_any_name_is_kept_apart_from_all_others(store: Store, user: str) -> None:
    partition = partition_of(user, PARTITION_COUNT)
    other = next(name for name in users_of(partition, 3) if name != user)
    commit = Commit(partition, 0, 1, [event(user, 1)], decisions=[(user, 1, b"{}")], outbox=[outgoing(user, 1)])
    await store.commit([with_states(commit, {user: 5, other: None}, [user])])
    await store.append([event(user, 2, note="\udfff", name=user)])
    (batch,) = await store.poll([partition], 5)
    assert batch.entries == [event(user, 2, note="\udfff", name=user)]
    assert batch.due == [user]
    assert batch.states == await store.load([user]) == dict(await store.present_users())
    assert await store.pending(user, 0) == [outgoing(user, 1)]
    assert await store.history([user], 9, 9) == {user: events_of(event(user, 1), *batch.entries)}
    await store.relayed([f"{user}-1"], 0)
    assert await store.pending(user, 0) == []


any_text = st.text(st.characters(), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)
moments = st.integers(AT_MIN, AT_MAX)
expiries = st.integers(AT_MIN, EXPIRY_MAX)


@st.composite
def events(draw: st.DrawFn) -> Entry:
    user, at = draw(any_text), draw(moments)
    data = draw(st.dictionaries(any_text, json_values, max_size=4))
    session, reported = draw(st.none() | any_text), draw(st.none() | moments)
    return Entry("event", at, user, Event(draw(any_text), user, at, data, draw(any_text), session, reported))


@st.composite
def sends(draw: st.DrawFn) -> Entry:
    options = tuple(draw(st.lists(any_text, max_size=3)))
    data = draw(st.dictionaries(any_text, json_values, max_size=3))
    message = Message(draw(any_text), draw(any_text), draw(any_text), options, data, draw(st.none() | expiries))
    return Entry("send", draw(moments), draw(any_text), message=message)


entries = events() | sends() | st.builds(Entry, st.just("tick"), moments)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(entries, max_size=5))
async def test_any_entry_comes_back_as_it_went_in(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest, kind: str, some: list[Entry]
) -> None:
    some = sorted(some, key=lambda entry: entry.at)
    server = request.getfixturevalue("servers").of_kind(kind)
    store = await make_store(kind, tmp_path_factory.mktemp("store"), server)
    try:
        await store.commit([Commit(0, 0, len(some), some)])
        assert await store.log(0, 0, 10) == some
    finally:
        await store.close()


async def test_a_big_batch_is_one_batch(store: Store) -> None:
    users = users_of(0, 2000)
    appended = [event(users[number % 2000], number) for number in range(5000)]
    commit = with_states(Commit(0, 0, 5000, appended), {user: n for n, user in enumerate(users)}, users)
    decisions = [(entry.user, entry.at, b"{}") for entry in appended]
    await store.commit([replace(commit, decisions=decisions, outbox=[outgoing(user, 1) for user in users])])
    await store.append([event(user, 5000) for user in users])
    (batch,) = await store.poll([0], 10**15, entries_max=10**6, due_max=10**6)
    assert (len(batch.entries), batch.due, len(batch.states)) == (2000, users, 2000)
    told = await store.describe()
    assert [told[name] for name in ("entries", "unevaluated", "users", "decisions", "outbox")] == [
        7000, 2000, 2000, 5000, 2000,
    ]  # fmt: skip


async def test_large_states_are_kept_whole(store: Store) -> None:
    state = bytes(range(256)) * 256
    await store.commit([Commit(0, 0, 0, states={ANN: state}, wakes={ANN: None}, present={ANN: False})])
    assert await store.load([ANN]) == {ANN: state}


# What it says of itself, and the end


async def test_it_describes_itself_in_the_words_of_the_contract(store: Store) -> None:
    told = await store.describe()
    names = {"store", "partitions", "entries", "unevaluated", "users", "decisions", "outbox", "faults"}
    assert told.keys() >= names
    assert told["partitions"] == store.partition_count == PARTITION_COUNT
    msgspec.json.encode(told)


async def test_a_closed_store_does_nothing_more_and_closes_twice_as_well_as_once(store: Store) -> None:
    await store.close()
    await store.close()
    calls = [
        store.append([event(ANN, 1)]), store.poll([0], 0), store.load([ANN]), store.commit([Commit(0, 0, 0)]),
        store.next_wake(), store.present_users(), store.pending(ANN, 0), store.relayed([], 0),
        store.save_rules("h", {}), store.load_rules("h"), store.rule_moments(), store.decisions(0),
        store.log(0, 0, 1), store.describe(), store.history([ANN], 1, 1),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(StoreError, match="the store is closed"):
            await call


def test_partitions_are_those_of_crc32_in_every_language() -> None:
    # CRC-32 of "123456789" is the check value of ISO 3309, 0xCBF43926.
    assert partition_of("123456789", 2**32) == 0xCBF43926
    assert partition_of("", 4) == 0
    assert partition_of("\ud800", 2**32) == partition_of("\ud800", 2**33)
