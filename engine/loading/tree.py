"""YAML text to a tree in which every key and value knows its place. It knows nothing of rules.

The meaning is the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), less what rule
files must not hold: tags, merge keys, several documents, keys that are not text, aliases that contain
themselves or expand without measure. All that is wrong is collected; only a syntax error ends the reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from engine.loading.diagnostic import Diagnostic
from engine.loading.syntax import SYNTAX, explain_syntax
from engine.loading.wording import shorten

FILE_BYTES_MAX = 1024 * 1024
DEPTH_MAX = 50
ALIAS_NODES_MAX = 10_000  # what one alias may stand for
EXPANDED_NODES_MAX = 100_000  # what all aliases of a file may stand for together

# libyaml where PyYAML was built with it, as its wheels are. PyYAML's own parser is some ten times slower, and
# refuses a few texts more ("[Well?]" without quotes); what both accept means the same.
PARSER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

NULL = re.compile(r"(?:null|Null|NULL|~|)")
TRUE = re.compile(r"true|True|TRUE")
FALSE = re.compile(r"false|False|FALSE")
INTEGER = re.compile(r"[-+]?[0-9]+", re.ASCII)
OCTAL = re.compile(r"0o[0-7]+")
HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)")
NOT_A_NUMBER = re.compile(r"\.(?:nan|NaN|NAN)")
DIGITS_MAX = 100  # beyond it a number is taken as a slip of the pen

# What YAML does not allow in a file at all, and the line breaks of YAML 1.1 that are none in 1.2: a parser
# that takes them for line breaks would show other text than the author's editor does.
FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
SURROGATE = re.compile("[\ud800-\udfff]")
LINE_BREAK = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value. ``written`` is its text; ``style`` is "" (plain), ``'``, ``"``, ``|`` or ``>``.

    ``shift`` is where a value of one line begins behind ``column`` (1 for the quote), or None where the
    characters of the value do not stand one to one in the line.
    """

    value: bool | int | float | str | None
    written: str
    style: str
    line: int
    column: int
    shift: int | None


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Node, ...]
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Mapping:
    """``entries`` are the keys as nodes with their values, in the order of the file, each key once."""

    entries: dict[str, tuple[Scalar, Node]]
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Broken:
    """Something stood here that has been reported; nobody needs to say more about it."""

    line: int
    column: int


Node = Scalar | Sequence | Mapping | Broken


class Tree:
    """A file, read. ``root`` is None where the file is empty or a syntax error left nothing to go on with."""

    __slots__ = ("_lines", "errors", "path", "root", "text")

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.root: Node | None = None
        self.errors: list[Diagnostic] = []
        self._lines: list[str] | None = None

    @property
    def lines(self) -> list[str]:
        if self._lines is None:
            self._lines = LINE_BREAK.split(self.text)
        return self._lines

    def report(self, line: int, column: int, message: str, code: str) -> None:
        self.errors.append(Diagnostic(self.path, line, column, message, code))

    def locate(self, node: Node, offset: int) -> tuple[int, int]:
        """Line and column of the character at ``offset`` of a value, as near as its style allows."""
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            return node.line, node.column
        if node.shift is not None:
            return node.line, node.column + node.shift + offset
        if node.style != "|":
            return node.line, node.column
        before = node.value[:offset]
        row = before.count("\n")
        content = node.value.split("\n")
        # The indentation is what the lines of the file have more than those of the value.
        for index, line in enumerate(content):
            here = node.line + index  # lists count from 0, and the value begins in the line below the bar
            if line and here < len(self.lines) and self.lines[here].endswith(line):
                indent = len(self.lines[here]) - len(line)
                return node.line + 1 + row, indent + len(before) - (before.rfind("\n") + 1) + 1
        return node.line, node.column


