"""Ways out of templates, expressions and rule files that are known elsewhere, and a program that tries them all here.

Run as a program (by test_sandbox.py) it watches what the interpreter does on its way (PEP 578), and prints as JSON what
became of each, and every file, import, process and socket that any of them reached.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from engine.core.expressions import compile_expression
from engine.core.model import Event
from engine.core.refusal import Refused
from engine.core.render import RenderFailed, compile_template
from engine.core.rules import Policy
from engine.core.scope import Scope
from engine.core.state import UserState
from engine.loading.diagnostic import RuleErrors
from engine.loading.load import load
from engine.loading.tree import PARSER
from engine.triggers import KINDS

FILTERS_BY_ATTRIBUTE = ("map", "sort", "sum", "groupby", "unique", "max", "min", "join", "selectattr", "rejectattr")
TEMPLATES = [
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ self.__init__.__globals__.__builtins__.__import__('os') }}",
    "{{ self._TemplateReference__context.environment }}",
    "{{ ().__class__.__base__.__subclasses__() }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{% for c in [].__class__.__base__.__subclasses__() %}{{ c }}{% endfor %}",
    "{{ config }}{{ request.application.__globals__ }}",
    "{{ event.__class__ }}",
    "{{ event['__class__'] }}",
    "{{ event|attr('__class__') }}",
    r"{{ ''|attr('\x5f\x5fclass\x5f\x5f') }}",
    r"{{ ''['\x5f\x5fclass\x5f\x5f'] }}",
    "{{ ''['__cla' ~ 'ss__'] }}",
    "{{ event[event.name] }}",
    "{{ event.zz.__class__ }}",
    "{{ (event.zz|default).__init__.__globals__ }}",
    "{{ none.__class__ }}{{ true.__class__ }}{{ 1.0.__class__ }}",
    "{{ now.__class__ }}{{ now.tzinfo.__class__ }}",
    "{{ trigger.idle.__reduce__() }}",
    "{% for x in [1] %}{{ loop.__init__.__globals__ }}{{ loop._iterator }}{% endfor %}",
    "{{ '{0.__class__.__mro__}'.format('') }}",
    "{{ '{x.__class__}'.format_map({'x': 1}) }}",
    "{{ '{0.__class__}'|format('') }}",
    "{{ '%(a)s' % event }}",
    "{{ ['{0.__class__}']|map('format', 1)|list }}",
    "{{ [event]|map('attr', '__class__')|list }}",
    *[f"{{{{ [event]|{name}(attribute='__class__') }}}}" for name in FILTERS_BY_ATTRIBUTE],
    *[f"{{{{ [event]|{name}(attribute='__class__.__mro__')|list }}}}" for name in FILTERS_BY_ATTRIBUTE],
    "{{ [event]|selectattr('__class__')|list }}",
    "{{ event|xmlattr }}{{ 'x'|urlize }}{{ 'x'|safe }}",
    "{{ event|pprint }}{{ event|string|escape }}",
    "{% include '/etc/passwd' %}",
    "{% extends '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os.system('id') }}",
    "{% from 'os' import system %}{{ system('id') }}",
    "{% macro f(x=cycler) %}{{ x }}{% endmacro %}{{ f.__globals__ }}",
    "{% call(x) f() %}{% endcall %}",
    "{% set x = namespace(a=1) %}{{ x.__class__ }}",
    "{% set _ = event.update({'a': 1}) %}",
    "{% debug %}",
    "{% trans %}x{% endtrans %}",
    "{% do event.clear() %}",
    "{{ open('/etc/passwd').read() }}",
    "{{ __import__('os') }}{{ eval('1') }}",
    "{{ range.__class__ }}{{ dict.__mro__ }}",
    "{{ event.name.upper.__self__ }}",
    "{{ event.at.strftime('%Y') }}{{ now.tzinfo.utcoffset }}",
]  # fmt: skip
EXPRESSIONS = [
    "__import__('os').system('id')",
    "open('/etc/passwd')",
    "eval('1')",
    "exec('1')",
    "import os",
    "1; import os",
    "().__class__.__base__.__subclasses__()",
    "event.__class__ == 1",
    "event['__class__'] == 1",
    "event.name.__class__ == 1",
    "event[event.name] == 1",
    "user.__dict__ == 1",
    "now.__class__ == 1",
    "now.tzinfo == 1",
    "len.__globals__",
    "matches.__self__",
    "(lambda: 1)()",
    "f'{event.name}'",
    "(event := 1)",
    "[x for x in [1]]",
    "{x: 1}",
    "event.name.format(event)",
    "'{0.__class__}'.format(event)",
    "'%s' % event.name",
    "event.update(a=1)",
    "`id`",
    "${HOME}",
    "yield 1",
    "await x",
    "print(1)",
    "getattr(event, '__class__')",
    "globals()",
]  # fmt: skip
RULE = "rules: [{id: r, trigger: {event: e}, message: {type: question, text: t}}]\n"
FILES = [
    "version: !include /etc/passwd\n",
    "version: !!python/object/apply:os.system ['id']\n",
    "version: !!python/name:os.system\n",
    "version: !!python/module:os\n",
    "version: !!binary aWQ=\n",
    "version: !ENV ${HOME}\n",
    "%TAG ! tag:yaml.org,2002:python/\n---\nversion: !object/apply:os.system ['id']\n",
    "version: 1\ninclude: /etc/passwd\n" + RULE,
    "version: 1\nimport: ['/etc/passwd']\n" + RULE,
    "version: 1\nextends: ../other.yaml\n" + RULE,
    "version: 1\n<<: {include: /etc/passwd}\n" + RULE,
    "version: 1\nlists: {x: '@/etc/passwd'}\n" + RULE,
    "version: 1\nlists: {x: ['@/etc/passwd']}\n" + RULE,
    "version: 1\nlists: /etc/passwd\n" + RULE,
    "version: 1\n" + RULE.replace("text: t", "text: {file: /etc/passwd}"),
    "version: 1\n" + RULE.replace("event: e", "keywords: {any: ['@/etc/passwd']}"),
    "version: 1\n" + RULE.replace("text: t", "text: t, data: {x: \"{% include '/etc/passwd' %}\"}"),
    "version: 1\n" + RULE.replace("text: t", "text: t, compose: \"{{ ''.__class__ }}{% include 'x' %}\""),
]  # fmt: skip
# Of the events of the interpreter (https://docs.python.org/3/library/audit_events.html). Not `compile` and `exec`: a
# template becomes code of its own, which is run.
WATCHED = (
    "open", "import", "os.", "subprocess.", "socket.", "ctypes.", "pickle.", "shutil.", "urllib.", "glob.", "sqlite3.",
    "tempfile.", "webbrowser.", "pty.", "fcntl.",
)  # fmt: skip


def scope() -> Scope:
    event = Event("e", "ann", 1_700_000_000_000_000, {"name": "__class__", "said": "{{ 7 * 7 }}"}, "e1")
    return Scope(UserState("ann"), event, event.at, Policy(), {"kind": "event"})


def of_template(source: str) -> str:
    try:
        return f"shows {compile_template(source).render(scope())}"
    except Refused as refused:
        return f"refused {refused.code}"
    except RenderFailed as failed:
        return f"failed {failed.reason}"


def of_expression(source: str) -> str:
    try:
        value = compile_expression(source).evaluate(scope())
    except Refused as refused:
        return f"refused {refused.code}"
    return f"is {type(value).__name__} {value!r}"


def of_file(text: str) -> str:
    try:
        load({"rules.yaml": text}, KINDS)
    except RuleErrors as errors:
        return f"refused {errors.diagnostics[0].code}"
    return "loads"


def try_all() -> dict[str, Any]:
    more = yaml.load((Path(__file__).parent / "core" / "templates.yaml").read_text("utf-8"), PARSER)["hostile"]
    # What is loaded when it is first used is loaded before anybody watches.
    for source in ("{{ event.name|upper }}{{ now.hour }}", "{{ event.zz }}", "{% if %}", r"{{ '\x41' }}"):
        of_template(source)
    of_expression("len(event.name) > now.hour")
    of_file("version: 1\n" + RULE)
    reached: list[str] = []

    def watch(event: str, details: tuple[Any, ...]) -> None:
        if event.startswith(WATCHED):
            reached.append(f"{event} {details!r}"[:300])

    sys.addaudithook(watch)
    became = {
        "templates": [[source, of_template(source)] for source in (*TEMPLATES, *more)],
        "expressions": [[source, of_expression(source)] for source in EXPRESSIONS],
        "files": [[text, of_file(text)] for text in FILES],
    }
    return {**became, "reached": list(reached)}


if __name__ == "__main__":
    print(json.dumps(try_all()))
