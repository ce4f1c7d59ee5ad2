"""One turn of the live driver: all or nothing, and the same when it is made again."""

from __future__ import annotations

import asyncio

import pytest
from live_world import START, StubbornStore, badly_compiled, compiled
from started_turns import entry, started

from engine.core.model import Event, Message
from engine.core.state import STATE_BYTES_MAX, UserState
from engine.core.units import MINUTE
from engine.storage.base import Commit, Conflict, Entry, StoreError, partition_of
from engine.storage.memory import MemoryStore
from engine.turn import DUE_MAX, Turns

BAD = """
version: 1
rules:
  - {id: bad, trigger: {faulty: {}}, message: {type: question, text: x}}
  - {id: hoard, trigger: {hoarding: {}}, message: {type: question, text: x}}
  - {id: seen, trigger: {event: e}, message: {type: notification, text: hi}}
"""


TAKEN_BACK = """
version: 1
rules:
  - id: offer
    trigger: {event: {event: user.identify, where: event.wants}}
    offline: keep
    deliver: {cancel_on: [{event: user.identify, where: not event.wants}]}
    message: {type: question, text: Help?}
"""


async def state(store: StubbornStore, user: str = "ann") -> UserState:
    return UserState.decode((await store.load([user]))[user])


async def ticks(store: StubbornStore) -> list[list[int]]:
    return [
        [found.at for found in await store.log(number, 0, 10_000) if found.kind == "tick"]
        for number in range(store.partition_count)
    ]


async def test_entries_get_their_stamps_and_ids_and_keep_their_order() -> None:
    _, turns = await started()
    result = await turns.make([entry(at=START), entry(at=START - 1), entry(at=START + 1)], START, due=False)
    assert [found.at for found in result.entries] == [START, START, START + 1]
    assert [found.event and found.event.at for found in result.entries] == [START, START, START + 1]
    # The first entry of the log says which rules hold.
    assert [found.event and found.event.id for found in result.entries] == ["0-2", "0-3", "0-4"]


async def test_an_id_that_a_client_gave_stays() -> None:
    _, turns = await started()
    said = Entry("event", START, "ann", Event("hello", "ann", START, {}, id="mine"))
    (made,) = (await turns.make([said], START, due=False)).entries
    assert made.event is not None
    assert made.event.id == "mine"


async def test_no_stamp_is_earlier_than_one_in_any_partition() -> None:
    _, turns = await started(partition_count=8)
    await turns.make([entry("ann", at=START)], START, due=False)
    others = [user for user in ("bob", "cem", "dea", "eva") if partition_of(user, 8) != partition_of("ann", 8)]
    result = await turns.make([entry(others[0], at=START - 5)], START - 5, due=False)
    assert [found.at for found in result.entries] == [START]


async def test_a_tick_is_true_of_everybody_also_where_an_input_is_stamped_after_the_horizon() -> None:
    store, turns = await started()
    await turns.make([entry("bob", "edit")], START, due=False)
    moment = START + 5 * MINUTE
    await turns.make([entry("cem", "edit", at=START - 4 * MINUTE)], START, due=False)
    # Somebody is due by the horizon, and bob only by the stamp of the input.
    await turns.make([entry("ann", "edit", at=START - MINUTE)], START, due=False)
    result = await turns.make([entry("dea", "edit", at=moment)], moment - 1, due=True)
    assert await ticks(store) == [[moment]]
    assert {decision.user for decision in result.decisions} == {"ann", "bob", "cem"}


async def test_a_tick_is_written_where_somebody_was_due() -> None:
    store, turns = await started(partition_count=8)
    await turns.make([entry()], START, due=True)
    assert await ticks(store) == [[]] * 8
    result = await turns.make([], START + 5 * MINUTE, due=True)
    assert [(decision.rule, decision.at) for decision in result.decisions] == [("idle", START + 5 * MINUTE)]
    own = partition_of("ann", 8)
    assert await ticks(store) == [[START + 5 * MINUTE] if number == own else [] for number in range(8)]
    await turns.make([], START + 6 * MINUTE, due=True, tick=True)
    assert [found[-1] for found in await ticks(store)] == [START + 6 * MINUTE] * 8


async def test_what_time_would_do_does_not_happen_where_it_is_not_asked_for() -> None:
    _, turns = await started()
    await turns.make([entry()], START, due=False)
    result = await turns.make([], START + 5 * MINUTE, due=False)
    assert result.decisions == []


async def test_more_users_than_a_turn_takes_are_due_in_the_next_one() -> None:
    store, turns = await started()
    users = [f"u{number}" for number in range(DUE_MAX + 1)]
    await turns.make([entry(user, "edit") for user in users], START, due=False)
    moment = START + 5 * MINUTE
    first = await turns.make([], moment, due=True)
    assert len(first.decisions) == DUE_MAX
    assert await ticks(store) == [[]]
    second = await turns.make([], moment, due=True)
    assert len(second.decisions) == 1
    assert await ticks(store) == [[moment]]
    assert {decision.user for decision in (*first.decisions, *second.decisions)} == set(users)


