"""Hyperparameter and neural architecture search that speaks Kubeflow Katib's v1beta1."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from katib_py.sdk.report_metrics import report_metrics

# Every public name and where it lives; imported when first used, so that a training program pays for nothing else.
_HOMES: Final = {"report_metrics": "katib_py.sdk.report_metrics"}

__all__ = ["report_metrics"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
