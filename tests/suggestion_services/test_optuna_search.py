"""Samplers of Optuna as algorithms: made anew from every request, or led through all trials once more."""

from __future__ import annotations

import sys
from decimal import Decimal

import numpy as np
import pytest

from katib_py.core.errors import InvalidInput
from katib_py.wire import api
from suggestion_services import optuna_search
from suggestion_services.optuna_replay import TOLD, Replays
from suggestion_services.optuna_samplers import read
from suggestion_services.registry import ALGORITHMS
from suggestion_services.search import check
from suggestion_services.suggestion import SuggestionService

REPLAYED = ["NSGAIISampler", "QMCSampler", "CmaEsSampler"]
every_sampler = pytest.mark.parametrize("sampler", ["TPESampler", "RandomSampler", "BruteForceSampler", *REPLAYED])


def experiment(sampler, dimensions=2, mixed=False, **settings):
    message = api.Experiment(name="optuna", uid="uid")
    for number in range(dimensions):
        space = api.FeasibleSpace(min="-5", max="5", step="0.01" if sampler == "BruteForceSampler" else "")
        parameter = message.spec.parameter_specs.parameters.add(name=f"x{number}", parameter_type=api.DOUBLE)
        parameter.feasible_space.CopyFrom(space)
    if mixed:
        kinds = api.FeasibleSpace(list=["a", "b", "c"]), api.FeasibleSpace(min="1", max="1000", step="1")
        kinds[1].distribution = api.LOG_UNIFORM
        message.spec.parameter_specs.parameters.add(name="c", parameter_type=api.CATEGORICAL, feasible_space=kinds[0])
        message.spec.parameter_specs.parameters.add(name="n", parameter_type=api.INT, feasible_space=kinds[1])
    message.spec.objective.objective_metric_name = "loss"
    message.spec.objective.type = api.MINIMIZE
    message.spec.algorithm.algorithm_name = "optuna"
    for name, value in {"sampler": sampler, **settings}.items():
        message.spec.algorithm.algorithm_settings.add(name=name, value=value)
    return message


def ellipsoid(values):
    places = np.array([float(value) for name, value in values.items() if name.startswith("x")]) - 1.3
    return float(10 ** (2 * np.arange(len(places)) / max(len(places) - 1, 1)) @ places**2)


class Search:
    """A controller; `labelled`: the labels of suggestions come back, which Katib's controller loses."""

    def __init__(self, message, labelled=True):
        self.message, self.labelled = message, labelled
        self.trials, self.losses = [], []

    def request(self, count):
        request = api.GetSuggestionsRequest(experiment=self.message, trials=self.trials, current_request_number=count)
        request.total_request_number = len(self.trials) + count
        request.history.SetInParent()
        return request

    def run(self, service, budget, batch):
        while len(self.losses) < budget:
            for entry in answer(service, self.request(batch)).parameter_assignments:
                self.finish(entry)
        return self

    def finish(self, entry, state=api.TrialStatus.SUCCEEDED):
        trial = api.Trial(name=f"t-{len(self.trials):05d}")
        trial.spec.parameter_assignments.assignments.extend(entry.assignments)
        if self.labelled:
            trial.spec.labels.update(entry.labels)
        values = {item.name: item.value for item in entry.assignments}
        self.losses.append(ellipsoid(values))
        trial.status.condition = state
        trial.status.start_time = f"2026-01-01T00:{len(self.trials) // 60:02d}:{len(self.trials) % 60:02d}Z"
        trial.status.observation.metrics.add(name="loss", value=repr(self.losses[-1]))
        self.trials.append(trial)


def answer(service, request):
    return service.GetSuggestions(request.SerializeToString(), None)


def service():
    return SuggestionService(ALGORITHMS)


@every_sampler
def test_a_service_started_again_goes_on_where_it_was(sampler, monkeypatch):
    kept = Search(experiment(sampler, mixed=sampler != "BruteForceSampler")).run(service(), 24, 4)
    expected = answer(service(), kept.request(3))
    monkeypatch.setattr(optuna_search, "REPLAYS", Replays())
    assert answer(service(), kept.request(3)) == expected


@pytest.mark.parametrize("sampler", REPLAYED)
def test_a_study_that_is_kept_proposes_what_a_replayed_one_would(sampler, monkeypatch):
    kept = Search(experiment(sampler)).run(service(), 30, 3)
    monkeypatch.setattr(optuna_search, "REPLAYS", Replays(kept=0))
    anew = Search(experiment(sampler)).run(service(), 30, 3)
    assert kept.trials == anew.trials


@pytest.mark.parametrize("sampler", REPLAYED)
def test_trials_that_end_in_another_order_than_they_began_are_replayed_alike(sampler, monkeypatch):
    search, order = Search(experiment(sampler)), np.random.default_rng(3)
    for entry in answer(service(), search.request(4)).parameter_assignments:
        search.finish(entry, api.TrialStatus.RUNNING)
    for _ in range(24):
        running = [trial for trial in search.trials if trial.status.condition == api.TrialStatus.RUNNING]
        order.choice(running).status.condition = api.TrialStatus.SUCCEEDED
        request = search.request(1)
        kept = answer(service(), request)
        with monkeypatch.context() as patch:
            patch.setattr(optuna_search, "REPLAYS", Replays())
            assert answer(service(), request) == kept
        search.finish(kept.parameter_assignments[0], api.TrialStatus.RUNNING)


