"""The law of the house, as data and as functions from syntax trees to what is wrong. It runs no code of the engine.

`test_architecture.py` holds the engine to it, and shows that each of these functions notices what it is for.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ENGINE = Path(__file__).parent.parent / "engine"

# Which part of the engine may know which. A part is a package or a module below `engine`; an arrow to a package
# allows all that is in it, an arrow to a module that module alone. Every part knows itself.
ARROWS: Mapping[str, tuple[str, ...]] = {
    "core": (),
    "triggers": ("core",),
    "loading": ("core",),
    "storage": ("core",),
    "isolation": ("core",),
    "simulate": ("core",),
    "lint": ("core", "loading", "replay.census", "triggers"),
    "preview": ("core", "triggers"),
    "folder": ("core", "loading", "triggers"),
    "revision": ("folder", "loading"),
    "near": ("core",),
    "invariants": ("core", "loading", "scenario"),
    "scenario": ("core", "isolation", "loading", "near"),
    "recorded": ("core", "loading", "storage.base", "triggers"),
    "regrouping": ("replay.sorting", "storage"),
    "migration": ("regrouping", "storage"),
    "migrated": ("migration", "regrouping", "storage"),
    "archive": ("core", "replay.blocks", "replay.pack", "replay.partitioned", "storage.base", "storage.codec"),
    "retention": ("archive", "core", "isolation", "observer", "recorded", "storage.base"),
    "stale": ("core",),
    "states": ("core",),
    "pending": (),
    "pace": (),
    "intake": ("core", "inbox", "observer", "pending", "stale", "storage.base"),
    "inbox": ("core", "observer", "pending", "storage.base"),
    "turn_work": ("core", "inbox", "isolation", "storage.base", "storage.codec"),
    "rule_history": ("core", "recorded", "storage.base"),
    "doubt": ("storage.base", "turn_work"),
    "evaluation": ("core", "isolation", "rule_history", "states", "storage.base", "turn_work"),
    "turn": ("core", "doubt", "evaluation", "observer", "pace", "rule_history", "states", "storage.base", "turn_work"),
    "account": ("core", "turn_work"),
    "fleet": (
        "account",
        "core",
        "driver",
        "evaluation",
        "inbox",
        "intake",
        "observer",
        "pending",
        "rule_history",
        "stale",
        "states",
        "storage.base",
        "storage.fleet",
        "turn_work",
    ),
    "driver": ("core", "inbox", "intake", "observer", "pending", "storage.base"),
    "live": (
        "account",
        "core",
        "driver",
        "inbox",
        "intake",
        "observer",
        "pending",
        "stale",
        "storage.base",
        "turn",
        "turn_work",
    ),
    "starting_rules": ("core", "folder", "loading", "recorded", "storage"),
    "reload": ("core", "folder", "loading", "observer", "storage.base"),
    "replay": (
        "core",
        "invariants.check",
        "invariants.vocabulary",
        "isolation",
        "loading",
        "near",
        "scenario",
        "storage",
        "triggers",
    ),
    "metrics": ("__version__", "core", "observer", "storage.base"),
    "observer": ("core", "storage.base"),
    "tracing": ("__version__", "observer", "storage.base"),
    "settings": ("core",),
    "settings_shape": ("core", "settings"),
    "settings_file": ("core", "loading", "settings", "settings_shape"),
    "memory_guard": (),
    "beside": (),
    "process": ("core", "loading", "logs", "parts", "settings", "settings_file", "settings_shape"),
    "readiness": ("core",),
    "watching": (
        "core",
        "driver",
        "metrics",
        "observer",
        "readiness",
        "reload",
        "settings",
        "storage.base",
        "tracing",
        "transport.hub",
        "transport.sessions",
    ),
    "rules_reply": ("core", "loading.diagnostic", "reload", "transport.http_replies"),
    "log_lines": (),
    "logs": ("log_lines", "settings"),
    "responders": ("core", "settings"),
    "voices": ("composer", "core", "intake", "observer", "responders", "settings", "storage.base", "transport.answers"),
    "composer": ("core", "intake", "observer", "responders.base", "storage.base"),
    "transport": (
        "core",
        "inbox",
        "intake",
        "pending",
        "driver",
        "observer",
        "responders.base",
        "settings",
        "stale",
        "storage.base",
        "turn_work",
    ),
    # What it exports.
    "__init__": (
        "app",
        "inbox",
        "loading.diagnostic",
        "responders.base",
        "settings_file",
        "storage.base",
        "transport.desk",
        "parts",
    ),
}
# These put the parts together, so they may know all; but nothing knows `cli`, and only `cli` and `engine` itself `app`.
KNOW_ALL = ("app", "wiring", "parts", "doors", "cli", "worker_wiring", "worker_app")

PURE = ("core", "triggers", "loading", "lint")
# What a pure layer takes from others: libraries that compute. Of the standard library all but `IMPURE_MODULES`.
PURE_LIBRARIES: Mapping[str, frozenset[str]] = {
    "core": frozenset({"apscheduler", "jinja2", "msgspec", "re2"}),
    "triggers": frozenset({"ahocorasick_rs"}),
    "loading": frozenset({"yaml"}),
    "lint": frozenset(),
}
IMPURE_MODULES = frozenset({
    "asyncio", "concurrent", "contextvars", "glob", "http", "importlib", "io", "locale", "logging",
    "multiprocessing", "os", "pathlib", "random", "secrets", "select", "selectors", "shutil", "signal",
    "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid",
})  # fmt: skip
IMPURE_BUILTINS = frozenset({"open", "print", "hash", "id", "input", "breakpoint", "eval", "exec", "__import__"})
IMPURE_METHODS = frozenset(
    {"now", "today", "utcnow", "read_text", "read_bytes", "write_text", "write_bytes"}
)  # fmt: skip
# (file, what) that may be, and why.
EXCEPTIONS: Mapping[tuple[str, str], str] = {
    ("core/zones.py", "importlib"): "the tables of the pinned tzdata are constant data of a dependency",
    ("core/zones.py", "read_text"): "the list of zones in the same tables",
}

LINES_MAX = 400  # of a file
FUNCTION_LINES_MAX = 70

MUTABLE_MAKERS = frozenset({"list", "dict", "set", "bytearray", "deque", "defaultdict", "OrderedDict", "Counter"})
MUTATING_METHODS = frozenset({
    "add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "popleft",
    "remove", "reverse", "setdefault", "sort", "update",
})  # fmt: skip


def sources() -> dict[str, str]:
    """Path below ``engine`` → text, of every module."""
    return {path.relative_to(ENGINE).as_posix(): path.read_text("utf-8") for path in sorted(ENGINE.rglob("*.py"))}


def part_of(path: str) -> str:
    """The part that a file belongs to: its package, or the module itself where it lies directly in ``engine``."""
    return path.split("/")[0].removesuffix(".py")


def imports(source: str) -> Iterator[tuple[int, str]]:
    """``(line, module)`` of every import, wherever it stands; ``from a.b import c`` gives ``a.b.c``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{start}.{alias.name}") for alias in node.names)


