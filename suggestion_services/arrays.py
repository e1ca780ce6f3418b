"""The array types that algorithms work on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
States = NDArray[np.int8]
Booleans = NDArray[np.bool_]
