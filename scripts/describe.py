"""Write the descriptions that a server serves into docs/, for people who do not run one."""

from __future__ import annotations

import json
from pathlib import Path

from engine.transport.asyncapi import asyncapi
from engine.transport.openapi import openapi

DOCS = Path(__file__).parent.parent / "docs"


def main() -> None:
    for name, document in (("openapi.json", openapi()), ("asyncapi.json", asyncapi())):
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
