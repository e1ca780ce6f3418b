"""Samplers of Optuna by name: found, checked, and made with a seed."""

from __future__ import annotations

import inspect
import os
import threading
import warnings
from collections.abc import Iterable, Iterator
from functools import lru_cache
from types import ModuleType
from typing import Any, Final

from katib_py.core.errors import InvalidInput, Problem, listed, show
from katib_py.core.names import ENV_OPTUNAHUB
from suggestion_services.settings import PATH, nearest

SETTINGS: Final = f"{PATH}.algorithmSettings"
# What these propose depends on the trials alone, so a new one for each request answers as one that was kept.
STATELESS: Final = frozenset({"RandomSampler", "TPESampler", "BruteForceSampler", "GPSampler"})
UNFIT: Final = {
    "GridSampler": "its grid is an argument that no setting can hold; use the algorithm grid",
    "PartialFixedSampler": "it wraps another sampler; fix a parameter by giving it one value",
}
WORDS: Final = {"true": True, "false": False, "none": None, "null": None}
# Warnings are switched off for the whole process while a sampler is made.
_MAKING: Final = threading.Lock()

Arguments = tuple[tuple[str, str], ...]


def optuna() -> ModuleType:
    """The library; raises InvalidInput where it is not installed."""
    try:
        import optuna as library
    except ImportError as error:
        words = f"is optuna, which is not installed where the suggestion service runs: pip install optuna ({error})"
        raise InvalidInput([Problem(f"{PATH}.algorithmName", words)]) from error
    library.logging.set_verbosity(library.logging.ERROR)
    return library


@lru_cache(64)
def sampler_class(name: str) -> Any:
    """The class of a sampler, or of an OptunaHub package; raises InvalidInput with the reason."""
    if "/" in name:
        return _of_the_hub(name)
    known = optuna().samplers
    names = [each for each in known.__all__ if each.endswith("Sampler") and each not in {"BaseSampler", *UNFIT}]
    if name in UNFIT:
        raise _unusable(f"sampler is {name}, which cannot be used: {UNFIT[name]}")
    if name not in names:
        raise _unusable(f"sampler is {show(name)}; must be one of {listed(names, 30)}{nearest(name, names)}")
    return getattr(known, name)


def make(name: str, arguments: Arguments, seed: int) -> Any:
    """The sampler with its arguments; raises InvalidInput with every reason why there is none."""
    kind = sampler_class(name)
    problems = list(_argument_problems(kind, name, arguments))
    if problems:
        raise InvalidInput(problems)
    given = {key: read(text) for key, text in arguments}
    if "seed" in _parameters(kind):
        given["seed"] = seed
    try:
        with _MAKING, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that an argument is experimental is known to whoever sets it
            return kind(**given)
    except Exception as error:
        raise _unusable(f"cannot be used: {name}: {type(error).__name__}: {error}") from error


def read(text: str) -> Any:
    """A setting's text as the value that is meant: a number, true, false, none, else the text."""
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _of_the_hub(package: str) -> Any:
    try:
        import optunahub
    except ImportError as error:
        words = (
            f"sampler is {show(package)}, a package of OptunaHub, whose client is not installed where the suggestion"
        )
        raise _unusable(f"{words} service runs: pip install optunahub") from error
    registry = os.environ.get(ENV_OPTUNAHUB)
    try:
        if registry:
            module = optunahub.load_local_module(package, registry_root=registry)
        else:
            module = optunahub.load_module(package)
    except Exception as error:
        raise _unusable(f"sampler is {show(package)}, which cannot be loaded from OptunaHub: {error}") from error
    kinds = _samplers_of(module)
    if len(kinds) != 1:
        found = listed(kind.__name__ for kind in kinds) or "none"
        raise _unusable(f"sampler is {show(package)}; must be a package with one sampler, it has {found}")
    return kinds[0]


def _samplers_of(module: Any) -> list[Any]:
    base = optuna().samplers.BaseSampler
    names = getattr(module, "__all__", vars(module))
    kinds = (getattr(module, name) for name in names)
    return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, base) and kind is not base]


def _argument_problems(kind: Any, name: str, arguments: Iterable[tuple[str, str]]) -> Iterator[Problem]:
    known = [parameter for parameter in _parameters(kind) if parameter != "seed"]
    for key, text in arguments:
        if key == "seed":
            yield Problem(SETTINGS, f"seed is {show(text)}; write random_state")
        elif key not in known:
            words = f"unknown setting {key} for sampler {name}; it knows {listed(known, 30)}{nearest(key, known)}"
            yield Problem(SETTINGS, words)


def _parameters(kind: Any) -> list[str]:
    taken = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = inspect.signature(kind).parameters.values()
    return [parameter.name for parameter in found if parameter.kind in taken]


def _unusable(words: str) -> InvalidInput:
    return InvalidInput([Problem(SETTINGS, words)])
