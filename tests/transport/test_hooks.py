"""How the application hears of responses: in their order, so many at once, and never without a bound."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from engine.transport.hooks import ResponseHooks


class Application:
    """Its hook returns when it is let go."""

    def __init__(self, *, at_once: int = 2, waiting_max: int = 3) -> None:
        self.began: list[str] = []
        self.ended: list[str] = []
        self.go: dict[str, asyncio.Event] = {}
        self.hooks = ResponseHooks(self.hear, at_once=at_once, waiting_max=waiting_max)

    async def hear(self, user: str, question: str, response: str) -> None:
        self.began.append(question)
        await self.go.setdefault(question, asyncio.Event()).wait()
        if response == "raise":
            raise ValueError("of the application")
        self.ended.append(question)

    def tell(self, *questions: str, user: str = "ann", response: str = "Yes") -> list[asyncio.Future[None]]:
        return [self.hooks.tell(user, question, response) for question in questions]

    def let_go(self, question: str) -> None:
        self.go.setdefault(question, asyncio.Event()).set()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_so_many_are_called_at_once_and_the_others_follow_in_their_order() -> None:
    application = Application()
    told = application.tell("q1", "q2", "q3", "q4")
    await settle()
    assert application.began == ["q1", "q2"]
    application.let_go("q2")
    await told[1]
    await settle()
    assert application.began == ["q1", "q2", "q3"]
    for question in ("q1", "q3", "q4"):
        application.let_go(question)
    await asyncio.gather(*told)
    assert application.began == ["q1", "q2", "q3", "q4"]
    await application.hooks.close()


async def test_of_what_finds_no_room_the_application_does_not_hear_and_the_log_says_so() -> None:
    application = Application(at_once=2, waiting_max=3)
    with capture_logs() as lines:
        told = application.tell("q1", "q2", "q3", "q4", "q5")
        assert lines == []
        assert not any(each.done() for each in told)
        (beyond,) = application.tell("q6")
        assert beyond.done()  # whoever waits for it goes on
    assert [(line["event"], line["log_level"], line["user_id"], line["message_id"]) for line in lines] == [
        ("! on_user_response not called", "error", "ann", "q6")
    ]
    for number in range(1, 7):
        application.let_go(f"q{number}")
    await asyncio.gather(*told)
    assert application.ended == ["q1", "q2", "q3", "q4", "q5"]
    await application.hooks.close()


async def test_one_that_raises_is_told_to_the_operator_and_makes_room_for_the_next() -> None:
    application = Application(at_once=1)
    (failing,) = application.tell("q1", response="raise")
    (next_one,) = application.tell("q2")
    application.let_go("q1")
    application.let_go("q2")
    with capture_logs() as lines:
        await asyncio.gather(failing, next_one)
    assert [(line["event"], line["why"]) for line in lines] == [
        ("! on_user_response failed", "ValueError: of the application")
    ]
    assert application.ended == ["q2"]
    await application.hooks.close()


async def test_that_somebody_stops_waiting_for_it_stops_no_call() -> None:
    application = Application(at_once=1)
    first, second = application.tell("q1", "q2")
    first.cancel()
    second.cancel()
    application.let_go("q1")
    application.let_go("q2")
    await settle()
    await settle()
    assert application.ended == ["q1", "q2"]
    await application.hooks.close()


async def test_what_waits_of_a_user_who_is_erased_is_told_to_nobody() -> None:
    application = Application(at_once=1)
    (_,) = application.tell("q1")
    (dropped,) = application.tell("q2", user="bob")
    (kept,) = application.tell("q3")
    application.hooks.forget("bob")
    await dropped
    application.let_go("q1")
    application.let_go("q3")
    await kept
    assert application.began == ["q1", "q3"]
    await application.hooks.close()


async def test_closing_cancels_what_is_under_way_and_leaves_nobody_waiting() -> None:
    application = Application(at_once=1)
    told = application.tell("q1", "q2")
    await settle()
    await application.hooks.close()
    await asyncio.gather(*told)
    assert (application.began, application.ended) == (["q1"], [])