def wrong_arrows(path: str, source: str) -> list[str]:
    part = part_of(path)
    wrong = []
    for line, module in imports(source):
        if module.startswith("."):
            wrong.append(f"{path}:{line}: a relative import; write the whole name")
        elif module.split(".")[0] == "engine":
            target = module.removeprefix("engine").removeprefix(".")
            if not allows(part, target):
                wrong.append(f"{path}:{line}: {part} may not know {target}")
    return wrong


def allows(part: str, target: str) -> bool:
    """Whether an arrow leads from ``part`` to ``target`` (a dotted name below ``engine``)."""
    aim = target.split(".")[0]
    if aim == part:
        return True
    if part in KNOW_ALL:
        return aim != "cli" and (aim != "app" or part == "cli")
    return any(target == arrow or target.startswith(arrow + ".") for arrow in ARROWS[part])


def used_arrows(path: str, source: str) -> set[tuple[str, str]]:
    part = part_of(path)
    targets = [module.removeprefix("engine.") for _, module in imports(source) if module.startswith("engine.")]
    return {
        (part, arrow)
        for arrow in ARROWS.get(part, ())
        for target in targets
        if target == arrow or target.startswith(arrow + ".")
    }


def impurities(path: str, source: str) -> list[str]:
    """What a file of a pure layer may not do: touch the world, read a clock, draw lots."""
    wrong = [
        (line, module.split(".")[0])
        for line, module in imports(source)
        if is_impure(module.split(".")[0], PURE_LIBRARIES[part_of(path)])
    ]
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    bound = {node.arg for node in nodes if isinstance(node, ast.arg)}
    bound |= {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in IMPURE_METHODS:
            wrong.append((node.lineno, node.func.attr))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_BUILTINS:
            wrong.append((node.lineno, node.func.id))
        elif isinstance(node, ast.keyword) and isinstance(node.value, ast.Name):
            # `key=id` calls it as well.
            if node.value.id in IMPURE_BUILTINS - bound:
                wrong.append((node.value.lineno, node.value.id))
        elif isinstance(node, ast.Call):
            names = [arg for arg in node.args if isinstance(arg, ast.Name)]
            wrong += [(name.lineno, name.id) for name in names if name.id in IMPURE_BUILTINS - bound]
    return [
        f"{path}:{line}: {what} has no place in a pure layer" for line, what in wrong if (path, what) not in EXCEPTIONS
    ]


def is_impure(module: str, libraries: frozenset[str]) -> bool:
    if module in sys.stdlib_module_names:
        return module in IMPURE_MODULES
    return module != "engine" and module not in libraries


def too_long(path: str, source: str) -> list[str]:
    lines = len(source.splitlines())
    wrong = [f"{path}: {lines} lines, at most {LINES_MAX}"] if lines > LINES_MAX else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                wrong.append(f"{path}:{node.lineno}: {node.name} has {length} lines, at most {FUNCTION_LINES_MAX}")
    return wrong


def undocumented(path: str, source: str) -> list[str]:
    return [] if ast.get_docstring(ast.parse(source)) else [f"{path}: no docstring"]


def shared_state(path: str, source: str) -> list[str]:
    """Module-level values that change, or could: a list, dict or set that is no constant in capitals, or is changed."""
    tree = ast.parse(source)
    wrong = []
    constants = set()
    for node in tree.body:
        for name, value in _assigned(node):
            if name == "__all__" or not _is_mutable(value):
                continue
            constants.add(name)
            if name != name.upper():
                wrong.append(f"{path}:{node.lineno}: {name} can be changed; a table is a constant in capitals")
    for inner in ast.walk(tree):
        if isinstance(inner, ast.Global):
            wrong.append(f"{path}:{inner.lineno}: global {', '.join(inner.names)}")
        changed = _changed(inner)
        if changed and (changed in constants or changed.strip("_").isupper()):
            wrong.append(f"{path}:{getattr(inner, 'lineno', 0)}: {changed} is changed")
    return wrong


def _assigned(node: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Assign):
        yield from ((target.id, node.value) for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
        yield node.target.id, node.value


def _is_mutable(value: ast.expr) -> bool:
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return value.func.id in MUTABLE_MAKERS
    return isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)


def _changed(node: ast.AST) -> str:
    """The name of what this node changes in place, "" for none: ``X[k] = v``, ``del X[k]``, ``X.append(v)``."""
    target: ast.expr | None = None
    if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
        target = node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATING_METHODS:
        target = node.func.value
    if isinstance(target, ast.Attribute):
        return target.attr
    return target.id if isinstance(target, ast.Name) else ""
