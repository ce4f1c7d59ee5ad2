"""Rule files that change while the server runs: real files, the real watcher."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import structlog
from live_world import START, World, compiled

from engine.core.units import MINUTE
from engine.folder import load_folder
from engine.intake import Input
from engine.reload import Plan, Reloader, plan

PATIENCE_SECONDS = 20.0
PAGE = """version: 1
rules:
  - {id: idle, trigger: {inactivity: 5m}, message: {type: question, text: one}}
  - {id: seen, trigger: {event: hello}, message: {type: notification, text: hi}}
"""


@dataclass
class Watched:
    world: World
    reloader: Reloader
    folder: Path
    reports: list[str] = field(default_factory=list)
    seen: int = 0  # of the reports, by `until`
    reported: asyncio.Event = field(default_factory=asyncio.Event)

    def report(self, text: str) -> None:
        self.reports.append(text)
        self.reported.set()

    async def until(self, start: str) -> str:
        """The first report that begins so and has not been waited for; those before it are passed over.

        There may be some, where the system tells of one change twice.
        """
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                while self.seen < len(self.reports):
                    self.seen += 1
                    if self.reports[self.seen - 1].startswith(start):
                        return self.reports[self.seen - 1]
                self.reported.clear()
                await self.reported.wait()

    def write(self, text: str, name: str = "rules.yaml") -> None:
        (self.folder / name).write_text(text, encoding="utf-8")


async def prepared(folder: Path, path: str = ".") -> Watched:
    (folder / "rules.yaml").write_text(PAGE, encoding="utf-8")
    world = await World(load_folder(folder / path)).start()
    watched = Watched(world, Reloader(world.live, folder / path), folder)
    watched.reloader = Reloader(world.live, folder / path, watched.report)
    return watched


@asynccontextmanager
async def watching(folder: Path, path: str = ".") -> AsyncIterator[Watched]:
    watched = await prepared(folder, path)
    task = asyncio.create_task(watched.reloader.run())
    try:
        # Until the watcher is at work, changes go unnoticed; so one is made until it is noticed.
        number = 0
        while not watched.reported.is_set():
            number += 1
            watched.write(PAGE + f"# {number}\n")
            with suppress(TimeoutError):
                await asyncio.wait_for(watched.reported.wait(), 0.5)
        yield watched
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_an_edited_file_holds_without_a_restart(tmp_path: Path) -> None:
    async with watching(tmp_path) as watched:
        watched.write(PAGE.replace("5m", "2m"))
        await watched.until("Rules reloaded: 1 unchanged, 1 fresh (idle)")
        assert watched.world.live.rules.hash == load_folder(tmp_path).hash
        assert watched.reloader.problems == []


async def test_a_broken_file_changes_nothing_and_says_where_it_is_broken(tmp_path: Path) -> None:
    async with watching(tmp_path) as watched:
        before = watched.world.live.rules.hash
        watched.write(PAGE.replace("5m", "5").replace("event: hello", "evnt: hello"))
        report = await watched.until("Rules not reloaded, the former ones go on holding:\n")
        assert watched.world.live.rules.hash == before
        problems = watched.reloader.problems
        assert report.splitlines()[1:] == problems
        assert [problem.split(": ")[0] for problem in problems] == [
            f"{tmp_path.as_posix()}/rules.yaml:3:38",
            f"{tmp_path.as_posix()}/rules.yaml:4:26",
        ]
        assert 'expected a duration such as "90s", "5m" or "1h30m"' in problems[0]

        watched.write(PAGE.replace("text: one", "text: two"))
        await watched.until("Rules reloaded: 1 unchanged, 1 edited (idle)")
        assert watched.reloader.problems == []
        assert watched.world.live.rules.hash != before


async def test_files_that_come_and_go_are_noticed(tmp_path: Path) -> None:
    async with watching(tmp_path) as watched:
        watched.write(
            "version: 1\nrules: [{id: new, trigger: {event: e}, message: {type: question, text: x}}]\n", "new.yml"
        )
        await watched.until("Rules reloaded: 2 unchanged, 1 fresh (new)")
        (tmp_path / "new.yml").unlink()
        await watched.until("Rules reloaded: 2 unchanged, 1 dropped (new)")


async def test_a_folder_that_goes_and_comes_back_is_watched_again(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    async with watching(folder) as watched:
        shutil.rmtree(folder)
        await watched.until("Rules not reloaded, the former ones go on holding:\n")
        assert "there is nothing" in watched.reloader.problems[0]
        folder.mkdir()
        watched.write(PAGE.replace("5m", "2m"))
        await watched.until("Rules reloaded: 1 unchanged, 1 fresh (idle)")
        watched.write(PAGE.replace("5m", "3m"))
        await watched.until("Rules reloaded: 1 unchanged, 1 fresh (idle)")


async def test_a_folder_put_in_the_place_of_another_is_the_one_that_is_watched(tmp_path: Path) -> None:
    folder, other = tmp_path / "rules", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    async with watching(folder) as watched:
        (other / "rules.yaml").write_text(PAGE.replace("5m", "2m"), encoding="utf-8")
        folder.rename(tmp_path / "former")
        other.rename(folder)
        await watched.until("Rules reloaded: 1 unchanged, 1 fresh (idle)")
        watched.write(PAGE.replace("text: one", "text: two"))
        await watched.until("Rules reloaded: 1 unchanged, 1 fresh (idle)")


async def test_a_link_that_is_turned_to_another_folder_is_followed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    link = tmp_path / "rules"
    link.symlink_to("one")
    async with watching(link) as watched:
        (tmp_path / "two" / "rules.yaml").write_text(PAGE.replace("5m", "2m"), encoding="utf-8")
        (tmp_path / "new").symlink_to("two")
        (tmp_path / "new").replace(link)
        await watched.until("Rules reloaded: 1 unchanged, 1 fresh (idle)")


async def test_a_single_file_that_an_editor_puts_another_in_place_of_is_watched_on(tmp_path: Path) -> None:
    async with watching(tmp_path, "rules.yaml") as watched:
        for span in ("2m", "3m"):
            (tmp_path / "new").write_text(PAGE.replace("5m", span), encoding="utf-8")
            (tmp_path / "new").replace(tmp_path / "rules.yaml")
            await watched.until("Rules reloaded: 1 unchanged, 1 fresh (idle)")


# Without the watcher: what one look at the files does.


async def test_files_that_say_the_same_bytes_are_no_change(tmp_path: Path) -> None:
    watched = await prepared(tmp_path)
    assert await watched.reloader.reload() is None
    assert watched.reports == []


async def test_a_problem_is_told_once(tmp_path: Path) -> None:
    watched = await prepared(tmp_path)
    watched.write("rules: [")
    assert await watched.reloader.reload() is None
    assert await watched.reloader.reload() is None
    assert len(watched.reports) == 1
    assert watched.reloader.problems != []


async def test_a_file_that_is_as_it_was_before_it_broke_is_fine_again(tmp_path: Path) -> None:
    watched = await prepared(tmp_path)
    watched.write("rules: [")
    await watched.reloader.reload()
    watched.write(PAGE)
    assert await watched.reloader.reload() is None
    assert watched.reloader.problems == []


async def test_what_stands_apart_is_told_of_when_it_is_wrong_and_else_changes_nothing(tmp_path: Path) -> None:
    watched = await prepared(tmp_path)
    watched.write("standalone: true\n" + PAGE, "apart.yaml")
    assert await watched.reloader.reload() is None
    watched.write("standalone: true\n" + PAGE.replace("5m", "1m"), "apart.yaml")
    assert await watched.reloader.reload() is None
    assert (watched.reports, watched.reloader.problems) == ([], [])
    watched.write("standalone: true\nrules: [", "apart.yaml")
    assert await watched.reloader.reload() is None
    assert watched.reloader.problems != []


async def test_a_folder_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    watched = await prepared(tmp_path)
    (tmp_path / "rules.yaml").unlink()
    assert await watched.reloader.reload() is None
    assert "no rule files in" in watched.reloader.problems[0]
    assert len(watched.world.live.rules.rules) == 2


@pytest.mark.parametrize(
    ("edited", "moment", "text"),
    [
        (PAGE.replace("text: one", "text: two"), 5 * MINUTE, "two"),
        (PAGE.replace("{id: idle,", "{id: idle, cooldown: 1h, priority: 3,"), 5 * MINUTE, "one"),
        (PAGE.replace("5m", "2m"), 2 * MINUTE, "one"),
        (PAGE.replace("5m", "8m"), 8 * MINUTE, "one"),
    ],
)
async def test_a_timer_that_runs_goes_on_through_a_reload(tmp_path: Path, edited: str, moment: int, text: str) -> None:
    watched = await prepared(tmp_path)
    world = watched.world
    await world.say(Input("ann", "edit", {}))
    world.now = START + MINUTE
    watched.write(edited)
    assert await watched.reloader.reload() is not None
    await world.come_to(START + moment - 1)
    assert world.delivered == []
    await world.come_to(START + moment)
    assert world.texts() == [("ann", text)]


# The plan.


@pytest.mark.parametrize(
    ("after", "expected", "shown"),
    [
        (PAGE + "# again", Plan(("idle", "seen"), (), (), (), ()), "2 unchanged"),
        (PAGE.replace("5m", "300s"), Plan(("idle", "seen"), (), (), (), ()), "2 unchanged"),
        (PAGE.replace("text: hi", "text: ho"), Plan(("idle",), ("seen",), (), (), ()), "1 unchanged, 1 edited (seen)"),
        (PAGE.replace("5m", "6m"), Plan(("seen",), (), (), ("idle",), ()), "1 unchanged, 1 fresh (idle)"),
        (
            PAGE.replace("id: seen", "id: other"),
            Plan(("idle",), (), (), ("other",), ("seen",)),
            "1 unchanged, 1 fresh (other), 1 dropped (seen)",
        ),
        (
            PAGE.replace("id: idle,", "id: idle, mode: off,"),
            Plan(("seen",), (), (), (), (), off=("idle",)),
            "1 unchanged, 1 turned off (idle)",
        ),
        (
            PAGE.replace("inactivity: 5m", "count: {event: e, at_least: 2, within: 5m}"),
            Plan(("seen",), (), ("idle",), (), ()),
            "1 unchanged, 1 rebuilt from the log (idle)",
        ),
        (
            PAGE.replace("id: idle,", "id: still, was: idle,"),
            Plan(("seen",), ("still",), (), (), (), renamed=(("still", "idle"),)),
            "1 unchanged, 1 edited (still), 1 renamed (still, was idle)",
        ),
        (
            PAGE.replace("id: idle,", "id: still, was: idle,").replace("5m", "6m"),
            Plan(("seen",), (), (), ("still",), (), renamed=(("still", "idle"),)),
            "1 unchanged, 1 fresh (still), 1 renamed (still, was idle)",
        ),
    ],
)
def test_a_plan_says_what_a_change_does_to_what_is_remembered(after: str, expected: Plan, shown: str) -> None:
    found = plan(compiled(PAGE), compiled(after))
    assert found == expected
    assert str(found) == shown


def test_a_long_plan_names_the_first_five() -> None:
    rules = "\n".join(
        f"  - {{id: r{number}, trigger: {{event: e}}, message: {{type: question, text: x}}}}" for number in range(6)
    )
    found = plan(compiled(PAGE), compiled("version: 1\nrules:\n" + rules))
    assert str(found) == "0 unchanged, 6 fresh (r0, r1, r2, r3, r4, …), 2 dropped (idle, seen)"


def test_what_is_renamed_is_told_with_what_it_was_of_several_each() -> None:
    after = PAGE.replace("id: idle,", "id: still, was: idle,").replace("id: seen,", "id: met, was: seen,")
    shown = "0 unchanged, 2 edited (still, met), 2 renamed (still, was idle; met, was seen)"
    assert str(plan(compiled(PAGE), compiled(after))) == shown


COUNTED = """version: 1
rules:
  - {id: stuck, trigger: {count: {event: failed, at_least: 3, within: 1h}}, message: {type: question, text: hint}}
  - {id: later, trigger: {event: saved}, deliver: {at: closed, within: 1h}, message: {type: question, text: later}}
