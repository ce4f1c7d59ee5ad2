"""Rules and events of one user, what is told of why a rule spoke or did not, and what it sends once it is changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.core.model import Decision, Event
from engine.core.rules import Timeline
from engine.core.units import MINUTE, SECOND, parse_at
from engine.loading.load import load
from engine.loading.patch import patch
from engine.replay.activity import in_memory
from engine.replay.driver import replay
from engine.replay.why import Account, Asked, account
from engine.replay.why_text import text
from engine.triggers import KINDS

START = parse_at("2026-03-27T10:00:00Z")
MESSAGE = 'message: {type: question, text: "{{ event.test | default(\'x\') }}", options: ["Yes", "No"]}'


def rules_of(*rules: str, policy: str = "") -> dict[str, str]:
    """One file; each rule without its braces, "r" the first."""
    written = "\n".join(f"  - {{id: {'rst'[number]}, {rule}, {MESSAGE}}}" for number, rule in enumerate(rules))
    return {"rules.yaml": f"version: 1\n{policy}\nrules:\n{written}\n"}


def happened(second: float, event_type: str, session: str | None = None, **data: Any) -> Event:
    return Event(event_type, "ann", START + round(second * SECOND), data, f"e{second}", session)


def asked(
    rules: dict[str, str],
    events: Sequence[Event],
    at: float | None = None,
    until: float | None = None,
    around: int = 60,
) -> Account:
    moment = None if at is None else START + round(at * SECOND)
    end = None if until is None else START + round(until * SECOND)
    question = Asked("r", "ann", moment, around * MINUTE)
    return account(in_memory(events), Timeline(load(rules, KINDS)), question, end)


def sent_with(rules: dict[str, str], events: Sequence[Event], change: Any, until: int) -> list[Decision]:
    """What the rule sends with the change that was told, made by hand."""
    sources = rules
    for edit in change["set"]:
        sources = patch(sources, edit["path"], edit["value"], KINDS)
    kept = list(events)
    for gone in change["removed"]:
        kept.remove(next(one for one in kept if (one.type, one.id) == (gone["type"], gone["id"])))
    kept += [
        Event(one["type"], "ann", parse_at(one["at"]), one["data"], one["id"], one["session"])
        for one in change["added"]
    ]
    end = max(until, *(event.at for event in kept)) if kept else until
    made = replay(in_memory(kept), Timeline(load(sources, KINDS)), end).by_user.get("ann", [])
    return [decision for decision in made if decision.rule == "r" and decision.outcome == "sent"]


def on_one_line(found: Account) -> str:
    return " ".join(" ".join(text(found)).split())


TWO = [happened(0, "note", test="a"), happened(300, "note", test="b")]
