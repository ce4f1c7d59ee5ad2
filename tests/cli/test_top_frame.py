"""A frame of `proactive top`: what it calculates from two readings, and that it fits where it is shown."""

from __future__ import annotations

from typing import Any

import pytest

from engine.cli.top_frame import LINES_MAX, away, frame, shown_bytes, shown_rate, shown_seconds
from engine.cli.top_reading import Between, NotMetrics, Reading, is_same_process, read_metrics
from engine.core.model import OUTCOMES, Decision, Message
from engine.core.units import SECOND
from engine.metrics.metrics import Metrics
from engine.observer import TurnTold
from engine.storage.base import OutboxMessage

URL = "http://127.0.0.1:7777"
HEALTH: dict[str, Any] = {"status": "ok", "store": {"store": "sqlite"}, "rules": {"problems": []}}


class World:
    """A server that counts, and two looks at it ten seconds apart."""

    def __init__(self) -> None:
        self.now = 1_774_605_600 * SECOND
        self.metrics = Metrics(lambda: self.now, lambda: 0.0)
        self.metrics.rules_hold(["stuck", "idle"])
        self.before = self.look(0.0)

    def look(self, at: float, health: dict[str, Any] | None = None) -> Reading:
        return read_metrics(self.metrics.render()[0].decode(), at, HEALTH if health is None else health)

    def between(self, health: dict[str, Any] | None = None) -> Between:
        return Between(self.before, self.look(10.0, health))

    def decide(self, rule: str, outcome: Any, times: int) -> None:
        made = Decision(self.now, "ann", rule, 0, outcome, None, {})
        self.metrics.turn_done(TurnTold([], [made] * times, [], []))

    def shown(self, health: dict[str, Any] | None = None, width: int = 80) -> list[str]:
        return [line.plain for line in frame(self.between(health), URL, "12:34:56", width)]


@pytest.fixture
def world() -> World:
    return World()


def row(lines: list[str], name: str) -> str:
    return next(line for line in lines if line.startswith(name)).removeprefix(name).strip()


def test_rates_are_those_of_the_time_between(world: World) -> None:
    world.metrics.taken_in("websocket", 20)
    world.metrics.taken_in("http", 5)
    between = world.between()
    assert between.rate("events_total") == 2.5
    assert between.rates("events_total", "door") == {"websocket": 2.0, "http": 0.5, "application": 0.0}
    assert between.rate("nobody_counts_this") == 0


@pytest.mark.parametrize(
    ("seconds", "half", "most"),
    [
        ([], None, None),
        ([0.002], 0.00175, 0.002485),  # evenly spread within 1 to 2.5 ms
        ([0.002] * 99 + [0.7], 0.00175 + 0.0015 / 198, 0.0025),
        ([10_000], 600, 600),  # beyond the last bound
    ],
)
def test_quantiles_are_of_what_happened_between(
    world: World, seconds: list[float], half: float | None, most: float | None
) -> None:
    messages = [OutboxMessage("ann", Message("m", "question", "?"), world.now - int(one * SECOND)) for one in seconds]
    world.metrics.queued(messages, "pushed")
    found = world.between().quantiles("message_queued_seconds")
    assert found == (half and pytest.approx(half), most and pytest.approx(most))


def test_what_was_before_does_not_count(world: World) -> None:
    world.metrics.queued([OutboxMessage("ann", Message("m", "question", "?"), world.now - 60 * SECOND)], "pushed")
    world.before = world.look(0.0)
    assert world.between().quantiles("message_queued_seconds") == (None, None)


def test_a_frame_says_what_happens(world: World) -> None:
    world.metrics.taken_in("websocket", 12_340)
    world.metrics.connected("websocket", 0)
    world.decide("stuck", "sent", 30)
    world.decide("idle", "sent", 300)
    world.decide("idle", "condition", 1)
    world.metrics.look_at("inbox_inputs", lambda: 12)
    lines = world.shown()
    assert lines[0].startswith("proactive ")
    assert lines[0].endswith("12:34:56")
    assert row(lines, "events").startswith("1,234")
    assert row(lines, "Candidates") == "sent 33.0  condition 0.1"
    assert row(lines, "Speak most") == "idle 30.0  stuck 3.0"
    assert row(lines, "Connected") == "websocket level 0 1"
    assert row(lines, "Waiting") == "inputs 12"
    assert row(lines, "Rules") == "hold 2"
    assert row(lines, "Store") == "sqlite"