"""


async def test_a_reload_says_whom_it_concerns(tmp_path: Path) -> None:
    """Two present users have failed, one of them has a message held; nobody else is concerned."""
    (tmp_path / "rules.yaml").write_text(COUNTED, encoding="utf-8")
    world = await World(load_folder(tmp_path)).start()
    await world.say(
        Input("ann", "failed", {}), Input("bob", "failed", {}), Input("bob", "saved", {}), Input("cy", "x", {})
    )
    reports: list[str] = []
    reloader = Reloader(world.live, tmp_path, reports.append)
    edited = COUNTED.replace(
        "within: 1h}}, message: {type: question, text: hint", "within: 2h}}, message: {type: question, text: hint"
    )
    (tmp_path / "rules.yaml").write_text(edited.replace("{id: later,", "{id: later, mode: off,"), encoding="utf-8")
    await reloader.reload()
    assert reports == [
        "Rules reloaded: 0 unchanged, 1 rebuilt from the log (stuck), 1 turned off (later)"
        "; timers and windows under way of 3 present users: stuck: 2; held messages that are cancelled: 1"
    ]
    # What was counted before the change counts on by the new span, and nothing is said of the past.
    world.now += 90 * MINUTE
    await world.say(Input("ann", "failed", {}), Input("ann", "failed", {}))
    assert world.texts() == [("ann", "hint")]


@pytest.mark.parametrize(
    ("was", "now", "whom"),
    [
        ("text: hint", "text: tip", {}),
        ("at_least: 3", "at_least: 4", {"whom": "timers and windows under way of 1 present users: stuck: 1"}),
    ],
)
async def test_the_log_says_whom_a_reload_concerns_where_it_concerns_somebody(
    was: str, now: str, whom: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "rules.yaml").write_text(COUNTED, encoding="utf-8")
    world = await World(load_folder(tmp_path)).start()
    await world.say(Input("ann", "failed", {}))
    (tmp_path / "rules.yaml").write_text(COUNTED.replace(was, now), encoding="utf-8")
    with structlog.testing.capture_logs() as lines:
        found = await Reloader(world.live, tmp_path).reload()
    [line] = [line for line in lines if line["event"] == "= rules change"]
    assert line == {"event": "= rules change", "log_level": "info", "plan": str(found), "present": 1, **whom}
