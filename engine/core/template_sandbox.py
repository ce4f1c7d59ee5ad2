"""Jinja with no way out: what a compiled template can reach, and the arithmetic it can do.

Nothing of Python is in reach of a template: mappings give items, moments the fields of `now`, nothing else has
attributes, and nothing can be called. Loaded when the first template is compiled, for Jinja takes a while.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from jinja2 import StrictUndefined, pass_context
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from engine.core.scope import now_field
from engine.core.template_bounds import (
    OUTPUT_CHARS_MAX,
    Budget,
    RenderFailed,
    check_length,
    kind_of,
)
from engine.core.template_filters import FILTERS, REWRITTEN, TESTS, BoundedContext, demand

if TYPE_CHECKING:
    from engine.core.scope import Scope

LOOP_FIELDS = frozenset(
    {"index", "index0", "first", "last", "length", "revindex", "revindex0", "depth", "depth0", "previtem", "nextitem"}
)
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
# What can go wrong in code that Jinja has generated and we have checked: the values, and nothing else.
_FAULTS_OF_VALUES = (
    TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RuntimeError,
)  # fmt: skip


class Namespace(dict[str, Any]):
    """The fields of ``event``, ``user``, ``session`` or ``trigger``; knows its name, to say what is missing."""

    __slots__ = ("name",)

    def __init__(self, name: str, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.name = name


class Sandbox(ImmutableSandboxedEnvironment):
    """The one environment of all templates. Constant once it is made."""

    intercepted_binops = frozenset((*OPERATORS, "**"))
    intercepted_unops = frozenset("+-")

    def __init__(self) -> None:
        # Constants are not folded while compiling: there is no budget there.
        super().__init__(
            undefined=StrictUndefined, autoescape=False, finalize=_shown, optimized=False, keep_trailing_newline=False
        )
        self.globals.clear()
        self.filters = {**FILTERS, **REWRITTEN}
        self.tests = dict(TESTS)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict):
            if attribute in obj:
                return obj[attribute]
            name = f"{obj.name}.{attribute}" if isinstance(obj, Namespace) else attribute
            return self.undefined(f'"{name}" is missing', name=attribute)
        if isinstance(obj, datetime):
            try:
                return now_field(obj, attribute)
            except KeyError:
                return self.undefined(f'a moment has no field "{attribute}"', name=attribute)
        if isinstance(obj, LoopContext) and attribute in LOOP_FIELDS:
            return getattr(obj, attribute)
        return self.undefined(f'{kind_of(demand(obj))} has no field "{attribute}"', name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(argument, str):
            return self.getattr(obj, str(argument))
        if isinstance(obj, list | tuple | str) and isinstance(argument, int):
            try:
                return obj[argument]
            except IndexError:
                return self.undefined(f"there is no item {argument}", name=str(argument))
        if isinstance(obj, dict) and isinstance(argument, int | float | bool | None):
            if argument in obj:
                return obj[argument]
            return self.undefined(f'"{argument}" is missing', name=str(argument))
        return self.undefined(f"{kind_of(demand(obj))} has no item of that kind", name="item")

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        raise SecurityError("nothing can be called")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        budget: Budget = context.budget  # type: ignore[attr-defined]
        demand(left)
        demand(right)
        if isinstance(left, int | float) and isinstance(right, int | float):
            return budget.settle(OPERATORS[operator](left, right))
        if _goes(operator, left, right):
            budget.weigh(left)
            budget.weigh(right)
            return budget.settle(OPERATORS[operator](left, right))
        raise RenderFailed(f'"{operator}" does not go between {kind_of(left)} and {kind_of(right)}')

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:
        if not isinstance(demand(arg), int | float | timedelta):
            raise RenderFailed(f'"{operator}" does not go before {kind_of(arg)}')
        return context.budget.settle(-arg if operator == "-" else +arg)  # type: ignore[attr-defined]


def _goes(operator: str, left: Any, right: Any) -> bool:
    """Whether the operator means something here, and what it makes is not too long. Numbers are settled before."""
    if operator == "+" and isinstance(left, str) and isinstance(right, str):
        check_length(len(left) + len(right))
        return True
    if operator == "+" and isinstance(left, list) and isinstance(right, list):
        return True
    if operator == "*":
        text, times = (left, right) if isinstance(left, str) else (right, left)
        if isinstance(text, str) and isinstance(times, int):
            check_length(len(text) * max(times, 0))
            return True
    if isinstance(left, datetime):
        return (operator in "+-" and isinstance(right, timedelta)) or (operator == "-" and isinstance(right, datetime))
    if isinstance(left, timedelta):
        if isinstance(right, timedelta):
            return operator != "*"
        return operator in ("*", "/", "//") and isinstance(right, int | float) and not isinstance(right, bool)
    return operator == "*" and isinstance(left, int | float) and isinstance(right, timedelta)


@pass_context
def _shown(context: Any, value: Any) -> str:
    """What stands between ``{{`` and ``}}``, as text: Jinja calls it for every one."""
    budget: Budget = context.budget
    text = value if type(value) is str else budget.text(demand(value))
    budget.spend(1 + len(text))
    return text


_VIEWS: dict[str, Callable[[Scope], Any]] = {
    "event": lambda scope: Namespace("event", scope.event_fields()),
    "user": lambda scope: Namespace("user", scope.user_fields()),
    "session": lambda scope: Namespace("session", scope.session_fields()),
    "trigger": lambda scope: Namespace("trigger", scope.trigger),
    "now": lambda scope: scope.now,
}

SANDBOX = Sandbox()


def make_renderer(tree: Any, namespaces: tuple[str, ...]) -> Callable[[Scope], str]:
    """A function of a checked and rewritten syntax tree. ``namespaces`` are those it speaks of."""
    code = SANDBOX.compile(tree)
    root = SANDBOX.template_class.from_code(SANDBOX, code, {}).root_render_func
    views = tuple((name, _VIEWS[name]) for name in namespaces)

    def render(scope: Scope) -> str:
        context = BoundedContext(SANDBOX, {name: view(scope) for name, view in views}, None, {})
        context.budget = Budget()
        try:
            text = "".join(root(context))
        except RenderFailed:
            raise
        except ZeroDivisionError:
            raise RenderFailed("division by zero") from None
        except TemplateError as trouble:
            raise RenderFailed((trouble.message or "the template failed").rstrip(".")[:200]) from None
        except _FAULTS_OF_VALUES:
            # Python's own words differ from version to version, and a reason is part of the record.
            raise RenderFailed("a value is of the wrong kind for what is done with it") from None
        if len(text) > OUTPUT_CHARS_MAX:
            raise RenderFailed(f"the text is longer than {OUTPUT_CHARS_MAX} characters")
        return text

    return render
