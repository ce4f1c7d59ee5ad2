"""Tries to break the invariants of a rule set: on its own tests, and on streams of events that are made up.

What is found depends on the rules, the seed and the number of examples, not on the machine or the day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import target
from hypothesis.strategies import SearchStrategy

from engine.core.model import Event
from engine.core.rules import RuleSet, Timeline
from engine.invariants.check import Violation, run_watched, silent_rules, violation_of
from engine.invariants.counterexample import Counterexample, moved, shortened
from engine.invariants.streams import START, Stream, plain_streams, search, streams
from engine.invariants.vocabulary import vocabulary_of, whole_vocabulary, with_those_it_names
from engine.loading.invariants import AtMost, EveryRuleFires, Invariant, NeverDuring
from engine.loading.scenarios import USER_DEFAULT, Scenario
from engine.loading.wording import listed
from engine.scenario import switched

RULE_EXAMPLES_MAX = 200  # of one rule that has not fired yet


Bound = AtMost | NeverDuring


@dataclass(slots=True)
class Finding:
    """An invariant, and lines that say how it is broken; none where nothing broke it."""

    invariant: Invariant
    lines: list[str] = field(default_factory=list)


def try_to_break(
    rules: RuleSet, invariants: Sequence[Invariant], scenarios: Sequence[Scenario], *, seed: int, examples: int
) -> list[Finding]:
    """A finding for each invariant, in their order. The scenarios are tried before anything is made up."""
    attempt = _Attempt(rules, seed, examples)
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
    def __init__(self, rules: RuleSet, seed: int, examples: int) -> None:
        self.rules = rules
        self.timeline = Timeline(rules)
        self.seed = seed
        self.examples = examples
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
        strategy = streams(self.rules, whole_vocabulary(self.rules, invariants))
        while left:
            found = self.first_broken(left, strategy)
            if found is None:
                break
            invariant, stream = found
            broken[id(invariant)] = self.example(invariant, stream).lines()
            left.remove(invariant)
        return broken

    def first_broken(self, left: Sequence[Bound], strategy: SearchStrategy[Stream]) -> tuple[Bound, Stream] | None:
        pinned: list[Bound] = []

        def breaks(stream: Stream) -> bool:
            decisions, sendings = run_watched(self.timeline, USER_DEFAULT, stream.events(), stream.until)
            self.fired.update(decision.rule for decision in decisions)
            for invariant in pinned or left:
                if violation_of(invariant, self.timeline, USER_DEFAULT, sendings) is not None:
                    # From here on it is made simpler for this one, not for another that it comes upon.
                    pinned[:] = [invariant]
                    return True
            # The more is sent, the nearer to any bound.
            target(float(len(sendings)), label="messages")
            return False

        stream = search(strategy, breaks, seed=self.seed, examples=self.examples, shrink=True)
        return None if stream is None else (pinned[0], stream)

    def broken_by_scenario(self, invariant: Bound) -> list[str]:
        for scenario in self.whole:
            _, sendings = run_watched(self.timeline, scenario.user, scenario.events, scenario.until)
            violation = violation_of(invariant, self.timeline, scenario.user, sendings)
            if violation is not None:
                return [f'broken by the test "{scenario.name}", {scenario.path}:{scenario.line}: {violation.text()}']
        return []

    def example(self, invariant: Bound, stream: Stream) -> Counterexample:
        length = stream.until - stream.start

        def violation(events: Sequence[Event]) -> Violation | None:
            # Where the last events are left out, what they let come by their mere lateness comes all the same.
            _, sendings = run_watched(self.timeline, USER_DEFAULT, events, events[0].at + length)
            return violation_of(invariant, self.timeline, USER_DEFAULT, sendings)

        events = shortened(stream.events(), lambda candidate: violation(candidate) is not None)
        # The test begins with the first event, on a Monday morning if that will do.
        usual = moved(events, START - events[0].at)
        if violation(usual) is not None:
            events = usual
        found = violation(events)
        assert found is not None  # what does not break it any more is not taken
        return Counterexample(events[0].at, tuple(events), found)

    def silence(self, invariant: EveryRuleFires) -> list[str]:
        """The rules that nothing made fire: neither a test, nor what was made up, nor streams made for them alone."""
        for name in silent_rules(invariant, self.rules, self.fired):
            rule = next(rule for rule in self.rules if rule.id == name)
            vocabulary = vocabulary_of(with_those_it_names(rule, self.rules), self.rules.policy)

            def fires(stream: Stream, name: str = name) -> bool:
                decisions, _ = run_watched(self.timeline, USER_DEFAULT, stream.events(), stream.until)
                self.fired.update(decision.rule for decision in decisions)
                return name in self.fired

            if any(fires(stream) for stream in plain_streams(vocabulary)):
                continue
            strategy = streams(self.rules, vocabulary)
            search(strategy, fires, seed=self.seed, examples=min(self.examples, RULE_EXAMPLES_MAX), shrink=False)
        silent = silent_rules(invariant, self.rules, self.fired)
        if not silent:
            return []
        return [f"nothing made {listed(silent, 'or')} fire; write a test in which it does, or mend its trigger"]
