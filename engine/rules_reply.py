"""What ``POST /rules/reload`` answers: the plan of a change of rules, or each mistake of the files with its place.

It changes nothing itself; `reload` does.
"""

from __future__ import annotations

from engine.core.model import Json
from engine.loading.diagnostic import Diagnostic, RuleErrors
from engine.reload import Reloader
from engine.transport.http_replies import BadRules


async def change_rules(reloader: Reloader, *, apply: bool) -> dict[str, Json]:
    """Let the files as they are now hold, or for ``apply`` false only look. Raises `BadRules`, `StoreError`."""
    try:
        edit = await (reloader.reload_now() if apply else reloader.look_ahead())
    except RuleErrors as errors:
        why = f"{errors.summary}; the rules that held go on holding"
        raise BadRules(why, [_problem(found) for found in errors.diagnostics]) from None
    plan, reach = edit.plan, edit.reach
    return {
        "changed": edit.is_change,
        "applied": apply,
        "hash": edit.rules.hash,
        "kept": list(plan.kept),
        "edited": list(plan.edited),
        "rebuilt": list(plan.rebuilt),
        "fresh": list(plan.fresh),
        "off": list(plan.off),
        "dropped": list(plan.dropped),
        "renamed": dict(plan.renamed),
        "present": reach.present,
        "remembered": dict(reach.remembered),
        "held": reach.held,
    }


def _problem(found: Diagnostic) -> dict[str, Json]:
    return {
        "file": found.path, "line": found.line, "column": found.column, "message": found.message, "code": found.code,
    }  # fmt: skip
