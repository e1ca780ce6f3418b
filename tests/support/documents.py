"""An Experiment document that is sound, and ways to change it."""

import copy

SOUND = {
    "apiVersion": "kubeflow.org/v1beta1",
    "kind": "Experiment",
    "metadata": {"name": "demo", "namespace": "team-a"},
    "spec": {
        "maxTrialCount": 6,
        "parallelTrialCount": 2,
        "maxFailedTrialCount": 1,
        "objective": {
            "type": "maximize",
            "goal": 0.95,
            "objectiveMetricName": "acc",
            "additionalMetricNames": ["loss"],
        },
        "algorithm": {"algorithmName": "random", "algorithmSettings": [{"name": "random_state", "value": "7"}]},
        "parameters": [
            {
                "name": "lr",
                "parameterType": "double",
                "feasibleSpace": {"min": "0.001", "max": "0.1", "distribution": "logUniform"},
            },
            {"name": "opt", "parameterType": "categorical", "feasibleSpace": {"list": ["sgd", "adam"]}},
        ],
        "trialTemplate": {
            "primaryContainerName": "main",
            "trialParameters": [
                {"name": "rate", "reference": "lr"},
                {"name": "optimizer", "reference": "opt"},
                {"name": "self", "reference": "${trialSpec.Name}"},
            ],
            "trialSpec": {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "spec": {
                    "template": {
                        "spec": {
                            "restartPolicy": "Never",
                            "containers": [
                                {
                                    "name": "main",
                                    "image": "example/train:1",
                                    "command": [
                                        "train",
                                        "--lr=${trialParameters.rate}",
                                        "--opt=${trialParameters.optimizer}",
                                        "--id=${trialParameters.self}",
                                    ],
                                }
                            ],
                        }
                    }
                },
            },
        },
    },
}


def sound(changes=None):
    """The sound document with values at dotted paths changed, or taken out where they are `...`."""
    result = copy.deepcopy(SOUND)
    for path, value in (changes or {}).items():
        *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        holder = result
        for step in way:
            holder = holder[step] if isinstance(holder, list) else holder.setdefault(step, {})
        if value is ...:
            del holder[last]
        else:
            holder[last] = copy.deepcopy(value)
    return result
