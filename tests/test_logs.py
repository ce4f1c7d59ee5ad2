"""The log of a process as an operator finds it: configured in a process of its own, read from its standard error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from engine.settings import Auth, OpenAI, Settings, Tokens

ROOT = Path(__file__).parent.parent
PROGRAM = """
import logging, structlog
from engine.logs import configure_logs
from engine.settings import Log

configure_logs(Log("{format}", "{level}"), ["the-secret-of-all"])
configure_logs(Log("{format}", "{level}"), ["the-secret-of-all"])
log = structlog.get_logger("proactive")
{body}
"""


def lines_of(body: str, *, format: str = "json", level: str = "info") -> list[str]:
    program = PROGRAM.format(format=format, level=level, body=body)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_a_line_of_json_has_its_fields_by_name() -> None:
    (line,) = lines_of('log.info("= client", user_id="ann", connection="c_1")')
    told = json.loads(line)
    assert told.pop("timestamp").endswith("Z")
    assert told == {"event": "= client", "level": "info", "user_id": "ann", "connection": "c_1"}


def test_while_no_line_can_be_written_the_program_goes_on_and_says_later_how_many_are_lost() -> None:
    body = """
import os
kept = os.dup(2)
full = os.open("/dev/full", os.O_WRONLY)
log.info("a")
os.dup2(full, 2)
log.info("b")
log.error("! c")
os.dup2(kept, 2)
log.info("d")
log.info("e")
"""
    lines = [json.loads(line) for line in lines_of(body)]
    assert [line["event"] for line in lines if line["event"] not in ("b", "! c")] == [
        "a",
        "d",
        "! lines of the log were lost",
        "e",
    ]
    assert lines[-2]["lines"] == 2


def test_what_is_bound_to_a_request_stands_in_every_line_of_it() -> None:
    body = 'structlog.contextvars.bind_contextvars(request="r_1")\nlog.info("a")\nlog.info("b")'
    assert [json.loads(line)["request"] for line in lines_of(body)] == ["r_1", "r_1"]


def test_libraries_complain_in_the_same_log_and_only_once() -> None:
    body = 'logging.getLogger("asyncio").error("Task was destroyed: %s", "x")\nlogging.getLogger("x").info("chatter")'
    (line,) = lines_of(body)
    told = json.loads(line)
    assert (told["event"], told["level"], told["library"], told["why"]) == (
        "! library",
        "error",
        "asyncio",
        "Task was destroyed: x",
    )


def test_a_trace_is_one_field_of_json_and_has_no_secret() -> None:
    body = 'try:\n    raise ValueError("no the-secret-of-all")\nexcept ValueError:\n    log.exception("! failed")'
    (line,) = lines_of(body)
    assert "ValueError: no ***" in json.loads(line)["exception"]
    console = lines_of(body, format="console")
    assert console[-1] == "ValueError: no ***"


def test_the_secrets_of_the_settings_are_known_to_the_log() -> None:
    settings = Settings(auth=Auth(tokens=Tokens(secret="s1")), openai=OpenAI(api_key="s2"))
    assert settings.secrets == ("s1", "s2")
    assert Settings().secrets == ()


def test_a_console_line_is_for_people() -> None:
    (line,) = lines_of('log.warning("! outbox", user_id="ann", error="two words")', format="console")
    assert line.endswith("Z [warning] ! outbox error='two words' user_id=ann")


def test_below_the_level_nothing_is_written() -> None:
    (line,) = lines_of('log.debug("x")\nlog.info("y")\nlog.error("z")', level="warning")
    assert json.loads(line)["event"] == "z"


def test_a_flood_is_cut() -> None:
    told = [
        json.loads(line) for line in lines_of('for number in range(25):\n    log.warning("! flood", number=number)')
    ]
    assert [line["number"] for line in told] == list(range(20))
