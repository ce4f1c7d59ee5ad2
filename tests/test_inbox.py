from __future__ import annotations

import pytest

from engine.core.model import Event, Message
from engine.inbox import (
    CHAIN_MAX,
    QUEUE_MAX,
    RECEIPTED_MAX,
    RECEIPTS_MAX,
    RECEIPTS_TURN_MAX,
    RECEIPTS_WAIT_MAX,
    TURN_MAX,
    Inbox,
    Overloaded,
    Request,
)
from engine.pending import Pending
from engine.storage.base import Entry, OutboxMessage


def said(at: int) -> Entry:
    return Entry("event", at, "ann", Event("edit", "ann", at, {}))


def handed(*numbers: int, user: str = "ann", rule: str = "idle") -> list[OutboxMessage]:
    return [OutboxMessage(user, Message(f"m{number}", "question", "Hm?"), 0, rule) for number in numbers]


def ids(request: Request) -> list[str]:
    return [entry.event.data["message_id"] for entry in request.entries if entry.event is not None]


def told(capsys: pytest.CaptureFixture[str]) -> str:
    shown = capsys.readouterr()
    return shown.out + shown.err


async def test_requests_are_taken_whole_and_in_order() -> None:
    inbox = Inbox()
    for count in (TURN_MAX - 1, 1, 1):
        inbox.put([said(count)] * count)
    assert (inbox.count, inbox.has_requests) == (TURN_MAX + 1, True)
    assert [len(request.entries) for request in inbox.take()] == [TURN_MAX - 1, 1]
    assert inbox.count == 1
    assert [len(request.entries) for request in inbox.take()] == [1]
    assert (inbox.take(), bool(inbox)) == ([], False)


async def test_a_request_larger_than_a_turn_is_a_turn() -> None:
    inbox = Inbox()
    inbox.put([said(1)] * (TURN_MAX + 1))
    inbox.put([said(1)])
    assert [len(request.entries) for request in inbox.take()] == [TURN_MAX + 1]


async def test_there_is_room_up_to_the_bound_and_receipts_take_none_of_it() -> None:
    inbox = Inbox()
    inbox.put([said(1)] * (QUEUE_MAX - 1))
    inbox.put_receipts(handed(1, 2), 1)
    inbox.check_room(1)
    with pytest.raises(Overloaded, match=f"{QUEUE_MAX - 1} inputs wait already, at most {QUEUE_MAX} may"):
        inbox.check_room(2)


async def test_receipts_go_first_and_beside_a_full_turn_of_inputs() -> None:
    inbox = Inbox()
    inbox.put([said(7)] * TURN_MAX)
    inbox.put_receipts(handed(*range(RECEIPTS_TURN_MAX + 1)), 9)
    first, second = inbox.take()
    assert ids(first) == [f"m{number}" for number in range(RECEIPTS_TURN_MAX)]
    assert len(second.entries) == TURN_MAX
    assert [ids(request) for request in inbox.take()] == [[f"m{RECEIPTS_TURN_MAX}"]]


@pytest.mark.parametrize(("waits_since", "at"), [(8, 8), (9, 9), (10, 9)])
async def test_a_receipt_is_stamped_no_later_than_the_first_that_waits(waits_since: int, at: int) -> None:
    inbox = Inbox()
    inbox.put([said(waits_since)])
    inbox.put_receipts(handed(1), 9)
    (entry,) = inbox.take()[0].entries
    assert entry == Entry("event", at, "ann", Event("message.delivered", "ann", at, {"message_id": "m1"}))


async def test_receipts_wait_for_timers_that_are_due_unless_an_input_waits_or_they_become_many() -> None:
    inbox = Inbox()
    inbox.put_receipts(handed(1), 5)
    assert inbox.take(timers_due=True) == []
    inbox.put([said(6)])
    assert [len(request.entries) for request in inbox.take(timers_due=True)] == [1, 1]
    inbox.put_receipts(handed(*range(2, RECEIPTS_WAIT_MAX + 1)), 7)
    assert inbox.take(timers_due=True) == []
    inbox.put_receipts(handed(RECEIPTS_WAIT_MAX + 1), 8)
    assert [len(request.entries) for request in inbox.take(timers_due=True)] == [RECEIPTS_TURN_MAX]


async def test_a_message_has_one_receipt_and_one_of_no_rule_has_none() -> None:
    inbox = Inbox()
    inbox.put_receipts(handed(1, 1), 1)
    inbox.put_receipts([*handed(1), *handed(2, rule=""), *handed(3)], 2)
    assert [ids(request) for request in inbox.take()] == [["m1", "m3"]]
    inbox.put_receipts(handed(1), 3)
    assert not inbox


async def test_receipts_beyond_their_bound_are_dropped_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    inbox = Inbox()
    inbox.put_receipts(handed(*range(RECEIPTS_MAX)), 1)
    assert told(capsys) == ""
    inbox.put_receipts(handed(RECEIPTS_MAX, RECEIPTS_MAX + 1), 1)
    assert f"{RECEIPTS_MAX} wait already" in told(capsys)
    assert sum(len(request.entries) for _ in range(RECEIPTS_MAX) for request in inbox.take()) == RECEIPTS_MAX


async def test_so_many_messages_are_recognised_when_they_are_handed_over_again() -> None:
    inbox = Inbox()
    for number in range(RECEIPTED_MAX + 1):
        inbox.put_receipts(handed(number), 1)
        inbox.take()
    inbox.put_receipts(handed(1), 1)
    assert not inbox
    inbox.put_receipts(handed(0), 1)
    assert inbox


async def test_a_chain_of_messages_that_receipts_cause_has_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    inbox = Inbox()
    for number in range(CHAIN_MAX + 2):
        inbox.note_causes({f"m{number}": f"m{number - 1}"})
        inbox.put_receipts(handed(number), 1)
        assert told(capsys) == "" or number >= CHAIN_MAX
        inbox.put_receipts(handed(number), 1)  # once as it arrives, and once as it leaves the outbox
        assert [ids(request) for request in inbox.take()] == ([[f"m{number}"]] if number != CHAIN_MAX else [])
    inbox.put_receipts(handed(99), 1)
    assert inbox


async def test_a_request_tells_whoever_waits_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    done: Pending[list[Entry]] = Pending()
    failed: Pending[list[Entry]] = Pending()
    Request([said(1)], done).succeed([said(2)])
    assert await done == [said(2)]
    Request([said(1)], failed).fail(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        await failed
    Request([said(1)], None).succeed([])
    assert told(capsys) == ""
    Request([said(1)], None).fail(ValueError("no"))
    assert "! receipts lost" in told(capsys)


async def test_what_has_reached_everybody_waits_until_a_turn_has_taken_it_out_of_the_outbox() -> None:
    inbox = Inbox()
    inbox.put_relayed(handed(1, 2))
    assert inbox
    assert inbox.relayed == {"m1": "ann", "m2": "ann"}
    inbox.drop_relayed(["m1", "unknown"])
    assert inbox.relayed == {"m2": "ann"}
    inbox.drop_relayed(["m2"])
    assert not inbox


async def test_of_a_user_who_is_forgotten_nothing_is_left_to_be_done() -> None:
    inbox = Inbox()
    inbox.put_relayed(handed(1))
    inbox.put_receipts(handed(1), 1)
    inbox.forget("bob")
    assert inbox.relayed
    inbox.forget("ann")
    assert not inbox
