"""The responder that asks a server which speaks OpenAI's chat completions: Ollama, vLLM, llama.cpp, OpenAI and others.

The API is described at platform.openai.com/docs/api-reference/chat; a stream is server-sent events (WHATWG HTML,
section 9.2) whose ``data`` is a JSON chunk, and ``[DONE]`` at its end.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import aiohttp
import structlog
from aiohttp.http_exceptions import BadHttpMessage

from engine.core.units import SECOND
from engine.responders.base import ANSWER_LENGTH_MAX, COMPOSE_MODE, ChatMessage, ResponderFailed, Turn
from engine.responders.breaker import Breaker
from engine.settings import OpenAI

CONNECT_S = 5.0
LINE_BYTES_MAX = 1024 * 1024  # of one event of a stream; also how much of an error is read
BODY_BYTES_MAX = 4 * ANSWER_LENGTH_MAX + 64 * 1024  # of an answer that comes whole
BACKOFF_S = (0.25, 4.0)  # full jitter: a chance from 0 to the first, doubled each time, and never more than the second
RETRY_AFTER_MAX_S = 5.0  # nobody waits longer for an answer to begin
RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504})
WHY_LENGTH_MAX = 300  # characters of what the server says of an error, for the log

_AWAY = "The assistant cannot be reached just now. Please try again in a moment."
_WENT_WRONG = "Something went wrong while answering. Please try again."

log = structlog.get_logger("proactive")


class _TryAgain(Exception):
    """It failed before anything was said, and may go well another time."""

    def __init__(self, why: str, after_s: float | None = None) -> None:
        super().__init__(why)
        self.after_s = after_s


class OpenAIResponder:
    """Call it with a `ChatMessage` for the pieces of the answer; `close` it in the end."""

    def __init__(
        self,
        settings: OpenAI,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._url = settings.url.rstrip("/") + "/chat/completions"
        self._clock = clock
        self._jitter = jitter
        self._breaker = Breaker(settings.break_after, settings.break_for / SECOND)
        self._http: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()

    async def __call__(self, message: ChatMessage) -> AsyncGenerator[str, None]:
        """Raises `ResponderFailed`. Whoever stops listening ends the request."""
        if not self._breaker.admits(self._clock()):
            raise ResponderFailed(_AWAY, f"{self._url} has failed too often; it is left alone for a while")
        begun = False
        try:
            async with aclosing(self._pieces(message)) as pieces:
                async for piece in pieces:
                    begun = True
                    yield piece
        except ResponderFailed as failure:
            self._note_failure(failure.why)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            # Whether whoever asked left or ran out of patience cannot be told apart: it counts for nothing.
            self._breaker.given_up()
            raise
        except Exception as error:
            # A fault of ours. Whoever is admitted tells the breaker what came of it, or nobody is admitted any more.
            self._note_failure(type(error).__name__)
            raise
        if not begun:
            self._note_failure("an answer without a word")
            raise ResponderFailed(_WENT_WRONG, f"{self._url} gave an answer without a word")
        self._breaker.succeeded()

    def _note_failure(self, why: str) -> None:
        was_open = self._breaker.is_open(self._clock())
        self._breaker.failed(self._clock())
        if self._breaker.is_open(self._clock()) and not was_open:
            log.error("! responder left alone", for_s=self._settings.break_for / SECOND, why=why)

    async def _pieces(self, message: ChatMessage) -> AsyncGenerator[str, None]:
        """The pieces of the first try that says anything."""
        for tries in range(self._settings.retries + 1):
            begun = False
            try:
                async with aclosing(self._one_try(message)) as pieces:
                    async for piece in pieces:
                        begun = True
                        yield piece
                return
            except _TryAgain as failed:
                if begun or tries == self._settings.retries:
                    raise ResponderFailed(_AWAY, str(failed)) from None
                wait = self._jitter() * min(BACKOFF_S[0] * 2**tries, BACKOFF_S[1])
                if failed.after_s is not None:
                    if failed.after_s > RETRY_AFTER_MAX_S:
                        raise ResponderFailed(_AWAY, f"{failed}; it asks for {failed.after_s:g} s") from None
                    wait = max(wait, failed.after_s)
                await asyncio.sleep(wait)

    async def _one_try(self, message: ChatMessage) -> AsyncGenerator[str, None]:
        # Of an answer that comes whole nothing can be seen before all of it is there; how long that may take, and how
        # long the rest of a stream may, the asker says.
        first_token_s = self._settings.first_token / SECOND if self._settings.stream else None
        deadline = asyncio.timeout(first_token_s)
        try:
            async with (
                deadline,
                self._session().post(
                    self._url, json=self._question(message), headers=self._headers(), allow_redirects=False
                ) as response,
            ):
                if response.status != 200:
                    raise await self._refused(response)
                if not self._settings.stream:
                    yield _whole(await _body(response))
                    return
                async with aclosing(_deltas(response)) as deltas:
                    async for delta in deltas:
                        deadline.reschedule(None)
                        yield delta
        except TimeoutError:
            if not deadline.expired():
                raise _TryAgain(f"{self._url} stopped in the middle of an answer") from None
            raise _TryAgain(f"{self._url} said nothing within {first_token_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise _TryAgain(f"{self._url}: {type(error).__name__}: {self._told(error)}") from None
        except (ValueError, BadHttpMessage) as error:
            # A line that is longer than any of a completion is no line of one.
            why = f"{self._url} answered what no completion is: {self._told(error)}"
            raise ResponderFailed(_WENT_WRONG, why) from None

    async def _refused(self, response: aiohttp.ClientResponse) -> Exception:
        body = (await response.content.read(LINE_BYTES_MAX)).decode(errors="replace")
        why = f"{self._url} answered {response.status}: {self._told(' '.join(body.split()))}"
        if response.status in RETRIED:
            return _TryAgain(why, _seconds(response.headers.get("Retry-After")))
        return ResponderFailed(_WENT_WRONG, why)

    def _told(self, why: object) -> str:
        """What the server or the connection says of a failure, short, and without the key: some say it back."""
        text = str(why)
        key = self._settings.api_key
        return (text.replace(key, "…") if key else text)[:WHY_LENGTH_MAX]

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            # The whole answer is bounded by whoever asks.
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
            self._http = aiohttp.ClientSession(timeout=timeout, read_bufsize=LINE_BYTES_MAX)
        return self._http

    def _headers(self) -> dict[str, str]:
        key = self._settings.api_key
        return {"Authorization": f"Bearer {key}"} if key else {}

    def _question(self, message: ChatMessage) -> dict[str, Any]:
        system = self._settings.system
        text = message.message
        if message.context and message.mode != COMPOSE_MODE:
            text = f"{text}\n\nContext: {json.dumps(message.context, ensure_ascii=False)}"
        said: list[dict[str, str]] = []
        for turn in (*message.history, Turn("user", text)):
            # The templates of some models refuse turns that do not alternate, beginning with the user's: a question may
            # have had no answer, and of a long conversation the beginning is left out.
            if said and said[-1]["role"] == turn.role:
                said[-1]["content"] += f"\n\n{turn.text}"
            elif said or turn.role == "user":
                said.append({"role": turn.role, "content": turn.text})
        return {
            "model": self._settings.model,
            "stream": self._settings.stream,
            "messages": [*([{"role": "system", "content": system}] if system else []), *said],
        }


def _seconds(retry_after: str | None) -> float | None:
    """A date in it (RFC 9110, section 10.2.3) is no number: then we wait as if it said nothing."""
    try:
        return max(0.0, float(retry_after)) if retry_after is not None else None
    except ValueError:
        return None


async def _body(response: aiohttp.ClientResponse) -> Any:
    read = bytearray()
    async for block in response.content.iter_any():
        read += block
        if len(read) > BODY_BYTES_MAX:
            raise ValueError(f"more than {BODY_BYTES_MAX} bytes")
    return json.loads(read)


async def _deltas(response: aiohttp.ClientResponse) -> AsyncGenerator[str, None]:
    while True:
        line = await response.content.readline()
        if not line:
            # A stream that ends without its end may have lost the rest of the answer.
            raise aiohttp.ClientPayloadError("the stream ended before [DONE]")
        field, _, value = line.decode().rstrip("\r\n").partition(":")
        if field != "data":
            continue
        value = value.removeprefix(" ")
        if value == "[DONE]":
            return
        delta = _delta(json.loads(value))
        if delta:
            yield delta


def _delta(chunk: Any) -> str:
    if not isinstance(chunk, dict):
        raise ValueError("expected a chunk as an object")
    if "error" in chunk:
        raise ValueError(f"an error in the stream: {json.dumps(chunk['error'])}")
    match chunk.get("choices"):
        case [{"delta": {"content": str() as content}}, *_]:
            return content
        case [{"delta": {"content": content}}, *_] if content is not None:
            raise ValueError("expected the content of a chunk to be a string")
    # The first chunk may have the role alone, the last the usage.
    return ""


def _whole(answer: Any) -> str:
    try:
        content = answer["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        raise ValueError('expected "choices[0].message.content"') from None
    if not isinstance(content, str):
        raise ValueError("expected the content to be a string")
    return content
