"""Katib's early stopping rules: fixed thresholds that a service gave a trial when it was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from katib_py.core.early_stopping import number_of, worst
from katib_py.core.errors import InvalidInput, Problem, show
from katib_py.core.objective import ObjectiveSpec, as_number
from katib_py.core.trial import Rule


class Comparison(NamedTuple):
    """A comparison of a value with a rule's threshold, and its words."""

    holds: Callable[[float, float], bool]
    words: str


# By the word in the Trial; a rule without a known word means equal (Katib's reading).
COMPARISONS: Final[Mapping[str, Comparison]] = {
    "less": Comparison(lambda value, threshold: value < threshold, "less than"),
    "greater": Comparison(lambda value, threshold: value > threshold, "greater than"),
    "equal": Comparison(lambda value, threshold: value == threshold, "equal to"),
}


def check_rules(rules: Sequence[Rule]) -> None:
    """Raise InvalidInput for rules whose value is no number."""
    _thresholds(rules)


class RuleWatch:
    """The rules of one trial's attempt, from whichever service: it stops once all of them have held.

    A rule is looked at with every value of its metric from the start_step-th on; once it has held it stays so. The
    objective metric is compared by its best so far, any other by its current value. Raises InvalidInput for a rule
    whose value is no number.
    """

    def __init__(self, rules: Sequence[Rule], objective: ObjectiveSpec) -> None:
        self._objective = objective
        self._open = _thresholds(rules)
        self._steps = dict.fromkeys((rule.name for rule in rules), 0)
        self._best = worst(objective)
        self._held: list[str] = []

    def measured(self, metric: str, value: str) -> str | None:
        """The text of a metric's next value; the reason to stop, with the value that makes the last rule hold."""
        number = number_of(value)
        if number is None or metric not in self._steps or not self._open:
            return None
        self._steps[metric] += 1
        if metric == self._objective.objective_metric_name:
            if self._objective.better(number, self._best):
                self._best = number
            number = self._best
        step = self._steps[metric]
        for item in [item for item in self._open if item.holds(metric, number, step)]:
            self._open.remove(item)
            self._held.append(item.words(number, step))
        return None if self._open else "; ".join(self._held)


class _Threshold(NamedTuple):
    rule: Rule
    number: float

    @property
    def comparison(self) -> Comparison:
        return COMPARISONS.get(self.rule.comparison, COMPARISONS["equal"])

    def holds(self, metric: str, value: float, step: int) -> bool:
        rule = self.rule
        return metric == rule.name and step >= rule.start_step and self.comparison.holds(value, self.number)

    def words(self, value: float, step: int) -> str:
        return f"{self.rule.name} {value:g} at step {step} is {self.comparison.words} {self.rule.value}"


def _thresholds(rules: Sequence[Rule]) -> list[_Threshold]:
    numbers = [(rule, as_number(rule.value)) for rule in rules]
    problems = [
        Problem(f"earlyStoppingRules[{index}].value", f"is {show(rule.value)}; must be a number")
        for index, (rule, number) in enumerate(numbers)
        if number is None
    ]
    if problems:
        raise InvalidInput(problems)
    return [_Threshold(rule, number) for rule, number in numbers if number is not None]