def parse_tree(path: str, text: str, parser: type[Any] = PARSER) -> Tree:
    """Read one file. Never raises for what the text says: see `Tree.errors`."""
    # A byte order mark says nothing in UTF-8 (RFC 3629, section 6); Windows editors write it.
    tree = Tree(path, text.removeprefix("\ufeff"))
    # A character is at least a byte, so the encoding need not be made to refuse what is far too long.
    if len(tree.text) > FILE_BYTES_MAX or len(tree.text.encode("utf-8", "surrogatepass")) > FILE_BYTES_MAX:
        tree.report(1, 1, f"expected a file of at most {FILE_BYTES_MAX // 1024} KiB; split it", "too-large")
        return tree
    bad = FORBIDDEN.search(tree.text)
    if bad is not None:
        before = LINE_BREAK.split(tree.text[: bad.start()])
        name = f"U+{ord(bad.group()):04X}"
        message = f"the character {name} cannot stand in a rule file; write it as an escape in double quotes"
        tree.report(len(before), len(before[-1]) + 1, message, "bad-character")
        return tree
    try:
        tree.root = _Builder(tree).document(yaml.parse(tree.text, Loader=parser))
    except yaml.MarkedYAMLError as error:
        line, column, message = explain_syntax(error, tree.lines)
        tree.report(line, column, message, SYNTAX)
    except (ValueError, OverflowError):
        # Only from PyYAML's own parser, which takes any number for a character, and does not say where.
        tree.report(1, 1, "an escape in double quotes names no character", SYNTAX)
    except _TooDeep as place:
        line, column = place.args
        tree.report(line, column, f"expected at most {DEPTH_MAX} levels of nesting", "too-deep")
    return tree


class _TooDeep(Exception):
    pass


