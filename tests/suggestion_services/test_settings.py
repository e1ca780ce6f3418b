from __future__ import annotations

import pytest

from katib_py.core.errors import InvalidInput
from katib_py.core.experiment import AlgorithmSpec, Setting
from suggestion_services.registry import ALGORITHMS, find
from suggestion_services.settings import configured


def configure(algorithm, **settings):
    entries = tuple(Setting(name=name, value=value) for name, value in settings.items())
    return configured(find(algorithm), AlgorithmSpec(algorithm_name=algorithm, algorithm_settings=entries))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_has_defaults_and_takes_a_seed(algorithm):
    assert configure(algorithm).random_state is None
    assert configure(algorithm, random_state="7").random_state == 7


@pytest.mark.parametrize("algorithm", ["tpe", "multivariate-tpe"])
@pytest.mark.parametrize("name", ["n_EI_candidates", "n_ei_candidates"])
def test_both_spellings_of_the_candidates_are_read(algorithm, name):
    assert configure(algorithm, **{name: "5"}).n_ei_candidates == 5


def test_katibs_settings_of_tpe_are_read():
    tpe = configure("tpe", gamma="0.3", prior_weight="2", n_startup_trials="4")
    assert (tpe.gamma, tpe.prior_weight, tpe.n_startup_trials) == (0.3, 2.0, 4)


def test_katibs_settings_of_bayesianoptimization_are_read():
    words = {"base_estimator": "GBRT", "acq_func": "EIps", "acq_optimizer": "sampling"}
    bayesian = configure("bayesianoptimization", n_initial_points="0", **words)
    assert {name: getattr(bayesian, name) for name in words} == words
    assert bayesian.n_initial_points == 0


# The beginnings are Katib's (algorithms.md §4.1).
@pytest.mark.parametrize(
    ("algorithm", "name", "value", "words"),
    [
        ("random", "random_stat", "1", "unknown setting random_stat for algorithm random"),
        ("tpe", "random_state", "-1", "failed to validate random_state(-1): random_state must be >= 0"),
        ("tpe", "gamma", "1.5", "failed to validate gamma(1.5): gamma must be > 0 and < 1"),
        ("tpe", "gamma", "nan", "failed to validate gamma(nan)"),
        ("tpe", "prior_weight", "aaa", "failed to validate prior_weight(aaa): 'aaa' is not a number"),
        ("tpe", "prior_weight", "inf", "failed to validate prior_weight(inf)"),
        ("grid", "random_state", "1.5", "failed to validate random_state(1.5): '1.5' is not an integer"),
        ("bayesianoptimization", "base_estimator", "gp", "base_estimator must be one of GP, RF, ET, GBRT"),
        (
            "bayesianoptimization",
            "acq_func",
            "UCB",
            "acq_func must be one of portfolio, gp_hedge, LCB, EI, PI, EIps, PIps",
        ),
        ("bayesianoptimization", "acq_optimizer", "adam", "acq_optimizer must be one of auto, sampling, lbfgs"),
        ("bayesianoptimization", "n_initial_points", "-1", "n_initial_points must be >= 0"),
        ("pbt", "truncation_threshold", "2", "truncation_threshold must be >= 0 and <= 1"),
        ("pbt", "resample_probability", "1.5", "resample_probability must be >= 0 and <= 1"),
        ("bohb", "random_fraction", "20", "random_fraction must be >= 0 and <= 1"),
        ("multivariate-tpe", "n_ei_candidate", "5", "did you mean n_ei_candidates?"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_its_value(algorithm, name, value, words):
    with pytest.raises(InvalidInput, match=r"spec\.algorithm\.algorithmSettings\[0\]") as error:
        configure(algorithm, **{name: value})
    assert words in str(error.value)


def test_all_problems_are_told_at_once():
    with pytest.raises(InvalidInput) as error:
        configure("tpe", gamma="2", random_state="x", colour="red")
    assert len(error.value.problems) == 3


def test_sobol_passes_over_settings_that_it_does_not_know():
    assert configure("sobol", whatever="1").random_state is None


def test_an_unknown_algorithm_is_told_the_known_and_the_nearest():
    with pytest.raises(InvalidInput, match=r"unknown algorithm name rando; this service has .*; did you mean random\?"):
        find("rando")
