"""The HTTP door against its own description: schemathesis asks whatever can be asked, and looks at every answer.

``make fuzz-http`` asks far more (PROACTIVE_FUZZ_EXAMPLES).
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from engine import Server
from engine.settings import Limits, Settings
from engine.transport.openapi import openapi

MANY = os.environ.get("PROACTIVE_FUZZ_EXAMPLES")
EXAMPLES = int(MANY or 15)  # of each operation, besides those at every bound
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance, unsupported_method, negative_data_rejection,
]  # fmt: skip
# Where a shape cannot say all that is asked for: that a zone exists, a day is one, a duration is longer than nothing.
SAID_IN_WORDS = ("/chat", "/events", "/hello", "/messages")
RULES = """\
version: 1
rules:
  - {id: stuck, trigger: {keywords: {any: [stuck]}}, message: {type: question, text: "Where are you stuck?"}}
  - {id: saved, trigger: {event: {event: file.saved}}, message: {type: suggestion, text: Good, options: [Thanks]}}
"""
UNLIMITED = Limits(client_events_per_s=None, user_events_per_s=None, user_connections=None)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server in a thread of its own, for schemathesis asks in this one."""
    folder = tmp_path_factory.mktemp("fuzzed")
    (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
    started, stopping = threading.Event(), asyncio.Event()
    urls: list[str] = []

    async def serve() -> None:
        given = Settings(ws_port=0, http_port=0, rules=folder, store=f"sqlite:{folder / 'fuzz.db'}", limits=UNLIMITED)
        async with Server(given) as server:
            urls.append(server.http_url)
            started.set()
            await stopping.wait()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    assert started.wait(20)
    yield urls[0]
    loop.call_soon_threadsafe(stopping.set)
    thread.join()
    loop.close()


# A stream that is open has no end: those who open some are in test_http_sessions.py.
asked = schemathesis.openapi.from_dict(openapi()).exclude(path="/stream")


@asked.parametrize()
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), derandomize=MANY is None)
def test_whatever_is_asked_the_answer_is_as_described(case: schemathesis.Case, url: str) -> None:
    is_exact = case.path not in SAID_IN_WORDS
    case.call_and_validate(base_url=url, checks=[*CHECKS, positive_data_acceptance] if is_exact else CHECKS)
