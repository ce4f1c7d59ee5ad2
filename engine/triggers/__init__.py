"""The kinds of triggers: one file each, and this table. Explicit: a kind that is not listed does not exist."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from engine.core.shapes import Kind
from engine.triggers import event, inactivity, keywords, schedule

KINDS: Mapping[str, Kind] = MappingProxyType(
    {kind.name: kind for kind in (event.KIND, keywords.KIND, inactivity.KIND, schedule.KIND)}
)
