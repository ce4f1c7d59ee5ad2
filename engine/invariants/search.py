"""Tries to break the invariants of a rule set: on its own tests, and on streams of events that are made up.

What is found depends on the rules, the seed and the number of examples, not on the machine or the day. What is
found is made as short as it can be, by `counterexample`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from engine.core.model import Event
from engine.core.rules import RuleSet, Timeline
from engine.invariants.check import Violation, fullest, run_watched, silent_rules, violation_of
from engine.invariants.counterexample import Counterexample, moved, shortened
from engine.invariants.streams import START, Maker
from engine.invariants.vocabulary import whole_vocabulary
from engine.loading.invariants import AtMost, EveryRuleFires, Invariant, NeverDuring
from engine.loading.scenarios import USER_DEFAULT, Scenario
from engine.loading.wording import listed
from engine.scenario import switched

RULE_EXAMPLES_MAX = 200  # of one rule that has not fired yet
FOUND_MAX = 4  # streams that break one invariant: all are made shorter, and the shortest is told

Bound = AtMost | NeverDuring
Made = tuple[Sequence[Event], int]  # the events of a stream, and until when time ran on


@dataclass(slots=True)
class Finding:
    """An invariant, and lines that say how it is broken; none where nothing broke it."""

    invariant: Invariant
    lines: list[str] = field(default_factory=list)


def try_to_break(
    rules: RuleSet,
    invariants: Sequence[Invariant],
    scenarios: Sequence[Scenario],
    *,
    seed: int,
    examples: int,
    shown: Callable[[str], str] = str,
) -> list[Finding]:
    """A finding for each invariant, in their order. The scenarios are tried before anything is made up.

    ``shown`` makes of the path of a file what its reader calls it.
    """
    attempt = _Attempt(rules, seed, examples, shown)
    attempt.run_scenarios(scenarios)
    bounds = [invariant for invariant in invariants if not isinstance(invariant, EveryRuleFires)]
    broken = attempt.break_bounds(bounds)
    findings = []
    for invariant in invariants:
        if isinstance(invariant, EveryRuleFires):
            findings.append(Finding(invariant, attempt.silence(invariant)))
        else:
            findings.append(Finding(invariant, broken.get(id(invariant), [])))
    return findings


class _Attempt:
    def __init__(self, rules: RuleSet, seed: int, examples: int, shown: Callable[[str], str]) -> None:
        self.rules = rules
        self.timeline = Timeline(rules)
        self.seed = seed
        self.examples = examples
        self.shown = shown
        self.fired: set[str] = set()
        self.whole: list[Scenario] = []

    def run_scenarios(self, scenarios: Sequence[Scenario]) -> None:
        for scenario in scenarios:
            timeline = Timeline(switched(self.rules, scenario.rules))
            decisions, _ = run_watched(timeline, scenario.user, scenario.events, scenario.until)
            self.fired.update(decision.rule for decision in decisions)
            if scenario.rules is None:
                # With some rules switched off it would be no proof against all of them.
                self.whole.append(scenario)

    def break_bounds(self, invariants: Sequence[Bound]) -> dict[int, list[str]]:
        """By the identity of the invariant, the lines of what breaks it."""
        broken: dict[int, list[str]] = {}
        left: list[Bound] = []
        for invariant in invariants:
            lines = self.broken_by_scenario(invariant)
            if lines:
                broken[id(invariant)] = lines
            else:
                left.append(invariant)
        for invariant, streams in zip(left, self.streams_that_break(left), strict=True):
            if streams:
                examples = [self.example(invariant, events, until) for events, until in streams]
                shortest = min(examples, key=lambda example: len(example.events))
                broken[id(invariant)] = shortest.lines()
        return broken

    def streams_that_break(self, invariants: Sequence[Bound]) -> list[list[Made]]:
        """For each of them some of the made-up streams that break it, at most `FOUND_MAX`."""
        found: list[list[Made]] = [[] for _ in invariants]
        maker = self.maker(invariants)
        concerned = [
            rule for rule in maker.rules if any(invariant.concerns(rule.id) for invariant in invariants)
        ] or maker.rules
        counts = {invariant.count_max + 1 for invariant in invariants if isinstance(invariant, AtMost)}
        nearest: list[tuple[int, Sequence[Event]]] = [(0, ()) for _ in invariants]
        for number in range(self.examples if invariants else 0):
            left = [place for place, streams in enumerate(found) if len(streams) < FOUND_MAX]
            if not left:
                break
            rules = maker.rules if number % 2 else concerned
            after = nearest[left[number // 3 % len(left)]][1] if number % 3 == 2 else ()
            walk = maker.stream(number, "bounds", rules, repeats=sorted({1, 2, 3, *counts}), after=after)
            self.fired.update(walk.latest)
            for place in left:
                invariant, sendings = invariants[place], walk.watch.sendings
                if violation_of(invariant, self.timeline, USER_DEFAULT, sendings) is not None:
                    found[place].append((walk.events, walk.at))
                elif isinstance(invariant, AtMost):
                    most = fullest(invariant, sendings)
                    if len(most) > nearest[place][0]:
                        until = most[-1].decision.at
                        nearest[place] = (len(most), [event for event in walk.events if event.at <= until])
        return found

    def maker(self, invariants: Sequence[Invariant]) -> Maker:
        return Maker(self.timeline, whole_vocabulary(self.rules, invariants), self.seed)

    def broken_by_scenario(self, invariant: Bound) -> list[str]:
        for scenario in self.whole:
            _, sendings = run_watched(self.timeline, scenario.user, scenario.events, scenario.until)
            violation = violation_of(invariant, self.timeline, scenario.user, sendings)
            if violation is not None:
                place = f"{self.shown(scenario.path)}:{scenario.line}"
                return [f'broken by the test "{scenario.name}", {place}: {violation.text()}']
        return []

    def example(self, invariant: Bound, made: Sequence[Event], until: int) -> Counterexample:
        length = until - made[0].at

        def violation(events: Sequence[Event]) -> Violation | None:
            # Where the last events are left out, what they let come by their mere lateness comes all the same.
            _, sendings = run_watched(self.timeline, USER_DEFAULT, events, events[0].at + length)
            return violation_of(invariant, self.timeline, USER_DEFAULT, sendings)

        events = shortened(made, lambda candidate: violation(candidate) is not None)
        # The test begins with the first event, on a Monday morning if that will do.
        usual = moved(events, START - events[0].at)
        if violation(usual) is not None:
            events = usual
        found = violation(events)
        assert found is not None  # what does not break it any more is not taken
        return Counterexample(events[0].at, tuple(events), found)

    def silence(self, invariant: EveryRuleFires) -> list[str]:
        """The rules that nothing made fire: neither a test, nor what was made up, nor streams made for them alone."""
        maker: Maker | None = None
        for name in silent_rules(invariant, self.rules, self.fired):
            maker = maker or self.maker(())
            for number in range(min(self.examples, RULE_EXAMPLES_MAX)):
                if name in self.fired:
                    break
                self.fired.update(maker.stream(number, name, [self.rules.by_id[name]]).latest)
        silent = silent_rules(invariant, self.rules, self.fired)
        if not silent:
            return []
        return [f"nothing made {listed(silent, 'or')} fire; write a test in which it does, or mend its trigger"]
