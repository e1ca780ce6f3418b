"""`katib-py manifests`: what a cluster is given, as YAML."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from katib_py.core.crds import crds


def manifests(only_crds: bool) -> None:
    """Print the CustomResourceDefinitions."""
    print(to_yaml(crds()), end="")


def to_yaml(objects: Iterable[Any]) -> str:
    """The objects as YAML documents, in the order of their keys."""
    return "---\n".join(yaml.safe_dump(item, sort_keys=False, allow_unicode=True, width=120) for item in objects)
