"""Sessions on a driver whose turns are taken by hand: who has one, and what reaches which device."""

from __future__ import annotations

import asyncio
import json

import pytest
from devices import OPEN, devices
from live_world import START

from engine.core.units import MINUTE, SECOND
from engine.intake import Input
from engine.transport.decoding import WireError
from engine.transport.frames import Hello
from engine.transport.outgoing import Outgoing
from engine.transport.sessions import USER_SESSIONS_MAX


async def test_a_session_begins_durably_before_its_client_is_welcome() -> None:
    world = await devices()
    laptop = await world.open("laptop")
    [entry] = await world.entries("event")
    assert (entry.event.type, entry.event.session) == ("session.start", laptop.session.name)
    assert entry.event.data == {"client": "laptop"}
    assert laptop.session.user == "ann"
    assert not laptop.session.resumed


async def test_where_the_store_refuses_nobody_is_welcome_and_nothing_is_left_of_the_session() -> None:
    world = await devices()
    world.store.refusals = 10
    opening = asyncio.ensure_future(world.sessions.open(Hello("laptop", user="ann"), OPEN))
    await asyncio.sleep(0)
    with pytest.raises(Exception, match="the disk said no"):
        await world.live.take_turn(world.now)
    with pytest.raises(WireError) as refused:
        await opening
    assert (refused.value.code, refused.value.retry_after_s) == ("not_stored", 5)
    assert len(world.sessions) == 0


async def test_a_message_goes_to_all_devices_and_leaves_the_outbox_when_all_have_it() -> None:
    world = await devices()
    laptop, phone = await world.open("laptop"), await world.open("phone")
    await world.send("m1")
    assert laptop.ids() == phone.ids() == (await world.outbox())
    await laptop.received(1)
    assert len(await world.outbox()) == 1
    await phone.received(1)
    assert await world.outbox() == []


async def test_the_first_receipt_of_a_rules_message_is_an_event_and_no_other() -> None:
    world = await devices()
    laptop, phone = await world.open("laptop"), await world.open("phone")
    await world.say(Input("ann", "hello", {}, session=laptop.session.name))
    await world.settle()
    assert "message.delivered" not in await world.types()
    for device in (laptop, phone):
        assert len(device.ids()) == 1
        await device.received(1)
    assert (await world.types()).count("message.delivered") == 1


async def test_what_was_not_received_comes_again_when_the_client_takes_its_session_up_again() -> None:
    world = await devices()
    laptop = await world.open("laptop")
    await world.send("m1")
    await world.send("m2")
    assert len(laptop.ids()) == 2
    laptop.lose()
    await world.send("m3")
    world.now += MINUTE - 1
    again = await world.open("laptop", resume=(laptop.session.name, 1))
    assert again.session is laptop.session
    assert again.session.resumed
    assert [(frame["id"], frame["seq"]) for frame in again.frames()] == [("m2", 2), ("m3", 3)]
    assert (await world.types()).count("session.start") == 1


async def test_a_session_to_which_nobody_comes_back_ends_and_its_messages_wait_for_whoever_comes() -> None:
    world = await devices()
    laptop = await world.open("laptop")
    await world.send("m1")
    laptop.lose()
    world.now += MINUTE - 1
    world.sessions.sweep()
    assert len(world.sessions) == 1
    world.now += 1
    world.sessions.sweep()
    await world.settle()
    assert len(world.sessions) == 0
    assert await world.types() == ["session.start", "session.end"]
    again = await world.open("laptop", resume=(laptop.session.name, 0))
    assert not again.session.resumed
    assert again.session.name != laptop.session.name
    assert again.ids() == ["m1"]


async def test_after_a_restart_a_session_is_taken_up_again_and_nothing_of_what_waits_is_lost_for_any_device() -> None:
    world = await devices()
    laptop, phone = await world.open("laptop"), await world.open("phone")
    await world.send("m1")
    assert laptop.ids() == ["m1"]
    await laptop.received(1)
    await world.restart()
    again = await world.open("laptop", resume=(laptop.session.name, 1))
    assert again.session.resumed
    assert [(frame["id"], frame["seq"]) for frame in again.frames()] == [("m1", 2)], "told twice by the same id"
    await again.received(2)
    assert await world.outbox() == ["m1"], "the phone may yet come back"
    other = await world.open("phone", resume=(phone.session.name, 0))
    assert other.session.resumed
    assert other.ids() == ["m1"]
    await other.received(1)
    assert await world.outbox() == []
    assert (await world.types()).count("session.start") == 2


