"""The meaning of the rule language, as data: every vector, several ways through, each with the same decisions."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from engine.core.evaluate import advance, apply
from engine.core.model import Decision, Event
from engine.core.reasons import explain
from engine.core.rules import RuleSet, Timeline
from engine.core.state import UserState
from engine.core.units import DURATION_MAX, SECOND, format_duration, parse_at, parse_duration
from engine.loading.load import load
from engine.loading.tree import PARSER
from engine.triggers import KINDS

VECTORS = Path(__file__).parent.parent / "vectors"
START = "2026-03-27T10:00:00Z"
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def vectors() -> list[Any]:
    cases = []
    for path in sorted(VECTORS.glob("*.yaml")):
        page = yaml.load(path.read_text(encoding="utf-8"), PARSER)
        for vector in page["vectors"]:
            vector.setdefault("rules", page["rules"])
            cases.append(pytest.param(vector, id=f"{path.stem}: {vector['name']}"))
    return cases


def rule_set(vector: dict[str, Any]) -> RuleSet:
    page = {"version": 1, "rules": vector["rules"], "policy": vector.get("policy", {})}
    return load({"vector.yaml": yaml.dump(page, Dumper=DUMPER, sort_keys=False)}, KINDS)


def timeline_of(vector: dict[str, Any], start: int, events: list[Event]) -> Timeline:
    """The vector's rules from the beginning, and each of its ``changes`` from its moment on.

    ``events`` are the user's past to whatever rules ask for it.
    """
    timeline = Timeline(rule_set(vector), history=lambda user, moment: [each for each in events if each.at < moment])
    for change in vector.get("changes", []):
        timeline.add(start + span(change["after"]), rule_set({**vector, **change}))
    return timeline


def span(text: Any) -> int:
    """A duration, and what lies beside it: ``10m``, ``10m-1us``, ``0s+1us``."""
    whole, off = re.fullmatch(r"(\w+)(?:([+-]\d+)us)?", str(text)).groups()  # type: ignore[union-attr]
    return (0 if whole == "0s" else parse_duration(whole)) + int(off or 0)


def shown_span(microseconds: int) -> str:
    whole, rest = divmod(microseconds, 1000)
    return format_duration(whole * 1000) + (f"+{rest}us" if rest else "")


def events_of(vector: dict[str, Any], start: int) -> list[Event]:
    events = []
    for after, event_type, *rest in vector["events"]:
        data = rest[0] if rest else {}
        session = rest[1] if len(rest) > 1 else None
        events.append(Event(event_type, vector.get("user", "ann"), start + span(after), data, session=session))
    return events


def addressed(event: Event, decisions: list[Decision]) -> Event:
    """The event, where it is about a message by number: 1 is the first that was sent, and its id is put there."""
    sent = [decision.message.id for decision in decisions if decision.outcome == "sent" and decision.message]
    return msgspec.structs.replace(event, data={**event.data, "message_id": sent[event.data["message_id"] - 1]})


def run(
    vector: dict[str, Any], *, through_bytes: bool = False, step: int | None = None
) -> tuple[list[Decision], UserState]:
    """``through_bytes``: state and event are written and read again between any two inputs. ``step``: time runs in
    leaps of that many microseconds rather than in one."""
    start = parse_at(vector.get("start", START))
    events = events_of(vector, start)
    timeline = timeline_of(vector, start, events)
    until = start + span(vector.get("until", "0s"))
    state = UserState(vector.get("user", "ann"))
    decisions: list[Decision] = []

    def leap(to: int) -> None:
        nonlocal state
        if step is not None and state.now >= 0:
            for moment in range(state.now + step, to, step):
                advance(timeline, state, moment, decisions)
                state = UserState.decode(state.encode())

    for place, event in enumerate(events):
        leap(event.at)
        if isinstance(event.data.get("message_id"), int):
            # Which message that is may only be known once all that comes before has happened.
            advance(timeline, state, event.at, decisions)
            event = events[place] = addressed(event, decisions)
        if through_bytes:
            state = UserState.decode(state.encode())
            event = msgspec.json.decode(msgspec.json.encode(event), type=Event)
        apply(timeline, state, event, decisions)
    leap(until)
    advance(timeline, state, until, decisions)
    return decisions, state


def shown(decisions: list[Decision], start: int, expected: list[list[Any]]) -> list[list[Any]]:
    """The decisions in the form of ``expect``; the text only where the vector gives one, and what it was before
    (``sent was held``) only where the vector says it."""
    rows = []
    for place, decision in enumerate(decisions):
        like = expected[place] if place < len(expected) else []
        row: list[Any] = [shown_span(decision.at - start), decision.rule, decision.outcome]
        if " was " in "".join(like[2:3]):
            row[2] += f" was {decision.was}"
        if len(like) > 3:
            row.append(decision.message.text if decision.message else None)
        rows.append(row)
    return rows


def outcomes_of(decisions: list[Decision]) -> Counter[str]:
    """How many candidates came to each outcome in the end. Each has one, and what was held or sent has been before."""
    outcomes: Counter[str] = Counter()
    for decision in decisions:
        outcomes[decision.outcome] += 1
        if decision.was is not None:
            outcomes[decision.was] -= 1
            assert outcomes[decision.was] >= 0
    assert outcomes.total() == sum(decision.was is None for decision in decisions)
    return outcomes


def check_that_each_candidate_has_one_outcome(decisions: list[Decision]) -> None:
    """A decision that takes the place of another is about a message that had that outcome until then."""
    stands: dict[str, str] = {}
    for decision in decisions:
        message = decision.message
        if decision.was is not None:
            assert message is not None
            assert stands.pop(message.id) == decision.was
        if message is not None:
            assert message.id not in stands
            stands[message.id] = decision.outcome


@pytest.mark.parametrize("vector", vectors())
def test_the_language_means_what_the_vectors_say(vector: dict[str, Any]) -> None:
    start = parse_at(vector.get("start", START))
    decisions, state = run(vector)
    expected = [[shown_span(span(after)), *rest] for after, *rest in vector["expect"]]
    assert shown(decisions, start, expected) == expected
    check_that_each_candidate_has_one_outcome(decisions)
    for decision, reason in zip(decisions, vector.get("reasons", []), strict=bool(vector.get("reasons"))):
        assert (None if decision.reason is None else explain(decision.reason)) == reason
    for decision, drawn in zip(decisions, vector.get("drawn", []), strict=bool(vector.get("drawn"))):
        assert [decision.variant, decision.probability] == drawn
    for decision, prompt in zip(decisions, vector.get("prompts", []), strict=bool(vector.get("prompts"))):
        assert (None if decision.message is None else decision.message.prompt) == prompt
    assert outcomes_of(decisions)["held"] == len(state.held)

    again, state_again = run(vector, through_bytes=True)
    assert again == decisions
    assert state_again.encode() == state.encode()

    # A leap of an odd length, so that moments fall to either side of the deadlines.
    length = max(event.at for event in events_of(vector, start)) - start + span(vector.get("until", "0s"))
    step = max(min(length, DURATION_MAX) // 211, SECOND) + 1
    in_leaps, state_in_leaps = run(vector, step=step)
    assert in_leaps == decisions
    assert state_in_leaps.encode() == state.encode()