async def test_a_commit_that_failed_has_done_nothing_and_is_made_again_the_same() -> None:
    store, turns = await started()
    before = await store.describe()
    store.refusals = 1
    entries = [entry(), entry("bob")]
    with pytest.raises(StoreError):
        await turns.make(entries, START, due=False)
    assert await store.describe() == before
    result = await turns.make(entries, START, due=False)
    assert [(decision.user, decision.outcome) for decision in result.decisions] == [("ann", "sent"), ("bob", "sent")]
    assert (await store.describe())["decisions"] == 2


async def test_a_commit_of_which_only_the_answer_was_lost_is_not_made_twice() -> None:
    store, turns = await started()
    store.lost_answers = 1
    entries = [entry()]
    with pytest.raises(StoreError):
        await turns.make(entries, START, due=False)
    found = await store.describe()
    result = await turns.make(entries, START, due=False)
    assert [decision.outcome for decision in result.decisions] == ["sent"]
    assert await store.describe() == found
    # What comes after that is new.
    await turns.make([entry()], START, due=False)
    assert (await store.describe())["decisions"] == 2


async def test_while_nobody_can_say_whether_a_commit_was_made_it_is_not_made_again() -> None:
    store, turns = await started()
    store.lost_answers = 1
    entries = [entry()]
    with pytest.raises(StoreError):
        await turns.make(entries, START, due=False)
    found = await store.describe()
    store.unreadable = 2
    for _ in range(2):
        with pytest.raises(StoreError, match="the log cannot be read"):
            await turns.make(entries, START, due=False)
    await turns.make(entries, START, due=False)
    assert await store.describe() == found


@pytest.mark.parametrize("made", [False, True])
async def test_after_a_turn_that_was_broken_off_the_store_is_asked_what_is_true(made: bool) -> None:
    store, turns = await started()
    await turns.make([entry(event_type="edit")], START, due=False)
    store.hold = made
    broken_off = asyncio.ensure_future(turns.make([entry(event_type="edit")], START, due=False))
    await store.held.wait()
    broken_off.cancel()
    with pytest.raises(asyncio.CancelledError):
        await broken_off
    await turns.make([entry("bob", "edit")], START, due=False)
    await turns.make([entry(event_type="edit")], START, due=False)
    assert (await state(store)).activity_count == (3 if made else 2)


async def test_another_writer_is_noticed_and_what_they_wrote_is_read() -> None:
    store, turns = await started()
    await turns.make([entry()], START, due=False)
    other = Turns(store)
    await other.make([entry("bob", at=START + 1)], START + 1, due=False)
    with pytest.raises(Conflict):
        await turns.make([entry("cem", at=START + 2)], START + 2, due=False)
    await turns.make([entry("cem", at=START + 2)], START + 2, due=False)
    assert sorted(await store.load(["ann", "bob", "cem"])) == ["ann", "bob", "cem"]
    assert (await store.describe())["decisions"] == 3


async def test_what_stands_in_the_log_unevaluated_is_evaluated_first() -> None:
    store, _ = await started()
    await store.append([entry(at=START), entry(at=START + 1)])
    turns = Turns(store)
    await turns.recover()
    found = await store.describe()
    assert (found["unevaluated"], found["decisions"], found["outbox"]) == (0, 2, 2)


async def test_an_entry_that_raises_is_set_aside_and_the_rest_goes_on() -> None:
    store, turns = await started(badly_compiled(BAD))
    entries = [entry(event_type="e"), entry(event_type="e", boom=True), entry("bob", "e"), entry(event_type="e")]
    result = await turns.make(entries, START, due=False)
    assert [(decision.user, decision.outcome) for decision in result.decisions] == [
        ("ann", "sent"),
        ("ann", "sent"),
        ("bob", "sent"),
    ]
    (fault,) = result.faults
    assert (fault.user, fault.entry) == ("ann", result.entries[1])
    assert "boom at an event" in fault.trace
    assert (await store.describe())["faults"] == 1
    assert (await state(store)).activity_count == 2


async def test_a_state_that_grows_too_large_stays_as_it_was() -> None:
    store, turns = await started(badly_compiled(BAD))
    await turns.make([entry(event_type="e")], START, due=False)
    before = (await store.load(["ann"]))["ann"]
    much = "x" * STATE_BYTES_MAX
    result = await turns.make(
        [entry(event_type="hoard", much=much), entry("bob", "hoard", much="little")], START, due=False
    )
    assert (await store.load(["ann"]))["ann"] == before
    assert [(decision.user, decision.rule) for decision in result.decisions] == [("bob", "hoard")]
    (fault,) = result.faults
    assert (fault.user, fault.entry) == ("ann", result.entries[0])
    assert "the state of user 'ann' would take" in fault.trace
    # The user goes on from there.
    again = await turns.make([entry(event_type="e", at=START + 1)], START + 1, due=False)
    assert [decision.outcome for decision in again.decisions] == ["sent"]


