"""The seeded workload of the benchmarks: rules of mixed kinds, and plausible activity that some of them concern.

Synthetic, the same on every machine: everything is drawn from one seeded generator.
"""

from __future__ import annotations

import random
from typing import Any

import yaml

from engine.core.model import Event
from engine.core.rules import RuleSet
from engine.core.units import MINUTE, SECOND
from engine.loading.load import load
from engine.triggers import KINDS

SEED = 20261123
RULES_PER_FILE = 1_000
ITEMS = 400
START = 1_774_605_600 * SECOND  # 2026-03-27T10:00:00Z
EVENT_TYPES = ("edit", "save", "test.run", "test.failed", "chat_message", "page.view", "build.failed", "debug.start")
WORDS = (
    "loop", "list", "function", "error", "recursion", "class", "index", "string", "value", "return", "test",
    "print", "variable", "memory", "pointer", "tree", "graph", "stack", "queue", "sort", "search", "array",
    "module", "import", "object", "method", "thread", "lock", "cache", "query", "table", "join", "key",
)  # fmt: skip


def rule_set(count: int, seed: int = SEED) -> RuleSet:
    """``count`` rules: half of them on events, a quarter on keywords, a fifth on inactivity, the rest schedules.

    The more rules there are, the more special each is, as in life: about one event in ten makes a candidate at
    any count, and what is measured is what the rules cost that do not concern it.
    """
    chance = random.Random(seed)
    rules = [_rule(chance, number, count) for number in range(count)]
    files = {}
    for start in range(0, count, RULES_PER_FILE):
        page = {"version": 1, "rules": rules[start : start + RULES_PER_FILE]}
        files[f"rules-{start:05}.yaml"] = yaml.dump(page, Dumper=yaml.CSafeDumper, sort_keys=False)
    return load(files, KINDS)


def _rule(chance: random.Random, number: int, count: int) -> dict[str, Any]:
    share = chance.random()
    if share < 0.5:
        where = f'event.item == "i{chance.randrange(ITEMS)}"'
        if count > 100:
            where += f" and event.level == {chance.randrange(count // 100)}"
        trigger: dict[str, Any] = {"event": {"event": chance.choice(EVENT_TYPES), "where": where}}
    elif share < 0.75:
        words = {f"{chance.choice(WORDS)} {chance.choice(WORDS)} {chance.choice(WORDS)}" for _ in range(3)}
        trigger = {"keywords": {"any": sorted(words)}}
    elif share < 0.95:
        span = f"{chance.randrange(600, 1800)}s"
        # Of many rules on inactivity nearly all speak of what has just failed.
        special = number % max(count // 20, 1)
        trigger = {"inactivity": {"for": span, "after": f"step.{number}"} if special else span}
    else:
        trigger = {"schedule": {"cron": f"{chance.randrange(60)} {chance.randrange(24)} {number % 28 + 1} * *"}}
    return {
        "id": f"rule-{number}",
        "trigger": trigger,
        "condition": "default(user.level, 1) < 5",
        "cooldown": "30m",
        "max": [{"max": 3, "per": "session"}],
        "priority": number % 7,
        "message": {"type": "suggestion", "text": "You seem to be at {{ session.events }} events. A hint?"},
    }


def events(count: int, users: int = 500, seed: int = SEED) -> list[Event]:
    """Activity in bursts: gaps of seconds, now and then minutes, seldom hours; a fifth of it chat messages."""
    chance = random.Random(seed + 1)
    clocks = [START + chance.randrange(600) * SECOND for _ in range(users)]
    made = []
    for number in range(count):
        user = chance.randrange(users)
        gap = chance.random()
        clocks[user] += int(
            (5 * SECOND if gap < 0.9 else 3 * MINUTE if gap < 0.99 else 60 * MINUTE) * (0.1 + 2 * chance.random())
        )
        if chance.random() < 0.2:
            words = " ".join(chance.choice(WORDS) for _ in range(12)) + f" word{chance.randrange(3000)}"
            data: dict[str, Any] = {"message": words}
            event_type = "chat_message"
        else:
            data = {"item": f"i{chance.randrange(ITEMS)}", "level": chance.randrange(100)}
            event_type = chance.choice(EVENT_TYPES)
        made.append(Event(event_type, f"user{user:04}", clocks[user], data, id=f"e{number}"))
    made.sort(key=lambda event: event.at)
    return made
