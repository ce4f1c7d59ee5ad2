"""What a value of a rule file may be, declared once: the loader reads by it, the JSON Schema is written from it.

Declarations only; nothing here reads anything. A trigger kind begins with its shape, so its file is its own
reference page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.core.units import parse_duration

# The namespaces an expression or a template can speak of (rules-language, section 4).
NAMESPACES = ("event", "user", "session", "trigger", "now")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The base of all shapes. ``doc`` becomes the description in the JSON Schema and what an editor shows."""

    doc: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Shape):
    """A string, as it is."""

    length_max: int = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed(Shape):
    """A string with a grammar. ``parse`` gives the value or raises `Refused`; ``pattern`` is the schema's regex."""

    parse: Callable[[str], Any]
    pattern: str = ""
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer(Shape):
    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(Shape):
    """``true`` or ``false``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Shape):
    """One word of a closed set."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyValue(Shape):
    """Any JSON value, as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression(Shape):
    """An expression of section 4, compiled when read. ``namespaces`` are those that exist where it stands."""

    namespaces: tuple[str, ...] = NAMESPACES


@dataclass(frozen=True, slots=True, kw_only=True)
class Template(Shape):
    """A Jinja template, compiled when read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words(Shape):
    """Keywords: a list of words in which ``@name`` inserts a list of the folder's ``lists:``.

    Read as a tuple of words with the lists inserted, in order, without repeats.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf(Shape):
    """A list, read as a tuple. With ``one_will_do`` a single item may stand without the brackets.

    ``repeats``: a single value may stand in it twice, for the order has a meaning; elsewhere that is a slip.
    """

    item: Shape
    length_min: int = 1
    length_max: int = 1000
    one_will_do: bool = False
    repeats: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrNone(Shape):
    """As ``item``, or the word ``none``, read as None: it means that the key, and a default of it, were not written.

    ``is_default``: where the defaults themselves stand, of which there are none to take back, the word is an error.
    """

    item: Shape
    is_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOf(Shape):
    """A mapping from free names to values of one shape. ``names`` is the grammar of the names, None for any."""

    item: Shape
    names: Parsed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateTree(Shape):
    """A mapping of free form whose string values, at any depth, are templates (a message's ``data``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields(Shape):
    """A mapping with known keys, read as a dict of those that were written.

    ``shorthand``: the key that a value which is no mapping stands for (``inactivity: 5m`` is ``{for: 5m}``).
    ``exactly_one``: keys of which one and only one must stand. ``at_least_one``: keys of which some must stand.
    ``at_most_one``: keys that exclude each other. ``needs``: key → keys of which some must stand where it stands.
    ``beside``: keys that belong into the value of another, a mapping with a shorthand, and may stand beside it where
    the shorthand is used (``{event: T, where: E}`` is ``{event: {event: T, where: E}}``): key → where it belongs.
    ``inside``: keys that mean the same within the value of another, a mapping that has the key as well: key → where
    it belongs (``variants`` beside a ``message`` are the message's).
    ``one_of_list``: it stands where a list of such mappings may stand, which is how to have several of ``exactly_one``.
    ``others``: the shape of the values of keys that are not in ``keys``; without it such keys are unknown.
    """

    keys: Mapping[str, Shape]
    required: tuple[str, ...] = ()
    shorthand: str | None = None
    exactly_one: tuple[str, ...] = ()
    at_least_one: tuple[str, ...] = ()
    at_most_one: tuple[str, ...] = ()
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    beside: Mapping[str, str] = field(default_factory=dict)
    inside: Mapping[str, str] = field(default_factory=dict)
    one_of_list: bool = False
    others: Shape | None = None

    def shape_of(self, name: str) -> Shape | None:
        """The shape of the value under a key, None where such a key is unknown."""
        return self.keys.get(name, self.others)


# A text of this form is no duration only if it is nothing or longer than ten years.
SPAN = r"(?=\d)(\d+d)?(\d+h)?(\d+m(?!s))?(\d+s)?(\d+ms)?"


def duration(doc: str, parse: Callable[[str], int] = parse_duration) -> Parsed:
    """A duration such as ``5m``, read as microseconds; ``parse`` may refuse some of them."""
    return Parsed(parse=parse, pattern=f"^{SPAN}$", examples=("90s", "5m", "1h30m"), doc=doc)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of trigger: what is written (``shape``), what it tells (``facts``), and how it is made (``build``).

    ``build`` takes the dict that was read by ``shape`` and the trigger's key (see `rules.Trigger`); it may raise
    `Refused` for what no single key can know. ``facts`` are the names that ``trigger.NAME`` offers, each with
    its meaning, for `check` and for the documentation. ``names_rules``: its triggers speak of other rules.
    """

    name: str
    shape: Fields
    build: Callable[[dict[str, Any], str], Any]
    facts: Mapping[str, str] = field(default_factory=dict)
    names_rules: bool = False
