"""The file of ``--source``: YAML text to a `Source`, or every reason why not. It opens no file.

The mapping is read by the same code as rule files, so its errors look the same: ``source.yaml:3:7: …``.
"""

from __future__ import annotations

from typing import Any

from engine.core.refusal import Refused
from engine.core.shapes import AnyValue, Choice, Fields, MapOf, Parsed, Shape
from engine.core.zones import parse_zone
from engine.loading.diagnostic import Diagnostic, RuleErrors
from engine.loading.read import INVALID, Reader
from engine.loading.tree import Mapping, Node, Scalar, parse_tree
from engine.loading.wording import shorten
from engine.replay.mapping import Place, Source

WHOLE_RECORD = "*"
DEPTH_MAX = 20


class SourceErrors(RuleErrors):
    """A source mapping that cannot be meant, with every reason."""


def parse_path(text: str) -> str:
    """A dotted path into a record, or the name of a column. Raises `Refused`."""
    if not text.strip():
        raise Refused('expected a path into the record such as "data.level", got nothing')
    return text


def parse_delimiter(text: str) -> str:
    """The sign between cells, or ``tab``. Raises `Refused`."""
    if text == "tab":
        return "\t"
    if len(text) != 1 or text in '"\r\n' or not text.isascii():
        raise Refused(f'expected one sign such as ";", or tab, got "{shorten(text)}"')
    return text


_PATH = Parsed(parse=parse_path, examples=("user", "data.level"), doc="Path into the record, or a column.")
_PLACE = Fields(
    keys={
        "path": _PATH,
        "value": AnyValue(doc="A constant."),
        "log": Choice(words=("name", "path"), doc="Name of the log, or its path within the folder or archive."),
    },
    shorthand="path",
    exactly_one=("path", "value", "log"),
    doc="Where it stands in the record, {value: …} for a constant, or {log: name} for what the log is called.",
)
_DATA = MapOf(item=_PLACE, doc='The fields of the event, each from its place; "*" is the whole record.')
SHAPE = Fields(
    keys={
        "format": Choice(
            words=("jsonl", "json", "csv"), doc="JSON lines (the default), a JSON document, or CSV with a header."
        ),
        "records": Parsed(parse=parse_path, examples=("play.events",), doc="Path of the list in a JSON document."),
        "delimiter": Parsed(parse=parse_delimiter, examples=(";", "tab"), doc="The sign between the cells of a CSV."),
        "at": _PATH,
        "user": _PLACE,
        "type": _PLACE,
        "session": _PLACE,
        "id": _PLACE,
        "data": _DATA,
        "timezone": Parsed(parse=parse_zone, examples=("UTC", "Europe/Paris"), doc="Zone of stamps without an offset."),
    },
    required=("at", "user", "type"),
)


def parse_source(file: str, text: str) -> Source:
    """Raises `SourceErrors` with all that is wrong; ``file`` is how messages call it."""
    tree = parse_tree(file, text)
    if tree.root is None:
        raise SourceErrors(tree.errors or [Diagnostic(file, 1, 1, "expected a mapping, got nothing", "wrong-type")])
    reader = _SourceReader(tree)
    source = reader.source_of(tree.root)
    if tree.errors or reader.errors or source is None:
        raise SourceErrors([*tree.errors, *reader.errors])
    return source


class _SourceReader(Reader):
    """A reader that keeps where each place was written: a column that a log has not is found out much later."""

    def source_of(self, root: Node) -> Source | None:
        entries = self.entries(root, SHAPE)
        if not isinstance(entries, dict):
            return None
        values: dict[str, Any] = {}
        for name, node in entries.items():
            if name in ("format", "timezone", "records", "delimiter"):
                values["zone" if name == "timezone" else name] = self.read(node, SHAPE.keys[name])
            elif name == "data":
                values[name] = self.data(node)
            else:
                values[name] = self.place(node, SHAPE.keys[name])
        dotted = values.get("format") != "csv"
        for name, form in (("records", "json"), ("delimiter", "csv")):
            if name in entries and values.get("format", "jsonl") != form:
                self.report(entries[name], f'"{name}" is for format: {form}', "bad-value")
        for node, path in self.paths(entries):
            if dotted and not all(path.split(".")):
                self.report(node, f'expected names between dots, got "{path}"', "bad-value")
            elif path.count(".") >= DEPTH_MAX:
                self.report(node, f"expected at most {DEPTH_MAX} levels, got more", "bad-value")
        if self.errors or INVALID in values.values():
            return None
        return Source(file=self.source.path, **values)

    def data(self, node: Node) -> Any:
        if isinstance(node, Scalar) and node.value == WHOLE_RECORD:
            return None
        if not isinstance(node, Mapping):
            return self.expected(node, f'a mapping of fields, or "{WHOLE_RECORD}" for the whole record')
        places = {name: self.place(value, _PLACE) for name, (_, value) in node.entries.items()}
        return INVALID if INVALID in places.values() else places

    def place(self, node: Node, shape: Shape) -> Any:
        value = self.read(node, shape)
        if value is INVALID:
            return INVALID
        if shape is _PATH:
            return Place(value, None, node.line, node.column)
        if "path" in value:
            return Place(value["path"], None, node.line, node.column)
        return Place(None, value.get("value"), node.line, node.column, value.get("log"))

    def paths(self, entries: dict[str, Node]) -> list[tuple[Node, str]]:
        """Every path that is written, with its node."""
        nodes = [entries[name] for name in ("at", "user", "type", "session", "id", "records") if name in entries]
        data = entries.get("data")
        if isinstance(data, Mapping):
            nodes += [value for _, value in data.entries.values()]
        found: list[tuple[Node, str]] = []
        for node in nodes:
            if isinstance(node, Mapping) and "path" in node.entries:
                node = node.entries["path"][1]
            if isinstance(node, Scalar) and isinstance(node.value, str):
                found.append((node, node.value))
        return found
