"""A question is answered once, by whatever process, while its client may still come for the answer."""

from __future__ import annotations

import pytest
from chat_world import START, World, settle

from engine.core.model import Event
from engine.storage.base import Entry
from engine.transport.answers import CHATS_MAX
from engine.transport.chats import CHAT_EXPIRES, answer_id
from engine.transport.session import ERASED


@pytest.fixture
def world() -> World:
    return World()


async def test_an_answer_has_the_id_of_its_question_and_is_for_the_client_that_asked(world: World) -> None:
    laptop, phone = world.open(), world.open("s_2", "phone")
    first, second = laptop.asks("How?", "c1"), phone.asks("Why?")
    await settle()
    assert sorted(world.answered()) == sorted(
        [("laptop", "to How?", answer_id("ann", first)), ("phone", "to Why?", answer_id("ann", second))]
    )
    data = {each.client: each.message.data for each in world.log if each.message is not None}
    assert data == {"laptop": {"to": "c1"}, "phone": {}}, "where the client gave no id it cannot be told one"


@pytest.mark.parametrize("name", ["c1", ""])
@pytest.mark.parametrize("session", ["s_1", "s_2"])
async def test_what_a_process_left_unanswered_the_next_answers_once(world: World, session: str, name: str) -> None:
    beginning = Event("session.start", "ann", world.now, {"client": "laptop"}, session="s_1")
    world.log.append(Entry("event", world.now, "ann", beginning))
    world.go.clear()
    world.open().asks("How?", name)
    await settle()
    await world.end_process()
    world.open(session)
    await settle()
    await world.end_process()  # and this one, too, ends amid the answer
    assert world.answered() == []
    world.go.set()
    world.open(session)
    await settle()
    for _ in range(2):
        await world.end_process()
        world.open(session)
        await settle()
    assert [text for _, text, _ in world.answered()] == ["to How?"]
    assert world.asked == ["How?"] * 3


@pytest.mark.parametrize(("after", "is_answered"), [(CHAT_EXPIRES - 1, True), (CHAT_EXPIRES, False)])
async def test_a_question_expires_as_its_answer_would(world: World, after: int, is_answered: bool) -> None:
    world.go.clear()
    world.open().asks("How?", "c1")
    await settle()
    world.now += after
    await world.end_process()
    world.go.set()
    world.open()
    await settle()
    assert bool(world.answered()) is is_answered


async def test_a_failure_that_the_client_was_told_of_is_not_asked_again(world: World) -> None:
    world.fails = True
    laptop = world.open()
    laptop.asks("How?", "c1")
    await settle()
    assert laptop.errors() == [("responder_failed", "c1")]
    world.fails = False
    for number in range(3):
        laptop.end()
        await world.end_process()
        laptop = world.open(f"s_{number}")
        await settle()
    assert (world.asked, world.answered()) == (["How?"], [])


async def test_a_failure_that_nobody_was_there_to_be_told_of_waits_for_the_client_or_is_tried_anew(
    world: World,
) -> None:
    world.fails = True
    laptop = world.open(is_there=False)
    laptop.asks("How?", "c1")
    await settle()
    laptop.attach()
    assert laptop.errors() == [("responder_failed", "c1")]
    await world.end_process()
    laptop = world.open(is_there=False)
    laptop.asks("Why?", "c2")
    await settle()
    laptop.end()
    world.fails = False
    world.open("s_2")
    await settle()
    assert [text for _, text, _ in world.answered()] == ["to How?", "to Why?"]


async def test_only_the_client_that_asked_gets_the_answer(world: World) -> None:
    world.go.clear()
    world.open(client="a").asks("How?", "b/c1")
    await settle()
    await world.end_process()
    world.go.set()
    # By the id of the question alone it could be of either, as far as the log goes back.
    world.log.insert(0, Entry("event", START, "ann", Event("session.start", "ann", START, {"client": "a"}, "", "s_1")))
    for name, client, user in (("s_7", "phone", "ann"), ("s_8", "a/b", "ann"), ("s_9", "a", "bob")):
        world.open(name, client, user)
    await settle()
    assert world.answered() == []
    world.open("s_2", "a")
    await settle()
    assert [client for client, _, _ in world.answered()] == ["a"]


async def test_what_was_said_without_a_session_is_nobodys_to_answer(world: World) -> None:
    data = {"message": "How?"}
    for session in (None, "c_1"):
        event = Event("chat_message", "ann", world.now, data, "laptop/c1", session)
        world.log.append(Entry("event", world.now, "ann", event))
    world.open()
    await settle()
    assert world.asked == []


async def test_what_is_asked_while_it_is_looked_for_earlier_questions_comes_behind_them(world: World) -> None:
    world.go.clear()
    laptop = world.open()
    laptop.asks("1", "c1")
    laptop.asks("2", "c2")
    await settle()
    await world.end_process()
    world.go.set()
    world.asked.clear()
    world.readable.clear()
    laptop = world.open()
    laptop.asks("3", "c3")
    laptop.asks("2", "c2", is_repeat=True)  # it was durable, and never acknowledged
    await settle()
    assert world.asked == []
    world.readable.set()
    await settle()
    assert world.asked == ["1", "3", "2"]


