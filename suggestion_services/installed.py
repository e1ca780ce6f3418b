"""Algorithms that other packages bring along: Python entry points of one group, each NAME = "module:Class"."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from katib_py.core.errors import InvalidInput, Problem
from suggestion_services.contract import Algorithm
from suggestion_services.settings import PATH

GROUP: Final = "katib_py.algorithms"
NEEDED: Final = ("suggest", "problems", "learns", "ignores_unknown_settings", "random_state")


@dataclass(frozen=True, slots=True)
class Offer:
    """Where packages say that an algorithm is, such as `my_package:Mine`, by package."""

    references: Mapping[str, EntryPoint]


def offers() -> dict[str, Offer]:
    """What the installed packages offer, by name; nothing of it is imported."""
    found: dict[str, dict[str, EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        package = f"{point.dist.name} {point.dist.version}" if point.dist is not None else "unknown"
        found.setdefault(point.name, {})[package] = point
    return {name: Offer(points) for name, points in sorted(found.items())}


def with_offers(ours: Mapping[str, str]) -> tuple[dict[str, str | Offer], list[str]]:
    """Our algorithms and those that are installed; and what is to be warned about, in words."""
    installed, warnings = offers(), []
    for name, offer in installed.items():
        packages = _listed(offer)
        if name in ours:
            warnings.append(f"algorithm {name} of {packages} is not served: {name} is one of our own names")
        elif _disputed(offer):
            warnings.append(f"algorithm {name} is not served: {packages} all offer it; uninstall all but one")
    return {**installed, **ours}, warnings


def load(name: str, offer: Offer) -> type[Algorithm] | Algorithm:
    """The algorithm; raises InvalidInput where it is disputed, cannot be imported, or is none."""
    packages = _listed(offer)
    if _disputed(offer):
        raise _unusable(f"is {name}, which {packages} all offer; uninstall all but one")
    point = next(iter(offer.references.values()))
    try:
        found: Any = point.load()
    except Exception as error:
        words = f"is {name}; {packages} cannot be loaded: {type(error).__name__}: {error}"
        raise _unusable(words) from error
    if words := complaint(point.attr, found):
        raise _unusable(f"is {name}; {packages} is no algorithm: {words}")
    algorithm: type[Algorithm] | Algorithm = found
    return algorithm


def complaint(name: str, found: Any) -> str:
    """Why an object is no algorithm, in words; empty for one that is."""
    if lacking := [attribute for attribute in NEEDED if not hasattr(found, attribute)]:
        return f"{name} lacks {', '.join(lacking)}; derive it from suggestion_services.Algorithm"
    kind = found if isinstance(found, type) else type(found)
    if any(isinstance(value, dataclasses.Field) for value in vars(kind).values()):
        return f"the settings of {name} are no fields; write @dataclass(frozen=True) above the class"
    return ""


def _disputed(offer: Offer) -> bool:
    return len({point.value for point in offer.references.values()}) > 1


def _listed(offer: Offer) -> str:
    return ", ".join(f"{package} ({point.value})" for package, point in sorted(offer.references.items()))


def _unusable(words: str) -> InvalidInput:
    return InvalidInput([Problem(f"{PATH}.algorithmName", words)])
