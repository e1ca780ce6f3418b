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
        (r"spec\.outcomeConstraints\[\d+\]", r"spec\.outcomeConstraints\[\d+\]\.at(Most|Least)"),
        (r"spec\.objective\.metricStrategies.*", r"spec\.objective\.(objectiveMetricName|additionalMetricNames.*)"),
    )
)


class Broken:
    """Fields that could not be read."""

    def __init__(self, paths: Collection[str]) -> None:
        self._paths = frozenset(paths)
        self._hidden = [left for left, right in FOLLOWS_FROM if any(right.fullmatch(path) for path in self._paths)]

    def explains(self, path: str) -> bool:
        """Whether a problem at this path says no more than that one of these fields could not be read."""
        if not self._paths:
            return False
        ends = [index for index, character in enumerate(path) if character in ".["]
        return not self._paths.isdisjoint([path, *(path[:end] for end in ends)]) or any(
            left.fullmatch(path) for left in self._hidden
        )