async def test_after_a_restart_sessions_to_which_nobody_comes_back_end_and_are_waited_for_no_longer() -> None:
    world = await devices()
    laptop = await world.open("laptop")
    await world.open("phone")
    await world.send("m1")
    await world.restart()
    again = await world.open("laptop", resume=(laptop.session.name, 0))
    await again.received(1)
    assert again.ids() == ["m1"]
    await again.received(1)
    assert await world.outbox() == ["m1"]
    world.now += MINUTE
    await world.settle()
    assert await world.outbox() == []
    assert (await world.types()).count("session.end") == 1


async def test_nobody_takes_up_the_session_of_another_user_or_client() -> None:
    world = await devices()
    laptop = await world.open("laptop")
    laptop.lose()
    for client, user in (("laptop", "bob"), ("phone", "ann")):
        other = await world.open(client, user, resume=(laptop.session.name, 0))
        assert not other.session.resumed
        assert other.session.name != laptop.session.name
    await world.restart()
    other = await world.open("laptop", "bob", resume=(laptop.session.name, 0))
    assert not other.session.resumed


async def test_a_client_that_begins_anew_replaces_its_former_session_and_is_present_all_the_time() -> None:
    world = await devices()
    former = await world.open("laptop")
    newer = await world.open("laptop")
    await world.settle()
    assert former.outgoing.closing == (4001, '{"code":"replaced"}')
    assert former.session.is_over
    assert await world.types() == ["session.start", "session.start", "session.end"]
    assert list((await world.state()).sessions) == [newer.session.name]
    await world.send("m1")
    assert newer.ids() == ["m1"]


@pytest.mark.parametrize(
    ("kind", "reason"), [("answered", "answered"), ("dismissed", "dismissed"), ("muted", "muted"), ("seen", None)]
)
async def test_what_one_device_settles_is_withdrawn_from_the_others(kind: str, reason: str | None) -> None:
    world = await devices()
    laptop, phone = await world.open("laptop"), await world.open("phone")
    await world.say(Input("ann", "hello", {}, session=laptop.session.name))
    [question] = [frame for frame in laptop.frames() if frame["type"] == "backend_message"]
    name = question["id"]
    await world.say(Input("ann", f"message.{kind}", {"message_id": name}, session=laptop.session.name))
    await world.settle()
    told = [frame for frame in phone.frames() if frame["type"] == "withdrawn"]
    assert told == ([] if reason is None else [{"type": "withdrawn", "id": name, "reason": reason}])
    assert [frame for frame in laptop.frames() if frame["type"] == "withdrawn"] == []
    assert (await world.outbox() == []) == (reason is not None)


