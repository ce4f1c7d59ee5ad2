"""A node and a shape to a value, collecting everything that is wrong on the way. It knows no key of any file.

Every shape of `engine.core.shapes` is read here and nowhere else. A value that is wrong is `INVALID`, and so is
whatever contains it; its reason has then been reported, so nobody reports it again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from engine.core import shapes
from engine.core.expressions import compile_expression
from engine.core.refusal import Refused
from engine.core.render import compile_template, compile_tree
from engine.loading import tree
from engine.loading.belonging import Entries, gathered, put_inside
from engine.loading.diagnostic import Diagnostic
from engine.loading.keys import (
    form_of,
    missing_choice,
    missing_company,
    missing_keys,
    together,
    unknown_key,
    wrong_shorthand,
)
from engine.loading.policy import NONE
from engine.loading.tree import Broken, Node, Scalar, Tree
from engine.loading.wording import (
    did_you_mean,
    expected_mapping,
    found,
    listed,
    shorten,
    with_hint,
)

WORD_LENGTH_MAX = 200
WORDS_MAX = 10_000
SUGGESTIONS_MAX = 20  # in a file with more errors, near names are no longer looked for among a folder's lists
INTEGER_BITS_MAX = 63  # what every encoding of the engine can hold


class Invalid:
    """The type of `INVALID`: what was written is wrong, and why has been reported."""

    def __repr__(self) -> str:
        return "INVALID"


INVALID: Final = Invalid()


def is_none(node: Node) -> bool:
    """Whether the word stands there that takes a default back."""
    return isinstance(node, Scalar) and node.value == NONE


class Reader:
    """Reads the nodes of one file. ``lists`` are the folder's, None where not all of them could be read.

    ``trigger_facts`` are those of the rule that is being read; None leaves them unchecked.
    """

    def __init__(self, source: Tree, lists: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self.source = source
        self.lists = lists
        self.trigger_facts: Collection[str] | None = None
        self.errors: list[Diagnostic] = []

    def report(self, node: Node, message: str, code: str, offset: int = 0) -> Invalid:
        line, column = self.source.locate(node, offset) if offset else (node.line, node.column)
        self.errors.append(Diagnostic(self.source.path, line, column, message, code))
        return INVALID

    def refuse(self, node: Node, refused: Refused) -> Invalid:
        """Report what a parser or compiler refused, at the character of the text that it names."""
        if isinstance(node, tree.Mapping) and refused.under in node.entries:
            _, node = node.entries[refused.under]
        if isinstance(node, tree.Sequence) and refused.item is not None:
            meant = [item for item in node.items if isinstance(item, Scalar) and item.value == refused.item]
            node = meant[0] if meant else node
        line, column = self.source.locate(node, refused.offset)
        message = with_hint(refused.message, refused.hint)
        self.errors.append(Diagnostic(self.source.path, line, column, message, refused.code))
        return INVALID

    def read(self, node: Node, shape: shapes.Shape) -> Any:
        """The value of a node, or `INVALID`."""
        return READERS[type(shape)](self, node, shape)

    def expected(self, node: Node, what: str, hint: str = "") -> Invalid:
        if isinstance(node, Broken):
            return INVALID
        return self.report(node, with_hint(f"expected {what}, got {found(node)}", hint), "wrong-type")

    def text(self, node: Node, what: str = "text") -> str | Invalid:
        if not isinstance(node, Scalar):
            return self.expected(node, what)
        if isinstance(node.value, str):
            return node.value
        hint = f'put it in quotes: "{shorten(node.written)}"' if node.written else ""
        return self.expected(node, what, hint)

    def plain_text(self, node: Node, shape: shapes.Text) -> Any:
        text = self.text(node)
        if isinstance(text, str) and len(text) > shape.length_max:
            return self.report(node, f"expected at most {shape.length_max} characters, got {len(text)}", "too-large")
        return text

    def parsed(self, node: Node, shape: shapes.Parsed) -> Any:
        if not isinstance(node, Scalar) or node.value is None:
            such_as = " such as " + listed(shape.examples, "or") if shape.examples else ""
            return self.expected(node, f"text{such_as}")
        try:
            value = shape.parse(node.written)
        except Refused as refused:
            if isinstance(node.value, str):
                return self.refuse(node, refused)
            # The author wrote no quotes, so the message shows none.
            message = refused.message.replace(f'got "{node.written}"', f"got {node.written}")
            return self.refuse(node, Refused(message, code=refused.code, hint=refused.hint))
        return value if isinstance(node.value, str) else self.text(node)

    def integer(self, node: Node, shape: shapes.Integer) -> Any:
        span = f"a whole number from {shape.minimum} to {shape.maximum}"
        what = str(shape.minimum) if shape.minimum == shape.maximum else span
        if not isinstance(node, Scalar) or type(node.value) is not int:
            return self.expected(node, what)
        if not shape.minimum <= node.value <= shape.maximum:
            return self.report(node, f"expected {what}, got {shorten(node.written)}", "bad-value")
        return node.value

    def flag(self, node: Node, shape: shapes.Flag) -> Any:
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        return self.expected(node, "true or false")

    def choice(self, node: Node, shape: shapes.Choice) -> Any:
        text = self.text(node, listed(shape.words, "or"))
        if isinstance(text, str) and text not in shape.words:
            message = f"expected {listed(shape.words, 'or')}, got {found(node)}"
            return self.report(node, with_hint(message, did_you_mean(text, shape.words)), "bad-value")
        return text

    def any_value(self, node: Node, shape: shapes.Shape) -> Any:
        return self.json(node, lambda scalar: scalar.value)

    def template_tree(self, node: Node, shape: shapes.TemplateTree) -> Any:
        if not isinstance(node, tree.Mapping):
            return self.expected(node, "a mapping")
        return self.json(node, lambda text: self.compiled(text, compile_tree))

    def json(self, node: Node, read_text: Callable[[Scalar], Any]) -> Any:
        """As JSON, each text as ``read_text`` has it."""
        if isinstance(node, tree.Sequence):
            items = [self.json(item, read_text) for item in node.items]
            return INVALID if any(item is INVALID for item in items) else items
        if isinstance(node, tree.Mapping):
            entries = {name: self.json(value, read_text) for name, (_, value) in node.entries.items()}
            return INVALID if any(item is INVALID for item in entries.values()) else entries
        if isinstance(node, Broken):
            return INVALID
        value = node.value
        if isinstance(value, str):
            return read_text(node)
        if isinstance(value, float) and not math.isfinite(value):
            return self.report(node, f"expected a number that JSON can hold, got {node.written}", "bad-value")
        if isinstance(value, int) and value.bit_length() > INTEGER_BITS_MAX:
            return self.report(
                node, f"expected a number of at most {INTEGER_BITS_MAX} bits, got {node.written}", "bad-value"
            )
        return value

    def expression(self, node: Node, shape: shapes.Expression) -> Any:
        # `condition: true` is an expression as well, though YAML reads it as no text.
        if not isinstance(node, Scalar) or not isinstance(node.value, str | bool):
            return self.expected(node, "an expression")
        facts = self.trigger_facts if "trigger" in shape.namespaces else None
        source = node.value if isinstance(node.value, str) else node.written.lower()
        try:
            return compile_expression(source, namespaces=shape.namespaces, trigger_facts=facts)
        except Refused as refused:
            return self.refuse(node, refused)

    def template(self, node: Node, shape: shapes.Template) -> Any:
        text = self.text(node)
        if not isinstance(text, str) or not isinstance(node, Scalar):
            return text
        if not text.strip():
            return self.report(node, "expected some text, got none", "bad-value")
        return self.compiled(node, compile_template)

    def compiled(self, node: Scalar, compiler: Callable[..., Any]) -> Any:
        try:
            return compiler(node.value, trigger_facts=self.trigger_facts)
        except Refused as refused:
            return self.refuse(node, refused)

    def words(self, node: Node, shape: shapes.Words) -> Any:
        if not isinstance(node, tree.Sequence):
            hint = f"write [{node.written}]" if isinstance(node, Scalar) and node.written else ""
            return self.expected(node, "a list of words", hint)
        if not node.items:
            return self.report(node, "expected at least one word, got an empty list", "bad-value")
        if len(node.items) > WORDS_MAX:
            return self.report(node, f"expected at most {WORDS_MAX} words, got {len(node.items)}", "too-large")
        words: dict[str, None] = {}
        ok = not self.repeats(node)
        for item in node.items:
            inserted = self.word(item)
            if isinstance(inserted, Invalid):
                ok = False
            else:
                words.update(dict.fromkeys(inserted))
        if len(words) > WORDS_MAX:
            return self.report(node, f"expected at most {WORDS_MAX} words, got {len(words)}", "too-large")
        return tuple(words) if ok else INVALID

    def word(self, node: Node) -> tuple[str, ...] | Invalid:
        """One word, or those of the list that ``@name`` inserts."""
        text = self.text(node, "a word")
        if isinstance(text, Invalid):
            return text
        if text.startswith("@"):
            return self.inserted_list(node, text[1:])
        if not text.strip().removesuffix("*").strip():
            return self.report(node, f"expected a word, got {found(node)}", "bad-value")
        if "*" in text.strip()[:-1]:
            return self.report(
                node, f"expected a * only at the end of a word, got {found(node)}", "bad-value", text.index("*")
            )
        if len(text) > WORD_LENGTH_MAX:
            return self.report(
                node, f"expected a word of at most {WORD_LENGTH_MAX} characters, got {len(text)}", "too-large"
            )
        return (text,)

    def inserted_list(self, node: Node, name: str) -> tuple[str, ...] | Invalid:
        if self.lists is None:
            return INVALID  # the file with the list may be the one that could not be read
        if name not in self.lists:
            message = f'unknown list "@{name}"'
            near = did_you_mean(name, self.lists) if len(self.errors) < SUGGESTIONS_MAX else ""
            hint = near or 'lists stand under the key "lists" of any file'
            return self.report(node, with_hint(message, hint), "unknown-list")
        return self.lists[name]

    def repeats(self, node: tree.Sequence) -> bool:
        """Report single values that a list holds twice."""
        lines: dict[tuple[type, Any], int] = {}
        again = False
        for item in node.items:
            if isinstance(item, Scalar):
                same = (type(item.value), item.value)
                if same in lines:
                    again = True
                    message = f"repeated item {found(item)}, first written in line {lines[same]}"
                    self.report(item, message, "repeated-item")
                lines.setdefault(same, item.line)
        return again

    def items(self, node: Node, shape: shapes.ListOf) -> tuple[Node, ...] | Invalid:
        """The nodes of a list, whose number is checked."""
        if not isinstance(node, tree.Sequence):
            if shape.one_will_do and not (isinstance(node, Scalar) and node.value is None):
                return (node,)
            hint = "" if shape.length_min else "an empty list is written []"
            return self.expected(node, "a list", hint if isinstance(node, Scalar) and node.value is None else "")
        if len(node.items) < shape.length_min:
            least = "one item" if shape.length_min == 1 else f"{shape.length_min} items"
            shown = len(node.items) or "an empty list"
            return self.report(node, f"expected at least {least}, got {shown}", "bad-value")
        if len(node.items) > shape.length_max:
            return self.report(node, f"expected at most {shape.length_max} items, got {len(node.items)}", "too-large")
        return node.items

    def list_of(self, node: Node, shape: shapes.ListOf) -> Any:
        items = self.items(node, shape)
        if isinstance(items, Invalid):
            return items
        ok = shape.repeats or not (isinstance(node, tree.Sequence) and self.repeats(node))
        values = tuple([self.read(item, shape.item) for item in items])
        return values if ok and not any(value is INVALID for value in values) else INVALID

    def or_none(self, node: Node, shape: shapes.OrNone) -> Any:
        if not is_none(node):
            return self.read(node, shape.item)
        if not shape.is_default:
            return None
        hint = "leave the key out; in a rule it takes a default back"
        return self.report(node, with_hint(f'"{NONE}" means nothing among the defaults', hint), "bad-value")

    def map_of(self, node: Node, shape: shapes.MapOf) -> Any:
        if not isinstance(node, tree.Mapping):
            return self.expected(node, "a mapping")
        names = [] if shape.names is None else [self.read(key, shape.names) for key, _ in node.entries.values()]
        values = {name: self.read(value, shape.item) for name, (_, value) in node.entries.items()}
        return INVALID if any(value is INVALID for value in (*names, *values.values())) else values

    def fields(self, node: Node, shape: shapes.Fields) -> Any:
        if shape.shorthand is not None and not isinstance(node, tree.Mapping):
            wrong = wrong_shorthand(node, shape)
            if wrong:
                return self.report(node, wrong, "bad-value")
        errors_before = len(self.errors)
        entries = self.entries(node, shape)
        if isinstance(entries, Invalid):
            return entries
        values = {
            name: self.read(child, inner)
            for name, child in entries.items()
            if (inner := shape.shape_of(name)) is not None  # always, for `entries` leaves out the others
        }
        # A key that is missing or unknown is an error without being a value.
        is_right = len(self.errors) == errors_before and not any(value is INVALID for value in values.values())
        return values if is_right else INVALID

    def entries(self, node: Node, shape: shapes.Fields) -> dict[str, Node] | Invalid:
        """The nodes of a mapping by key, after every complaint about the keys themselves.

        What is missing or unknown is reported and left out; an unknown key that is near a known one which is
        missing is read as that one, so that what it says is checked too.
        """
        if not isinstance(node, tree.Mapping):
            if shape.shorthand is not None:
                return {shape.shorthand: node}
            form = form_of(shape, node) if isinstance(node, Scalar) else ""
            return self.expected(node, expected_mapping(shape), f"write {form}" if form else "")
        node = gathered(node, shape)
        entries: Entries = {}
        has_unknown = False
        for name, (key, value) in node.entries.items():
            if shape.shape_of(name) is not None:
                entries[name] = (key, value)
                continue
            has_unknown = True
            complaint, meant = unknown_key(name, key, node, shape)
            self.report(*complaint)
            if meant:
                entries.setdefault(meant, (key, value))
        complaints = list(missing_keys(node, entries, shape))
        # Where one of many keys must stand, what is unknown may have been meant.
        if not has_unknown:
            complaints += list(missing_choice(node, entries, shape)) or missing_company(entries, shape)
        for complaint in (*complaints, *together(entries, shape)):
            self.report(*complaint)
        return {name: value for name, (_, value) in put_inside(entries, shape).items()}


READERS: dict[type[shapes.Shape], Callable[[Reader, Node, Any], Any]] = {
    shapes.Text: Reader.plain_text,
    shapes.Parsed: Reader.parsed,
    shapes.Integer: Reader.integer,
    shapes.Flag: Reader.flag,
    shapes.Choice: Reader.choice,
    shapes.AnyValue: Reader.any_value,
    shapes.Expression: Reader.expression,
    shapes.Template: Reader.template,
    shapes.Words: Reader.words,
    shapes.ListOf: Reader.list_of,
    shapes.MapOf: Reader.map_of,
    shapes.OrNone: Reader.or_none,
    shapes.TemplateTree: Reader.template_tree,
    shapes.Fields: Reader.fields,
}
