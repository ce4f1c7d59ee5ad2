"""The kinds of triggers: one file each, and this table. Explicit: a kind that is not listed does not exist."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from engine.core.shapes import Kind
from engine.triggers.absence import KIND as ABSENCE
from engine.triggers.count import KIND as COUNT
from engine.triggers.event import KIND as EVENT
from engine.triggers.inactivity import KIND as INACTIVITY
from engine.triggers.keywords import KIND as KEYWORDS
from engine.triggers.response import KIND as RESPONSE
from engine.triggers.schedule import KIND as SCHEDULE
from engine.triggers.sequence import KIND as SEQUENCE
from engine.triggers.session import KIND as SESSION

KINDS: Mapping[str, Kind] = MappingProxyType(
    {kind.name: kind for kind in (EVENT, KEYWORDS, INACTIVITY, COUNT, SEQUENCE, ABSENCE, SCHEDULE, SESSION, RESPONSE)}
)
