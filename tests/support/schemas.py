"""Structural schemas, read as an API server reads them."""

import copy

from katib_py.core.crds import crds


def schema_of(kind):
    """The schema of a kind's objects."""
    crd = next(crd for crd in crds() if crd["spec"]["names"]["kind"] == kind)
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def nodes(schema, path=()):
    """Every part of a schema with its path; the items of a list are at [], those of a mapping at *."""
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from nodes(part, (*path, name))
    for key, step in (("items", "[]"), ("additionalProperties", "*")):
        if key in schema:
            yield from nodes(schema[key], (*path, step))


def defaulted(schema, value):
    """A copy of the value with the schema's defaults filled in."""
    value = copy.deepcopy(value)
    _fill(schema, value)
    return value


def _fill(schema, value):
    if isinstance(value, list):
        for item in value:
            _fill(schema.get("items", {}), item)
    if not isinstance(value, dict):
        return
    for name, part in schema.get("properties", {}).items():
        if "default" in part and value.get(name) is None:
            value[name] = copy.deepcopy(part["default"])
        if name in value:
            _fill(part, value[name])
