"""IANA time zones from the pinned ``tzdata`` distribution, never from the machine: the same times everywhere.

The tables are constant data of a dependency, as Unicode's are of the interpreter; reading one is no I/O that a
decision could depend on.
"""

from __future__ import annotations

from datetime import UTC, tzinfo
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from engine.core.refusal import Refused

NAME_LENGTH_MAX = 64  # characters; the longest there is has 32


def find_zone(name: str) -> tzinfo | None:
    """The zone of that IANA name, or None. Names are case-sensitive, as in the database."""
    # Before anything is remembered: a client chooses the name, and a thousand long ones would fill the memory.
    return _find_zone(name) if len(name) <= NAME_LENGTH_MAX else None


@lru_cache(maxsize=1024)
def _find_zone(name: str) -> tzinfo | None:
    if name in ("UTC", "Etc/UTC"):
        return UTC
    parts = name.split("/")
    if not all(part and part.replace("_", "").replace("-", "").replace("+", "").isalnum() for part in parts):
        return None
    table = files("tzdata").joinpath("zoneinfo", *parts)
    try:
        with table.open("rb") as stream:
            return ZoneInfo.from_file(stream, key=name)
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=1)
def zone_names() -> tuple[str, ...]:
    return tuple((files("tzdata") / "zones").read_text(encoding="utf-8").split())


def parse_zone(text: str) -> tzinfo:
    """The zone of that name; raises `Refused`."""
    zone = find_zone(text)
    if zone is None:
        raise Refused(f'expected an IANA time zone such as "Europe/Paris", got "{text}"', code="bad-timezone")
    return zone
