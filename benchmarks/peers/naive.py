"""The loop that people write first: every rule is asked at every event, and each user has a job in APScheduler.

It says all twelve rules, by hand: a list of the moments that count per user and rule, and for silence a job that every
event of the user puts off. Its clock is virtual: the scheduler is paused, and before each event the jobs that are due
are taken from its job store and run. That costs less than its own timer thread would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler

from benchmarks.peers import rules
from benchmarks.peers.measuring import Work, measure
from benchmarks.peers.rules import Event, Firing, Rule

Ask = Callable[[Event, dict[Any, Any]], bool]


def prepare(events: Sequence[Event], told: Sequence[Rule]) -> Work:
    def work() -> list[Firing]:
        return Loop(told).run(events)

    return work


class Loop:
    """``memory`` of a user is what the rules have noted; ``fired`` is what is handed out."""

    def __init__(self, told: Sequence[Rule]) -> None:
        self.asks = [(rule.id, _ask(rule)) for rule in told if not isinstance(rule, rules.Idle)]
        self.idle = [rule for rule in told if isinstance(rule, rules.Idle)]
        self.fired: list[Firing] = []
        self.jobs = MemoryJobStore()
        self.scheduler = BackgroundScheduler(timezone=UTC)
        self.scheduler.add_jobstore(self.jobs)
        self.scheduler.start(paused=True)

    def run(self, events: Sequence[Event]) -> list[Firing]:
        memories: dict[str, dict[Any, Any]] = {}
        for event in events:
            now = event["at"]
            self.run_jobs(now)
            user = event["user"]
            memory = memories.setdefault(user, {})
            for name, ask in self.asks:
                if ask(event, memory):
                    self.fired.append((user, name, now))
            for rule in self.idle:
                due = now + rule.after
                self.scheduler.add_job(
                    self.speak, "date", (user, rule.id, due), id=f"{user} {rule.id}", run_date=_moment(due),
                    replace_existing=True,
                )  # fmt: skip
        self.scheduler.shutdown(wait=False)
        return self.fired

    def run_jobs(self, now: int) -> None:
        for job in self.jobs.get_due_jobs(_moment(now)):
            job.func(*job.args)
            self.scheduler.remove_job(job.id)

    def speak(self, user: str, rule: str, due: int) -> None:
        self.fired.append((user, rule, due))


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1_000, UTC)


def _ask(rule: Rule) -> Ask:
    match rule:
        case rules.Plain():
            return lambda event, memory: rule.on.holds(event)
        case rules.Count():
            return lambda event, memory: _count(rule, event, memory)
        case rules.Sequence():
            return lambda event, memory: _sequence(rule, event, memory)
        case _:
            raise TypeError(rule)


def _count(rule: rules.Count, event: Event, memory: dict[Any, Any]) -> bool:
    if not rule.on.holds(event):
        return False
    key = (rule.id, event.get(rule.by) if rule.by else None)
    window = [moment for moment in memory.get(key, ()) if moment > event["at"] - rule.within] + [event["at"]]
    memory[key] = [] if len(window) >= rule.at_least else window
    return len(window) >= rule.at_least


def _sequence(rule: rules.Sequence, event: Event, memory: dict[Any, Any]) -> bool:
    if rule.first.holds(event):
        memory[rule.id] = event["at"]
    elif rule.then.holds(event) and rule.id in memory and event["at"] - memory[rule.id] <= rule.within:
        del memory[rule.id]
        return True
    return False


if __name__ == "__main__":
    measure(prepare)
