"""The ConfigMap that an Experiment's template comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from katib_py.backends.k8s.api import Api
from katib_py.backends.k8s.resources import CONFIG_MAPS
from katib_py.core.template import ConfigMaps


def template_source(document: Any) -> tuple[str, str] | None:
    """Namespace and name of the ConfigMap in an Experiment as it came; None where it names none."""
    source = document
    for step in ("spec", "trialTemplate", "configMap"):
        source = source.get(step) if isinstance(source, Mapping) else None
    where = [
        source.get(key) if isinstance(source, Mapping) else None for key in ("configMapNamespace", "configMapName")
    ]
    namespace, name = where
    return (namespace, name) if isinstance(namespace, str) and isinstance(name, str) and namespace and name else None


async def read_config_map(api: Api, where: tuple[str, str]) -> ConfigMaps:
    """That ConfigMap, as templates are compiled from; raises Absent, ApiError."""
    found = await api.get(CONFIG_MAPS, *where)
    return {where: found.get("data") or {}}
