"""The rule sets that a store has recorded, compiled again at the moments from which they held."""

from __future__ import annotations

import asyncio

import structlog

from engine.core.rules import RuleSet, Timeline
from engine.loading.diagnostic import RuleErrors
from engine.loading.load import load
from engine.storage.base import Store
from engine.triggers import KINDS

RULES_KEPT = 2_000  # compiled rules that stay at hand, some 25 KB each; more where the latest two sets have more

log = structlog.get_logger("recorded")


async def recorded_timeline(store: Store, compiled: dict[str, RuleSet | None] | None = None) -> Timeline | None:
    """Every rule set of the store at its moment, or None where none has been recorded.

    A rule set that this version of the engine no longer accepts is left out and said so; the one before it
    is then taken to have held on. ``compiled`` are those known already, by hash (None: not accepted); what is
    compiled is added to it, and what the store has no more is taken out.
    """
    compiled = {} if compiled is None else compiled
    timeline: Timeline | None = None
    moments = await store.rule_moments()
    for rules_hash in compiled.keys() - {rules_hash for _, rules_hash in moments}:
        del compiled[rules_hash]
    for at, rules_hash in moments:
        if rules_hash not in compiled:
            compiled[rules_hash] = await compiled_from(store, rules_hash)
        rules = compiled[rules_hash]
        if rules is None:
            continue
        if timeline is None:
            timeline = Timeline(rules, at)
        else:
            timeline.add(at, rules)
    return timeline


async def latest_recorded(store: Store) -> tuple[int, RuleSet] | None:
    """The rule set with which `recorded_timeline` would end, and its moment; nothing before it is compiled."""
    for at, rules_hash in reversed(await store.rule_moments()):
        rules = await compiled_from(store, rules_hash)
        if rules is not None:
            return at, rules
    return None


async def compiled_from(store: Store, rules_hash: str) -> RuleSet | None:
    """The rule set, or None, which is logged, where this version does not accept it. Raises `StoreError`."""
    sources = await store.load_rules(rules_hash)
    if sources is None:
        log.error("! recorded rule set is missing from the store", rules_hash=rules_hash)
        return None
    try:
        return await asyncio.to_thread(load, sources, KINDS)  # it takes long where there are many
    except RuleErrors as errors:
        log.error(
            "! recorded rule set is no longer accepted",
            rules_hash=rules_hash,
            first=str(errors).splitlines()[:1],
        )
        return None
