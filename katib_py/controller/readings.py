"""What many attempts have measured, read from the observation log a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from katib_py.controller.ports import Observations
from katib_py.core.objective import Measurement

AT_ONCE: Final = 32


async def readings(
    observations: Observations, attempts: Sequence[tuple[str, int]]
) -> AsyncIterator[Sequence[Measurement]]:
    """The measurements of each of these (trial uid, attempt) pairs, in the order given."""
    for first in range(0, len(attempts), AT_ONCE):
        some = attempts[first : first + AT_ONCE]
        for items in await asyncio.gather(*(observations.read(*attempt) for attempt in some)):
            yield items
