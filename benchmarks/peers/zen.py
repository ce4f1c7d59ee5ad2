"""zen-engine (GoRules, in Rust): a decision table with a row for each rule, asked at every event.

It has conditions and no memory: counts, sequences and silence it cannot say, for nothing lasts from one call to the
next. The program around it would have to keep all that and pass it in.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import zen

from benchmarks.peers import rules
from benchmarks.peers.measuring import Work, measure
from benchmarks.peers.rules import Event, Firing, Matcher, Rule

TABLE = "rules"


def prepare(events: Sequence[Event], told: Sequence[Rule]) -> Work:
    # A table that the engine loads itself is compiled once, which is twenty times as fast as `create_decision`.
    engine = zen.ZenEngine({"loader": {"type": "static", "content": {TABLE: _graph(told)}}})
    contexts = [dict(event) for event in events]

    def work() -> list[Firing]:
        fired = []
        for event in contexts:
            for row in engine.evaluate(TABLE, event)["result"]:
                fired.append((event["user"], row["rule"], event["at"]))  # noqa: PERF401
        return fired

    return work


def _graph(told: Sequence[Rule]) -> dict[str, Any]:
    table = {
        "hitPolicy": "collect",
        "inputs": [{"id": "when", "name": "when"}],
        "outputs": [{"id": "rule", "name": "rule", "field": "rule"}],
        "rules": [
            {"_id": rule.id, "when": _expression(rule.on), "rule": json.dumps(rule.id)}
            for rule in told
            if isinstance(rule, rules.Plain)
        ],
    }
    return {
        "nodes": [
            {"id": "in", "name": "in", "type": "inputNode", "position": {"x": 0, "y": 0}},
            {
                "id": "table",
                "name": "table",
                "type": "decisionTableNode",
                "content": table,
                "position": {"x": 1, "y": 0},
            },
            {"id": "out", "name": "out", "type": "outputNode", "position": {"x": 2, "y": 0}},
        ],
        "edges": [
            {"id": "a", "sourceId": "in", "targetId": "table", "type": "edge"},
            {"id": "b", "sourceId": "table", "targetId": "out", "type": "edge"},
        ],
    }


def _expression(matcher: Matcher) -> str:
    tests = [f"type == {json.dumps(matcher.type)}"]
    tests += [f"{field} {symbol} {json.dumps(value)}" for field, symbol, value in matcher.tests]
    return " and ".join(tests)


if __name__ == "__main__":
    measure(prepare)
