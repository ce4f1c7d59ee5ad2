"""The server's settings: ``config.yaml`` typed, then the environment over it. It opens that file and those of secrets.

Every key has a default; an unknown one is an error with its place, and so is a variable ``PROACTIVE_…`` that
names no setting. Secrets come from the environment, or from a file that it names; no message shows one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.core.shapes import Flag, Integer, ListOf, OrNone, Shape
from engine.loading import tree as nodes
from engine.loading.diagnostic import Diagnostic, RuleErrors
from engine.loading.read import INVALID, Reader
from engine.loading.tree import Node, Scalar, Sequence, Tree, parse_tree
from engine.loading.wording import did_you_mean, with_hint
from engine.settings import MEMORY_STORE, REDIS_STORES, Settings, Tls, Tokens, problems
from engine.settings_shape import PATHS, PREFIX, SECRETS, SHAPE, leaves, placed

DEFAULT_PATH = "config.yaml"
SECRET_FILE_BYTES_MAX = 64 * 1024

Places = dict[tuple[str, ...], Diagnostic]  # where each key was written, as a diagnostic without a message


class SettingsErrors(RuleErrors):
    """Settings that cannot be meant, with every reason: ``config.yaml:3:1: unknown key …``."""


def read_settings(path: str | Path | None, environment: Mapping[str, str], *, to_serve: bool = True) -> Settings:
    """The settings of a file, of `DEFAULT_PATH` if there is one for None; then those of the environment.

    Paths in a file are seen from the file's folder, those of the environment from where the process runs.
    ``to_serve``: also hold against each other what a server needs; who only looks for its address or its rules
    need not have its secrets. Raises `SettingsErrors` with all that is wrong.
    """
    source = Path(DEFAULT_PATH if path is None else path)
    errors: list[Diagnostic] = []
    values: dict[str, Any] = {}
    places: Places = {}
    if path is not None or source.exists():
        values, places, errors = _read_file(source)
        _seen_from(source.parent, values)
    errors += _read_environment(environment, values, places)
    if not errors and len(values.get("tls", {})) == 1:
        [given] = values["tls"]
        missing = "key" if given == "certificate" else "certificate"
        errors.append(replace(places["tls", given], message=f"tls needs its {missing} as well"))
    if errors:
        raise SettingsErrors(errors)
    settings = _built(values)
    if to_serve:
        elsewhere = Diagnostic(str(source), 0, 0, "", "together")
        errors = [replace(_place(names, places) or elsewhere, message=why) for names, why in problems(settings)]
    if errors:
        raise SettingsErrors(errors)
    return settings


def _place(names: tuple[str, ...], places: Places) -> Diagnostic | None:
    """Where a key was written, or else what is around it."""
    while names and names not in places:
        names = names[:-1]
    return places.get(names)


def _built(values: dict[str, Any]) -> Settings:
    settings = Settings()
    parts: dict[str, Any] = {
        name: replace(getattr(settings, name), **values[name])
        for name in ("openai", "telemetry", "log", "limits")
        if name in values
    }
    auth = dict(values.get("auth", {}))
    if "tokens" in auth:
        auth["tokens"] = Tokens(**auth["tokens"])
    parts["auth"] = replace(settings.auth, **auth)
    if "tls" in values:
        parts["tls"] = Tls(**values["tls"])
    return replace(settings, **{**values, **parts})


def _seen_from(folder: Path, values: dict[str, Any]) -> None:
    for *above, name in PATHS:
        inner: Any = values
        for outer in above:
            inner = inner.get(outer, {})
        if name in inner:
            inner[name] = folder / inner[name]
    store = values.get("store", MEMORY_STORE)
    if store != MEMORY_STORE and not store.startswith(REDIS_STORES):
        values["store"] = f"sqlite:{folder / values['store'].removeprefix('sqlite:')}"


def _read_file(source: Path) -> tuple[dict[str, Any], Places, list[Diagnostic]]:
    try:
        text = source.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        why = f"expected UTF-8, got something else at byte {error.start}"
        return {}, {}, [Diagnostic(str(source), 1, 1, why, "syntax")]
    except OSError as error:
        why = f"expected a file of settings, cannot read it: {_why(error)}"
        return {}, {}, [Diagnostic(str(source), 0, 0, why, "unreadable")]
    tree = parse_tree(str(source), text)
    if tree.errors or tree.root is None:
        return {}, {}, tree.errors
    reader = Reader(tree)
    values = reader.read(tree.root, SHAPE)
    return ({} if values is INVALID else values), _places(tree, tree.root, ()), reader.errors


def _places(tree: Tree, node: Node, above: tuple[str, ...]) -> Places:
    found: Places = {}
    if isinstance(node, nodes.Mapping):
        for name, (_, value) in node.entries.items():
            found[*above, name] = Diagnostic(tree.path, value.line, value.column, "", "together")
            found.update(_places(tree, value, (*above, name)))
    return found


def _read_environment(environment: Mapping[str, str], values: dict[str, Any], places: Places) -> list[Diagnostic]:
    """``PROACTIVE_WS_PORT``, ``PROACTIVE_LOG_LEVEL``: the keys of `SHAPE`, joined by underscores, into ``values``."""
    variables = {PREFIX + "_".join(names).upper(): (names, shape) for names, shape in leaves().items()}
    files = {f"{variable}_FILE": variable for variable in SECRETS.values()}
    errors: list[Diagnostic] = []
    for variable in sorted(environment):
        if not variable.startswith(PREFIX):
            continue
        text = environment[variable]
        if variable in files:
            names, _ = variables[files[variable]]
            value, complaints = _read_secret_file(variable, text)
            if files[variable] in environment:
                complaints = [_of(variable, f"expected this or {files[variable]}, got both")]
        elif variable not in variables:
            why = with_hint("no setting has this name", did_you_mean(variable, [*variables, *files]))
            errors.append(_of(variable, why, "unknown-key"))
            continue
        else:
            names, shape = variables[variable]
            is_secret = names in SECRETS
            value, complaints = _checked(variable, text) if is_secret else _read_variable(variable, text, shape)
        errors += complaints
        if not complaints:
            placed(values, names, value)
            places[names] = _of(variable, "", "together")
    return errors


def store_password(environment: Mapping[str, str]) -> str | None:
    """The password of a store on Redis, for commands that need no other setting. Raises `RuleErrors`."""
    variable = SECRETS["store_password",]
    given = {name: environment[name] for name in (variable, f"{variable}_FILE") if name in environment}
    values: dict[str, Any] = {}
    errors = _read_environment(given, values, {})
    if errors:
        raise RuleErrors(errors)
    password: str | None = values.get("store_password")
    return password


def _read_secret_file(variable: str, name: str) -> tuple[str, list[Diagnostic]]:
    """The first line break at the end is the editor's."""
    try:
        with Path(name).open("rb") as file:
            content = file.read(SECRET_FILE_BYTES_MAX + 1)
        if len(content) > SECRET_FILE_BYTES_MAX:
            return "", [
                _of(variable, f"expected a file of at most {SECRET_FILE_BYTES_MAX // 1024} KiB, got a larger one")
            ]
        text = content.decode()
    except UnicodeDecodeError:
        return "", [_of(variable, "expected a file in UTF-8, got something else")]
    except OSError as error:
        return "", [_of(variable, f"expected a file that holds the secret, cannot read it: {_why(error)}")]
    return _checked(variable, text.removesuffix("\n").removesuffix("\r"))


