"""Few rule sets stay compiled, and nobody can tell: whoever adopts late adopts the same."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_world import START, compiled

from engine.core.model import Decision, Event
from engine.core.rules import RuleSet
from engine.core.units import MINUTE
from engine.rule_history import RuleHistory
from engine.storage.base import Entry
from engine.storage.memory import MemoryStore
from engine.turn import Turns

# Each differs from the others in what is remembered: a name, a window, a timer, what is there at all.
RULES = [
    compiled("version: 1\nrules:\n" + "".join(f"  - {rule}\n" for rule in rules))
    for rules in (
        ["{id: a, trigger: {count: {event: e, at_least: 2, within: 1h}}, message: {type: question, text: a}}"],
        [
            "{id: a, trigger: {count: {event: e, at_least: 3, within: 1h}}, cooldown: 1h,"
            " message: {type: question, text: more}}"
        ],
        [
            "{id: b, was: a, trigger: {count: {event: e, at_least: 2, within: 1h}},"
            " message: {type: question, text: b}}",
            "{id: idle, trigger: {inactivity: 5m}, message: {type: question, text: idle}}",
        ],
        ["{id: b, trigger: {event: f}, max: {max: 1, per: user}, message: {type: question, text: once}}"],
        ["{id: c, was: b, trigger: {event: f}, max: {max: 1, per: user}, message: {type: question, text: c}}"],
    )
]
USERS = ("ann", "bob")
ALL = 10**9
NEVER = 10**9


@dataclass
class Ran:
    """One process after the other on a store of its own."""

    kept: int
    unused_turns_max: int = NEVER
    store: MemoryStore = field(default_factory=lambda: MemoryStore(2))
    decisions: list[Decision] = field(default_factory=list)
    now: int = START

    async def start(self) -> Ran:
        self.rules = RuleHistory(self.store, self.kept, self.unused_turns_max)
        self.turns = Turns(self.store, rules=self.rules)
        await self.turns.recover()
        return self

    async def change(self, rules: RuleSet) -> None:
        await self.store.save_rules(rules.hash, rules.sources)
        self.now = await self.turns.change_rules(rules, self.now)

    async def say(self, user: str, event_type: str) -> None:
        event = Event(event_type, user, self.now, {})
        result = await self.turns.make([Entry("event", self.now, user, event)], self.now, due=False)
        self.decisions += result.decisions

    async def wait(self, minutes: int) -> None:
        self.now += minutes * MINUTE
        self.decisions += (await self.turns.make([], self.now, due=True, tick=True)).decisions

    async def states(self) -> dict[str, bytes]:
        return await self.store.load(list(USERS))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("rules"), st.integers(0, len(RULES) - 1)),
        st.tuples(st.just("rules"), st.integers(0, len(RULES) - 1)),
        st.tuples(st.sampled_from(USERS), st.sampled_from(["e", "f", "session.start", "session.end"])),
        st.tuples(st.just("wait"), st.integers(1, 40)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=25,
)


async def ran(steps: list[tuple[str, int | str]], kept: int, unused_turns_max: int) -> Ran:
    ran = await Ran(kept, unused_turns_max).start()
    await ran.change(RULES[0])
    for what, how in steps:
        if what == "rules":
            await ran.change(RULES[int(how)])
        elif what == "wait":
            await ran.wait(int(how))
        elif what == "restart":
            await ran.start()
        else:
            await ran.say(what, str(how))
    for user in USERS:
        await ran.say(user, "e")
    return ran


@given(STEPS, st.integers(0, 3), st.integers(0, 3))
def test_with_few_rule_sets_at_hand_everything_is_as_with_all(
    steps: list[tuple[str, int | str]], kept: int, unused_turns_max: int
) -> None:
    async def compare() -> None:
        few, all_of_them = await ran(steps, kept, unused_turns_max), await ran(steps, ALL, NEVER)
        assert few.decisions == all_of_them.decisions
        assert await few.states() == await all_of_them.states()

    asyncio.run(compare())


async def test_however_often_rules_change_few_sets_stay_compiled() -> None:
    ran = await Ran(kept=2).start()
    for number in range(40):
        await ran.change(RULES[number % len(RULES)])
        timeline = ran.turns.timeline
        assert timeline is not None
        assert len(timeline.moments) <= 2
        assert ran.rules.compiled <= 2
    await ran.start()
    assert ran.rules.compiled <= 2, "after a restart neither"


@pytest.mark.parametrize("restarted", [False, True])
async def test_who_comes_back_after_many_changes_adopts_all_of_them(restarted: bool) -> None:
    ran = await Ran(kept=0, unused_turns_max=1).start()
    await ran.change(RULES[3])
    await ran.say("ann", "f")
    await ran.say("ann", "session.end")
    for rules in (RULES[4], RULES[0], RULES[1], RULES[0]):
        await ran.change(rules)
    if restarted:
        await ran.start()
    await ran.say("bob", "e")
    assert ran.rules.compiled == 2
    await ran.change(RULES[4])
    # What the rule had sent was remembered under the name that it has now.
    await ran.say("ann", "f")
    assert [(made.user, made.rule, made.outcome) for made in ran.decisions] == [
        ("ann", "b", "sent"),
        ("ann", "c", "cap"),
    ]
    assert ran.rules.compiled > 2
    for _ in range(2):
        await ran.say("bob", "e")
    assert ran.rules.compiled == 2, "and they are forgotten again"


async def test_a_rule_set_that_holds_again_is_compiled_once() -> None:
    ran = await Ran(kept=ALL).start()
    for number in range(10):
        await ran.change(RULES[number % 2])
    assert ran.rules.compiled == 2
    await ran.start()
    assert ran.rules.compiled == 2
