"""From a candidate to its decision: what is drawn for it, over many users and many messages."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import sqrt

from engine.core.evaluate import run
from engine.core.model import Decision, Event
from engine.core.rules import RuleSet, Timeline
from engine.core.state import UserState
from engine.core.units import MINUTE, parse_at
from engine.loading.load import load
from engine.triggers import KINDS

START = parse_at("2026-03-27T10:00:00Z")
USERS = [f"user-{number}" for number in range(10_000)]
SAYING = "{id: ask, weight: 2, text: ask}, {id: show, text: show}, {id: tell, text: tell}"


def rule_set(*rules: str, policy: str = "{}") -> RuleSet:
    page = "\n".join(["version: 1", f"policy: {policy}", "rules:", *(f"  - {{{rule}}}" for rule in rules)])
    return load({"rules.yaml": page}, KINDS)


def rule(keys: str, name: str = "r") -> str:
    return f"id: {name}, {keys}, trigger: {{event: e}}"


def spoken(rules: RuleSet, user: str, count: int = 1) -> list[Decision]:
    """What comes of so many events of one user, a minute apart."""
    decisions: list[Decision] = []
    events = [Event("e", user, START + number * MINUTE, {}) for number in range(count)]
    run(Timeline(rules), UserState(user), events, events[-1].at, decisions)
    return decisions


def is_near(found: int, share: float, count: int) -> bool:
    """Within four standard deviations; a fair draw is not once in 16,000 times, and these stay as they are."""
    return abs(found - share * count) < 4 * sqrt(count * share * (1 - share))


PLAIN = "message: {type: question, text: x}"


def held_out(rules: RuleSet, name: str = "r") -> set[str]:
    decisions = [decision for user in USERS for decision in spoken(rules, user)]
    return {decision.user for decision in decisions if decision.outcome == "holdout" and decision.rule == name}


def test_a_tenth_of_users_are_held_out_where_the_rule_says_a_tenth() -> None:
    assert is_near(len(held_out(rule_set(rule(f"holdout: 10%, {PLAIN}")))), 0.1, len(USERS))


def test_a_tenth_of_users_are_held_out_where_the_policy_says_a_tenth() -> None:
    assert is_near(len(held_out(rule_set(rule(PLAIN), policy="{holdout: 10%}"))), 0.1, len(USERS))


def test_who_is_held_out_of_less_is_held_out_of_more() -> None:
    shares = ("0%", "0.5%", "10%", "50%", "100%")
    found = [held_out(rule_set(rule(f"holdout: {share}, {PLAIN}"))) for share in shares]
    assert all(few <= many for few, many in pairwise(found))
    assert (len(found[0]), len(found[-1])) == (0, len(USERS))


def test_rules_policy_and_seeds_draw_without_regard_to_each_other() -> None:
    halves = [
        held_out(rule_set(rule(f"holdout: 50%, {PLAIN}"))),
        held_out(rule_set(rule(f"holdout: 50%, {PLAIN}", "other")), "other"),
        held_out(rule_set(rule(f"holdout: 50%, {PLAIN}"), policy="{seed: other}")),
        held_out(rule_set(rule(PLAIN), policy="{holdout: 50%}")),
    ]
    for place, one in enumerate(halves):
        for other in halves[:place]:
            assert is_near(len(one & other), 0.25, len(USERS))


def test_variants_are_drawn_by_their_weights_over_users() -> None:
    rules = rule_set(rule(f"message: {{type: question, variants: [{SAYING}]}}"))
    found = Counter(decision.variant for user in USERS for decision in spoken(rules, user))
    for name, share in (("ask", 0.5), ("show", 0.25), ("tell", 0.25)):
        assert is_near(found[name], share, len(USERS))


def test_variants_are_drawn_by_their_weights_over_the_messages_of_one_user() -> None:
    rules = rule_set(rule(f"message: {{type: question, variants: [{SAYING}]}}"))
    drawn = [decision.variant for decision in spoken(rules, "ann", 4_000)]
    for name, share in (("ask", 0.5), ("show", 0.25), ("tell", 0.25)):
        assert is_near(drawn.count(name), share, len(drawn))
    # One draw says nothing of the next.
    after_ask = [then for before, then in pairwise(drawn) if before == "ask"]
    assert is_near(after_ask.count("ask"), 0.5, len(after_ask))


def test_what_is_said_to_those_who_are_not_held_out_is_drawn_as_for_all() -> None:
    rules = rule_set(rule(f"holdout: 50%, message: {{type: question, variants: [{SAYING}]}}"))
    sent = [decision for user in USERS for decision in spoken(rules, user) if decision.outcome == "sent"]
    assert is_near(sum(decision.variant == "ask" for decision in sent), 0.5, len(sent))


def test_the_probability_that_is_recorded_is_the_share_of_the_weight() -> None:
    rules = rule_set(rule(f"message: {{type: question, variants: [{SAYING}]}}"))
    recorded = {(decision.variant, decision.probability) for decision in spoken(rules, "ann", 50)}
    assert recorded == {("ask", 0.5), ("show", 0.25), ("tell", 0.25)}


def test_the_order_in_which_users_come_has_no_part_in_what_is_drawn() -> None:
    rules = rule_set(rule(f"holdout: 20%, message: {{type: question, variants: [{SAYING}]}}"))
    few = USERS[:50]
    one_by_one = {user: spoken(rules, user, 3) for user in few}

    # All of them at once, the last user first.
    timeline, states = Timeline(rules), {user: UserState(user) for user in few}
    found: dict[str, list[Decision]] = {user: [] for user in few}
    for number in range(3):
        for user in reversed(few):
            events = [Event("e", user, START + number * MINUTE, {})]
            run(timeline, states[user], events, events[0].at, found[user])
    assert found == one_by_one


def test_a_draw_lies_within_the_first_and_the_last_variant() -> None:
    # Shares that do not add up to 1 to the last bit.
    many = ", ".join(f"{{id: v{number}, weight: {number}, text: x}}" for number in range(1, 21))
    rules = rule_set(rule(f"message: {{type: question, variants: [{many}]}}"))
    drawn = spoken(rules, "ann", 2_000)
    assert {decision.variant for decision in drawn} == {f"v{number}" for number in range(1, 21)}
    assert all(decision.outcome == "sent" for decision in drawn)
