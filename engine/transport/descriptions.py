"""The shapes of frames and of bodies, as JSON Schema, that all descriptions of the protocol are made of.

The shapes stand in `schema/`, written by hand; tests hold the code to them. Nothing is decided by them.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

from engine.core.model import Json

VERSION = "1"  # of the protocol, as `hello` has it


@lru_cache(maxsize=1)
def frames_schema() -> dict[str, Json]:
    """``/protocol.schema.json``: every frame of both directions. Not to be changed."""
    return _read("frames.schema.json")


@lru_cache(maxsize=2)
def definitions(place: str) -> dict[str, Json]:
    """All definitions, of frames and of bodies, by name, with references to ``place``: ``#/components/schemas/``."""
    found = {**frames_schema()["$defs"], **_read("http.schema.json")["$defs"]}
    return {name: _moved(schema, place) for name, schema in found.items()}


def _moved(schema: Any, place: str) -> Any:
    if isinstance(schema, list):
        return [_moved(item, place) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: place + value.removeprefix("#/$defs/")
        if key == "$ref" and isinstance(value, str)
        else _moved(value, place)
        for key, value in schema.items()
    }


def _read(name: str) -> dict[str, Json]:
    text = files("engine.transport").joinpath("schema", name).read_text(encoding="utf-8")
    found: dict[str, Json] = json.loads(text)
    return found