def _checked(variable: str, secret: str) -> tuple[str, list[Diagnostic]]:
    if not secret.strip():
        return "", [_of(variable, "expected a secret, got nothing; unset the variable if there is none")]
    if not secret.isprintable():
        return "", [_of(variable, "expected a secret on one line, got line breaks or other control characters")]
    return secret, []


def _read_variable(variable: str, text: str, shape: Shape) -> tuple[Any, list[Diagnostic]]:
    item = shape.item if isinstance(shape, OrNone) else shape
    # Only numbers and flags are read as YAML; anything else in the environment is text, whatever it looks like.
    tree = parse_tree(variable, text if isinstance(item, Integer | Flag) else "")
    node: Node = tree.root or Scalar(text, text, '"', 1, 1, 0)
    if isinstance(shape, ListOf):
        words = [word.strip() for word in text.split(",") if word.strip()]
        node = Sequence(tuple([Scalar(word, word, '"', 1, 1, 0) for word in words]), 1, 1)
    reader = Reader(tree)
    value = reader.read(node, shape)
    # A variable has no lines.
    return value, [replace(error, line=0, column=0) for error in tree.errors + reader.errors]


def _of(variable: str, message: str, code: str = "bad-value") -> Diagnostic:
    return Diagnostic(variable, 0, 0, message, code)


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
