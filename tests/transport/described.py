"""What the schemas of the protocol have against a value, for any test that gets hold of a frame."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jsonschema

from engine.transport.descriptions import definitions

SCHEMAS: dict[str, Any] = definitions("#/$defs/")


@lru_cache(maxsize=100)
def _validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMAS})


def problems(name: str, value: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in _validator(name).iter_errors(value)]
