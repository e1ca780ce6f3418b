import pytest
from support.courses import LOSS, settings

from katib_py.core.early_stopping import (
    AshaStop,
    MedianStop,
    PatienceStop,
    PercentileStop,
    ThresholdStop,
    parse_stopper,
)
from katib_py.core.errors import InvalidInput


def problems(spec, objective=None):
    with pytest.raises(InvalidInput) as caught:
        parse_stopper(spec, objective=objective)
    return [str(problem).removeprefix("spec.earlyStopping.") for problem in caught.value.problems]


def test_settings_of_medianstop_default_as_katibs():
    assert parse_stopper(settings("medianstop")) == MedianStop(min_trials_required=3, start_step=4)
    assert parse_stopper(settings("medianstop", start_step="2")) == MedianStop(3, 2)


def test_numbers_flags_and_names_are_read():
    assert parse_stopper(settings("percentile", percentile="12.5")) == PercentileStop(percentile=12.5)
    assert parse_stopper(settings("asha", eta="2.5", max_resource="30")) == AshaStop(2.5, 1, 30)
    wanted = settings("threshold", upper="1e3", stop_on_nan="true", metric="memory", start_step="2")
    assert parse_stopper(wanted, objective=LOSS) == ThresholdStop(None, 1000.0, True, 2, "memory")
    assert parse_stopper(settings("patience", patience="5", min_delta="0.01")) == PatienceStop(5, 0.01)


def test_every_wrong_setting_is_named_at_once():
    assert problems(settings("medianstop", min_trials_required="0", start_step="four", patience="1")) == [
        "algorithmSettings[0].value: is '0'; min_trials_required must be an integer of 1 or more",
        "algorithmSettings[1].value: is 'four'; start_step must be an integer of 1 or more",
        "algorithmSettings[2].name: is 'patience'; must be one of min_trials_required, start_step",
    ]
    assert problems(settings("asha", eta="1", min_resource="1.5", max_resource="nan", max_resorce="9")) == [
        "algorithmSettings[0].value: is '1'; eta must be a number above 1",
        "algorithmSettings[1].value: is '1.5'; min_resource must be an integer of 1 or more",
        "algorithmSettings[2].value: is 'nan'; max_resource must be an integer of 1 or more",
        "algorithmSettings[3].name: is 'max_resorce'; must be one of eta, min_resource, max_resource: "
        "did you mean max_resource?",
    ]
    assert problems(settings("threshold", lower="inf", stop_on_nan="yes", metric="")) == [
        "algorithmSettings[0].value: is 'inf'; lower must be a finite number",
        "algorithmSettings[1].value: is 'yes'; stop_on_nan must be true or false",
        "algorithmSettings[2].value: is ''; metric must be the name of a metric",
    ]
    assert problems(settings("percentile", percentile="100")) == [
        "algorithmSettings[0].value: is '100'; percentile must be a number above 0 and below 100"
    ]
    assert problems(settings("patience", min_delta="-1")) == [
        "algorithmSettings[0].value: is '-1'; min_delta must be a number of 0 or more"
    ]


def test_settings_that_do_not_go_together_are_refused():
    assert problems(settings("asha", min_resource="9", max_resource="9")) == [
        "algorithmSettings: leave no rung: min_resource is 9 and max_resource 9; max_resource must be greater"
    ]
    assert problems(settings("threshold")) == [
        "algorithmSettings: ask for nothing; one of lower, upper and stop_on_nan must be given"
    ]
    assert problems(settings("threshold", lower="2", upper="1")) == [
        "algorithmSettings: allow no value: lower is 2 and upper 1; lower must not exceed upper"
    ]


def test_a_metric_that_is_not_collected_is_refused():
    assert problems(settings("threshold", upper="1", metric="memry"), LOSS) == [
        "algorithmSettings: watch 'memry', which is not collected; must be one of loss, gradient, memory"
    ]


def test_an_unknown_algorithm_is_refused_with_the_known_ones():
    assert problems(settings("medianstopp")) == [
        "algorithmName: is 'medianstopp'; must be one of medianstop, percentile, asha, threshold, patience: "
        "did you mean medianstop?"
    ]
