"""The command ``proactive``: a table of commands, each in its own file, imported when it is called.

It must not do any command's work, nor import a command that was not asked for: `check` needs no server.

To add a command: write ``engine/cli/NAME.py`` with a function NAME, its parameters annotated for typer, and
a line in `COMMANDS`. Exit codes: 0 all is well, 1 what was asked for went wrong, 2 wrong usage
(and 5 of `test`, see there).
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

from engine import __version__

# In the order of `proactive --help`: from writing rules to running them.
COMMANDS = {
    "check": "Report every error of the rule files.",
    "lint": "Report what the rules say that is legal and cannot be meant.",
    "test": "Run the tests that stand beside the rules, and try to break their invariants.",
    "schedule": "Show when the schedules of the rules will come.",
    "schema": "Print the JSON Schema of a rule file.",
    "replay": "Run rules over a recorded log and report what they would have sent.",
    "diff": "Compare what two rule sets would have sent to the people of a log.",
    "why": "Say why a rule fired or did not, and what would have made it fire.",
    "sweep": "Try values in the rules, and show what each would have sent.",
    "capture": "Make a rule test of something that happened.",
    "import": "Write logs of other makers in the engine's own form.",
    "simulate": "Write a log of people who do not exist, for somebody who has none.",
    "serve": "Run the live server.",
    "gateway": "Run a gateway: the doors of a server whose work several processes share.",
    "worker": "Run a worker: it evaluates the rules for what gateways take in.",
    "connect": "Talk to a running server from the terminal.",
    "db": "Check, pack, copy and trim the file of a store.",
    "store": "Move all of a store into another one, and look at one.",
    "key": "Make, list and revoke the keys of backends.",
    "token": "Make a client's token for trying things out.",
    "send": "Send a message to a client of a running server, or to all.",
    "top": "Watch a running server in the terminal.",
}


# The disk on which standard output goes has no more room, or the file may not be larger.
OUTPUT_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line, `sys.argv` unless ``words`` are given. Ends in SystemExit with its exit code."""
    words = sys.argv[1:] if words is None else list(words)
    try:
        app_for(words)(args=words, prog_name="proactive")
    except OSError as error:
        if error.errno not in OUTPUT_FULL or error.filename is not None:
            raise
        # What standard output still holds can go nowhere, and would be tried again at the very end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())  # type: ignore[union-attr]
        print(f"standard output: {(error.strerror or 'cannot be written').lower()}", file=sys.stderr)
        sys.exit(2)


def app_for(words: Sequence[str]) -> typer.Typer:
    """The application in which only the command that ``words`` call is more than a line of help."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="A rule-driven proactive engagement engine.",
    )
    app.callback()(options)
    called = next((word for word in words if not word.startswith("-")), None)
    for name, summary in COMMANDS.items():
        app.command(name, short_help=summary)(load_command(name) if name == called else not_called)
    return app


def load_command(name: str) -> Callable[..., Any]:
    # A module cannot be called `import`.
    module = "import_logs" if name == "import" else name
    function: Callable[..., Any] = getattr(import_module(f"engine.cli.{module}"), module)
    return function


def not_called() -> None:
    """Stands in the table for a command that was not asked for."""


def print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"proactive {__version__}")
        raise typer.Exit


def options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A rule-driven proactive engagement engine: YAML rules decide when to start the conversation."""