async def test_a_repeat_of_a_question_is_not_asked_again(world: World) -> None:
    laptop = world.open()
    laptop.asks("How?", "c1")
    laptop.asks("How?", "c1", is_repeat=True)
    await settle()
    laptop.asks("How?", "c1", is_repeat=True)
    await settle()
    await world.end_process()
    world.readable.clear()
    laptop = world.open()
    laptop.asks("How?", "c1", is_repeat=True)
    world.readable.set()
    for is_looked_for in (False, True):
        await world.end_process()
        laptop = world.open()
        if is_looked_for:
            await settle()
        laptop.asks("How?", "c1", is_repeat=True)
        await settle()
    assert world.asked == ["How?"]


async def test_a_session_that_ends_amid_an_answer_leaves_it_to_the_next_of_its_client(world: World) -> None:
    world.go.clear()
    laptop = world.open()
    laptop.asks("How?", "c1")
    await settle()
    laptop.end()
    world.go.set()
    await settle()
    world.open("s_3", "phone")
    await settle()
    assert world.answered() == []
    laptop = world.open("s_2")
    await settle()
    assert [text for _, text, _ in world.answered()] == ["to How?"]
    laptop.end()
    laptop.asks("Why?", "c2")  # it became durable when the session was over already
    world.open("s_4")
    await settle()
    assert [text for _, text, _ in world.answered()] == ["to How?", "to Why?"]


async def test_the_log_is_read_once_for_each_client_and_not_at_all_after_an_hour(world: World) -> None:
    for name in ("s_1", "s_2", "s_3"):
        world.open(name).end()  # before it was its turn
    await settle()
    assert world.reads == 0
    for name in ("s_4", "s_4", "s_5"):
        laptop = world.open(name)
        await settle()
    assert world.reads == 1
    laptop.asks("How?")
    await settle()
    laptop.end()
    world.open("s_6")
    world.now += CHAT_EXPIRES
    world.open("s_7", "phone")
    await settle()
    assert world.reads == 1


async def test_a_log_that_cannot_be_read_is_looked_at_when_the_client_comes_next(world: World) -> None:
    world.go.clear()
    world.open().asks("How?", "c1")
    await settle()
    await world.end_process()
    world.go.set()
    world.log_fails = True
    laptop = world.open()
    laptop.asks("Why?", "c2")
    await settle()
    assert [text for _, text, _ in world.answered()] == ["to Why?"], "what is new is answered all the same"
    world.log_fails = False
    laptop.end()
    world.open("s_2")
    await settle()
    assert [text for _, text, _ in world.answered()] == ["to Why?", "to How?"]


@pytest.mark.parametrize("when", ["at once", "later"])
async def test_where_an_answer_cannot_be_stored_its_asker_is_told(world: World, when: str) -> None:
    world.store_fails = when
    laptop = world.open()
    laptop.asks("How?", "c1")
    await settle()
    assert laptop.errors() == [("responder_failed", "c1")]
    world.store_fails = ""
    laptop.asks("How?", "c1", is_repeat=True)
    await settle()
    assert [text for _, text, _ in world.answered()] == ["to How?"]


async def test_of_one_client_no_more_is_asked_at_once_than_may_be(world: World) -> None:
    world.go.clear()
    laptop = world.open()
    for number in range(CHATS_MAX + 1):
        laptop.asks(str(number), f"c{number}")
    await settle()
    assert laptop.errors() == [("too_many_chats", f"c{CHATS_MAX}")]
    await world.end_process()
    world.readable.clear()
    laptop = world.open()
    for number in range(CHATS_MAX + 1):
        laptop.asks(f"again {number}", f"d{number}")
    assert laptop.errors() == [("too_many_chats", f"d{CHATS_MAX}")]
    world.readable.set()
    await settle()
    assert len(laptop.errors()) == CHATS_MAX, "those of the earlier process have its places"
    world.go.set()
    for _ in range(CHATS_MAX):
        await settle()
    assert [text for _, text, _ in world.answered()] == [f"to {number}" for number in range(CHATS_MAX)]


async def test_of_who_is_erased_nothing_is_left_to_answer(world: World) -> None:
    world.go.clear()
    laptop, other = world.open(), world.open("s_2", "desk", "bob")
    laptop.asks("How?", "c1")
    other.asks("Why?", "c1")
    await settle()
    laptop.session.farewell = ERASED
    laptop.end()
    world.chats.forget("ann")
    laptop.asks("How?", "c1", is_repeat=True)
    world.log = [entry for entry in world.log if entry.user != "ann"]
    world.go.set()
    await settle()
    assert {entry.user for entry in world.log} == {"bob"}
    known = (world.chats._asked, world.chats._left, world.chats._looked)
    assert [key for each in known for key in each if key[0] == "ann"] == []
    world.open("s_3").asks("How?", "c1")
    await settle()
    assert sorted(client for client, _, _ in world.answered()) == ["desk", "laptop"], (
        "whoever comes back is somebody new"
    )
