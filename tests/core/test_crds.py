"""The CustomResourceDefinitions say what the models say, and nothing that contradicts the core."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.schemas import defaulted, nodes, schema_of

from katib_py.core.crds import crds
from katib_py.core.defaults import default
from katib_py.core.experiment import ExperimentSpec
from katib_py.core.models import Model
from katib_py.core.objects import suggestion_object, trial_object
from katib_py.core.parse import parse_experiment
from katib_py.core.resources import Progress, SuggestionSpec, SuggestionStatus, TrialSpec, TrialStatus
from katib_py.core.status import ExperimentStatus, dump_status
from katib_py.core.tally import tally
from katib_py.core.trial import Assignment, Rule, TrialRecord, TrialState

KINDS = ("Experiment", "Suggestion", "Trial")
METADATA = {"apiVersion", "kind", "metadata"}
DEFAULTED = (
    "spec.parallelTrialCount",
    "spec.maxTrialCount",
    "spec.algorithm",
    "spec.parameters.0.feasibleSpace.distribution",
)


def test_the_names_are_katibs():
    for crd, kind in zip(crds(), KINDS, strict=True):
        spec, plural = crd["spec"], f"{kind.lower()}s"
        assert crd["metadata"]["name"] == f"{plural}.kubeflow.org"
        assert spec["names"]["kind"] == kind
        assert spec["names"]["categories"] == ["all", "kubeflow", "katib"]
        assert spec["scope"] == "Namespaced"
        assert [version["name"] for version in spec["versions"]] == ["v1beta1"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_object_keeps_fields_that_no_model_knows(kind):
    for path, node in nodes(schema_of(kind)):
        if node.get("type") == "object" and path != ("metadata",):
            assert node.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in node, path


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_says_what_it_is(kind):
    for path, node in nodes(schema_of(kind)):
        if path and path[0] not in METADATA and path[-1] not in {"[]", "*"}:
            assert node.get("description", "").endswith((".", "…")), path


def test_definitions_can_be_changed_by_who_gets_them():
    crds()[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["required"].clear()
    assert schema_of("Experiment")["properties"]["spec"]["required"] == ["objective", "trialTemplate"]


@given(absent=st.sets(st.sampled_from(DEFAULTED)), collector=st.sampled_from([..., {}, {"source": {}}, None]))
def test_what_the_schema_fills_in_is_what_the_core_would(document, absent, collector):
    bare = document(dict.fromkeys(absent, ...))
    if collector is not ...:
        bare["spec"]["metricsCollectorSpec"] = collector
    filled = defaulted(schema_of("Experiment"), bare)
    assert default(parse_experiment(filled).experiment) == default(parse_experiment(bare).experiment)


def strangers(value, path=""):
    """The paths of fields that a model kept without knowing them."""
    for name, part in value.model_extra.items():
        yield f"{path}.{name}", part
    for name in type(value).model_fields:
        part = getattr(value, name)
        for item in part if isinstance(part, tuple) else [part]:
            if isinstance(item, Model):
                yield from strangers(item, f"{path}.{name}")


@pytest.fixture
def experiment(document):
    return default(parse_experiment(document({"spec.suspend": True})).experiment)


def test_every_field_of_a_written_experiment_is_in_the_schema(experiment):
    status = ExperimentStatus(suspended_since=5.0, uncounted=1.5)
    status.begin(1.0)
    written = dump_status(status, tally(experiment.spec.judgement(), ()), {}, None)
    assert not list(strangers(ExperimentSpec.model_validate(experiment.dump()["spec"])))
    assert not list(strangers(Progress.model_validate(written)))


def test_every_field_of_a_written_trial_is_in_the_schema(experiment):
    rules = (Rule("acc", "0.5", "less", 3),)
    assignment = Assignment("demo-x", 0, (("lr", "0.01"),), (("a", "b"),), rules)
    trial = TrialRecord(assignment, 1.0, TrialState.SUCCEEDED, started=2.0, completed=3.0)
    written = trial_object(experiment, trial, {"kind": "Job"})
    assert not list(strangers(TrialSpec.model_validate(written["spec"])))
    assert not list(strangers(TrialStatus.model_validate(written["status"])))
    suggestion = suggestion_object(experiment, {"requests": 1, "assigned": 1, "settings": [("a", "1")]}, [assignment])
    assert not list(strangers(SuggestionSpec.model_validate(suggestion["spec"])))
    assert not list(strangers(SuggestionStatus.model_validate(suggestion["status"])))
