"""Turns on the model store, for which rules hold already, and entries for them."""

from __future__ import annotations

from live_world import START, StubbornStore, compiled

from engine.core.model import Event
from engine.core.rules import RuleSet
from engine.core.units import MINUTE
from engine.storage.base import Entry
from engine.storage.memory import MemoryStore
from engine.turn import Turns


def entry(user: str = "ann", event_type: str = "hello", at: int = START, **data: object) -> Entry:
    return Entry("event", at, user, Event(event_type, user, at, dict(data)))


async def started(rules: RuleSet | None = None, partition_count: int = 1) -> tuple[StubbornStore, Turns]:
    store = StubbornStore(MemoryStore(partition_count))
    turns = Turns(store)
    await turns.recover()
    rules = rules or compiled()
    await store.save_rules(rules.hash, rules.sources)
    await turns.change_rules(rules, START - MINUTE)
    return store, turns
