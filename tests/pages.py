"""The blocks of a page of documentation, and how each sort of them is tried. It knows no page by name.

A fenced block has a language, and may have a word behind it, for most the name of the file that it is.

* ``yaml``: with ``version:`` a rule file; else the word says what: ``part`` of a rule, ``config…`` or ``source…``.
* ``timeline``: events, and what the nearest rule file before it makes of them.
* ``json``: frames, one after the other; behind a timeline the frame of its last message. ``…`` is anything.
* ``sh``: commands; ``text`` behind them is all that they print. ``text`` alone is a picture.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import indent
from typing import Any

from engine.core.model import Decision, Event
from engine.core.reasons import explain
from engine.core.rules import RuleSet, Timeline
from engine.core.units import from_datetime
from engine.loading.load import load
from engine.loading.read import Reader
from engine.loading.tree import parse_tree
from engine.replay.driver import replay
from engine.replay.source import parse_source
from engine.settings_shape import SHAPE as SETTINGS_SHAPE
from engine.storage.base import OutboxMessage
from engine.transport.wire import message_frame
from engine.triggers import KINDS

FENCE = re.compile(r"^```(\w*)(?: +(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DAY = datetime(2026, 3, 27, tzinfo=UTC)  # a Friday
USER = "ann"
MOMENT = re.compile(r"(?:(\d+)d )?(\d\d):(\d\d):(\d\d)(?:\.(\d{3}))? (.*)")
WHAT_COMES = re.compile(r'→ (\S+) (\w+)(?: "(.*)")?(?: \((.*)\))?')
ANYTHING = "…"


@dataclass(frozen=True)
class Block:
    line: int
    language: str
    word: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.language}"


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    found = [
        Block(text.count("\n", 0, match.start()) + 1, match[1], match[2] or "", match[3])
        for match in FENCE.finditer(text)
    ]
    assert len(re.findall(r"^```", text, re.MULTILINE)) == 2 * len(found), f"{page.name}: a fence has no end"
    return found


def rules_before(blocks: list[Block], number: int) -> RuleSet:
    """The nearest rule file before the block with that number."""
    for block in reversed(blocks[:number]):
        if block.language == "yaml" and is_rule_file(block):
            return load({"rules.yaml": block.text}, KINDS)
    raise AssertionError(f"{blocks[number]}: no rule file stands before it")


def is_rule_file(block: Block) -> bool:
    return re.search(r"^version:", block.text, re.MULTILINE) is not None


def check_yaml(block: Block) -> None:
    """Raises what its reader raises for a block that it does not accept."""
    if is_rule_file(block):
        load({"rules.yaml": block.text}, KINDS)
    elif block.word == "part":
        load({"rules.yaml": whole_rule(block.text)}, KINDS)
    elif block.word.startswith("source"):
        parse_source("source.yaml", block.text)
    else:
        assert block.word.startswith("config"), f"{block}: nothing says what it is"
        tree = parse_tree("config.yaml", block.text)
        reader = Reader(tree)
        assert tree.root is not None
        reader.read(tree.root, SETTINGS_SHAPE)
        assert [*tree.errors, *reader.errors] == []


def whole_rule(part: str) -> str:
    """A rule file with one rule, of which ``part`` says what it says."""
    lines = ["version: 1", "lists: {dp_terms: [knapsack]}", "rules:", "  - id: part"]
    if not re.search(r"^trigger:", part, re.MULTILINE):
        lines.append("    trigger: {event: note}")
    if not re.search(r"^message:", part, re.MULTILINE):
        lines.append("    message: {type: question, text: Well?}")
    return "\n".join(lines) + "\n" + indent(part, "    ")


def run_timeline(rules: RuleSet, text: str) -> tuple[list[str], list[str], list[dict[str, Any]]]:
    """What the timeline says comes, what comes, and the frames of what was sent.

    A line is ``10:00:00 TYPE key=value …`` for an event, ``10:05:00 → RULE OUTCOME "text" (reason)`` for a decision,
    ``1d 10:00:00`` for the next day. Text and reason stand only where they are of interest, moments in reasons without
    the zeros of full seconds. A line that begins with ``#`` is for the reader. Time runs to the last line.
    """
    events: list[Event] = []
    expected: list[tuple[str, str]] = []
    until = 0
    for number, line in enumerate(text.splitlines()):
        if line.startswith("#"):
            continue
        match = MOMENT.fullmatch(line)
        assert match is not None, f"no line of a timeline: {line}"
        days, hours, minutes, seconds, millis = (int(part or 0) for part in match.groups()[:5])
        span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, milliseconds=millis)
        at = from_datetime(DAY + span)
        until = max(until, at)
        moment = line[: -len(match[6])].strip()
        if match[6].startswith("→"):
            expected.append((moment, match[6]))
        else:
            event_type, *words = shlex.split(match[6])
            data = dict(word.split("=", 1) for word in words)
            session = data.pop("session", None)
            events.append(Event(event_type, USER, at, {k: value_of(v) for k, v in data.items()}, str(number), session))
    made = replay(events, Timeline(rules), until).by_user.get(USER, [])
    came, frames = [], []
    for place, decision in enumerate(made):
        came.append(f"{shown(decision.at)} {told(decision, expected[place][1] if place < len(expected) else '')}")
        if decision.message is not None and decision.outcome == "sent":
            frames.append(message_frame(OutboxMessage(USER, decision.message, decision.at, decision.rule)))
    return [f"{moment} {what}" for moment, what in expected], came, frames


def told(decision: Decision, written: str) -> str:
    """The decision as a timeline has it, with as much of it as the line says that was written for it."""
    match = WHAT_COMES.fullmatch(written)
    words = f"→ {decision.rule} {decision.outcome}"
    if match is not None and match[3] is not None and decision.message is not None:
        words += f' "{decision.message.text}"'
    if match is not None and match[4] is not None and decision.reason is not None:
        words += f" ({explain(decision.reason).replace('.000000Z', 'Z')})"
    return words


def shown(at: int) -> str:
    days, rest = divmod(at - from_datetime(DAY), 86_400_000_000)
    moment = DAY + timedelta(microseconds=rest)
    millis = f".{moment.microsecond // 1000:03d}" if moment.microsecond else ""
    return (f"{days}d " if days else "") + moment.strftime("%H:%M:%S") + millis


def value_of(word: str) -> Any:
    """JSON where it is JSON, else the text itself."""
    try:
        return json.loads(word)
    except ValueError:
        return word


def frames_of(block: Block) -> list[Any]:
    """The JSON values of a block, one after the other."""
    decoder = json.JSONDecoder()
    found, place = [], 0
    while block.text[place:].strip():
        while block.text[place].isspace():
            place += 1
        value, place = decoder.raw_decode(block.text, place)
        found.append(value)
    return found


def matches(written: Any, real: Any) -> bool:
    """Whether a written frame is the real one; ``…`` in it is anything that is there."""
    if written == ANYTHING:
        return True
    if isinstance(written, dict):
        return isinstance(real, dict) and written.keys() == real.keys() and all(
            matches(value, real[name]) for name, value in written.items()
        )  # fmt: skip
    if isinstance(written, list):
        return isinstance(real, list) and len(written) == len(real) and all(map(matches, written, real))
    return bool(written == real)
