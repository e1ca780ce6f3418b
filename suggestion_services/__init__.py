"""Every search algorithm and early stopper behind one gRPC server."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from katib_py.core.errors import Problem
    from suggestion_services.contract import (
        Algorithm,
        Bounds,
        Proposal,
        Request,
        SearchEnded,
        Trials,
        random_state,
        setting,
        word,
    )
    from suggestion_services.distinct import Distinct
    from suggestion_services.serving import serve
    from suggestion_services.space import Space

# A server's threads are its requests. Matrices cut up for as many threads as there are cores slow each other down, and
# are rounded otherwise on another machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# What an algorithm of one's own is written with. Nothing is imported before it is used: this file is also the way to
# modules that need no numpy.
MODULES: Final = {
    "Algorithm": "suggestion_services.contract",
    "Bounds": "suggestion_services.contract",
    "Distinct": "suggestion_services.distinct",
    "Problem": "katib_py.core.errors",
    "Proposal": "suggestion_services.contract",
    "Request": "suggestion_services.contract",
    "SearchEnded": "suggestion_services.contract",
    "Space": "suggestion_services.space",
    "Trials": "suggestion_services.contract",
    "random_state": "suggestion_services.contract",
    "serve": "suggestion_services.serving",
    "setting": "suggestion_services.contract",
    "word": "suggestion_services.contract",
}

__all__ = [
    "Algorithm",
    "Bounds",
    "Distinct",
    "Problem",
    "Proposal",
    "Request",
    "SearchEnded",
    "Space",
    "Trials",
    "random_state",
    "serve",
    "setting",
    "word",
]


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(MODULES[name]), name)