async def test_a_wish_reaches_all_devices() -> None:
    world = await devices()
    laptop, phone = await world.open("laptop"), await world.open("phone")
    until = START + 60 * SECOND
    wish = {"level": "less", "muted": ["tips"], "snoozedUntil": until // SECOND}
    await world.say(Input("ann", "user.preferences", wish, session=laptop.session.name))
    await world.settle()
    expected = {
        "type": "preferences", "level": "less", "muted": ["tips"], "snoozedUntil": until // SECOND, "snoozed": {},
    }  # fmt: skip
    assert laptop.frames() == phone.frames() == [expected]


async def test_a_message_for_one_client_reaches_no_other() -> None:
    world = await devices()
    laptop, phone = await world.open("laptop"), await world.open("phone")
    await world.send("m1", client="phone")
    assert laptop.ids() == []
    assert phone.ids() == ["m1"]
    await phone.received(1)
    assert await world.outbox() == []


async def test_an_expired_message_is_owed_to_nobody() -> None:
    world = await devices()
    laptop = await world.open("laptop")
    laptop.lose()
    await world.send("m1", expires=SECOND)
    world.now += SECOND
    world.sessions.sweep()
    await world.settle()
    again = await world.open("laptop", resume=(laptop.session.name, 0))
    assert again.ids() == []
    assert len(world.ledger) == 0
    assert await world.outbox() == []


async def test_plain_connections_and_sessions_of_one_user_both_get_a_message_once() -> None:
    world = await devices()
    plain = world.hub.connect("c_1")
    world.hub.identify("c_1", "ann")
    laptop = await world.open("laptop")
    await world.send("m1")
    assert json.loads(plain.take_nowait() or "")["id"] == "m1"
    assert laptop.ids() == ["m1"]
    assert await world.outbox() == ["m1"]
    await laptop.received(1)
    assert await world.outbox() == []


async def test_messages_over_the_rate_wait_in_the_outbox_and_nobody_else_hands_them_over() -> None:
    world = await devices(rate=1)
    laptop = await world.open("laptop")
    await world.send("m1")
    await world.send("m2")
    assert laptop.ids() == ["m1"]
    assert world.delivery.is_paced("m2")
    phone = await world.open("phone")
    assert phone.ids() == ["m1"]
    world.seconds += 1
    world.delivery._go_on()
    assert laptop.ids() == phone.ids() == ["m2"]
    assert not world.delivery.is_paced("m2")
    await world.delivery.close()


async def test_a_user_has_a_bounded_number_of_sessions_and_the_one_longest_gone_makes_room() -> None:
    world = await devices()
    opened = [await world.open(f"tab{number}") for number in range(USER_SESSIONS_MAX)]
    with pytest.raises(WireError) as refused:
        await world.open("one too many")
    assert refused.value.code == "too_many_connections"
    for number in (5, 3):
        world.now += 1
        opened[number].lose()
    await world.open("one more")
    assert opened[5].session.is_over
    assert not opened[3].session.is_over


async def test_of_a_user_who_is_erased_no_session_is_left_and_none_is_told_to_have_ended() -> None:
    world = await devices()
    await world.open("laptop")
    world.sessions.drop("ann")
    await world.settle()
    assert len(world.sessions) == 0
    assert await world.types() == ["session.start"]


# Who is being erased


async def test_of_who_is_being_erased_no_session_is_opened_until_that_is_done() -> None:
    world = await devices()
    with world.sessions.erasing.of("ann"):
        with pytest.raises(WireError, match="is being erased") as refused:
            await world.open("phone")
        assert (refused.value.code, refused.value.retry_after_s) == ("overloaded", 1)
        await world.open("phone", user="bob")
    assert len(world.sessions.of_user("ann")) == 0
    await world.open("phone")


async def test_a_session_that_is_dropped_while_it_is_opened_is_refused_and_owes_nothing() -> None:
    world = await devices()
    await world.say(Input("ann", "hello", {}))  # a message waits
    opening = asyncio.ensure_future(world.sessions.open(Hello("phone", user="ann"), OPEN))
    await asyncio.sleep(0)
    world.sessions.drop("ann")
    for _ in range(5):
        await world.live.take_turn(world.now)
        await asyncio.sleep(0)
    with pytest.raises(WireError, match="is being erased"):
        await opening
    assert len(world.sessions) == len(world.ledger) == 0


async def test_a_connection_that_comes_to_a_session_which_is_over_is_closed_as_the_others_were() -> None:
    world = await devices()
    phone = await world.open("phone")
    world.sessions.drop("ann")
    late = Outgoing()
    phone.session.attach(late, "websocket")
    assert late.closing == (1008, '{"code":"erased"}')
    assert phone.session.outgoing is not late
    laptop = await world.open("laptop")
    await world.open("laptop")
    late = Outgoing()
    laptop.session.attach(late, "websocket")
    assert late.closing == (4001, '{"code":"replaced"}')


async def test_what_waits_for_its_second_is_handed_to_nobody_who_is_erased() -> None:
    world = await devices(rate=1)
    for user in ("ann", "bob"):
        await world.open("phone", user=user)
        await world.say(*[Input(user, "hello", {}) for _ in range(9)])
    waiting = [message for user in ("ann", "bob") for message in await world.live.waiting(user)]
    paced = {message.user for message in waiting if world.delivery.is_paced(message.message.id)}
    assert paced == {"ann", "bob"}
    world.delivery.forget("ann")
    assert {each.user for each in waiting if world.delivery.is_paced(each.message.id)} == {"bob"}
    world.sessions.drop("ann")
    await world.live.erase("ann")
    anew = await world.open("tablet")  # a moment later, before the second of those messages
    world.seconds += 60
    world.delivery._go_on()
    assert anew.session.unreceived == []
    await world.delivery.close()
