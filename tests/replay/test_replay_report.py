"""The table and the summary: they add up, and fit a terminal of 80 columns."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.core.model import OUTCOMES, Decision, Event, Message
from engine.loading.load import load
from engine.replay.bad_records import BadLine, BadRecords
from engine.replay.driver import FaultFound
from engine.replay.report import claims_row, details, rule_table, summary
from engine.replay.tally import Tally, count_rules
from engine.triggers import KINDS

RULES = load(
    {
        "rules.yaml": """
version: 1
rules:
  - {id: a, trigger: {event: t}, message: {type: question, text: "x"}}
  - {id: off-for-now, trigger: {event: t}, message: {type: question, text: "x"}, mode: "off"}
  - {id: a-rule-with-a-name-that-is-really-rather-long, trigger: {event: t}, message: {type: question, text: "x"}}
"""
    },
    KINDS,
)
LONG = RULES.rules[2].id


def decision(rule="a", outcome="sent", user="ann"):
    return Decision(0, user, rule, 0, outcome, None, {})


def tally(decisions):
    found = Tally(users=1, events=1, first=0, last=0)
    by_user = {}
    for made in decisions:
        by_user.setdefault(made.user, []).append(made)
    for made in by_user.values():
        found.decided(made)
    return found


def test_a_row_for_every_rule_and_a_long_name_is_not_cut():
    made = [
        decision(),
        decision(),
        decision(user="bob"),
        decision(outcome="cap"),
        decision(LONG, "absent"),
        decision("gone"),
    ]
    assert rule_table(RULES, count_rules(made)) == [
        "rule                    candidates       sent    users  other outcomes",
        "a                                4          3        2  cap 1",
        "off-for-now                      0          0        0  off",
        LONG,
        "                                 1          0        0  absent 1",
        "gone                             1          1        1  no longer a rule",
    ]


def test_a_message_that_was_held_counts_once_and_for_the_rule_as_it_was_called_then():
    message = Message("m1", "question", "x")
    held = Decision(0, "ann", "was-a", 0, "held", None, {}, message=message)
    sent = Decision(1, "ann", "a", 0, "sent", None, {}, message=message, was="held")
    counts = count_rules([held, sent])
    assert {name: +count.outcomes for name, count in counts.items()} == {"was-a": {"sent": 1}}
    assert counts["was-a"].candidates == 1
    assert counts["was-a"].reached == 1


def test_a_folder_without_rules_says_so():
    assert rule_table((), {}) == ["no rules"]


@given(
    st.lists(
        st.builds(decision, st.sampled_from(["a", LONG, "gone"]), st.sampled_from(OUTCOMES), st.sampled_from("xyz")),
        max_size=40,
    ),
    st.integers(1, 10**6),
)
def test_candidates_are_the_sum_of_the_outcomes_and_all_fits_80_columns(made, often):
    found = tally(made)
    text = " ".join(summary(found, BadRecords())).replace(",", "")
    for count in found.rules.values():
        for outcome in count.outcomes:
            count.outcomes[outcome] *= often
    lines = [*rule_table(RULES, found.rules), *summary(found, BadRecords())]
    assert all(len(line) <= 80 for line in lines)
    total, _, rest = text.partition("candidates")[2].partition("reached")[0].partition("=")
    assert int(total) == len(made) == sum(int(word) for word in rest.split() if word.isdigit())


def test_the_summary_says_what_was_left_out_and_why():
    bad = BadRecords()
    for line in range(3):
        bad.add("log", line, BadLine("no time"))
    bad.add("log", 9, BadLine("not JSON"))
    found = tally([])
    found.last, found.left_out, found.events = 3 * 86_400_000_000 - 1, 1200, 1
    found.faults = [FaultFound("ann", Event("t", "ann", 0, {}), "Traceback\nRuntimeError: x\n")]
    found.fault_count = 1
    assert summary(found, bad, until=60_000_000) == [
        "events       1 of 1 user",
        "from         1970-01-01T00:00:00Z",
        "to           1970-01-03T23:59:59.999999Z (3.0 days)",
        "time ran to  1970-01-01T00:01:00Z",
        "left out     1,200 events after --until",
        "candidates   0",
        "reached      0 users",
        "bad records  4: no time 3, not JSON 1",
        "faults       1: events left out, because the engine failed on them",
    ]
    assert details(bad, found.faults)[-3:] == [
        'the engine failed on an event of user "ann" at 1970-01-01T00:00:00Z, t:',
        "Traceback",
        "RuntimeError: x",
    ]


def test_messages_that_are_still_held_are_told_with_what_ends_their_wait():
    made = [decision(outcome="held"), decision(outcome="held", user="bob")]
    found = tally(made)
    assert summary(found, BadRecords())[5] == (
        "still held   2 messages when the log ends; --until TIME lets time run on"
    )
    assert "still held   2 messages at that moment" in summary(found, BadRecords(), until=1)
    made.append(Decision(1, "bob", "a", 0, "sent", None, {}, was="held"))
    assert "still held   1 message when the log ends; --until TIME lets time run on" in summary(
        tally(made), BadRecords()
    )


def test_how_many_invariants_hold_is_one_line():
    assert [claims_row(7, broken) for broken in (0, 1, 7)] == [
        "invariants   7 hold",
        "invariants   6 of 7 hold",
        "invariants   0 of 7 hold",
    ]
    assert claims_row(1, 0) == "invariants   1 holds"
