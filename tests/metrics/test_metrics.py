"""The figures: each is shown, counts what it says, and has labels within its bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from engine.core.model import OUTCOMES, Decision, Event, Message
from engine.core.units import SECOND
from engine.metrics.figures import RULES_MAX
from engine.metrics.measures import Counter, Spread
from engine.metrics.metrics import Metrics
from engine.observer import Observer, TurnTold
from engine.storage.base import Entry, Fault, OutboxMessage

NOW = 1_774_605_600 * SECOND
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Clocks:
    def __init__(self) -> None:
        self.now = NOW
        self.seconds = 100.0


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def metrics(clocks: Clocks) -> Metrics:
    return Metrics(lambda: clocks.now, lambda: clocks.seconds)


def shown(metrics: Metrics) -> dict[str, float]:
    """Sample → value, as ``name{label="value"}``, of all that are not 0."""
    text = metrics.render()[0].decode()
    samples = [sample for family in parse_text(text) for sample in family.samples]
    return {
        sample.name.removeprefix("proactive_")
        + (str(dict(sorted(sample.labels.items()))) if sample.labels else ""): sample.value
        for sample in samples
        if sample.value and sample.name.startswith("proactive_") and not sample.name.endswith("_bucket")
    }


def decision(rule: str, outcome: Any, **more: Any) -> Decision:
    return Decision(NOW, "ann", rule, 0, outcome, None, {}, **more)


def outgoing(at: int = NOW, rule: str = "r") -> OutboxMessage:
    return OutboxMessage("ann", Message("m", "question", "Hm?"), at, rule)


def told(**given: Any) -> TurnTold:
    return TurnTold(**{"entries": [], "decisions": [], "faults": [], "outbox": [], **given})


def a_turn(metrics: Metrics) -> None:
    metrics.rules_hold(["r", "s"])
    metrics.turn_taken(2)
    metrics.committing()
    metrics.commit_failed(again=True)
    metrics.committing()
    metrics.committed()
    entry = Entry("event", NOW, "ann", Event("e", "ann", NOW, {}))
    metrics.turn_done(
        told(
            entries=[entry, entry],
            decisions=[decision("r", "sent"), decision("r", "held"), decision("s", "sent", was="held")],
            faults=[Fault("bob", NOW, entry, "boom")],
            outbox=[outgoing(), outgoing(rule="")],
            due_at=NOW - SECOND,
        )
    )


TELLINGS: list[tuple[Callable[[Metrics], None], dict[str, float]]] = [
    (lambda m: m.connected("websocket", 0), {"connections{'level': '0', 'transport': 'websocket'}": 1}),
    (
        lambda m: (m.connected("websocket", 0), m.levelled("websocket")),
        {"connections{'level': '1', 'transport': 'websocket'}": 1},
    ),
    (lambda m: (m.connected("stream", 1), m.disconnected("stream", 1)), {}),
    (lambda m: m.disconnected("stream", 1), {}),
    (lambda m: m.closed(1001), {"connections_closed_total{'code': '1001'}": 1}),
    (
        lambda m: [m.closed(code) for code in range(3000, 4000)],
        {"connections_closed_total{'code': 'other'}": 1000},
    ),
    (lambda m: m.frames_in("websocket", 3), {"frames_received_total{'transport': 'websocket'}": 3}),
    (lambda m: m.frames_out("poll"), {"frames_sent_total{'transport': 'poll'}": 1}),
    (
        lambda m: (m.session_began(resumed=False), m.session_began(resumed=True)),
        {"sessions_begun_total{'how': 'new'}": 1, "sessions_begun_total{'how': 'resumed'}": 1},
    ),
    (lambda m: m.taken_in("http", 5), {"events_total{'door': 'http'}": 5}),
    (lambda m: m.repeated(2), {"events_repeated_total": 2}),
    (lambda m: m.refused("bad_frame"), {"refusals_total{'code': 'bad_frame'}": 1}),
    (lambda m: m.rate_limited("user"), {"rate_limited_total{'scope': 'user'}": 1}),
    (
        a_turn,
        {
            "rules": 2,
            "turn_seconds_count": 1,
            "turn_entries_count": 1,
            "turn_entries_sum": 2,
            "commit_seconds_count": 1,
            "commits_failed_total{'then': 'retried'}": 1,
            "timer_lateness_seconds_count": 1,
            "timer_lateness_seconds_sum": 1,
            "candidates_total{'outcome': 'sent'}": 2,
            "candidates_total{'outcome': 'held'}": 1,
            "rule_candidates_total{'outcome': 'sent', 'rule': 'r'}": 1,
            "rule_candidates_total{'outcome': 'held', 'rule': 'r'}": 1,
            "rule_candidates_total{'outcome': 'sent', 'rule': 's'}": 1,
            "faults_total": 1,
            "messages_total{'source': 'rule'}": 1,
            "messages_total{'source': 'application'}": 1,
        },
    ),
    (
        lambda m: m.queued([outgoing(NOW - SECOND // 2)], "pushed"),
        {
            "messages_queued_total{'how': 'pushed'}": 1,
            "message_queued_seconds_count": 1,
            "message_queued_seconds_sum": 0.5,
        },
    ),
    # How long somebody was away says nothing of the server.
    (lambda m: m.queued([outgoing()], "waiting"), {"messages_queued_total{'how': 'waiting'}": 1}),
    # A clock that was set back.
    (
        lambda m: m.arrived([outgoing(NOW + SECOND)]),
        {"messages_received_total": 1, "message_received_seconds_count": 1},
    ),
    (lambda m: m.look_at("receipts_lost", lambda: 2), {"receipts_lost_total": 2}),
    (
        lambda m: m.responder("timeout", 30),
        {"answer_seconds_count{'outcome': 'timeout'}": 1, "answer_seconds_sum{'outcome': 'timeout'}": 30},
    ),
    (
        lambda m: m.composed("ok", 2),
        {"compose_seconds_count{'outcome': 'ok'}": 1, "compose_seconds_sum{'outcome': 'ok'}": 2},
    ),
    (
        lambda m: (m.reloaded("changed", 0.5), m.reloaded("failed", 9)),
        {
            "reloads_total{'outcome': 'changed'}": 1,
            "reloads_total{'outcome': 'failed'}": 1,
            "reload_seconds_count": 1,
            "reload_seconds_sum": 0.5,
        },
    ),
    (
        lambda m: m.store_worked("vacuum", 1, ok=False),
        {
            "store_work_seconds_count{'work': 'vacuum'}": 1,
            "store_work_seconds_sum{'work': 'vacuum'}": 1,
            "store_work_failed_total{'work': 'vacuum'}": 1,
        },
    ),
]


@pytest.mark.parametrize(("tell", "expected"), TELLINGS)
def test_what_is_told_is_shown_and_nothing_else(
    metrics: Metrics, tell: Callable[[Metrics], None], expected: dict[str, float]
) -> None:
    before = shown(metrics)
    tell(metrics)
    assert {name: value for name, value in shown(metrics).items() if before.get(name) != value} == expected


def test_a_store_that_cannot_be_written_to_is_shown_until_it_can_again(metrics: Metrics) -> None:
    assert shown(metrics)["store_writable"] == 1
    metrics.store_trouble("database or disk is full")
    assert "store_writable" not in shown(metrics)
    metrics.store_trouble(None)
    assert shown(metrics)["store_writable"] == 1


def test_a_turn_takes_from_its_beginning_to_its_end_and_a_commit_a_part_of_it(metrics: Metrics, clocks: Clocks) -> None:
    metrics.turn_taken(1)
    clocks.seconds += 1
    metrics.committing()
    clocks.seconds += 2
    metrics.committed()
    clocks.seconds += 4
    metrics.turn_done(told())
    after = shown(metrics)
    assert (after["turn_seconds_sum"], after["commit_seconds_sum"]) == (7, 2)


def test_a_turn_of_which_no_beginning_was_told_is_not_timed(metrics: Metrics) -> None:
    metrics.turn_done(told())
    assert "turn_seconds_count" not in shown(metrics)


def test_rules_beyond_the_bound_have_one_label_together(metrics: Metrics) -> None:
    metrics.rules_hold([f"r{number}" for number in range(RULES_MAX + 5)])
    made = [decision(f"r{number}", outcome) for number in range(RULES_MAX + 5) for outcome in OUTCOMES]
    metrics.turn_done(told(decisions=made))
    after = shown(metrics)
    assert after[f"rule_candidates_total{{'outcome': 'sent', 'rule': 'r{RULES_MAX - 1}'}}"] == 1
    assert after["rule_candidates_total{'outcome': 'sent', 'rule': 'other'}"] == 5
    assert len([name for name in after if name.startswith("rule_candidates")]) == (RULES_MAX + 1) * len(OUTCOMES)


def test_a_rule_that_is_gone_keeps_its_numbers_and_one_that_is_unknown_is_another(metrics: Metrics) -> None:
    metrics.rules_hold(["a"])
    metrics.rules_hold(["b"])
    metrics.turn_done(told(decisions=[decision("a", "sent"), decision("b", "sent"), decision("nobody", "sent")]))
    after = shown(metrics)
    assert {
        name: after[f"rule_candidates_total{{'outcome': 'sent', 'rule': '{name}'}}"] for name in ("a", "b", "other")
    }


def test_what_is_looked_up_is_shown_where_somebody_can_say(metrics: Metrics) -> None:
    assert "inbox_inputs" not in shown(metrics)
    metrics.look_at("inbox_inputs", lambda: 3)
    metrics.look_at("outbox", lambda: None)
    assert shown(metrics)["inbox_inputs"] == 3
    assert "\nproactive_outbox_messages " not in metrics.render()[0].decode()


def test_both_formats_are_what_their_parsers_take(metrics: Metrics) -> None:
    a_turn(metrics)
    text, content_type = metrics.render()
    assert content_type.startswith("text/plain")
    plain = {family.name for family in parse_text(text.decode())}
    text, content_type = metrics.render(OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text")
    # That parser refuses two families of one name.
    assert {family.name for family in parse_openmetrics(text.decode())} == plain


def test_every_figure_has_a_name_of_its_own_and_words_for_an_operator(metrics: Metrics) -> None:
    figures = list(metrics.figures.all())
    assert len({figure.name for figure in figures}) == len(figures)
    for figure in figures:
        family = figure.family()
        assert figure.name.startswith("proactive_")
        assert len(family.documentation) > 10
        assert family.documentation.endswith(".")
        assert family.type != "histogram" or figure.name.endswith(("_seconds", "_entries"))
        assert (family.type == "counter") == figure.name.endswith("_total")


def test_two_servers_of_one_process_count_for_themselves(metrics: Metrics) -> None:
    other = Metrics(lambda: NOW)
    other.repeated(1)
    assert "events_repeated_total" not in shown(metrics)


def test_everything_that_is_told_of_is_counted_but_for_what_belongs_to_traces() -> None:
    uncounted = {
        name for name, told in vars(Observer).items() if not name.startswith("_") and name not in vars(Metrics)
    }
    assert uncounted == {"acknowledged"}


def test_a_process_shows_what_it_takes(metrics: Metrics) -> None:
    text = metrics.render()[0].decode()
    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"):
        assert f"\n{name} " in text


@pytest.mark.parametrize(
    ("value", "le"), [(0, "1.0"), (1, "1.0"), (math.nextafter(1, 2), "2.0"), (2, "2.0"), (3, "+Inf")]
)
def test_a_value_at_a_bound_is_within_it(value: float, le: str) -> None:
    spread = Spread("x_seconds", "X.", (1, 2))
    spread.add(value)
    buckets = {
        sample.labels["le"]: sample.value for sample in spread.family().samples if sample.name.endswith("_bucket")
    }
    assert min((bound for bound, count in buckets.items() if count), key=float) == le
    assert buckets["+Inf"] == spread.count() == 1


@pytest.mark.parametrize(("labels", "others"), [(3, 0), (4, 1), (100, 97)])
def test_labels_beyond_the_bound_are_one(labels: int, others: float) -> None:
    counter = Counter("x_total", "X.", ("code",), labels_max=3)
    for number in range(labels):
        counter.add(str(number))
    assert counter.value("other") == others
    assert len(counter.family().samples) == min(labels, 4)