@pytest.mark.parametrize("labelled", [True, False])
def test_cma_es_converges_although_its_state_is_in_no_request(labelled):
    search = Search(experiment("CmaEsSampler", 5), labelled).run(service(), 400, 8)
    assert min(search.losses) < 1


def test_the_genetic_algorithm_learns():
    search = Search(experiment("NSGAIISampler", 5, population_size="20")).run(service(), 300, 10)
    assert np.median(search.losses[-60:]) < np.median(search.losses[:60]) / 4


@every_sampler
def test_trials_of_every_kind_are_taken(sampler):
    search = Search(experiment(sampler))
    reply = answer(service(), search.request(13))
    for entry, state in zip(reply.parameter_assignments, [*range(8)] * 2, strict=False):
        search.finish(entry, state)
    for entry in search.trials[8:10]:
        entry.status.observation.metrics[0].value = "nan"
    search.trials[10].spec.parameter_assignments.assignments[0].value = "word"
    assert len(answer(service(), search.request(2)).parameter_assignments) == 2


def test_values_lie_in_the_space_whatever_they_are_drawn_as():
    search = Search(experiment("TPESampler", mixed=True)).run(service(), 30, 5)
    for trial in search.trials:
        values = {item.name: item.value for item in trial.spec.parameter_assignments.assignments}
        assert -5 <= Decimal(values["x0"]) <= 5
        assert values["c"] in "abc"
        assert 1 <= int(values["n"]) <= 1000


def test_only_what_is_replayed_is_labelled():
    def labels(sampler):
        return [
            dict(entry.labels)
            for entry in answer(service(), Search(experiment(sampler)).request(2)).parameter_assignments
        ]

    assert labels("TPESampler") == [{}, {}]
    assert labels("QMCSampler") == [{TOLD: "0"}] * 2


def refusal(message):
    with pytest.raises(InvalidInput) as caught:
        check(message, ALGORITHMS)
    return str(caught.value)


@pytest.mark.parametrize(
    ("sampler", "settings", "words"),
    [
        ("TPSampler", {}, "sampler is 'TPSampler'; must be one of"),
        ("TPSampler", {}, "did you mean TPESampler?"),
        ("GridSampler", {}, "use the algorithm grid"),
        ("TPESampler", {"multivariat": "true"}, "unknown setting multivariat for sampler TPESampler; it knows"),
        ("TPESampler", {"seed": "1"}, "seed is '1'; write random_state"),
        ("NSGAIISampler", {"population_size": "1"}, "NSGAIISampler: ValueError: `population_size`"),
        ("TPESampler", {"gamma": "0.1"}, "TPESampler at this search space: TypeError"),
        ("TPESampler", {"random_state": "-1"}, "random_state must be >= 0"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(sampler, settings, words):
    assert words in refusal(experiment(sampler, **settings))


DOZING = """
import optuna

class DozingSampler(optuna.samplers.RandomSampler):
    def __init__(self, naps=1, seed=None):
        super().__init__(seed)

__all__ = ["DozingSampler"]
"""


def test_a_package_of_optunahub_is_a_sampler_too(tmp_path, monkeypatch):
    folder = tmp_path / "samplers" / "dozing"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(DOZING)
    monkeypatch.setenv("KATIB_OPTUNAHUB_REGISTRY", str(tmp_path))
    assert len(Search(experiment("samplers/dozing", naps="2")).run(service(), 8, 4).trials) == 8
    assert "unknown setting nap for sampler samplers/dozing; it knows naps" in refusal(
        experiment("samplers/dozing", nap="2")
    )
    assert "which cannot be loaded from OptunaHub" in refusal(experiment("samplers/absent"))


def test_without_its_client_a_package_of_optunahub_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "optunahub", None)
    assert "pip install optunahub" in refusal(experiment("samplers/never_loaded"))


def test_a_sampler_whose_library_is_lacking_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "torch" in refusal(experiment("GPSampler"))


def test_settings_are_read_as_what_they_mean():
    assert [read(text) for text in ("3", "0.5", "true", "None", "1e-3", "word")] == [3, 0.5, True, None, 1e-3, "word"]


def test_a_sampler_that_does_not_repeat_itself_is_refused(monkeypatch):
    import optuna

    class Whim(optuna.samplers.RandomSampler):
        def __init__(self, seed=None):
            super().__init__()

    monkeypatch.setattr(optuna.samplers, "Whim_Sampler", Whim, raising=False)
    monkeypatch.setattr(optuna.samplers, "__all__", [*optuna.samplers.__all__, "Whim_Sampler"])
    assert "would not go on where it was" in refusal(experiment("Whim_Sampler"))
