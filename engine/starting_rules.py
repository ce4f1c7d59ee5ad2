"""The rules with which a server starts: those of the files or, where these have errors, those that held last.

It reads, and changes neither the files nor the store. A server that was killed while somebody edited has to come up
again; one that has never held any rules has nothing to come up with.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import structlog

from engine.core.rules import RuleSet
from engine.core.units import format_at
from engine.folder import load_folder
from engine.loading.diagnostic import RuleErrors
from engine.recorded import latest_recorded
from engine.storage.base import StoreError
from engine.storage.opening import open_store

log = structlog.get_logger("proactive")


@dataclass(frozen=True, slots=True)
class StartingRules:
    """``problems`` are the diagnostics of the files, one line each; then ``rules`` are those of the store, and
    ``since`` is the moment, in microseconds UTC, from which they have held."""

    rules: RuleSet
    since: int | None = None
    problems: tuple[str, ...] = ()

    @property
    def report(self) -> str:
        """Stands before the problems; nothing where there are none."""
        if self.since is None:
            return ""
        return f"Rules not loaded, those of {format_at(self.since)} go on holding (hash {self.rules.hash}):"


async def starting_rules(folder: Path, store: str, password: str | None = None) -> StartingRules:
    """``store`` is named as in the settings. Raises `RuleErrors` where the files have errors and the store no rules."""
    try:
        return StartingRules(await asyncio.to_thread(load_folder, folder))
    except RuleErrors as errors:
        former = await _former(store, password)
        if former is None:
            raise
        since, rules = former
        log.error("! rule files have errors, what held goes on holding", since=format_at(since), rules_hash=rules.hash)
        return StartingRules(rules, since, tuple(str(errors).splitlines()))


async def _former(store: str, password: str | None) -> tuple[int, RuleSet] | None:
    """Read only: a server that does not start leaves no file behind that was not there before."""
    try:
        opened = await open_store(store, read_only=True, password=password)
        try:
            return await latest_recorded(opened)
        finally:
            await opened.close()
    except StoreError as error:
        log.debug("= no rules of an earlier process", why=str(error))
        return None
