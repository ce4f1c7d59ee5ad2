"""The options that commands over logs share, so that they are called and told alike everywhere. It does nothing."""

from __future__ import annotations

from typing import Annotated

import typer

LOGS_HELP = "Logs, also packed (.gz, .zst), folders of logs, - for standard input; or the store of a server."

Logs = Annotated[list[str], typer.Argument(metavar="LOG…", help=LOGS_HELP)]
Rules = Annotated[str | None, typer.Option(help="Folder of rules, or one rule file.  [default: rules]")]
Config = Annotated[str | None, typer.Option(help="Settings that name the folder of rules.")]
Source = Annotated[str | None, typer.Option(help="Mapping for a log of another form.")]
Format = Annotated[str | None, typer.Option(help="Form of the logs, where it is not to be recognised.")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Let time run to here, not to the log's end.")]
Memory = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help="Hold so much of a log in memory, the rest on disk.  [default: 4GB]"),
]
User = Annotated[str | None, typer.Option("--user-at", metavar="PATH", help="Where a record names its user.")]
Zone = Annotated[str | None, typer.Option("--timezone", help="Zone of times that name none.  [default: UTC]")]
Clock = Annotated[
    str | None, typer.Option(help="Which clock to believe where a log has both: server or client.  [default: server]")
]
Day = Annotated[str | None, typer.Option(metavar="DATE", help="Day of a chat log that has times alone.")]
Jobs = Annotated[int, typer.Option(min=1, max=64, help="Share the users among so many processes.")]
