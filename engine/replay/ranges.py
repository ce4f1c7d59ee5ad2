"""What ``--set`` says: a place in the rules and the values to try there. It knows no rules and tries nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from engine.core.refusal import Refused
from engine.core.units import format_duration, parse_duration

POINTS_MAX = 200  # of a grid: more than anybody reads, and each is a run of the whole log
VALUE = r"-?\d+%?|(?:\d+(?:d|h|ms|m|s))+"
RANGE = re.compile(rf"({VALUE})\.\.({VALUE})(?:\.\.({VALUE}))?", re.ASCII)
OPENING, CLOSING, QUOTES = "[{(", "]})", "\"'"


@dataclass(frozen=True, slots=True)
class Setting:
    """A place in the rules, as `engine.loading.patch.patch` takes it, and the values to try there, as YAML."""

    path: str
    values: tuple[str, ...]


def parse_setting(text: str) -> Setting:
    """``PATH=VALUES``, the values with commas between them, each one or a range.

    ``2..6`` are all from 2 to 6; with a step ``2..10..4`` are 2, 6 and 10; so are ``2m..10m..4m`` and ``0%..50%..10%``,
    which need one. Commas in brackets or quotes are part of a value. Raises `Refused`.
    """
    path, equals, values = text.partition("=")
    if not equals or not path.strip() or not values.strip():
        raise Refused(f'expected a place and values such as "stuck.trigger.count.at_least=2..6", got "{text}"')
    found: dict[str, None] = {}
    for part in split(values):
        for value in in_range(part):
            if value in found:
                raise Refused(f'"{path.strip()}" is to be {value} twice')
            found[value] = None
            if len(found) > POINTS_MAX:
                raise Refused(f'expected at most {POINTS_MAX} values for "{path.strip()}", got more')
    return Setting(path.strip(), tuple(found))


def grid(settings: Sequence[Setting]) -> list[tuple[str, ...]]:
    """All combinations, the values in the order of the settings, the last changing first. Raises `Refused`."""
    for place, setting in enumerate(settings):
        if setting.path in [other.path for other in settings[:place]]:
            raise Refused(f'"{setting.path}" is set twice', hint="write its values with commas between them")
    count = prod(len(setting.values) for setting in settings)
    if count > POINTS_MAX:
        sizes = " × ".join(str(len(setting.values)) for setting in settings)
        raise Refused(f"expected at most {POINTS_MAX} combinations, got {sizes} = {count:,}", hint="widen the steps")
    return list(product(*(setting.values for setting in settings)))


def split(text: str) -> list[str]:
    """The parts between commas that stand in no brackets and no quotes. Raises `Refused` for an empty one."""
    parts, start, depth, quote = [], 0, 0, ""
    for place, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in QUOTES:
            quote = character
        elif character in OPENING + CLOSING:
            depth += 1 if character in OPENING else -1
        elif character == "," and not depth:
            parts.append(text[start:place].strip())
            start = place + 1
    parts.append(text[start:].strip())
    if "" in parts:
        raise Refused(f'expected values with commas between them, got "{text}"')
    return parts


def in_range(text: str) -> Iterator[str]:
    """The values that a range stands for; the text itself where it is none. Raises `Refused`."""
    match = RANGE.fullmatch(text)
    if match is None:
        yield text
        return
    units = [_unit(part) for part in match.groups() if part is not None]
    if len(set(units)) > 1:
        raise Refused(f'the parts of the range "{text}" are of different kinds')
    read, write = _READ[units[0]], _WRITE[units[0]]
    if match[3] is None and units[0]:
        raise Refused(f'the range "{text}" needs a step', hint=f"such as {match[1]}..{match[2]}..{match[1]}")
    first, last = read(match[1]), read(match[2])
    step = 1 if match[3] is None else read(match[3])
    if step <= 0 or first > last:
        raise Refused(f'expected a range that goes upward, got "{text}"')
    for value in range(first, min(last, first + POINTS_MAX * step) + 1, step):
        yield write(value)


def _unit(part: str) -> str:
    return "%" if part.endswith("%") else "" if part.lstrip("-").isdecimal() else "duration"


_READ: dict[str, Callable[[str], int]] = {
    "": int,
    "%": lambda part: int(part.removesuffix("%")),
    "duration": parse_duration,
}
_WRITE: dict[str, Callable[[int], str]] = {"": str, "%": lambda value: f"{value}%", "duration": format_duration}
