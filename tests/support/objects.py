"""Objects of Kubernetes, compared whatever their order."""


def keyed(objects):
    """The objects by kind, namespace and name; two with one key are a mistake."""
    objects = list(objects)
    result = {key_of(item): item for item in objects}
    assert len(result) == len(objects)
    return result


def key_of(item):
    return item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]


def of_kind(objects, *kinds):
    return [item for item in objects if item["kind"] in kinds]


def others(objects, *kinds):
    return [item for item in objects if item["kind"] not in kinds]


def pod_templates(objects):
    """The pod templates by their Deployment's name."""
    return {item["metadata"]["name"]: item["spec"]["template"] for item in of_kind(objects, "Deployment")}


def strings(value):
    """Every text in a value, keys of mappings left out."""
    if isinstance(value, str):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(part)
