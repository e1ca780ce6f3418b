"""Serves kubeflow.katib's KatibClient, and tune() with what only Python can say: katib.py KUBECONFIG NAMESPACE."""

import sys

import objectives
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from kubeflow import katib
from kubernetes import client as kubernetes
from serve import serve


def create_from_model(document, namespace=None):
    """create_experiment with the SDK's own model of this document."""
    model = CLIENT.api_client.deserialize(Data(document), katib.V1beta1Experiment)
    CLIENT.create_experiment(model, namespace)


class Data:
    """A document as the SDK's deserialiser takes it."""

    def __init__(self, document):
        import json

        self.data = json.dumps(document)


def tune(name, objective, parameters, resources=None, env=None, trainer=None, **options):
    """tune() of a function of `objectives`; `parameters` are a constant or a call of katib.search each."""
    found = {key: _parameter(value) for key, value in parameters.items()}
    if trainer is not None:
        resources = katib.TrainerResources(**trainer)
    if env is not None:
        env = [kubernetes.V1EnvVar(name=key, value=value) for key, value in env.items()]
    CLIENT.tune(
        name,
        objective=getattr(objectives, objective),
        parameters=found,
        resources_per_trial=resources,
        env_per_trial=env,
        **options,
    )


def _parameter(value):
    if not isinstance(value, dict):
        return value
    ((kind, arguments),) = value.items()
    return getattr(katib.search, kind)(**arguments)


def dump(value):
    if isinstance(value, Message):
        return MessageToDict(value, preserving_proto_field_name=True)
    if type(value).__name__ == "RepeatedCompositeContainer":
        return [dump(item) for item in value]
    return CLIENT.api_client.sanitize_for_serialization(value)


CLIENT = katib.KatibClient(config_file=sys.argv[1], namespace=sys.argv[2])

if __name__ == "__main__":
    serve(CLIENT, {"create_from_model": create_from_model, "tune": tune}, dump)
