"""Rule files, as text, to a `RuleSet`, or every reason why not. For check, start and reload alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from typing import Any

from engine.core import shapes
from engine.core.model import Json, derive_id
from engine.core.refusal import Refused
from engine.core.rules import Policy, Rule, RuleSet, Trigger
from engine.core.units import MINUTE
from engine.loading import readable, tree
from engine.loading.assembly import check_defaults, check_names, check_rule, make_rule, placeholder
from engine.loading.belonging import gathered
from engine.loading.diagnostic import RuleErrors
from engine.loading.fingerprint import canonical, digest, fingerprint
from engine.loading.invariants import Invariant, read_invariant
from engine.loading.language import (
    LISTS,
    POLICY,
    file_shape,
    parse_list_name,
    rule_shape,
    trigger_shape,
)
from engine.loading.policy import make_budget, make_quiet_hours
from engine.loading.read import INVALID, Invalid, Reader
from engine.loading.scenarios import Scenario, ScenarioReader
from engine.loading.tree import Node, Scalar, parse_tree
from engine.loading.wording import found

Entries = dict[str, Node]
Files = Sequence[tuple[Reader, Entries]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """All that a folder says: its rules, and what is claimed of them, in the order of the files.

    ``apart`` are the files that say ``standalone: true``, by path, each a whole of its own: no other part of this is
    from them. A file that is loaded alone is not apart, whatever it says.
    """

    rules: RuleSet
    scenarios: tuple[Scenario, ...]
    invariants: tuple[Invariant, ...]
    apart: Mapping[str, Loaded] = field(default_factory=dict)


def load(sources: Mapping[str, str], kinds: Mapping[str, shapes.Kind]) -> RuleSet:
    """The rules of a folder: path → text. Raises `RuleErrors` with everything that is wrong in any of its files.

    Rules stand in the order of the paths, then of the files.
    """
    return load_with_tests(sources, kinds).rules


def load_with_tests(sources: Mapping[str, str], kinds: Mapping[str, shapes.Kind]) -> Loaded:
    """The same with the tests and the invariants, which `load` reads as well, for they must be right too."""
    opener = _Folder(kinds)
    files = [opener.open(path, sources[path]) for path in sorted(sources)]
    alone = {reader.source.path: (reader, entries) for reader, entries in files if _is_standalone(entries)}
    if len(files) == 1:
        alone = {}
    elif len(alone) == len(files):
        reader, entries = files[0]
        all_files = "both files" if len(files) == 2 else f"all {len(files)} files"
        message = f"{all_files} of the folder are standalone; name one of them instead of the folder"
        reader.report(entries["standalone"], message, "conflict")
    together = _assemble([file for file in files if file[0].source.path not in alone], sources, kinds)
    apart = {path: _assemble([file], sources, kinds) for path, file in alone.items()}
    errors = [error for reader, _ in files for error in (*reader.source.errors, *reader.errors)]
    if errors:
        raise RuleErrors(errors)
    return replace(together, apart=apart)


def _is_standalone(entries: Entries) -> bool:
    node = entries.get("standalone")
    return isinstance(node, Scalar) and node.value is True


def _assemble(files: Files, sources: Mapping[str, str], kinds: Mapping[str, shapes.Kind]) -> Loaded:
    """What the files say together. What is wrong is noted by their readers; then the result means nothing."""
    folder = _Folder(kinds)
    for reader, entries in files:
        folder.read_lists(reader, entries)
    if any(reader.source.root is None for reader, _ in files):
        # What is missing may stand in the file that could not be read at all.
        folder.lists_are_whole = folder.ids_are_whole = False
        folder.names = readable.NAMES_UNKNOWN
    for reader, entries in files:
        folder.read_policy(reader, entries)
    for reader, entries in files:
        reader.lists = folder.lists if folder.lists_are_whole else None
        folder.read_rules(reader, entries)
    folder.check_references()
    for reader, entries in files:
        folder.read_tests(reader, entries)
    texts = {reader.source.path: sources[reader.source.path] for reader, _ in files}
    hashed = derive_id(*(part for item in texts.items() for part in item))
    rules = RuleSet(tuple(folder.rules), folder.policy, hashed, texts)
    return Loaded(rules, tuple(folder.scenarios), tuple(folder.invariants))


@dataclass(frozen=True, slots=True)
class _Defaults:
    """What the rules of a file have by default, ``written`` in canonical form; nothing where not all could be read."""

    values: Mapping[str, Any] = field(default_factory=dict)
    written: dict[str, Json] = field(default_factory=dict)
    is_whole: bool = True


class _Folder:
    """What has been read so far, and where: names are looked up across files, and repeats name the first."""

    def __init__(self, kinds: Mapping[str, shapes.Kind]) -> None:
        self.kinds = kinds
        self.file_shape = file_shape(kinds)
        self.rule_shape = rule_shape(kinds)
        self.trigger_shape = trigger_shape(kinds)
        self.triggers_shape = self.rule_shape.keys["trigger"]
        self.lists: dict[str, tuple[str, ...]] = {}
        self.policy = Policy()
        self.lists_are_whole = True  # whether a list that is not among them is an error
        self.names = readable.NO_NAMES  # those of the policy; one that is not among them is an error
        self.ids_are_whole = True  # whether an id that no rule has is an error
        self.written: list[tuple[Reader, Node, Trigger]] = []
        self.offers: dict[str, tuple[str, ...]] = {}  # the options of every rule, also of those that are wrong
        self.former: dict[str, tuple[Reader, Node]] = {}  # every `was`, and where it stands
        self.rules: list[Rule] = []
        self.scenarios: list[Scenario] = []
        self.invariants: list[Invariant] = []
        self.places: dict[tuple[str, str], tuple[str, int]] = {}  # ("id", "idle") → ("chat.yaml", 3)

    def first(self, reader: Reader, node: Node, kind: str, name: str) -> bool:
        """Whether nothing of that kind has had that name; otherwise the repeat is reported."""
        place = self.places.get((kind, name))
        if place is None:
            self.places[kind, name] = (reader.source.path, node.line)
            return True
        path, line = place
        what = f'{kind} "{name}"' if name else kind
        there = f"in line {line}" if path == reader.source.path else f"in {path}:{line}"
        reader.report(node, f"repeated {what}, first written {there}", f"repeated-{kind}")
        return False

    def open(self, path: str, text: str) -> tuple[Reader, Entries]:
        source = parse_tree(path, text)
        reader = Reader(source)
        if source.root is None:
            if not source.errors:
                source.report(1, 1, 'the file is empty; write "version: 1" and rules', "missing-key")
            return reader, {}
        entries = reader.entries(source.root, self.file_shape)
        if isinstance(entries, Invalid):
            return reader, {}
        for name in ("version", "standalone"):
            if name in entries:
                reader.read(entries[name], self.file_shape.keys[name])
        return reader, entries

    def read_lists(self, reader: Reader, entries: Entries) -> None:
        node = entries.get("lists")
        if node is None:
            return
        if not isinstance(node, tree.Mapping):
            reader.read(node, LISTS)
            self.lists_are_whole = False
            return
        for name, (key, value) in node.entries.items():
            try:
                parse_list_name(name)
            except Refused as refused:
                reader.refuse(key, refused)
            # A list that cannot be read is known all the same: that it is wrong is said once, here.
            words = self.read_list(reader, value)
            if self.first(reader, key, "list", name):
                self.lists[name] = () if words is INVALID else words

    def read_list(self, reader: Reader, node: Node) -> Any:
        for item in node.items if isinstance(node, tree.Sequence) else ():
            if isinstance(item, Scalar) and item.written.startswith("@"):
                reader.report(item, f"a list cannot insert another, got {found(item)}", "bad-value")
        return reader.read(node, LISTS.item)

    def read_policy(self, reader: Reader, entries: Entries) -> None:
        node = entries.get("policy")
        if node is None:
            return
        values = reader.read(node, POLICY)
        self.names = readable.joined(self.names, readable.names_of_policy(reader, node))
        if not self.first(reader, node, "policy", "") or values is INVALID or not isinstance(node, tree.Mapping):
            return
        zone_node = node.entries.get("timezone")
        zone_name = zone_node[1].written if zone_node and isinstance(zone_node[1], Scalar) else "Etc/UTC"
        self.policy = Policy(
            zone=values.get("timezone", UTC),
            zone_name=zone_name,
            simultaneous=values.get("simultaneous", 1),
            session_timeout=values.get("session_timeout", 30 * MINUTE),
            budgets=self.named(reader, node, "budgets", values, make_budget),
            quiet_hours=self.named(reader, node, "quiet_hours", values, make_quiet_hours),
            seed=values.get("seed", ""),
            holdout=values.get("holdout", 0.0),
        )

    def named(
        self, reader: Reader, node: tree.Mapping, key: str, values: Mapping[str, Any], make: Callable[[str, Any], Any]
    ) -> dict[str, Any]:
        """What stands under names in the policy, made."""
        made: dict[str, Any] = {}
        _, names = node.entries.get(key, (None, None))
        if not isinstance(names, tree.Mapping):
            return made
        for name, (_, value) in names.entries.items():
            try:
                made[name] = make(name, values[key][name])
            except Refused as refused:
                reader.refuse(value, refused)
        return made

    def read_rules(self, reader: Reader, entries: Entries) -> None:
        items = self.items_of(reader, entries, "rules")
        defaults = (
            self.read_defaults(reader, entries["defaults"], items or ()) if "defaults" in entries else _Defaults()
        )
        if items is None:
            self.ids_are_whole = False
            return
        for item in items:
            rule = self.read_rule(reader, item, defaults)
            if rule is not None:
                self.rules.append(rule)

    def read_defaults(self, reader: Reader, node: Node, rules: Iterable[Node]) -> _Defaults:
        shape = self.file_shape.keys["defaults"]
        values = reader.read(node, shape)
        if isinstance(node, tree.Mapping):
            check_names(reader, {name: value for name, (_, value) in node.entries.items()}, self.names)
        if values is INVALID:
            return _Defaults(is_whole=False)
        check_defaults(reader, node, rules)
        return _Defaults(values, canonical(node, shape, reader))

    def read_rule(self, reader: Reader, node: Node, defaults: _Defaults) -> Rule | None:
        """The rule, or None where anything in it is wrong."""
        errors_before = len(reader.errors)
        entries = reader.entries(node, self.rule_shape)
        if isinstance(entries, Invalid):
            self.ids_are_whole = False
            return None
        rule_id = ""
        if "id" in entries:
            read = reader.read(entries["id"], self.rule_shape.keys["id"])
            if not isinstance(read, Invalid):
                rule_id = read
                self.first(reader, entries["id"], "id", rule_id)
                self.offers.setdefault(rule_id, readable.offered(entries))
        self.ids_are_whole &= rule_id != ""
        triggers = self.read_triggers(reader, entries["trigger"], rule_id) if "trigger" in entries else None
        reader.trigger_facts = None if triggers is None else self.facts(triggers)
        values = {
            key: reader.read(child, self.rule_shape.keys[key])
            for key, child in entries.items()
            if key not in ("id", "trigger")
        }
        check_rule(reader, node, entries, defaults.values if defaults.is_whole else None)
        check_names(reader, entries, self.names)
        if "was" in entries and rule_id:
            self.read_former(reader, entries["was"], values["was"], rule_id)
        is_broken = not rule_id or triggers is None or any(value is INVALID for value in values.values())
        if is_broken or len(reader.errors) > errors_before:
            return None
        own = {key: value for key, value in values.items() if value is not None}
        written = {key: value for key, value in defaults.written.items() if key not in values or key in own}
        return make_rule(
            {**{key: value for key, value in defaults.values.items() if key not in values}, **own},
            self.policy,
            id=rule_id,
            order=len(self.rules),
            path=reader.source.path,
            line=node.line,
            triggers=triggers,
            written=digest(written | canonical(node, self.rule_shape, reader), size=16),
        )

    def read_former(self, reader: Reader, node: Node, was: Any, rule_id: str) -> None:
        """Note the former id of a rule; whether it is free can only be said when all rules are known."""
        if was == rule_id:
            reader.report(node, f"expected another id than the rule has, got {found(node)}", "bad-value")
        elif isinstance(was, str):
            if was in self.former:
                other, first = self.former[was]
                there = f"line {first.line}" if other is reader else f"{other.source.path}:{first.line}"
                reader.report(node, f"{found(node)} is the former id of another rule already, in {there}", "conflict")
            self.former.setdefault(was, (reader, node))

    def check_references(self) -> None:
        """Report what rules say of each other and is not so."""
        for was, (reader, node) in self.former.items():
            if ("id", was) in self.places:
                reader.report(node, f"{found(node)} is the id of a rule that there is", "conflict")
        if not self.ids_are_whole:
            return
        # Of a rule that is wrong no more is known than that there is one, and what it offers.
        known = {name: placeholder(name, options) for name, options in self.offers.items()}
        rules = known | {rule.id: rule for rule in self.rules}
        for reader, node, trigger in self.written:
            for refused in trigger.check(rules):
                reader.refuse(node, refused)

    def read_tests(self, reader: Reader, entries: Entries) -> None:
        """The tests and invariants of a file."""
        rule_ids = frozenset(name for kind, name in self.places if kind == "id") if self.ids_are_whole else None
        quiet_hours = self.names["quiet_hours"]
        tests = ScenarioReader(reader, rule_ids)
        for item in self.items_of(reader, entries, "tests") or ():
            scenario = tests.read(item)
            name = readable.name_of(item)
            if name is not None and self.first(reader, item, "test", name) and scenario is not None:
                self.scenarios.append(scenario)
        shape = self.file_shape.keys["invariants"]
        assert isinstance(shape, shapes.ListOf)
        for item in self.items_of(reader, entries, "invariants") or ():
            invariant = read_invariant(reader, item, shape.item, rule_ids, quiet_hours)
            name = readable.name_of(item) if invariant is None else invariant.name
            if name is not None and self.first(reader, item, "invariant", name) and invariant is not None:
                self.invariants.append(invariant)

    def items_of(self, reader: Reader, entries: Entries, name: str) -> tuple[Node, ...] | None:
        """The items of a list of the file, None where it is none."""
        shape = self.file_shape.keys[name]
        assert isinstance(shape, shapes.ListOf)
        items = reader.items(entries[name], shape) if name in entries else ()
        return None if isinstance(items, Invalid) else items

    def facts(self, triggers: tuple[Trigger, ...]) -> frozenset[str]:
        names = {name for trigger in triggers for name in self.kinds[trigger.kind].facts}
        return frozenset(names | {"kind"})

    def read_triggers(self, reader: Reader, node: Node, rule_id: str) -> tuple[Trigger, ...] | None:
        """All triggers of a rule, or None where any of them is wrong."""
        assert isinstance(self.triggers_shape, shapes.ListOf)
        items = reader.items(node, self.triggers_shape)
        if isinstance(items, Invalid):
            return None
        triggers: list[Trigger] = []
        lines: dict[str, int] = {}
        for item in items:
            trigger = self.read_trigger(reader, item, rule_id)
            if trigger is None:
                continue
            if trigger.key in lines:
                message = f"repeated trigger, first written in line {lines[trigger.key]}"
                reader.report(item, message, "repeated-trigger")
                continue
            lines[trigger.key] = item.line
            triggers.append(trigger)
        return tuple(triggers) if len(triggers) == len(items) else None

    def read_trigger(self, reader: Reader, node: Node, rule_id: str) -> Trigger | None:
        values = reader.read(node, self.trigger_shape)
        if values is INVALID or not isinstance(node, tree.Mapping):
            speaking = readable.trigger_naming_rules(reader, node, self.trigger_shape, self.kinds)
            self.written += [] if speaking is None else [(reader, *speaking)]
            return None
        ((name, read),) = values.items()
        kind = self.kinds[name]
        _, child = gathered(node, self.trigger_shape).entries[name]
        key = f"{rule_id}/{name}-{fingerprint(child, kind.shape, reader)}"
        try:
            built: Trigger = kind.build(read, key)
        except Refused as refused:
            reader.refuse(child, refused)
            return None
        self.written.append((reader, child, built))
        return built
