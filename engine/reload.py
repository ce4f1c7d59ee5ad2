"""Watch the rule files; compile; plan; swap or report. On any error the rules that hold go on holding."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog
from watchfiles import Change, awatch

from engine.core.rules import Rule, RuleSet, renamed_key
from engine.core.state import UserState
from engine.folder import load_folder, look, read_folder
from engine.loading.diagnostic import Diagnostic, RuleErrors
from engine.observer import SILENT, Observer, Reload
from engine.storage.base import StoreError

log = structlog.get_logger("reload")

DEBOUNCE_MS = 100  # an editor writes a file in several steps; changes this close together are one
STEP_MS = 25
LOOK_MS = 400  # between looks at the files themselves: the system tells nothing of a folder put in another's place
NAMED_MAX = 5  # rules that a line of a plan names
NOT_RELOADED = "Rules not reloaded, the former ones go on holding:"
AGAIN_SECONDS = 5.0  # after a swap that the store refused


@dataclass(frozen=True, slots=True)
class Plan:
    """What a change of rules does to what is remembered, by rule id in rule order. Each rule is in one of these.

    ``kept``: it is as it was. ``edited``: its triggers are as they were, so nothing is lost, whatever else of it was
    edited. ``rebuilt``: a trigger of it is new or edited and remembers something, which is found out from what users
    have done before. ``fresh``: new, or with an edited trigger, and there is nothing to find out: it begins from the
    anchors of the state. ``off``: turned off. ``dropped``: gone. ``renamed`` are those, of whatever sort, that had
    another id before, each as ``(id, was)``: what is remembered of them follows.
    """

    kept: tuple[str, ...]
    edited: tuple[str, ...]
    rebuilt: tuple[str, ...]
    fresh: tuple[str, ...]
    dropped: tuple[str, ...]
    off: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        parts = [f"{len(self.kept)} unchanged"]
        renamed = tuple(f"{name}, was {former}" for name, former in self.renamed)
        for word, ids in (
            ("edited", self.edited),
            ("rebuilt from the log", self.rebuilt),
            ("fresh", self.fresh),
            ("turned off", self.off),
            ("dropped", self.dropped),
            ("renamed", renamed),
        ):
            if ids:
                between = "; " if word == "renamed" else ", "
                shown = [*ids[:NAMED_MAX], *(["…"] if len(ids) > NAMED_MAX else [])]
                parts.append(f"{len(ids)} {word} ({between.join(shown)})")
        return ", ".join(parts)


def plan(before: RuleSet, after: RuleSet) -> Plan:
    """Match the rules by id, or by the id that they had before; their triggers by fingerprint."""
    old = {after.renamed.get(rule.id, rule.id): rule for rule in before}
    known = {renamed_key(key, after.renamed) for key in before.keys}
    same, rebuilt, fresh, off = [], [], [], []
    for rule in after:
        former = old.get(rule.id)
        if former is not None and _keys(rule) == {renamed_key(key, after.renamed) for key in _keys(former)}:
            same.append(rule.id)
        elif rule.mode == "off" and former is not None:
            off.append(rule.id)
        elif rule.mode != "off" and any(trigger.has_memory and trigger.key not in known for trigger in rule.triggers):
            rebuilt.append(rule.id)
        else:
            fresh.append(rule.id)
    written = {name for name in same if after.by_id[name].written == old[name].written}
    return Plan(
        kept=tuple(name for name in same if name in written),
        edited=tuple(name for name in same if name not in written),
        rebuilt=tuple(rebuilt),
        fresh=tuple(fresh),
        dropped=tuple(name for name in old if name not in after.by_id),
        off=tuple(off),
        renamed=tuple((rule.id, rule.was) for rule in after if rule.was is not None and rule.was in before.by_id),
    )


@dataclass(slots=True)
class Reach:
    """Whom a change of rules concerns, of the users who are present: those who are absent adopt it when they come.

    ``remembered``: by rule that is not as it was, the users of whom one of its triggers remembers something.
    ``held``: the messages that are held and will be cancelled, because their rule is gone or sends no more.
    """

    present: int = 0
    held: int = 0
    remembered: Counter[str] = field(default_factory=Counter)

    def look(self, state: UserState, before: RuleSet, after: RuleSet) -> None:
        self.present += 1
        lost = {key.partition("/")[0] for key in state.memory if renamed_key(key, after.renamed) not in after.keys}
        self.remembered.update(name for name in lost if name in before.by_id)
        for held in state.held:
            rule = after.by_id.get(after.renamed.get(held.rule, held.rule))
            self.held += rule is None or rule.mode != "live"

    def __str__(self) -> str:
        """Begins with a semicolon, to stand behind a `Plan`; nothing where nobody is concerned."""
        parts = [f"{name}: {count}" for name, count in self.remembered.most_common(NAMED_MAX)]
        if len(self.remembered) > NAMED_MAX:
            parts.append("…")
        text = ""
        if parts:
            text = f"; timers and windows under way of {self.present} present users: {', '.join(parts)}"
        if self.held:
            text += f"; held messages that are cancelled: {self.held}"
        return text


def _keys(rule: Rule) -> frozenset[str]:
    return frozenset() if rule.mode == "off" else frozenset(trigger.key for trigger in rule.triggers)


@dataclass(frozen=True, slots=True)
class Edit:
    """The rules of the files as they are now, and what they change where they take the place of those that hold."""

    rules: RuleSet
    plan: Plan
    reach: Reach
    is_change: bool


class Ruled(Protocol):
    """Where rules hold. ``rules`` are those that the files are compared with."""

    @property
    def rules(self) -> RuleSet: ...

    def present_users(self) -> AsyncIterator[UserState]:
        """The state of every present user, to be looked at. Raises `StoreError` on the way."""

    async def change_rules(self, rules: RuleSet) -> int:
        """Let them hold for everybody, and say from which moment on. Raises `StoreError`."""


class Reloader:
    """Keeps what runs by rules in step with a folder of them.

    ``problems`` are the diagnostics of the files as they are now, one line each; empty while they are fine.
    """

    def __init__(
        self,
        live: Ruled,
        folder: Path,
        on_report: Callable[[str], None] | None = None,
        observer: Observer = SILENT,
    ) -> None:
        self._live = live
        self._folder = folder
        self._on_report = on_report
        self._observer = observer
        self._one_at_a_time = asyncio.Lock()  # who watches the files and who asks for a reload
        self.problems: list[str] = []

    def begin_without(self, problems: Sequence[str], report: str) -> None:
        """The files had these at the start, and other rules hold: ``report`` says so, and the files are taken as soon
        as they are mended."""
        self._say_problems(list(problems), report)

    async def run(self) -> None:
        """Watch until cancelled."""
        seen = None  # the files may have changed since they were loaded
        while True:
            with suppress(OSError):  # there is no folder now, or the system watches no more of them
                async for changes in awatch(
                    self._folder,
                    watch_filter=_is_rule_file,
                    debounce=DEBOUNCE_MS,
                    step=STEP_MS,
                    rust_timeout=LOOK_MS,
                    yield_on_timeout=True,
                    recursive=True,
                ):
                    found = await asyncio.to_thread(look, self._folder)
                    if changes or found != seen:
                        seen = found
                        await self.reload()
            await asyncio.sleep(LOOK_MS / 1000)
            found = await asyncio.to_thread(look, self._folder)
            if found != seen:
                seen = found
                await self.reload()

    async def look_ahead(self) -> Edit:
        """What a reload would do now. Raises `RuleErrors`, `StoreError`."""
        before = self._live.rules
        try:
            rules = await asyncio.to_thread(_compiled, self._folder, before)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise RuleErrors([Diagnostic(str(self._folder), 0, 0, why, "unreadable")]) from error
        reach = Reach()
        async for state in self._live.present_users():
            reach.look(state, before, rules)
        return Edit(rules, plan(before, rules), reach, rules.hash != before.hash)

    async def reload_now(self) -> Edit:
        """Let the files as they are now hold, and say what that changed. Raises `RuleErrors`, `StoreError`: nothing."""
        began = time.perf_counter()
        outcome: Reload = "failed"
        try:
            async with self._one_at_a_time:
                edit = await self._reload()
            outcome = "changed" if edit.is_change else "unchanged"
        finally:
            self._observer.reloaded(outcome, time.perf_counter() - began)
        return edit

    async def reload(self) -> Plan | None:
        """Compile the files as they are now and let them hold; None where they are the same or do not compile.

        Where the store refuses them it is tried again until it does not.
        """
        while True:
            try:
                edit = await self.reload_now()
            except RuleErrors:
                return None
            except StoreError:
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            return edit.plan if edit.is_change else None

    async def _reload(self) -> Edit:
        try:
            edit = await self.look_ahead()
            if edit.is_change:
                whom = {"whom": text} if (text := str(edit.reach).lstrip("; ")) else {}
                log.info("= rules change", plan=str(edit.plan), present=edit.reach.present, **whom)
                await self._live.change_rules(edit.rules)
        except RuleErrors as errors:
            self._say_problems(str(errors).splitlines())
            raise
        except StoreError as error:
            self._say_problems([f"the new rules do not hold yet, the store refused them: {error}"])
            raise
        self._say_fine()
        if edit.is_change:
            log.info("= rules hold", rules=len(edit.rules.rules), rules_hash=edit.rules.hash)
            self._report(f"Rules reloaded: {edit.plan}{edit.reach}")
        return edit

    def _say_fine(self) -> None:
        if self.problems:
            self.problems = []
            log.info("= rule files are fine again")

    def _say_problems(self, problems: list[str], report: str = NOT_RELOADED) -> None:
        if problems == self.problems:
            return
        self.problems = problems
        for problem in problems:
            log.error("! rules", problem=problem)
        self._report("\n".join([report, *problems]))

    def _report(self, text: str) -> None:
        if self._on_report is not None:
            self._on_report(text)


def _compiled(folder: Path, before: RuleSet) -> RuleSet:
    """The rules of the folder: ``before`` itself where the texts are the same. Raises `RuleErrors`, OSError."""
    return before if read_folder(folder) == before.sources else load_folder(folder)


def _is_rule_file(change: Change, path: str) -> bool:
    return path.endswith((".yaml", ".yml"))
