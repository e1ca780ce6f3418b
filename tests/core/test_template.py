"""A trial template and an assignment to a run object (api.md §10)."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.errors import InvalidInput, RenderError
from katib_py.core.experiment import Experiment
from katib_py.core.template import compile_template

CONFIG_MAP = {"configMapName": "templates", "configMapNamespace": "team-a", "templatePath": "job.yaml"}


def compiled(run, references, text=None):
    """The template with this inline object, or this text in a ConfigMap; `references` by trial parameter."""
    template = {"trialParameters": [{"name": name, "reference": reference} for name, reference in references.items()]}
    if text is None:
        template["trialSpec"] = run
    else:
        template["configMap"] = CONFIG_MAP
    experiment = Experiment.model_validate({"spec": {"trialTemplate": template}})
    return compile_template(experiment, {("team-a", "templates"): {"job.yaml": text}} if text is not None else {})


def rendered(run, references, assignments, text=None):
    return compiled(run, references, text).render("demo-x", "team-a", assignments)


def two(**metadata):
    spec = {"x": "${trialParameters.x}", "y": "${trialParameters.y}"}
    return {"apiVersion": "v1", "kind": "Job", "metadata": metadata, "spec": spec}


def test_placeholders_take_the_assignment_and_the_metadata():
    run = rendered(two(labels={"a": "L"}), {"x": "p", "y": "${trialSpec.Labels[a]}"}, [("p", "5")])
    assert run["spec"] == {"x": "5", "y": "L"}
    assert run["metadata"] == {"labels": {"a": "L"}, "name": "demo-x", "namespace": "team-a"}


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("${trialSpec.Name}", "demo-x"),
        ("${trialSpec.Namespace}", "team-a"),
        ("${trialSpec.Kind}", "Job"),
        ("${trialSpec.APIVersion}", "v1"),
        ("${trialSpec.Annotations[b/c]}", "N"),
        ("${trialSpec.Name[x]}", "demo-x"),
        ("pre-${trialSpec.Kind}-post", "pre-Job-post"),
        ("${trialSpec.Namespace}/${trialSpec.Name}", "team-a/demo-x"),
    ],
)
def test_a_metadata_reference_becomes_its_text_with_what_stands_around_it(reference, value):
    run = rendered(two(annotations={"b/c": "N"}), {"x": "p", "y": reference}, [("p", "5")])
    assert run["spec"]["y"] == value


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("${trialSpec.Labels}", "needs a key, as in ${trialSpec.Labels[key]}"),
        ("${trialSpec.Labels[b]}", "names 'b'; the template's metadata has a"),
        ("${trialSpec.Annotations[b]}", "the template's metadata has no annotations"),
        ("${trialSpec.Foo}", "trialSpec has Name, Namespace"),
    ],
)
def test_a_metadata_reference_that_leads_nowhere_is_found_before_any_trial(reference, words):
    with pytest.raises(InvalidInput) as caught:
        compiled(two(labels={"a": "L"}), {"x": "p", "y": reference})
    assert words in str(caught.value)
    assert caught.value.problems[0].path == "spec.trialTemplate.trialParameters[1].reference"


@pytest.mark.parametrize(
    ("assignments", "words"),
    [
        ([("p", "5"), ("q", "1")], "no trialParameters entry refers to q"),
        ([], "the assignment lacks p"),
        ([("zz", "5")], "lacks p"),
    ],
)
def test_an_assignment_that_does_not_fit_is_refused(assignments, words):
    with pytest.raises(RenderError) as caught:
        rendered({"spec": "${trialParameters.x}"}, {"x": "p"}, assignments)
    assert words in str(caught.value)


def test_a_placeholder_without_a_declaration_is_refused():
    with pytest.raises(RenderError) as caught:
        rendered(two(), {"x": "p"}, [("p", "5")])
    assert "${trialParameters.y} is not declared" in str(caught.value)


def test_placeholders_may_stand_in_keys_and_several_in_one_text():
    run = {"spec": {"${trialParameters.x}": ["${trialParameters.x}-${trialParameters.x}", 3, None]}}
    assert rendered(run, {"x": "p"}, [("p", "5")])["spec"] == {"5": ["5-5", 3, None]}


@given(st.text())
def test_a_value_never_changes_the_structure_of_an_inline_template(value):
    run = {"spec": {"args": ["--x=${trialParameters.x}"]}}
    assert rendered(run, {"x": "p"}, [("p", value)])["spec"] == {"args": [f"--x={value}"]}


def test_each_rendering_is_an_object_of_its_own():
    template = compiled({"spec": {"list": ["${trialParameters.x}"]}}, {"x": "p"})
    first, second = (template.render("a", "b", [("p", "5")]) for _ in range(2))
    first["spec"]["list"].append("more")
    assert second["spec"] == {"list": ["5"]}


def test_a_config_maps_unquoted_placeholder_becomes_a_number_and_a_quoted_one_text():
    text = "kind: Job\nspec: {limit: ${trialParameters.x}, arg: '${trialParameters.x}', part: n${trialParameters.x}}\n"
    run = rendered(None, {"x": "p"}, [("p", "3")], text)
    assert run["spec"] == {"limit": 3, "arg": "3", "part": "n3"}


def test_only_the_first_document_of_a_config_maps_text_counts():
    assert rendered(None, {}, [], "kind: Job\n---\nkind: Pod\n")["kind"] == "Job"


@pytest.mark.parametrize("text", ["kind: [", "just text", "- a", "", "a: 1\na: 2"])
def test_a_config_maps_text_that_is_no_object_is_refused(text):
    with pytest.raises(InvalidInput) as caught:
        compiled(None, {}, text)
    assert caught.value.problems[0].path == "spec.trialTemplate.configMap"


def test_a_config_map_that_is_not_there_and_a_key_that_it_lacks_are_named():
    experiment = Experiment.model_validate({"spec": {"trialTemplate": {"configMap": CONFIG_MAP}}})
    with pytest.raises(InvalidInput, match=r"the ConfigMap team-a/templates, which does not exist"):
        compile_template(experiment, {})
    with pytest.raises(InvalidInput, match=r"is 'job.yaml'; the ConfigMap has other"):
        compile_template(experiment, {("team-a", "templates"): {"other": ""}})


words = st.text("abcxyz09.-", min_size=1, max_size=8)


@given(st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["x", "-${p}", "n ${p} ${q}", "${p}"])), words)
def test_json_text_in_a_config_map_renders_as_the_same_object_inline(spec, value):
    spec = {key: text.replace("${", "${trialParameters.") for key, text in spec.items()}
    run, references = {"kind": "Job", "spec": spec}, {"p": "p", "q": "q"}
    assignments = [("p", value), ("q", "1")]
    inline = rendered(run, references, assignments)
    assert rendered(None, references, assignments, json.dumps(run)) == inline


@given(words)
def test_yaml_text_in_a_config_map_renders_as_katib_does_it_by_replacing_text(value):
    text = 'kind: Job\nspec:\n  quoted: "--x=${trialParameters.x}"\n  plain: --x=${trialParameters.x}\n'
    run = rendered(None, {"x": "p"}, [("p", value)], text)
    assert run["spec"] == yaml.safe_load(text.replace("${trialParameters.x}", value))["spec"]
