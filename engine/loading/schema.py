"""The JSON Schema (draft 2020-12) of a rule file, from the shapes that the loader reads by.

It says what an editor can check: keys, types, forms of text. What takes more than one look, such as names that
must be known or unique, only `load` knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

from engine.core import shapes
from engine.core.model import Json
from engine.loading.language import file_shape
from engine.loading.policy import NONE

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NOT_BLANK = r"\S"


def json_schema(kinds: Mapping[str, shapes.Kind]) -> dict[str, Json]:
    return {"$schema": DIALECT, "title": "proactive rules", **schema_of(file_shape(kinds))}


def schema_of(shape: shapes.Shape) -> dict[str, Json]:
    described = {"description": shape.doc} if shape.doc else {}
    return {**described, **_form(shape)}


def _form(shape: shapes.Shape) -> dict[str, Json]:
    match shape:
        case shapes.Text():
            return {"type": "string", "maxLength": shape.length_max}
        case shapes.Parsed():
            pattern = {"pattern": shape.pattern} if shape.pattern else {}
            examples = {"examples": list(shape.examples)} if shape.examples else {}
            return {"type": "string", **pattern, **examples}
        case shapes.Integer():
            return {"type": "integer", "minimum": shape.minimum, "maximum": shape.maximum}
        case shapes.Flag():
            return {"type": "boolean"}
        case shapes.Choice():
            return {"enum": list(shape.words)}
        case shapes.AnyValue():
            return {}
        case shapes.Expression():
            return {"type": ["string", "boolean"]}
        case shapes.Template():
            return {"type": "string", "pattern": NOT_BLANK}
        case shapes.Words():
            item = {"type": "string", "pattern": r"^[^*]*[^\s*]\s*\*?\s*$"}
            return {"type": "array", "items": item, "minItems": 1, "uniqueItems": True}
        case shapes.ListOf():
            return _list(shape)
        case shapes.OrNone():
            if shape.is_default:
                return {**_form(shape.item), "not": {"const": NONE}}
            return {"anyOf": [{"const": NONE}, _form(shape.item)]}
        case shapes.MapOf():
            names = {} if shape.names is None else {"propertyNames": _form(shape.names)}
            return {"type": "object", **names, "additionalProperties": schema_of(shape.item)}
        case shapes.TemplateTree():
            return {"type": "object"}
        case shapes.Fields():
            return _fields(shape)
    raise AssertionError(f"{type(shape).__name__} has no form")


def _list(shape: shapes.ListOf) -> dict[str, Json]:
    item = schema_of(shape.item)
    many: dict[str, Any] = {
        "type": "array",
        "items": item,
        "minItems": shape.length_min,
        "maxItems": shape.length_max,
    }
    if not shape.repeats and not isinstance(shape.item, shapes.Fields):
        many["uniqueItems"] = True
    return {"anyOf": [item, many]} if shape.one_will_do else many


def _fields(shape: shapes.Fields) -> dict[str, Json]:
    mapping: dict[str, Any] = {
        "type": "object",
        "properties": {name: schema_of(key) for name, key in shape.keys.items()},
        "additionalProperties": False if shape.others is None else schema_of(shape.others),
    }
    if shape.required:
        mapping["required"] = list(shape.required)
    if shape.exactly_one:
        mapping["oneOf"] = [{"required": [name]} for name in shape.exactly_one]
    if shape.at_least_one:
        mapping["anyOf"] = _some(shape.at_least_one)
    if shape.at_most_one:
        mapping["not"] = {"anyOf": [{"required": list(pair)} for pair in combinations(shape.at_most_one, 2)]}
    for name, others in shape.needs.items():
        mapping.setdefault("dependentSchemas", {})[name] = {"anyOf": _some(others)}
    for name, owner in shape.inside.items():
        mapping |= _inside(mapping, name, owner, shape.keys[owner])
    for name, owner in shape.beside.items():
        inner = shape.keys[owner]
        assert isinstance(inner, shapes.Fields)
        mapping["properties"][name] = schema_of(inner.keys[name])
        only_beside = {"required": [owner], "properties": {owner: {"not": {"type": "object"}}}}
        mapping.setdefault("dependentSchemas", {})[name] = only_beside
    if shape.shorthand is None:
        return mapping
    return {"anyOf": [schema_of(shape.keys[shape.shorthand]), mapping]}


def _some(names: tuple[str, ...]) -> list[Json]:
    return [{"required": [name]} for name in names]


def _inside(mapping: dict[str, Any], name: str, owner: str, inner: shapes.Shape) -> dict[str, Json]:
    """What to add to a mapping whose key ``name`` may also stand in the value of ``owner``, which may then lack it."""
    assert isinstance(inner, shapes.Fields)
    assert inner.shorthand is None
    excluded = dict.fromkeys((name, *inner.at_most_one))
    # Keys that ask for ``name`` among others have it, where it stands beside.
    asking = {key: others for key, others in inner.needs.items() if name in others}
    silent = {key: others for key, others in inner.needs.items() if key not in asking}
    alone: dict[str, Json] = {"anyOf": _some(inner.at_least_one)}
    if asking:
        alone["dependentSchemas"] = {key: {"anyOf": _some(others)} for key, others in asking.items()}
    return {
        "properties": {**mapping["properties"], owner: schema_of(replace(inner, at_least_one=(), needs=silent))},
        "if": {"required": [name]},
        "then": {"properties": {owner: {"not": {"anyOf": _some(tuple(excluded))}}}},
        "else": {"properties": {owner: alone}},
    }
