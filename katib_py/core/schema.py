"""A model as a structural schema, what a CustomResourceDefinition demands (Kubernetes' dialect of OpenAPI v3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from katib_py.core.models import Model

Json = dict[str, Any]

UNKNOWN_KEPT: Final = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING: Final = "x-kubernetes-int-or-string"
INT32: Final = {"format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1}


def structural(model: type[Model]) -> Json:
    """The model's types, enums and descriptions. Unknown fields are kept in every object; null reads as absent."""
    document = model.model_json_schema(by_alias=True)
    return _translated(document, document.get("$defs", {}))


def _translated(node: Json, definitions: Mapping[str, Json]) -> Json:
    node = _resolved(node, definitions)
    described = {"description": node["description"]} if "description" in node else {}
    choices = [choice for choice in node.get("anyOf", ()) if choice != {"type": "null"}]
    match choices:
        case []:
            return described | _typed(node, definitions)
        case [only]:
            return _translated(only, definitions) | described
    if {choice.get("type") for choice in choices} != {"integer", "string"}:
        raise ValueError(f"no structural schema has the choice {choices}")
    return described | {INT_OR_STRING: True}


def _resolved(node: Json, definitions: Mapping[str, Json]) -> Json:
    """The node with what it refers to; what stands beside the reference outranks it."""
    while "$ref" in node:
        rest = {key: value for key, value in node.items() if key != "$ref"}
        node = definitions[node["$ref"].rpartition("/")[2]] | rest
    return node


def _typed(node: Json, definitions: Mapping[str, Json]) -> Json:
    match node["type"]:
        case "object":
            return {"type": "object"} | _object(node, definitions)
        case "array":
            return {"type": "array", "items": _translated(node["items"], definitions)}
        case "integer":
            return {"type": "integer", **INT32}
        case "string" if "enum" in node:
            return {"type": "string", "enum": node["enum"]}
    return {key: node[key] for key in ("type", "format") if key in node}


def _object(node: Json, definitions: Mapping[str, Json]) -> Json:
    if isinstance(values := node.get("additionalProperties"), dict):
        return {"additionalProperties": _translated(values, definitions)}
    result: Json = {UNKNOWN_KEPT: True}
    if "required" in node:
        result["required"] = node["required"]
    if "properties" in node:
        result["properties"] = {
            name: _translated(part, definitions) for name, part in sorted(node["properties"].items())
        }
    return result
