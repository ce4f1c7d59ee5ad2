"""The rules of a worker's files, made to hold for the whole fleet: at the start with care, after an edit at once.

Whoever starts again with files that held once must not take back what others have published since: then the files wait
for somebody to edit them. It compiles nothing itself and watches no files.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import structlog

from engine.core.rules import RuleSet
from engine.core.state import UserState
from engine.core.units import format_at
from engine.states import readable
from engine.storage.base import StoreError
from engine.storage.fleet import FleetStore

log = structlog.get_logger("worker")


class Publishing:
    """``rules`` are those that the files had when they were last looked at; others may hold.

    It is what a `Reloader` keeps in step with the files.
    """

    def __init__(self, store: FleetStore, rules: RuleSet) -> None:
        self._store = store
        self._rules = rules

    @property
    def rules(self) -> RuleSet:
        return self._rules

    async def begin(self) -> str:
        """Publish the rules of the files if no store has ever had them; else one line that says why not, or "".

        Raises `StoreError`.
        """
        moments = await self._store.rule_moments()
        if moments and moments[-1][1] == self._rules.hash:
            return ""
        held = [at for at, rules_hash in moments if rules_hash == self._rules.hash]
        if held:
            since = format_at(moments[-1][0])
            line = f"the files have the rules of {format_at(held[-1])}; others hold since {since}, and go on holding"
            log.warning("! rules not published, they held before; edit the files to publish them", since=since)
            return line
        await self.change_rules(self._rules)
        return ""

    async def present_users(self) -> AsyncIterator[UserState]:
        """The state of every present user of the store, of those whose state can be read. Raises `StoreError`."""
        # Of those that cannot be read the worker of the user's partition tells.
        async for state in readable(await self._store.present_users(), lambda user, error: None):
            yield state

    async def change_rules(self, rules: RuleSet) -> int:
        """Let these hold for everybody, unless they do already: several workers may see one edit."""
        before = await self._store.rule_moments()
        if before and before[-1][1] == rules.hash:
            moment = before[-1][0]
        else:
            await self._store.save_rules(rules.hash, rules.sources)
            moment = await self._publish(rules, before)
        self._rules = rules
        return moment

    async def _publish(self, rules: RuleSet, before: list[tuple[int, str]]) -> int:
        try:
            moment = await self._store.publish_rules(rules.hash)
        except StoreError:
            after = await self._store.rule_moments()
            if after == before or after[-1][1] != rules.hash:
                raise
            moment = after[-1][0]  # only the answer was lost
        log.info("= rules published", rules_hash=rules.hash, since=format_at(moment))
        return moment
