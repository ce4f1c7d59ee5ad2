"""What an edit changes, message by message: each kind of change at its limits, and that nothing is lost in between."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.model import Event
from engine.core.rules import Timeline
from engine.core.units import MINUTE, SECOND
from engine.folder import load_folder
from engine.loading.load import load
from engine.replay.activity import in_memory
from engine.replay.bad_records import BadRecords
from engine.replay.diff import CHANGES_KEPT, MOVED_WITHIN, USERS_KEPT, compare_rules, edits
from engine.replay.diff_text import markdown, people, summary, table
from engine.replay.driver import run_users
from engine.replay.reading import read_logs
from engine.triggers import KINDS

ROOT = Path(__file__).parents[2]

HEAD = "version: 1\n"
ON = "  - {id: on, trigger: {event: t}, message: {type: question, text: 'Hm?'}}\n"


def rules(*lines, policy=""):
    return load({"r.yaml": HEAD + policy + "rules:\n" + "".join(line + "\n" for line in lines)}, KINDS)


def on(rule="on", trigger="{event: t}", text="Hm?", **more):
    extra = "".join(f", {key}: {value}" for key, value in more.items())
    return f"  - {{id: {rule}, trigger: {trigger}, message: {{type: question, text: '{text}'}}{extra}}}"


def event(at, user="ann", kind="t", **data):
    return Event(kind, user, at, data, id=f"{user}{at}{kind}")


def compare(before, after, events, **options):
    activity = in_memory(events)
    return compare_rules(before, after, run_users(activity, [Timeline(before), Timeline(after)]), **options)


def changes(diff):
    return [(user.user, change.kind, change.rule, change.at) for user in diff.users for change in user.changes]


def test_a_rule_set_and_itself_differ_in_nothing():
    same = rules(on(cooldown="5m"), on("idle", "{inactivity: 5m}"))
    diff = compare(same, same, [event(0), event(MINUTE), event(20 * MINUTE, "bob")])
    assert (diff.changed_users, diff.total.changes.total(), diff.unchanged) == (0, 0, 3)
    assert diff.unchanged == diff.total.before.messages == diff.total.after.messages


def test_the_shipped_rules_and_themselves_differ_in_nothing_for_the_people_of_the_example():
    rules = load_folder(ROOT / "rules")
    events = read_logs([str(ROOT / "examples" / "logs" / "tutor.jsonl")], None, BadRecords())
    diff = compare(rules, load_folder(ROOT / "rules"), events)
    assert (diff.changed_users, diff.total.changes.total()) == (0, 0)
    assert diff.unchanged == diff.total.before.messages > 50


def test_what_a_longer_cooldown_takes_away_is_lost_and_says_why():
    diff = compare(rules(on(cooldown="1m")), rules(on(cooldown="5m")), [event(0), event(2 * MINUTE)])
    assert changes(diff) == [("ann", "lost", "on", 2 * MINUTE)]
    [change] = diff.users[0].changes
    assert change.cause == "cooldown"
    assert change.why.startswith("now: cooldown of 5m until ")
    assert diff.total.causes["lost"] == {"cooldown": 1}


def test_what_a_shorter_cooldown_gives_is_gained_and_says_what_it_was():
    diff = compare(rules(on(cooldown="5m")), rules(on(cooldown="1m")), [event(0), event(2 * MINUTE)])
    assert changes(diff) == [("ann", "gained", "on", 2 * MINUTE)]
    assert diff.users[0].changes[0].why.startswith("before: cooldown of 5m until ")
    assert (diff.newly_reached, diff.new_share) == (0, 1.0)


@pytest.mark.parametrize(
    ("apart", "kinds"),
    [
        (MOVED_WITHIN - 1, ["moved"]),
        (MOVED_WITHIN, ["moved"]),
        (MOVED_WITHIN + 1, ["lost", "gained"]),
    ],
)
def test_the_same_rule_a_little_later_has_moved_and_much_later_is_another_message(apart, kinds):
    before = rules(on(trigger="{event: a}"))
    after = rules(on(trigger="{event: b}"))
    diff = compare(before, after, [event(0, kind="a"), event(apart, kind="b")])
    assert [kind for _, kind, _, _ in changes(diff)] == kinds


def test_a_message_caused_by_the_same_event_has_moved_however_far():
    after = rules(on(deliver="{at: save, within: 5h}"))
    log = [event(0), event(20 * MINUTE, kind="x"), event(40 * MINUTE, kind="save")]
    [change] = compare(rules(on()), after, log).users[0].changes
    assert (change.kind, change.at, change.after.at) == ("moved", 0, 40 * MINUTE)
    assert change.why.startswith("then: held")


def test_events_without_an_id_are_no_common_cause():
    log = [Event(kind, "ann", at * MINUTE, {}) for at, kind in ((0, "a"), (20, "x"), (40, "b"))]
    diff = compare(rules(on(trigger="{event: a}")), rules(on(trigger="{event: b}")), log)
    assert [kind for _, kind, _, _ in changes(diff)] == ["lost", "gained"]


def test_of_two_messages_of_one_moment_the_one_that_is_lost_says_what_became_of_it():
    diff = compare(rules(on(cooldown="none")), rules(on(cooldown="5m")), [event(0), event(0)])
    [change] = diff.users[0].changes
    assert (change.kind, change.cause, change.why[:21]) == ("lost", "cooldown", "now: cooldown of 5m u")
    assert diff.unchanged == 1


def test_a_message_that_was_taken_back_was_not_said():
    ends = on(trigger="{session: end}", offline="keep", deliver="{cancel_on: x}")
    log = [event(0, kind="session.start"), event(MINUTE, kind="session.end"), event(2 * MINUTE, kind="x")]
    kept = rules(ends.replace("cancel_on: x", "cancel_on: y"))
    diff = compare(kept, rules(ends), log)
    assert [(change.kind, change.at) for change in diff.users[0].changes] == [("lost", MINUTE)]


def test_a_candidate_that_was_held_first_is_one_candidate():
    waits = rules(on(deliver="{at: save, within: 5m}"))
    diff = compare(waits, waits, [event(0), event(MINUTE, kind="save")])
    assert (diff.total.before.candidates, diff.total.after.messages, diff.unchanged) == (1, 1, 1)


def test_of_one_user_with_very_many_changes_the_first_are_kept_and_all_are_counted():
    log = [event(n * SECOND) for n in range(CHANGES_KEPT + 50)]
    [user] = compare(rules(on()), rules(on(text="Oh?")), log).users
    assert (len(user.changes), user.more, user.total) == (CHANGES_KEPT, 50, CHANGES_KEPT + 50)


def test_of_several_that_could_have_moved_the_nearest_has():
    before, after = rules(on(trigger="{event: a}")), rules(on(trigger="{event: b}"))
    log = [event(0, kind="a"), event(10 * MINUTE, kind="a"), event(11 * MINUTE, kind="b")]
    assert changes(compare(before, after, log)) == [
        ("ann", "lost", "on", 0),
        ("ann", "moved", "on", 10 * MINUTE),
    ]


@pytest.mark.parametrize(
    ("edited", "line"),
    [
        (on(text="Oh?"), '    + "Oh?"'),
        (on().replace("question", "suggestion"), "    type: question → suggestion"),
        (on().replace("'Hm?'", "'Hm?', options: [Yes, No]"), "    options: none → Yes, No"),
        (on().replace("'Hm?'", "'Hm?', data: {a: 1}"), "    data: not the same"),
        (on().replace("'Hm?'", "'Hm?', compose: 'Ask  {{ event.type }}.'"), '    + "Ask t."'),
    ],
)
def test_other_words_at_the_same_moment_are_a_rewording(edited, line):
    diff = compare(rules(on()), rules(edited), [event(0)])
    assert changes(diff) == [("ann", "reworded", "on", 0)]
    assert any(shown.startswith(f"  {line}") for shown in people(diff, 5))


def test_what_has_moved_and_says_something_else_is_shown_as_both():
    before = rules(on(trigger="{inactivity: 5m}"))
    after = rules(on(trigger="{inactivity: 6m}", text="Oh?"))
    diff = compare(before, after, [event(0), event(10 * MINUTE)])
    shown = people(diff, 5)
    assert shown[1:5] == [
        "ann: 1 change",
        "  → 1970-01-01T00:05:00Z on comes 1m later, at 1970-01-01T00:06:00Z",
        '      - "Hm?"',
        '      + "Oh?"',
    ]


def test_an_edit_of_one_rule_reaches_another_through_a_budget_they_share():
    policy = "policy:\n  budgets: {attention: {limits: [{max: 1, per: 1h}]}}\ndefaults: {budget: attention}\n"
    before = rules(on("a", "{event: never}"), on("b"), policy=policy)
    after = rules(on("a", "{event: early}"), on("b"), policy=policy)
    diff = compare(before, after, [event(0, kind="early"), event(MINUTE)])
    assert changes(diff) == [("ann", "gained", "a", 0), ("ann", "lost", "b", MINUTE)]
    by_rule = {one.rule: one for one in diff.rules}
    assert (by_rule["a"].edit, by_rule["b"].edit) == ("edited", "")
    assert by_rule["b"].causes["lost"] == {"budget": 1}
    assert any(line.strip() == "not edited; lost: now budget 1" for line in table(diff))


def test_a_rule_that_is_called_otherwise_is_the_same_rule():
    before, after = rules(on("old")), rules(on("new", was="old"))
    diff = compare(before, after, [event(0)])
    assert (changes(diff), diff.unchanged) == ([], 1)
    assert edits(before, after) == {"new": "was old"}


def test_edits_say_what_was_done_to_each_rule():
    before = rules(on("same"), on("text"), on("gone"), on("muted"))
    after = rules(on("same"), on("text", text="Oh"), on("muted", mode="off"), on("new"))
    assert edits(before, after) == {"same": "", "text": "edited", "muted": "now off", "new": "new", "gone": "gone"}


def test_a_rule_that_is_gone_or_new_says_so_instead_of_a_reason():
    diff = compare(rules(on("old")), rules(on("new")), [event(0)])
    assert [(change.kind, change.why) for change in diff.users[0].changes] == [
        ("gained", "before: no such rule"),
        ("lost", "now: no such rule"),
    ]
    assert [one.rule for one in diff.rules] == ["new", "old"]


def test_people_are_counted_who_had_nothing_before_and_who_have_nothing_any_more():
    before, after = rules(on(trigger="{event: a}")), rules(on(trigger="{event: b}"))
    diff = compare(before, after, [event(0, "ann", "a"), event(1, "bob", "b"), event(2, "cy", "c")])
    assert (diff.changed_users, diff.newly_reached, diff.lost_from_reach, diff.run_users) == (2, 1, 1, 3)
    assert "people     2 of 3 users notice; 1 had none before; 1 have none any more" in summary(diff)


def test_of_many_users_those_with_the_most_changes_are_kept_whatever_order_they_come_in():
    before, after = rules(on()), rules(on(text="Oh?"))
    events = [event(n * SECOND, f"user{n % 150:03}") for n in range(150)]
    events += [event(n * SECOND, "user149") for n in range(200, 203)]
    one, other = (compare(before, after, log) for log in (events, events[::-1]))
    assert [user.user for user in one.users] == [user.user for user in other.users]
    assert [user.user for user in one.users[:3]] == ["user149", "user000", "user001"]
    assert (len(one.users), one.changed_users) == (USERS_KEPT, 150)
    assert changes(compare(before, after, events, only="user120")) == [("user120", "reworded", "on", 120 * SECOND)]


def test_markdown_keeps_what_people_wrote_as_text():
    nasty = "</details><script>`|*x*"
    before, after = rules(on(text=nasty.replace("'", "''"))), rules(on(text="Oh?"))
    text = markdown(compare(before, after, [event(0, user="<b>|`")]), "a|b", "`c`", 5)
    outside = [line for line in text.splitlines() if not line.startswith("    ")]
    assert not any("<script>" in line or "<b>" in line for line in outside)
    assert "<details><summary>&lt;b&gt;\\|\\`: 1 change</summary>" in text
    assert all(line.count(" | ") >= 7 for line in outside if line.startswith("|"))


def test_markdown_fits_into_a_comment_and_counts_what_it_leaves_out():
    before, after = rules(on(text="x" * 500)), rules(on(text="y" * 500))
    log = [event(n * SECOND, f"user{n % 50}") for n in range(2000)]
    text = markdown(compare(before, after, log), "HEAD", "rules", 50)
    assert len(text) < 65_536
    assert "further users" in text.splitlines()[-1]


EDITABLE = st.fixed_dictionaries(
    {
        "cooldown": st.sampled_from(["none", "10s", "1m", "5m"]),
        "text": st.sampled_from(["Hm?", "Oh?"]),
        "trigger": st.sampled_from(
            ["{event: t}", "{event: u}", "{inactivity: 30s}", "{count: {event: t, at_least: 2, within: 1m}}"]
        ),
        "budget": st.sampled_from(["none", "attention"]),
        "mode": st.sampled_from(["live", "live", "shadow", "off"]),
    }
)
POLICY = "policy:\n  budgets: {attention: {limits: [{max: 2, per: 3m}]}}\n"
LOGS = st.lists(
    st.tuples(st.integers(0, 600), st.sampled_from(["ann", "bob"]), st.sampled_from(["t", "u", "v"])),
    min_size=1,
    max_size=40,
)


@given(LOGS, st.lists(EDITABLE, min_size=2, max_size=2), st.lists(EDITABLE, min_size=2, max_size=2))
def test_every_message_of_either_side_is_accounted_for_once(log, one, other):
    before = rules(*(on(f"r{n}", **shape) for n, shape in enumerate(one)), policy=POLICY)
    after = rules(*(on(f"r{n}", **shape) for n, shape in enumerate(other)), policy=POLICY)
    diff = compare(before, after, [event(at * SECOND, user, kind) for at, user, kind in log])
    for part in (diff.total, *diff.rules):
        kinds = part.changes
        kept = part.before.messages - kinds["lost"]
        assert kept == part.after.messages - kinds["gained"]
        assert kept >= kinds["moved"] + kinds["reworded"]
    assert diff.unchanged == diff.total.before.messages - sum(
        diff.total.changes[kind] for kind in ("lost", "moved", "reworded")
    )
    back = compare(after, before, [event(at * SECOND, user, kind) for at, user, kind in log])
    swapped = {"gained": "lost", "lost": "gained", "moved": "moved", "reworded": "reworded"}
    assert {swapped[kind]: count for kind, count in back.total.changes.items()} == dict(diff.total.changes)
    assert compare(before, before, [event(at * SECOND, user, kind) for at, user, kind in log]).changed_users == 0
