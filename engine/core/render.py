"""Templates: Jinja, less clock and chance. The same scope gives the same text, everywhere and under any hash seed.

Reads nothing but the scope it is given. What a template may say is in `template_syntax`, what it can reach in
`template_sandbox`, what it may cost in `template_bounds`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from engine.core.model import Json
from engine.core.refusal import Refused
from engine.core.template_bounds import OUTPUT_CHARS_MAX, SOURCE_CHARS_MAX, RenderFailed

if TYPE_CHECKING:
    from engine.core.scope import Scope

__all__ = ["OUTPUT_CHARS_MAX", "RenderFailed", "Template", "compile_template", "compile_tree", "render_tree"]

_MARKS = ("{{", "{%", "{#")


class Template:
    """A compiled template. One that holds no Jinja is a constant and costs nothing to render."""

    __slots__ = ("_constant", "_renderer", "source")

    def __init__(self, source: str, *, constant: str = "", renderer: Callable[[Scope], str] | None = None) -> None:
        self.source = source
        self._constant = constant
        self._renderer = renderer

    def render(self, scope: Scope) -> str:
        """The text at that moment. Raises `RenderFailed` for whatever goes wrong, and nothing else.

        Nothing (null) is shown as the empty text, a duration as ``5m``, a moment as RFC 3339 with its offset,
        truth values as ``true`` and ``false``, lists and mappings as JSON.
        """
        renderer = self._renderer
        return self._constant if renderer is None else renderer(scope)

    def __repr__(self) -> str:
        return f"Template({self.source!r})"


def compile_template(source: str, *, trigger_facts: Collection[str] | None = None) -> Template:
    """Check a template and make it ready. One newline at the end, as ``text: |`` leaves it, is dropped.

    ``trigger_facts`` are the names that ``trigger.NAME`` offers where they are known. Raises `Refused` with the
    code ``bad-template``, ``unknown-filter``, ``unknown-test``, ``unknown-name`` or ``too-large``; its offset is
    that of the name in question, or of the line where Jinja knows no more.
    """
    if len(source) > SOURCE_CHARS_MAX:
        raise Refused(
            f"expected a template of at most {SOURCE_CHARS_MAX} characters, got {len(source)}",
            code="too-large",
            offset=SOURCE_CHARS_MAX,
        )
    if not has_marks(source):
        # As Jinja has it: every line ends in one newline character, and the last of them is not part of the text.
        text = source.replace("\r\n", "\n").replace("\r", "\n")
        return Template(source, constant=text.removesuffix("\n"))
    # Imported here, for most commands never render: Jinja takes longer to load than they take to run.
    from engine.core.template_sandbox import make_renderer
    from engine.core.template_syntax import parse, rewrite

    tree, namespaces = parse(source, trigger_facts)
    try:
        renderer = make_renderer(rewrite(tree), namespaces)
    except (SyntaxError, RecursionError, MemoryError):
        raise Refused("the template is nested too deeply", code="bad-template") from None
    return Template(source, renderer=renderer)


def has_marks(text: str) -> bool:
    """Whether Jinja would do anything with a text; the end of a mark alone is plain text."""
    return any(mark in text for mark in _MARKS)


def compile_tree(tree: Json, *, trigger_facts: Collection[str] | None = None) -> Json:
    """JSON with its strings compiled, at any depth; keys stay as they are, and so do strings without Jinja.

    Raises `Refused` like `compile_template`, for the first string that is refused.
    """
    if isinstance(tree, str):
        return compile_template(tree, trigger_facts=trigger_facts) if has_marks(tree) else tree
    if isinstance(tree, dict):
        return {key: compile_tree(value, trigger_facts=trigger_facts) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [compile_tree(value, trigger_facts=trigger_facts) for value in tree]
    return tree


def render_tree(tree: Json, scope: Scope) -> Json:
    """The JSON of a tree from `compile_tree` at that moment. Raises `RenderFailed`."""
    if isinstance(tree, Template):
        return tree.render(scope)
    if isinstance(tree, dict):
        return {key: render_tree(value, scope) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [render_tree(value, scope) for value in tree]
    return tree
