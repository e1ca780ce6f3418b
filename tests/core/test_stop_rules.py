from __future__ import annotations

import pytest

from katib_py.core.errors import InvalidInput
from katib_py.core.objective import ObjectiveSpec, ObjectiveType
from katib_py.core.stop_rules import RuleWatch
from katib_py.core.trial import Rule

MAXIMIZE = ObjectiveSpec(type=ObjectiveType.MAXIMIZE, objective_metric_name="acc")
MINIMIZE = ObjectiveSpec(type=ObjectiveType.MINIMIZE, objective_metric_name="acc")


def stops_at(rules, reports, objective=MAXIMIZE):
    watch = RuleWatch(rules, objective)
    for number, (metric, value) in enumerate(reports, 1):
        if watch.measured(metric, value) is not None:
            return number
    return None


def acc(*values):
    return [("acc", value) for value in values]


# control-plane.md §16.7, all but the second row, where Katib looks at one step only
def test_katibs_worked_examples_hold():
    assert stops_at([Rule("acc", "0.5", "less", 2)], acc("0.1", "0.1")) == 2
    losses = [("loss", "1"), ("loss", "1"), ("loss", "3")]
    assert stops_at([Rule("loss", "2", "greater", 0)], losses) == 3
    assert stops_at([Rule("acc", "0.5", "greater", 3)], acc("0.9", "0.9", "0.1", "5"), MINIMIZE) is None


def test_the_objective_is_compared_by_its_best_so_far():
    assert stops_at([Rule("acc", "0.5", "less", 2)], acc("0.6", "0.1", "0.1", "0.1")) is None


def test_a_rule_is_looked_at_at_every_step_from_its_start_on():
    reports = [("loss", "1"), ("loss", "1"), ("loss", "1"), ("loss", "3")]
    assert stops_at([Rule("loss", "2", "greater", 2)], reports) == 4


def test_a_trial_stops_once_every_rule_has_held():
    rules = [Rule("acc", "0.5", "less", 1), Rule("loss", "2", "greater", 1)]
    watch = RuleWatch(rules, MAXIMIZE)
    assert watch.measured("acc", "0.1") is None
    assert watch.measured("loss", "1") is None
    assert watch.measured("loss", "3") == "acc 0.1 at step 1 is less than 0.5; loss 3 at step 2 is greater than 2"


def test_several_rules_on_one_metric_count_its_steps_once():
    rules = [Rule("acc", "0.5", "less", 2), Rule("acc", "0.4", "less", 2)]
    assert stops_at(rules, acc("0.1", "0.1")) == 2


def test_nan_and_text_never_hold_but_an_objective_of_only_nan_is_the_worst():
    assert stops_at([Rule("loss", "2", "greater", 0)], [("loss", "nan"), ("loss", "abc")]) is None
    assert stops_at([Rule("acc", "0.5", "less", 0)], acc("nan")) == 1


def test_no_rules_stop_nothing():
    assert stops_at([], acc("0.1")) is None


def test_a_threshold_that_is_no_number_is_refused():
    with pytest.raises(InvalidInput, match=r"earlyStoppingRules\[0\].value: is 'low'; must be a number"):
        RuleWatch([Rule("acc", "low", "less", 1)], MAXIMIZE)
