"""Which running trials are hopeless: pure functions of what the trials have measured so far.

A trial's step s is its s-th value of the metric that the stopper looks at, the objective's unless it says otherwise.
Values that are NaN count as steps and are left out of averages and of the best so far; a trial that has measured
nothing but NaN stands at the worst possible value.
"""

from katib_py.core.early_stopping.averages import MedianStop, PercentileStop
from katib_py.core.early_stopping.halving import AshaStop
from katib_py.core.early_stopping.patience import PatienceStop
from katib_py.core.early_stopping.registry import STOPPERS, parse_stopper
from katib_py.core.early_stopping.stopper import Course, Standing, Stop, Stopper, number_of, worst
from katib_py.core.early_stopping.threshold import ThresholdStop

__all__ = [
    "STOPPERS",
    "AshaStop",
    "Course",
    "MedianStop",
    "PatienceStop",
    "PercentileStop",
    "Standing",
    "Stop",
    "Stopper",
    "ThresholdStop",
    "number_of",
    "parse_stopper",
    "worst",
]
