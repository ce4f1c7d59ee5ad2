"""Where in its file a key stands, found by reading the text once more. It judges nothing."""

from __future__ import annotations

from typing import NamedTuple

from engine.core.rules import Rule, RuleSet
from engine.lint.finding import Finding
from engine.loading.tree import Mapping, Node, Scalar, Sequence, Tree, parse_tree

Key = str | int


class Place(NamedTuple):
    """A place in a file; ``line`` and ``column`` count from 1."""

    path: str
    line: int
    column: int


class Reading:
    """A rule set, and where what it says is written."""

    __slots__ = ("_rules", "policy_path", "rules", "trees")

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules
        self.trees: dict[str, Tree] = {path: parse_tree(path, text) for path, text in rules.sources.items()}
        self._rules: dict[str, Mapping] = {}
        self.policy_path = next((path for path in self.trees if self.top(path, "policy") is not None), "")
        for path in self.trees:
            written = self.top(path, "rules")
            for node in written.items if isinstance(written, Sequence) else (written,):
                name = node.entries.get("id") if isinstance(node, Mapping) else None
                if isinstance(node, Mapping) and name is not None and isinstance(name[1], Scalar):
                    self._rules[name[1].written] = node

    def top(self, path: str, key: str) -> Node | None:
        """What stands under a key of the file."""
        root = self.trees[path].root
        entry = root.entries.get(key) if isinstance(root, Mapping) else None
        return None if entry is None else entry[1]

    def says(self, rule: Rule, key: str) -> bool:
        """Whether the rule itself has the key, rather than the defaults of its file or nobody."""
        node = self._rules.get(rule.id)
        return node is not None and key in node.entries

    def of_rule(self, rule: Rule, *keys: Key) -> Place:
        """Where the rule, or else the defaults of its file, says that; as near as there is something written."""
        node = self._rules.get(rule.id)
        defaults = self.top(rule.path, "defaults")
        if node is None:
            return Place(rule.path, rule.line, 1)
        if keys and keys[0] not in node.entries and isinstance(defaults, Mapping) and keys[0] in defaults.entries:
            node = defaults
        return self._within(rule.path, node, keys)

    def of_trigger(self, rule: Rule, position: int, *keys: Key) -> Place:
        return self.of_rule(rule, "trigger", position, rule.triggers[position].kind, *keys)

    def of_policy(self, *keys: Key) -> Place:
        return self.of_file(self.policy_path, "policy", *keys)

    def of_file(self, path: str, *keys: Key) -> Place:
        root = self.trees[path].root if path in self.trees else None
        return Place(path, 1, 1) if root is None else self._within(path, root, keys)

    def node(self, rule: Rule, *keys: Key) -> Node | None:
        """What stands there, None where the rule itself says nothing of the kind."""
        node = self._rules.get(rule.id)
        return None if node is None else self._walk(node, keys)[2]

    def where_node(self, rule: Rule, keys: tuple[Key, ...]) -> Node | None:
        """The ``where`` of a matcher; it may stand beside ``event`` as well as within it."""
        *outer, _ = keys
        beside = self.node(rule, *outer)
        inside = self.node(rule, *keys)
        for owner in (inside, beside):
            if isinstance(owner, Mapping) and "where" in owner.entries:
                return owner.entries["where"][1]
        return inside

    def policy_node(self, *keys: Key) -> Node | None:
        root = self.trees[self.policy_path].root if self.policy_path else None
        return None if root is None else self._walk(root, ("policy", *keys))[2]

    def of_text(self, path: str, node: Node | None, offset: int) -> Place:
        """The place of a character of a text."""
        if node is None:
            return Place(path, 1, 1)
        return Place(path, *self.trees[path].locate(node, offset))

    def _within(self, path: str, node: Node, keys: tuple[Key, ...]) -> Place:
        line, column, _ = self._walk(node, keys)
        return Place(path, line, column)

    def _walk(self, node: Node, keys: tuple[Key, ...]) -> tuple[int, int, Node]:
        line, column = node.line, node.column
        for key in keys:
            if isinstance(key, str) and isinstance(node, Mapping) and key in node.entries:
                name, node = node.entries[key]
                line, column = name.line, name.column
            elif isinstance(key, int) and isinstance(node, Sequence) and key < len(node.items):
                node = node.items[key]
                line, column = node.line, node.column
            # Else it is a shorthand: what stands here is the value of the key.
        return line, column, node

    def found(self, code: str, place: Place, message: str, hint: str = "", rule: Rule | None = None) -> Finding:
        return Finding(*place, message, code, hint, "" if rule is None else rule.id)
