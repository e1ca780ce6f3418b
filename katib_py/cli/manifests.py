"""`katib-py manifests`: what a cluster is given, as YAML."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from katib_py.cli.kustomize import render
from katib_py.core.crds import crds
from katib_py.core.errors import InvalidInput, Problem, listed, show
from katib_py.core.parse import nearest
from katib_py.core.validate.budget import NAMESPACE

Json = dict[str, Any]

IMAGE: Final = "katib-py"  # the name, without a tag, that manifests/ has for our image
CORE: Final = "kubeflow"
NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"

PACKAGED: Final = Path(__file__).parents[1] / "manifests"
IN_A_CLONE: Final = Path(__file__).parents[2] / "manifests"


@dataclass(frozen=True, slots=True)
class Installation:
    """Which of manifests/overlays, and where it differs from what is written there."""

    overlay: str = "standalone"
    image: str | None = None
    namespace: str = CORE

    def objects(self) -> list[Json]:
        """The objects to apply; raises InvalidInput."""
        folder, known = overlays(), sorted(path.name for path in overlays().iterdir())
        if self.overlay not in known:
            meant = nearest(self.overlay, known)
            hint = f": did you mean {meant}?" if meant else ""
            raise InvalidInput(
                [Problem("--overlay", f"is {show(self.overlay)}; must be one of {listed(known, 20)}{hint}")]
            )
        if not NAMESPACE.fullmatch(self.namespace):
            raise InvalidInput(
                [Problem("--namespace", f"is {show(self.namespace)}; must be at most 63 of a-z, 0-9 and -")]
            )
        found = [in_namespace(item, self.namespace) for item in render(folder / self.overlay)]
        return [with_image(item, self.image) for item in found] if self.image else found


def overlays() -> Path:
    """The folder of the overlays, in the package or in the clone that this runs from."""
    return (PACKAGED if PACKAGED.exists() else IN_A_CLONE) / "overlays"


def manifests(only_crds: bool, installation: Installation) -> None:
    """Print the objects of an installation, or the CustomResourceDefinitions only."""
    print(to_yaml(crds() if only_crds else installation.objects()), end="")


class _Dumper(yaml.SafeDumper):
    """Writes what stands in two places twice: people read it."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always."""
        return True


def to_yaml(objects: Iterable[Any]) -> str:
    """The objects as YAML documents, in the order of their keys."""
    return yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def with_image(item: Json, image: str) -> Json:
    """The object with this image where it has ours."""
    result = copy.deepcopy(item)
    for holder in _mappings(result):
        if str(holder.get("image", "")).partition(":")[0] == IMAGE:
            holder["image"] = image
    return result


def in_namespace(item: Json, namespace: str) -> Json:
    """The object as it is where katib-py is in this namespace."""
    result = copy.deepcopy(item)
    if result["kind"] == "Namespace":
        result["metadata"]["name"] = namespace
    for holder in _mappings(result):
        for key in ("namespace", NAMESPACE_LABEL):
            if holder.get(key) == CORE:
                holder[key] = namespace
    return result


def _mappings(value: Any) -> Iterator[Json]:
    """The mapping and those in it."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _mappings(part)
