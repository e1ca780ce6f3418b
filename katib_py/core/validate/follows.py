"""Problems that only follow from others: what could not be read makes more of the object look wrong."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

# A problem at a path of the left column says nothing new where a field of the right column could not be read.
FOLLOWS_FROM: Final = tuple(
    (re.compile(path), re.compile(source))
    for path, source in (
        (r"spec\.trialTemplate\.trialParameters\[\d+\]\.reference", r"spec\.parameters(\[\d+\](\.name)?)?"),
        (r"spec\.parameters\[\d+\]\.name", r"spec\.trialTemplate\.trialParameters(\[\d+\](\.reference)?)?"),
        (r"spec\.trialTemplate\.(trialSpec|configMap)", r"spec\.trialTemplate\.trialParameters(\[\d+\](\.name)?)?"),
        (r"spec\.trialTemplate\.(success|failure)Condition", r"spec\.trialTemplate\.(trialSpec|configMap)(\.kind)?"),
        (r"spec\.objective\.metricStrategies.*", r"spec\.objective\.(objectiveMetricName|additionalMetricNames.*)"),
    )
)


def follows(path: str, broken: Collection[str]) -> bool:
    """Whether a problem at this path says no more than that one of the `broken` fields could not be read."""
    if any(path == other or path.startswith((f"{other}.", f"{other}[")) for other in broken):
        return True
    return any(left.fullmatch(path) and any(right.fullmatch(other) for other in broken) for left, right in FOLLOWS_FROM)
