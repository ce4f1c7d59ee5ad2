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
    return _loaded([_rule(chance, number, count) for number in range(count)])


def mixed_rule_set(count: int, seed: int = SEED) -> RuleSet:
    """``count`` rules over all kinds, a ninth each, with budgets, quiet hours, variants and delivery at a breakpoint.

    They are as special as those of `rule_set`: of a test, a page, a build among `ITEMS`.
    """
    chance = random.Random(seed)
    return _loaded([_mixed_rule(chance, number, count) for number in range(count)], MIXED_POLICY)


MIXED_POLICY = {
    "timezone": "Europe/Paris",
    "seed": "workload",
    "budgets": {
        "attention": {"limits": [{"max": 3, "per": "10m"}, {"max": 40, "per": "day"}]},
        "patience": {
            "limits": [{"max": 5, "per": "1h"}],
            "charged_by": [{"event": "message.dismissed", "cost": 2}, {"event": "message.expired"}],
            "reset_on": "message.answered",
        },
    },
    "quiet_hours": {"nights": {"from": "22:00", "to": "07:00"}},
}


def _loaded(rules: list[dict[str, Any]], policy: dict[str, Any] | None = None) -> RuleSet:
    files = {}
    for start in range(0, len(rules), RULES_PER_FILE):
        page: dict[str, Any] = {"version": 1, "rules": rules[start : start + RULES_PER_FILE]}
        if policy is not None and start == 0:
            page["policy"] = policy
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


def _mixed_rule(chance: random.Random, number: int, count: int) -> dict[str, Any]:
    event_type = chance.choice(EVENT_TYPES)
    where = f'event.item == "i{chance.randrange(ITEMS)}"'
    if count > 100:
        where += f" and event.level < {max(10_000 // count, 1)}"
    matcher = {"event": event_type, "where": where}
    special = bool(number % max(count // 20, 1))  # of many rules nearly all wait for something that seldom comes
    triggers: tuple[dict[str, Any], ...] = (
        {"event": matcher},
        {
            "keywords": {
                "any": [f"{chance.choice(WORDS)} {chance.choice(WORDS)} {chance.choice(WORDS)}" for _ in range(3)]
            }
        },
        {"inactivity": {"for": f"{chance.randrange(600, 1800)}s", "after": f"step.{number}" if special else "test.*"}},
        {
            "count": {
                **(matcher if special else {"event": event_type}),
                "at_least": 2,
                "within": "2h",
                "group_by": "item",
            }
        },
        {
            "sequence": {
                "steps": [matcher, {**matcher, "event": "save"}],
                "within": "30m",
                "without": matcher | {"event": "build.failed"},
            }
        },
        {"absence": {"after": matcher, "no": {**matcher, "event": "save"}, "within": f"{chance.randrange(60, 1200)}s"}},
        {"schedule": {"cron": f"{chance.randrange(60)} {chance.randrange(24)} {number % 28 + 1} * *"}},
        {"session": {"lasted": f"{chance.randrange(3600, 360_000)}s"} if special else {"returned_after": "1h"}},
        {"response": {"to": f"rule-{number // 9 * 9}", "is": ["dismissed", "ignored"]}},
    )
    rule: dict[str, Any] = {
        "id": f"rule-{number}",
        "trigger": triggers[number % len(triggers)],
        "condition": "default(user.level, 1) < 5",
        "cooldown": "30m",
        "max": [{"max": 3, "per": "session"}],
        "priority": number % 7,
        "expires": "15m",
        "message": {"type": "suggestion", "text": "You seem to be at {{ session.events }} events. A hint?"},
    }
    if number % 4 == 1:
        rule["deliver"] = {"at": ["test.*", "save"], "within": "2m", "cancel_on": "debug.start"}
    if number % 5 == 2:
        rule["on_dismiss"] = {"cooldown": "x2", "up_to": "1d"}
    if number % 6 == 3:
        rule["message"] = {
            "type": "question",
            "options": ["Yes", "No"],
            "variants": [{"id": "ask", "weight": 2, "text": "A hint?"}, {"id": "tell", "text": "Here is a hint."}],
        }
    return rule


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
