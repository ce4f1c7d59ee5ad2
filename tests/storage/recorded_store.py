"""A store that a server might have left: two people, forty minutes, messages that wait."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from engine.core.model import Event
from engine.core.units import MINUTE
from engine.loading.load import load
from engine.storage.base import Entry, Store
from engine.storage.sqlite import SqliteStore
from engine.triggers import KINDS
from engine.turn import Turns

START = 1_774_605_600_000_000
RULES = """
version: 1
rules:
  - id: idle
    trigger: {inactivity: 5m}
    message: {type: question, text: "{{ user.id }}?"}
  - {id: stuck, trigger: {keywords: {any: [stuck]}}, message: {type: question, text: Where?}}
"""


async def record(path: Path) -> None:
    store = await SqliteStore.open(path, partition_count=1, durability="normal")
    await record_into(store)
    await store.close()


async def record_into(store: Store) -> None:
    turns = Turns(store)
    await turns.recover()
    rules = load({"rules.yaml": RULES}, KINDS)
    await store.save_rules(rules.hash, rules.sources)
    await turns.change_rules(rules, START)
    for minute in range(1, 41):
        now = START + minute * MINUTE
        user = ("ann", "bob")[minute % 2]
        if minute % 10 < 4:
            data = {"message": f"stuck {'x' * 500}"}
            await turns.make([Entry("event", now, user, Event("chat_message", user, now, data))], now, due=True)
        await turns.make([], now, due=True)


def change(path: Path, *statements: str) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        db.execute(statement)
    db.close()
