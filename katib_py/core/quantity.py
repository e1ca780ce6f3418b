"""Kubernetes' quantities as numbers."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

from katib_py.core.errors import InvalidInput, Problem, show

SUFFIXES: Final = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{name: Decimal(1000) ** power for power, name in enumerate("kMGTPE", 1)},
    **{f"{name}i": Decimal(1024) ** power for power, name in enumerate("KMGTPE", 1)},
}
_QUANTITY: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)", re.ASCII)


def quantity(value: Any) -> Decimal:
    """A Kubernetes quantity such as 500m, 2, 1.5, 4Gi or 1e3; raises InvalidInput."""
    match = _QUANTITY.fullmatch(str(value).strip())
    try:
        if match is not None and not isinstance(value, bool):
            return Decimal(match[1] + (match[2] or "")) * SUFFIXES[match[3] or ""]
    except ArithmeticError:
        pass  # an exponent beyond all measure
    raise InvalidInput([Problem("", f"is {show(value)}; must be a quantity such as 500m, 2 or 4Gi")])
