"""What will be known after a turn. As an `asyncio.Future`, but it tells at once, and costs a fraction.

It belongs to no loop and schedules nothing; whoever wants to wait awaits it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Pending(Generic[T]):
    """Settled once, by `set_result` or `set_exception`, which call whoever is waiting before they return.

    Nobody can cancel it: that one who waits goes away is nothing to the others.
    """

    __slots__ = ("_calls", "_error", "_is_done", "_result")

    def __init__(self) -> None:
        self._is_done = False
        self._error: BaseException | None = None
        self._result: T | None = None
        # Nearly always there is one: a function alone takes less than a list of one.
        self._calls: Callable[[Pending[T]], None] | list[Callable[[Pending[T]], None]] | None = None

    def done(self) -> bool:
        return self._is_done

    def exception(self) -> BaseException | None:
        """Why it could not be; None where it is well, or not known yet."""
        return self._error

    def result(self) -> T:
        """Raises what it was settled with, and `asyncio.InvalidStateError` where it is not settled."""
        if not self._is_done:
            raise asyncio.InvalidStateError("it is not known yet")
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]

    def set_result(self, result: T) -> None:
        self._check_open()
        self._result = result
        self._settle()

    def set_exception(self, error: BaseException) -> None:
        self._check_open()
        self._error = error
        self._settle()

    def add_done_callback(self, call: Callable[[Pending[T]], None]) -> None:
        """Call this with it as soon as it is settled, which may be now."""
        if self._is_done:
            call(self)
        elif self._calls is None:
            self._calls = call
        elif isinstance(self._calls, list):
            self._calls.append(call)
        else:
            self._calls = [self._calls, call]

    def __await__(self) -> Generator[Any, None, T]:
        if not self._is_done:
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.add_done_callback(lambda _: None if waiting.done() else waiting.set_result(None))
            yield from waiting
        return self.result()

    def _check_open(self) -> None:
        if self._is_done:
            raise asyncio.InvalidStateError("it is settled already")

    def _settle(self) -> None:
        self._is_done = True
        calls, self._calls = self._calls, None
        for call in calls if isinstance(calls, list) else () if calls is None else (calls,):
            try:
                call(self)
            except Exception as error:
                # Whoever settles it has done nothing wrong, and others wait as well.
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "a callback failed", "exception": error, "callback": call}
                )
