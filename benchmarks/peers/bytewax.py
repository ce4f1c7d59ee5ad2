"""Bytewax: a dataflow keyed by user, on one worker.

It says all twelve rules, silence by its session windows in event time and the others by code: a window of Bytewax is
judged when it closes, so "the third failure within ten minutes, at that very failure" is a function with a state that
Bytewax keeps (`stateful_flat_map`). There is no language of rules; whoever changes one changes the program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
import bytewax.operators.windowing as win
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, TestingSource, run_main

from benchmarks.peers import rules
from benchmarks.peers.measuring import Work, measure
from benchmarks.peers.rules import Event, Firing, Rule

BATCH_EVENTS = 1_000
LATE = timedelta(seconds=10)  # the log is in order; this only keeps Bytewax's own clock from running ahead of it
EPOCH = datetime.fromtimestamp(0, UTC)

State = dict[Any, Any]


def prepare(events: Sequence[Event], told: Sequence[Rule]) -> Work:
    fired: list[Firing] = []
    flow = _flow([(event["user"], event) for event in events], told, fired)

    def work() -> list[Firing]:
        run_main(flow)
        end = events[-1]["at"]
        return [firing for firing in fired if firing[2] <= end]

    return work


def _flow(inputs: list[tuple[str, Event]], told: Sequence[Rule], fired: list[Firing]) -> Dataflow:
    flow = Dataflow("rules")
    keyed = op.input("log", flow, TestingSource(inputs, batch_size=BATCH_EVENTS))
    outputs = []
    plain = [rule for rule in told if isinstance(rule, rules.Plain)]
    if plain:
        outputs.append(op.flat_map("plain", keyed, lambda item: _plain(plain, item)))
    timed = [rule for rule in told if isinstance(rule, rules.Count | rules.Sequence)]
    if timed:
        remembered = op.stateful_flat_map("remembered", keyed, _remembering(timed))
        outputs.append(op.map("remembered-fired", remembered, lambda item: (item[0], *item[1])))
    for rule in told:
        if isinstance(rule, rules.Idle):
            outputs.append(_silence(keyed, rule))  # noqa: PERF401
    op.output("fired", op.merge("all", *outputs), TestingSink(fired))
    return flow


def _plain(plain: Sequence[rules.Plain], item: tuple[str, Event]) -> Iterable[Firing]:
    user, event = item
    return [(user, rule.id, event["at"]) for rule in plain if rule.on.holds(event)]


def _remembering(
    timed: Sequence[rules.Count | rules.Sequence],
) -> Callable[[State | None, Event], tuple[State, list[tuple[str, int]]]]:
    def step(state: State | None, event: Event) -> tuple[State, list[tuple[str, int]]]:
        state = {} if state is None else state
        speaking = [
            (rule.id, event["at"])
            for rule in timed
            if (_counted(rule, state, event) if isinstance(rule, rules.Count) else _followed(rule, state, event))
        ]
        return state, speaking

    return step


def _counted(rule: rules.Count, state: State, event: Event) -> bool:
    if not rule.on.holds(event):
        return False
    key = (rule.id, event.get(rule.by) if rule.by else None)
    window = [moment for moment in state.get(key, ()) if moment > event["at"] - rule.within] + [event["at"]]
    state[key] = [] if len(window) >= rule.at_least else window
    return len(window) >= rule.at_least


def _followed(rule: rules.Sequence, state: State, event: Event) -> bool:
    if rule.first.holds(event):
        state[rule.id] = event["at"]
    elif rule.then.holds(event) and rule.id in state and event["at"] - state[rule.id] <= rule.within:
        del state[rule.id]
        return True
    return False


def _silence(keyed: op.KeyedStream[Event], rule: rules.Idle) -> op.Stream[Firing]:
    """A session window ends when its user has been silent for its gap; what it holds is of no interest."""
    windows = win.fold_window(
        f"{rule.id}-window",
        keyed,
        win.EventClock(lambda event: EPOCH + timedelta(milliseconds=event["at"]), LATE),
        win.SessionWindower(timedelta(milliseconds=rule.after)),
        builder=lambda: None,
        folder=lambda kept, event: None,
        merger=lambda one, other: None,
    )

    def firing(item: tuple[str, tuple[int, win.WindowMetadata]]) -> Firing:
        user, (_, window) = item
        return user, rule.id, (window.close_time - EPOCH) // timedelta(milliseconds=1) + rule.after

    return op.map(f"{rule.id}-fired", windows.meta, firing)


if __name__ == "__main__":
    measure(prepare)
