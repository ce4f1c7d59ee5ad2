"""What will be known: told at once, to everybody, whatever one of them does."""

from __future__ import annotations

import asyncio

import pytest

from engine.pending import Pending


def test_everybody_is_told_before_settling_returns_in_the_order_in_which_they_asked() -> None:
    pending: Pending[int] = Pending()
    heard: list[tuple[str, int]] = []
    for name in "abc":
        pending.add_done_callback(lambda done, name=name: heard.append((name, done.result())))  # type: ignore[misc]
    assert heard == []
    pending.set_result(7)
    assert heard == [("a", 7), ("b", 7), ("c", 7)]
    pending.add_done_callback(lambda done: heard.append(("late", done.result())))
    assert heard[-1] == ("late", 7)


def test_nothing_is_known_before_it_is_settled_and_it_is_settled_once() -> None:
    pending: Pending[int] = Pending()
    assert not pending.done()
    assert pending.exception() is None
    with pytest.raises(asyncio.InvalidStateError):
        pending.result()
    pending.set_result(1)
    assert pending.done()
    with pytest.raises(asyncio.InvalidStateError):
        pending.set_exception(ValueError("too late"))
    assert pending.result() == 1
    assert pending.exception() is None


async def test_who_awaits_it_gets_the_result_or_the_error_however_late() -> None:
    well: Pending[str] = Pending()
    bad: Pending[str] = Pending()
    waiting = [asyncio.ensure_future(_of(pending)) for pending in (well, bad, well)]
    await asyncio.sleep(0)
    well.set_result("done")
    bad.set_exception(ValueError("no"))
    assert await asyncio.gather(*waiting, return_exceptions=True) == ["done", bad.exception(), "done"]
    assert await well == "done"
    with pytest.raises(ValueError, match="no"):
        await bad


async def test_that_one_who_waits_goes_away_is_nothing_to_the_others() -> None:
    pending: Pending[str] = Pending()
    gone, stays = asyncio.ensure_future(_of(pending)), asyncio.ensure_future(_of(pending))
    await asyncio.sleep(0)
    gone.cancel()
    pending.set_result("done")
    assert await stays == "done"
    assert gone.cancelled() or not gone.done()


async def test_a_callback_that_fails_is_reported_and_keeps_nobody_from_being_told() -> None:
    reported: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(str(context["exception"])))
    pending: Pending[int] = Pending()
    heard: list[int] = []

    def fail(done: Pending[int]) -> None:
        raise RuntimeError("a fault of ours")

    pending.add_done_callback(fail)
    pending.add_done_callback(lambda done: heard.append(done.result()))
    pending.set_result(3)
    assert heard == [3]
    assert reported == ["a fault of ours"]


async def _of(pending: Pending[str]) -> str:
    return await pending
