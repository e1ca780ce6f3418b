"""Serves kubeflow.katib's KatibClient, and tune() with what only Python can say: katib.py KUBECONFIG NAMESPACE."""

import json
import sys
from pathlib import Path

import objectives
from google.protobuf.json_format import MessageToDict
from kubeflow import katib
from kubernetes import client as kubernetes
from serve import serve

STUBS = Path(__file__).parent / "stubs"


class Response:
    """A document as the SDK's deserialiser takes it."""

    def __init__(self, document):
        self.data = json.dumps(document)


def create_model(document):
    """create_experiment() with the SDK's own model of this document."""
    CLIENT.create_experiment(CLIENT.api_client.deserialize(Response(document), katib.V1beta1Experiment))


def tune(name, objective, parameters, *, trainer=None, env_from=(), env=(), requirements=None, **options):
    """tune() of a function of `objectives`; `parameters` are a constant or a call of katib.search each.

    `trainer`, `env_from`, `env` and `requirements` are what the classes of the SDK are made of.
    """
    if trainer:
        options["resources_per_trial"] = katib.TrainerResources(**trainer)
    if requirements:
        options["resources_per_trial"] = kubernetes.V1ResourceRequirements(**requirements)
    sources = [kubernetes.V1EnvFromSource(config_map_ref=kubernetes.V1ConfigMapEnvSource(name=one)) for one in env_from]
    if variables := [*sources, *(kubernetes.V1EnvVar(**one) for one in env)]:
        options["env_per_trial"] = variables
    found = {key: _parameter(value) for key, value in parameters.items()}
    CLIENT.tune(name, objective=getattr(objectives, objective), parameters=found, **options)


def tune_language_model(name, learning_rate, rank, **options):
    """tune() of a model and dataset of Hugging Face's; `learning_rate` and `rank` are calls of katib.search."""
    sys.path.append(str(STUBS))
    import transformers
    from kubeflow.storage_initializer.hugging_face import (
        HuggingFaceDatasetParams,
        HuggingFaceModelParams,
        HuggingFaceTrainerParams,
    )
    from peft import LoraConfig

    training = transformers.TrainingArguments(learning_rate=_parameter(learning_rate))
    CLIENT.tune(
        name,
        model_provider_parameters=HuggingFaceModelParams("hf://model", transformers.AutoModelForCausalLM),
        dataset_provider_parameters=HuggingFaceDatasetParams("dataset"),
        trainer_parameters=HuggingFaceTrainerParams(training, LoraConfig(r=_parameter(rank))),
        resources_per_trial=katib.TrainerResources(1, 1, {"cpu": "1"}),
        **options,
    )


def _parameter(value):
    if not isinstance(value, dict):
        return value
    ((kind, arguments),) = value.items()
    return getattr(katib.search, kind)(**arguments)


def get_trial_metrics(name, address):
    found = CLIENT.get_trial_metrics(name, db_manager_address=address)
    return [MessageToDict(item, preserving_proto_field_name=True) for item in found]


def delete_after_its_dependents(name):
    CLIENT.delete_experiment(name, delete_options=kubernetes.V1DeleteOptions(propagation_policy="Foreground"))


CLIENT = katib.KatibClient(config_file=sys.argv[1], namespace=sys.argv[2])
CALLS = (create_model, tune, tune_language_model, get_trial_metrics, delete_after_its_dependents)

if __name__ == "__main__":
    serve(CLIENT, {call.__name__: call for call in CALLS}, CLIENT.api_client.sanitize_for_serialization)
