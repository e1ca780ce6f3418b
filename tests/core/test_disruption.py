"""A Job is rendered so that disruptions are not counted among its failures, where Kubernetes allows that."""

import copy

import pytest

from katib_py.core.disruption import forgiving


def job(**spec):
    template = {"spec": {"restartPolicy": spec.pop("restartPolicy", "Never"), "containers": []}}
    return {"kind": "Job", "spec": {"template": template, **spec}}


def test_a_job_goes_on_after_a_disruption():
    run = job(backoffLimit=0)
    before = copy.deepcopy(run)
    policy = forgiving(run)["spec"].pop("podFailurePolicy")
    assert policy == {
        "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
    }
    assert run == before


@pytest.mark.parametrize(
    "run",
    [
        job(restartPolicy="OnFailure"),
        job(podFailurePolicy={"rules": []}),
        job(podReplacementPolicy="TerminatingOrFailed"),
        {"kind": "PyTorchJob", "spec": {"template": {"spec": {"restartPolicy": "Never"}}}},
        {"kind": "Job", "spec": []},
        {"kind": "Job", "spec": {"template": "none"}},
        {"kind": "Job"},
    ],
)
def test_any_other_run_is_left_as_it_is(run):
    assert forgiving(run) is run