async def test_a_state_that_cannot_be_written_at_all_stays_as_it_was() -> None:
    _, turns = await started(badly_compiled(BAD))
    result = await turns.make([entry(event_type="hoard", much=2**70), entry("bob", "e")], START, due=False)
    (fault,) = result.faults
    assert (fault.user, fault.entry) == ("ann", result.entries[0])
    assert "OverflowError" in fault.trace
    assert [decision.user for decision in result.decisions] == ["bob"]


async def test_time_that_cannot_pass_is_not_tried_for_ever() -> None:
    store, turns = await started(badly_compiled(BAD))
    await turns.make([entry(event_type="e", late=True), entry("bob", "e")], START, due=False)
    assert await store.next_wake() == START + 5 * MINUTE
    result = await turns.make([], START + 5 * MINUTE, due=True)
    assert [(fault.user, fault.entry.kind) for fault in result.faults] == [("ann", "tick")]
    assert "boom in time" in result.faults[0].trace
    # Of the two, bob still has a moment: the end of an implicit session.
    assert await store.next_wake() == START + 30 * MINUTE
    assert (await turns.make([], START + 6 * MINUTE, due=True)).faults == []


async def test_time_that_cannot_pass_behind_an_event_that_moved_nothing_is_not_tried_for_ever() -> None:
    store, turns = await started(badly_compiled(BAD))
    await turns.make([entry(event_type="e", late=True)], START, due=False)
    result = await turns.make([entry(event_type="e", at=START + MINUTE)], START + 5 * MINUTE, due=True)
    assert [fault.entry.kind for fault in result.faults] == ["tick"]
    assert (await state(store)).activity_count == 2
    assert await store.next_wake() is None


async def test_what_nobody_has_got_yet_is_taken_back() -> None:
    store, turns = await started(compiled(TAKEN_BACK))
    wanted = await turns.make([entry(event_type="user.identify", wants=True)], START, due=False)
    assert await store.pending("ann", START) == wanted.outbox != []
    result = await turns.make([entry(event_type="user.identify", wants=False)], START, due=False)
    assert [(found.outcome, found.was) for found in result.decisions] == [("cancelled", "sent")]
    assert await store.pending("ann", START) == []


async def test_what_is_taken_back_in_the_turn_that_sent_it_never_leaves() -> None:
    store, turns = await started(compiled(TAKEN_BACK))
    entries = [entry(event_type="user.identify", wants=wants) for wants in (True, False)]
    result = await turns.make(entries, START, due=False)
    assert [found.outcome for found in result.decisions] == ["sent", "cancelled"]
    assert (result.outbox, await store.pending("ann", START)) == ([], [])


async def test_open_sessions_are_those_that_were_opened_by_name() -> None:
    _, turns = await started()
    start = Entry("event", START, "ann", Event("session.start", "ann", START, {}, session="s1"))
    await turns.make([start, entry("bob"), entry("cem", "ping")], START, due=False)
    assert sorted(await turns.open_sessions()) == [("ann", ["s1"]), ("bob", [])]


async def test_what_the_application_says_is_put_into_the_outbox_and_changes_no_state() -> None:
    store, turns = await started()
    said = Entry("send", START, "ann", message=Message("m1", "question", "How is it going?"))
    result = await turns.make([said], START, due=False)
    assert [(sent.user, sent.message.id, sent.rule) for sent in result.outbox] == [("ann", "m1", "")]
    assert await store.load(["ann"]) == {}
    assert [sent.message.id for sent in await store.pending("ann", START)] == ["m1"]


async def test_a_turn_of_nothing_writes_nothing() -> None:
    store, turns = await started()
    before = await store.describe()
    result = await turns.make([], START, due=True)
    assert (result.entries, result.decisions, await store.describe()) == ([], [], before)


class BusyStore(MemoryStore):
    """While a commit is made somebody puts an entry behind it, ``later`` ones in all."""

    def __init__(self, later: list[Entry]) -> None:
        super().__init__(1)
        self.later = later

    async def commit(self, commits: list[Commit]) -> None:
        await super().commit(commits)
        if self.later:
            await self.append([self.later.pop(0)])


async def test_time_goes_on_behind_what_others_put_into_the_log_while_it_is_taken_up() -> None:
    store = BusyStore([])
    rules = compiled()
    turns = Turns(store)
    await store.save_rules(rules.hash, rules.sources)
    await turns.change_rules(rules, START)
    await store.append([entry(at=START + MINUTE)])
    store.later = [entry(at=START + 2 * MINUTE)]
    turns = Turns(store)
    await turns.recover()
    assert turns.latest == START + 2 * MINUTE
    await turns.make([], START + MINUTE, due=True, tick=True)
    assert [(each.kind, each.at) for each in await store.log(0, 3, 9)] == [("tick", START + 2 * MINUTE)]
