"""What an API server does with a JSON Patch."""

import copy


def apply(document, patch):
    """The document after the patch; raises where the patch does not fit it."""
    holder = {"": copy.deepcopy(document)}
    for operation in patch:
        steps = [step.replace("~1", "/").replace("~0", "~") for step in operation["path"].split("/")[1:]]
        *way, last = ["", *steps]
        parent = holder
        for step in way:
            parent = parent[int(step) if isinstance(parent, list) else step]
        change(parent, last, operation)
    return holder[""]


def change(parent, last, operation):
    value = copy.deepcopy(operation.get("value"))
    if isinstance(parent, list):
        index = len(parent) if last == "-" else int(last)
        if operation["op"] == "add":
            assert index <= len(parent)
            parent.insert(index, value)
        elif operation["op"] == "replace":
            parent[index] = value
        else:
            del parent[index]
    elif operation["op"] == "remove":
        del parent[last]
    else:
        assert operation["op"] == "add" or last in parent
        parent[last] = value