@pytest.mark.parametrize("width", [80, 60, 200])
def test_a_frame_fits_into_80_by_24_however_much_there_is(world: World, width: int) -> None:
    rules = [f"a-rule-with-a-very-long-name-{number}" for number in range(50)]
    world.metrics.rules_hold(rules)
    for rule in rules:
        for outcome in OUTCOMES:
            world.decide(rule, outcome, 1)
            world.metrics.figures.candidates.add(outcome, by=1e9)
            world.metrics.figures.rule_candidates.add(rule, outcome, by=1e9)
    for transport in ("websocket", "stream", "poll"):
        for level in (0, 1):
            for _ in range(3):
                world.metrics.connected(transport, level)  # type: ignore[arg-type]
    health = {"status": "degraded", "rules": {"problems": [f"{rule}.yaml:1:1: {'x' * 200}" for rule in rules]}}
    lines = world.shown(health, width)
    assert len(lines) <= LINES_MAX
    assert max(map(len, lines)) <= width
    assert "50 more" not in lines[-1]
    assert lines[-1].startswith("! … and 48 more")


@pytest.mark.parametrize(
    ("health", "said"),
    [
        ({"live": {"trouble": "disk full"}}, "! live: disk full"),
        ({"store": {"store": "sqlite", "trouble": "locked\nby another"}}, "! store: locked"),
        ({"memory": {"trouble": "900 MiB"}}, "! memory: 900 MiB"),
        ({"rules": {"problems": ["a.yaml:1:1: no"]}}, "! rules: a.yaml:1:1: no"),
        ({"rules": "?", "store": None}, None),
    ],
)
def test_trouble_stands_at_the_end(world: World, health: dict[str, Any], said: str | None) -> None:
    trouble = [line for line in world.shown(health) if line.startswith("!")]
    assert trouble == ([] if said is None else [said])


def test_a_store_that_cannot_be_written_to_and_faults_are_trouble(world: World) -> None:
    world.metrics.store_trouble("disk full")
    world.decide("stuck", "sent", 1)
    world.metrics.figures.faults.add(by=3)
    trouble = [line for line in world.shown() if line.startswith("!")]
    assert trouble == [
        "! the store cannot be written to",
        "! 3 events set aside since the start; the log says why (! set aside)",
    ]


@pytest.mark.parametrize(
    ("ready", "status", "shown"),
    [(1, "ok", "  ready  "), (1, "degraded", "  ready, but look below  "), (0, "degraded", "  not ready  ")],
)
def test_the_head_says_whether_it_is_ready(world: World, ready: int, status: str, shown: str) -> None:
    world.metrics.look_at("ready", lambda: ready)
    assert shown in world.shown({"status": status})[0]


def test_a_server_that_is_away_is_said_to_be() -> None:
    lines = [line.plain for line in away(URL, "nobody is listening at " + URL, "12:34:56", 40)]
    assert max(map(len, lines)) <= 40
    assert lines[2].startswith("nobody is listening")


def test_another_process_counts_anew(world: World) -> None:
    def of_process(start: int) -> Reading:
        text = f"proactive_build_info 1\nprocess_start_time_seconds {start}\n"
        return read_metrics(text, 0.0, {})

    assert is_same_process(of_process(1), of_process(1))
    assert not is_same_process(of_process(1), of_process(2))
    assert is_same_process(world.before, world.look(1.0))


@pytest.mark.parametrize("text", ["", "up 1\n", "<html>\n<p>hello</p>", '{"a": 1}', 'a{b="c} 1'])
def test_what_is_not_of_a_proactive_server_is_refused(text: str) -> None:
    with pytest.raises(NotMetrics, match=r"^expected the"):
        read_metrics(text, 0.0, {})


@pytest.mark.parametrize(
    ("rate", "shown"),
    [(0, "0"), (None, "0"), (0.001, "0.1"), (2.5, "2.5"), (99.94, "99.9"), (100, "100"), (12345, "12,345")],
)
def test_a_rate_has_three_digits_and_never_looks_like_nothing(rate: float | None, shown: str) -> None:
    assert shown_rate(rate) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, "-"), (0, "0.0ms"), (0.0012, "1.2ms"), (0.25, "250ms"), (1.25, "1.2s"), (600, "600s")]
)
def test_a_span_has_the_unit_that_suits_it(seconds: float | None, shown: str) -> None:
    assert shown_seconds(seconds) == shown


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (1023, "1,023 B"), (1024, "1.0 KiB"), (5 << 20, "5.0 MiB"), (3 << 40, "3,072.0 GiB")],
)
def test_a_size_has_the_unit_that_suits_it(size: float, shown: str) -> None:
    assert shown_bytes(size) == shown