class _Builder:
    """Events to nodes. ``sizes`` are the nodes that each anchored node stands for, itself included."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.anchors: dict[str, Node] = {}
        self.sizes: dict[str, int] = {}
        self.open: set[str] = set()
        self.expanded = 0
        self.is_bomb = False

    def document(self, events: Iterator[yaml.Event]) -> Node | None:
        root: Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if event.version not in (None, (1, 2)):
                    self.report(event, "expected YAML 1.2; leave the %YAML line out", SYNTAX)
                if root is not None:
                    self.report(event, 'expected one document, a second begins with this "---"', "many-documents")
                    return root
            elif isinstance(event, yaml.ScalarEvent | yaml.AliasEvent | yaml.CollectionStartEvent):
                root, _ = self.node(event, events, 1)
        return root

    def report(self, event: yaml.Event, message: str, code: str) -> None:
        self.tree.report(*place(event), message, code)

    def node(self, event: Any, events: Iterator[yaml.Event], depth: int) -> tuple[Node, int]:
        """The node that begins with ``event``, and how many nodes it stands for."""
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        line, column = place(event)
        if depth > DEPTH_MAX:
            raise _TooDeep(line, column)
        if event.tag is not None:
            self.report(event, f'tags such as "{shown_tag(event.tag)}" are not allowed; leave it out', "tag")
        anchor = event.anchor
        if anchor is not None:
            self.open.add(anchor)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node, size = self.scalar(event), 1
        elif isinstance(event, yaml.SequenceStartEvent):
            items, size = [], 1
            while not isinstance(inner := next(events), yaml.SequenceEndEvent):
                item, item_size = self.node(inner, events, depth + 1)
                items.append(item)
                size += item_size
            node = Sequence(tuple(items), line, column)
        else:
            node, size = self.mapping(event, events, depth)
        if anchor is not None:
            self.open.discard(anchor)
            self.anchors[anchor] = node
            self.sizes[anchor] = size
        return node, size

    def mapping(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> tuple[Node, int]:
        entries: dict[str, tuple[Scalar, Node]] = {}
        size = 1
        is_broken = False
        while not isinstance(inner := next(events), yaml.MappingEndEvent):
            key, key_size = self.node(inner, events, depth + 1)
            value, value_size = self.node(next(events), events, depth + 1)
            size += key_size + value_size
            name = self.key_name(inner, key)
            if name is None:
                # A template without quotes, most likely: then all of it is something else than it seems.
                is_broken = is_broken or isinstance(key, Mapping)
                continue
            if name in entries:
                first = entries[name][0].line
                self.report(inner, f'repeated key "{shorten(name)}", first written in line {first}', "repeated-key")
                continue
            assert isinstance(key, Scalar)  # only text has a name
            # An alias as a key stands where the alias is, not where the text was anchored.
            if isinstance(inner, yaml.AliasEvent):
                key = Scalar(key.value, key.written, key.style, *place(inner), None)
            entries[name] = (key, value)
        return Broken(*place(event)) if is_broken else Mapping(entries, *place(event)), size

    def key_name(self, event: yaml.Event, key: Node) -> str | None:
        """The text of a key; None, with an error, for what cannot be one."""
        if isinstance(key, Broken):
            return None
        if isinstance(key, Mapping | Sequence):
            what = "a list" if isinstance(key, Sequence) else "a mapping"
            hint = '; a template must stand in quotes: "{{ … }}"' if isinstance(key, Mapping) else ""
            self.report(event, f"expected text as a key, got {what}{hint}", "bad-key")
            return None
        if key.value == "<<" and not key.style:
            self.report(event, 'merge keys "<<" are not allowed; write the keys out, or use "defaults"', "merge-key")
            return None
        if not isinstance(key.value, str):
            shown = shorten(key.written)
            found = f'{shown}; put it in quotes: "{shown}"' if shown else "nothing"
            self.report(event, f"expected text as a key, got {found}", "bad-key")
            return None
        return key.value

    def alias(self, event: yaml.AliasEvent) -> tuple[Node, int]:
        name = event.anchor
        nothing = Broken(*place(event))
        if name in self.open:
            self.report(event, f'the alias "*{name}" contains itself', "bad-alias")
            return nothing, 1
        if name not in self.anchors:
            self.report(event, f'unknown alias "*{name}"; text that begins with * must stand in quotes', "bad-alias")
            return nothing, 1
        size = self.sizes[name]
        if size > ALIAS_NODES_MAX or self.expanded + size > EXPANDED_NODES_MAX:
            if not self.is_bomb:  # one of them says it for all
                self.report(event, f'the alias "*{name}" stands for too much, {size} values', "too-large")
            self.is_bomb = True
            return nothing, 1
        self.expanded += size
        return self.anchors[name], size

    def scalar(self, event: yaml.ScalarEvent) -> Scalar:
        if event.style == '"' and SURROGATE.search(event.value):
            self.report(event, "an escape in double quotes names no character", SYNTAX)
        start: Any = event.start_mark
        end: Any = event.end_mark
        style = event.style or ""
        shift = 0 if not style else 1
        exact = style in ("", "'", '"') and start.line == end.line
        if exact and end.index - start.index != len(event.value) + 2 * shift:
            exact = False
        value = event.value if style or event.tag == "!" else self.resolve(event)
        return Scalar(value, event.value, style, *place(event), shift if exact else None)

    def resolve(self, event: yaml.ScalarEvent) -> bool | int | float | str | None:
        """What plain text means in the core schema."""
        text: str = event.value
        if NULL.fullmatch(text):
            return None
        if text[0] not in "+-.0123456789tTfF":
            return text
        if TRUE.fullmatch(text):
            return True
        if FALSE.fullmatch(text):
            return False
        is_integer = INTEGER.fullmatch(text) or OCTAL.fullmatch(text) or HEXADECIMAL.fullmatch(text)
        if (is_integer or FLOAT.fullmatch(text)) and len(text) > DIGITS_MAX:
            self.report(event, f"expected a number of at most {DIGITS_MAX} digits", "bad-value")
            return 0
        if is_integer:
            return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
        if FLOAT.fullmatch(text):
            return float(text)
        if INFINITE.fullmatch(text):
            return float(text.replace(".", "", 1))
        return float("nan") if NOT_A_NUMBER.fullmatch(text) else text


def place(event: yaml.Event) -> tuple[int, int]:
    """Where an event begins: line and column from 1."""
    mark: Any = event.start_mark
    return mark.line + 1, mark.column + 1


def shown_tag(tag: str) -> str:
    return shorten(tag.replace("tag:yaml.org,2002:", "!!"))
