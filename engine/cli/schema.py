"""``proactive schema``: the JSON Schema of a rule file, for editors."""

from __future__ import annotations

import json

import typer

from engine.loading.schema import json_schema
from engine.triggers import KINDS


def schema() -> None:
    """Print the JSON Schema of a rule file.

    An editor with YAML support completes and checks a file that begins with a line that names the schema:
    # yaml-language-server: $schema=./schema.json
    """
    typer.echo(json.dumps(json_schema(KINDS), indent=2, ensure_ascii=False))
