from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date
from hashlib import sha256
from itertools import islice, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cli.simulate import line_of
from engine.core.model import Event
from engine.core.units import DAY, HOUR, MINUTE, SECOND, from_datetime, parse_at, to_datetime
from engine.simulate.crowd import KINDS, START, Plan, simulate
from engine.simulate.people import EARLIEST, LATEST, person

ROOT = Path(__file__).parents[2]
LOG = list(simulate(Plan(users=60)))


def bytes_of(events: Iterator[Event]) -> bytes:
    return b"".join(line_of(event) for event in events)


# They change only where what the people do is changed; another machine or another version of Python has the same.
DIGESTS = {"tutor": "56079363d9dc3552", "chat": "37bea4510345624e"}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_seed_has_one_log_on_every_machine(kind: str) -> None:
    log = bytes_of(simulate(Plan(kind, users=20, days=3)))
    assert sha256(log).hexdigest()[:16] == DIGESTS[kind]


def test_nothing_depends_on_how_texts_are_hashed() -> None:
    script = "from engine.simulate.crowd import *\nprint([*simulate(Plan(users=3, days=2))])"
    logs = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(logs) == 1


def test_another_seed_has_another_log() -> None:
    assert bytes_of(simulate(Plan(users=5))) != bytes_of(simulate(Plan(users=5, seed=2)))


@given(st.sampled_from(sorted(KINDS)), st.integers(0, 10**9), st.integers(1, 8), st.integers(1, 5))
@settings(max_examples=15)
def test_events_come_in_order_of_time_and_each_users_strictly(kind: str, seed: int, users: int, days: int) -> None:
    last, mine = 0, dict[str, int]()
    for event in simulate(Plan(kind, users, days, seed)):
        assert event.at >= last
        assert event.at > mine.get(event.user, 0)
        last = mine[event.user] = event.at
        assert event.at % 1000 == 0


def test_a_person_does_the_same_among_few_and_among_many() -> None:
    few = [event for event in simulate(Plan(users=3)) if event.user == "simulated-00002"]
    assert few == [event for event in LOG if event.user == "simulated-00002"]


def test_a_long_log_begins_at_once() -> None:
    assert len(list(islice(simulate(Plan(users=200, days=366)), 100))) == 100


def test_everybody_sits_down_by_day_and_by_their_own_clock() -> None:
    for event in LOG:
        if event.type == "session.start" and event.session is not None and event.session.endswith("-1"):
            number = int(event.user.removeprefix("simulated-"))
            local = to_datetime(event.at, person(1, number, 7).zone)
            span = (local.hour * HOUR) + local.minute * MINUTE
            assert EARLIEST <= span <= LATEST


def test_the_first_day_is_the_one_that_was_asked_for() -> None:
    start = date(2027, 1, 4)
    first = next(simulate(Plan(users=50, start=start))).at
    # By each person's own clock: east of Greenwich a day begins earlier.
    assert abs(first - parse_at("2027-01-04T00:00:00Z")) < DAY
    assert from_datetime(to_datetime(LOG[0].at)) >= parse_at(f"{START}T00:00:00Z") - 12 * HOUR


def test_sessions_begin_and_end_and_hold_all_that_is_done() -> None:
    open_sessions: dict[str, str | None] = {}
    for event in LOG:
        if event.type == "session.start":
            assert open_sessions.get(event.user) is None
            open_sessions[event.user] = event.session
        elif event.type != "user.identify":
            assert open_sessions[event.user] == event.session
        if event.type == "session.end":
            open_sessions[event.user] = None
    assert not any(open_sessions.values())


def test_people_differ_and_some_lose_interest() -> None:
    everybody = [person(1, number, 28) for number in range(1, 201)]
    assert {one.skill for one in everybody} == {"beginner", "intermediate", "expert"}
    assert len({one.zone_name for one in everybody}) > 4
    assert 20 < sum(one.last < 27 for one in everybody) < 80
    weekdays = Counter(to_datetime(event.at).weekday() for event in simulate(Plan("chat", 100, 28)))
    assert sum(weekdays[day] for day in (5, 6)) / 2 < sum(weekdays[day] for day in range(5)) / 5 / 1.5


def results() -> dict[tuple[str, str], list[bool]]:
    """Of every person and test, whether each try failed, in order."""
    found = defaultdict(list)
    for event in LOG:
        if event.type in ("test.failed", "test.passed"):
            found[event.user, f"{event.data['file']} {event.data['test']}"].append(event.type == "test.failed")
    return found


def test_failures_come_in_streaks() -> None:
    tries = [failed for mine in results().values() for failed in mine]
    share = sum(tries) / len(tries)
    again, after = 0, 0
    for mine in results().values():
        for before, failed in pairwise(mine):
            after += before
            again += before and failed
    # Were all tries alike, whoever has just failed would fail no more often than anybody.
    assert 0.2 < share < 0.6
    assert again / after > share + 0.15
    # And three failures in a row are many times what chance alone would make of so many tests.
    streaks = sum(mine[:3] == [True] * 3 for mine in results().values())
    assert streaks > 1.5 * share**3 * len(results())


def test_whoever_comes_to_a_test_again_has_learned() -> None:
    first = [mine[0] for mine in results().values()]
    again = [failed for mine in results().values() for before, failed in pairwise(mine) if not before]
    assert len(again) > 100
    assert sum(again) / len(again) < sum(first) / len(first) - 0.1


def test_typing_comes_in_bursts() -> None:
    edits: dict[str | None, list[int]] = defaultdict(list)
    for event in LOG:
        if event.type == "file.edited":
            edits[event.session].append(event.at)
    gaps = sorted(after - before for mine in edits.values() for before, after in pairwise(mine))
    middle, far = gaps[len(gaps) // 2], gaps[int(len(gaps) * 0.95)]
    assert middle < 3 * SECOND
    assert far > 8 * middle


def test_people_drift_off_and_come_back() -> None:
    by_session = defaultdict(list)
    for event in LOG:
        by_session[event.session].append(event.at)
    pauses = [b - a for mine in by_session.values() for a, b in pairwise(mine)]
    assert sum(pause > 5 * MINUTE for pause in pauses) > 50


def test_they_say_what_rules_listen_for() -> None:
    kinds = Counter(event.type for event in LOG)
    assert {"page.viewed", "chat_message", "build.failed", "file.saved", "file.opened"} <= kinds.keys()
    texts = " ".join(event.data["message"] for event in simulate(Plan("chat", 50)) if event.type == "chat_message")
    assert all(word in texts for word in ("install", "stuck", "memoization", "thanks", "?"))
