"""The three CustomResourceDefinitions: the models' schemas, and what Kubernetes itself is to refuse and to fill in.

The schemas refuse no object that Katib stored. What its admission let pass is left to the controller to explain.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final

from katib_py.core.experiment import CollectorKind, ExperimentSpec, ResumePolicy
from katib_py.core.models import Model
from katib_py.core.names import API_VERSION
from katib_py.core.resources import Progress, SuggestionSpec, SuggestionStatus, TrialSpec, TrialStatus
from katib_py.core.schema import UNKNOWN_KEPT, Json, structural
from katib_py.core.space import Distribution

Overlay = Mapping[str, Json]  # the path of a field → what its schema has beside the model's own; None takes a key out

# More than fit into the largest object that etcd takes: a bound that refuses nothing, and makes the rules' cost finite.
MANY: Final = 30_000

# Old releases of Katib had the kind None; ended experiments of theirs may still be there.
COLLECTORS: Final = [*(kind.value for kind in CollectorKind), "None"]
POLICIES: Final = [*(policy.value for policy in ResumePolicy), ""]

ANY_TEXT: Final[Json] = {"enum": None}
AT_LEAST_0: Final[Json] = {"minimum": 0}
AT_LEAST_1: Final[Json] = {"minimum": 1}

# What an experiment with trials keeps. Of the second tuple an edit may fill in what is absent, as defaulting does.
KEPT: Final = (
    "objective.type",
    "objective.goal",
    "objective.objectiveMetricName",
    "objective.additionalMetricNames",
    "parameters",
    "nasConfig",
    "earlyStopping",
    "trialTemplate.trialSpec",
    "trialTemplate.configMap",
    "trialTemplate.trialParameters",
    "trialTemplate.primaryContainerName",
)
FILLED: Final = (
    "algorithm",
    "trialTemplate.successCondition",
    "trialTemplate.failureCondition",
    "trialTemplate.primaryPodLabels",
)
CHANGED: Final = (
    "cannot be changed, because there are trials; parallelTrialCount, maxTrialCount, maxFailedTrialCount, "
    "maxDurationSeconds, stopWhen and suspend can"
)


def rule(expression: str, message: str, field: str = "") -> Json:
    """A CEL rule, and which field below its object it is about."""
    about = {"fieldPath": f".{field}"} if field else {}
    return {"rule": expression, "message": message, **about}


def same(path: str) -> str:
    """The expression that an edit leaves a field as it was."""
    new, old = f"self.spec.{path}", f"oldSelf.spec.{path}"
    return f"(has({new}) ? has({old}) && {new} == {old} : !has({old}))"


def at_most_max(field: str) -> tuple[Json, Json]:
    """The count does not exceed maxTrialCount: at creation, when there is no status yet, and in every edit of the two.

    Old releases of Katib stored experiments that break this; their status can be written, and they can be deleted.
    """
    value, most, where = f"self.spec.{field}", "self.spec.maxTrialCount", f"spec.{field}"
    sound = f"!has({value}) || !has({most}) || {most} < 1 || {value} <= {most}"
    message = "must not exceed maxTrialCount"
    return (
        rule(f"has(self.status) || {sound}", message, where),
        rule(f"!has(self.status) || {same(field)} && {same('maxTrialCount')} || {sound}", message, where),
    )


def kept_rules() -> Iterator[Json]:
    """Once there are trials, budgets alone can be changed; before, a corrected file may change everything."""
    begun = "has(oldSelf.status) && has(oldSelf.status.trials) && oldSelf.status.trials > 0"
    for path in (*KEPT, *FILLED):
        filled = f"!has(oldSelf.spec.{path}) || " if path in FILLED else ""
        yield rule(f"!({begun}) || {filled}{same(path)}", CHANGED, f"spec.{path}")


def parameter_rules() -> Iterator[Json]:
    """A parameter has the kind of feasible space that its type needs."""
    numeric, listed = "self.parameterType in ['int', 'double']", "self.parameterType in ['discrete', 'categorical']"
    space = {field: f"self.feasibleSpace.{field}" for field in ("min", "max", "step", "list")}
    given = {field: f"(has({where}) && size({where}) > 0)" for field, where in space.items()}
    # Old releases of Katib were content with one of the two.
    bounded = f"!({numeric}) || {given['min']} || {given['max']}"
    yield rule(bounded, "must have min and max for an int or double parameter", "feasibleSpace")
    words = "is for discrete and categorical parameters"
    yield rule(f"!({numeric}) || !{given['list']}", words, "feasibleSpace.list")
    for field in ("min", "max", "step"):
        yield rule(f"!({listed}) || !{given[field]}", "is for int and double parameters", f"feasibleSpace.{field}")


EXPERIMENT: Final[Overlay] = {
    "": {
        "description": "A search for the best parameters of a program: each trial runs it with other ones.",
        "required": ["spec"],
        "x-kubernetes-validations": [
            *at_most_max("parallelTrialCount"),
            *at_most_max("maxFailedTrialCount"),
            *kept_rules(),
        ],
    },
    "spec": {
        "required": ["objective", "trialTemplate"],
        "x-kubernetes-validations": [
            rule(
                "(has(self.parameters) && size(self.parameters) > 0) != has(self.nasConfig)",
                "must have parameters or nasConfig, what is searched, and not both",
            ),
        ],
    },
    "spec.parallelTrialCount": AT_LEAST_1,
    "spec.maxTrialCount": AT_LEAST_1,
    "spec.maxFailedTrialCount": AT_LEAST_0,
    "spec.maxDurationSeconds": AT_LEAST_1,
    "spec.stopWhen.trialsWithoutImprovement": AT_LEAST_1,
    "spec.objectives[]": {"required": ["type", "objectiveMetricName"]},
    "spec.outcomeConstraints[]": {"required": ["metricName"]},
    "spec.confirm.top": AT_LEAST_1,
    "spec.confirm.repeats": AT_LEAST_1,
    "spec.resumePolicy": {"enum": POLICIES, "default": ResumePolicy.NEVER.value},
    "spec.objective": {"required": ["type", "objectiveMetricName"]},
    "spec.objective.objectiveMetricName": {"minLength": 1},
    "spec.objective.metricStrategies[].value": ANY_TEXT,
    "spec.parameters": {"maxItems": MANY},
    "spec.parameters[]": {
        "required": ["parameterType", "feasibleSpace"],
        "x-kubernetes-validations": list(parameter_rules()),
    },
    "spec.parameters[].feasibleSpace.distribution": {"default": Distribution.UNIFORM.value},
    "spec.nasConfig.operations[].parameters[].parameterType": ANY_TEXT,
    "spec.nasConfig.operations[].parameters[].feasibleSpace.distribution": ANY_TEXT,
    "spec.trialTemplate": {
        "x-kubernetes-validations": [
            rule("has(self.trialSpec) != has(self.configMap)", "must have trialSpec or configMap, and not both"),
        ],
    },
    "spec.metricsCollectorSpec": {"default": {"collector": {"kind": CollectorKind.STDOUT.value}}},
    "spec.metricsCollectorSpec.collector": {"default": {"kind": CollectorKind.STDOUT.value}},
    "spec.metricsCollectorSpec.collector.kind": {"enum": COLLECTORS},
    "status.completionTime": {"nullable": True},
}
SUGGESTION: Final[Overlay] = {
    "": {"description": "What an experiment asked its suggestion service for, and the answers."},
}
TRIAL: Final[Overlay] = {
    "": {"description": "One run of an experiment's program with one assignment of its parameters."},
    "spec.objective.metricStrategies[].value": ANY_TEXT,
    "spec.metricsCollector.collector.kind": {"enum": COLLECTORS},
    "status.completionTime": {"nullable": True},
}


def column(name: str, path: str, kind: str = "string") -> Json:
    """A column of `kubectl get`."""
    return {"name": name, "type": kind, "jsonPath": path}


STATE: Final = (
    column("Type", ".status.conditions[-1:].type"),
    column("Status", ".status.conditions[-1:].status"),
)
COUNTS: Final = (column("Requested", ".spec.requests"), column("Assigned", ".status.suggestionCount"))
AGE: Final = column("Age", ".metadata.creationTimestamp", "date")


def crds() -> tuple[Json, ...]:
    """The definitions of Experiment, Suggestion and Trial."""
    return (
        _definition("Experiment", _schema((ExperimentSpec, Progress), EXPERIMENT), (*STATE, AGE)),
        _definition("Suggestion", _schema((SuggestionSpec, SuggestionStatus), SUGGESTION), (*STATE, *COUNTS, AGE)),
        _definition("Trial", _schema((TrialSpec, TrialStatus), TRIAL), (*STATE, AGE)),
    )


def _definition(kind: str, schema: Json, columns: tuple[Json, ...]) -> Json:
    group, _, version = API_VERSION.partition("/")
    singular, plural = kind.lower(), f"{kind.lower()}s"
    names: Json = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": singular}
    served = {
        "name": version,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [dict(item) for item in columns],
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {**names, "categories": ["all", "kubeflow", "katib"]},
            "versions": [served],
        },
    }


def _schema(models: tuple[type[Model], type[Model]], overlay: Overlay) -> Json:
    spec, status = models
    properties: dict[str, Any] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": structural(spec),
        "status": structural(status),
    }
    schema = {"type": "object", UNKNOWN_KEPT: True, "properties": properties}
    for path, keys in overlay.items():
        _lay_over(schema, path, copy.deepcopy(keys))
    return schema


def _lay_over(schema: Json, path: str, keys: Json) -> None:
    node = schema
    for step in path.replace("[]", ".[]").split(".") if path else ():
        node = node["items"] if step == "[]" else node["properties"][step]
    node.update(keys)
    for key in [key for key, value in keys.items() if value is None]:
        del node[key]
