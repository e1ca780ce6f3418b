"""The three kinds of kubeflow.org on an API server: installed, and where their objects are."""

from support.shell import wait_for

from katib_py.core.crds import crds

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PERMISSIVE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def path_of(namespace, kind, *rest):
    """Where objects of a kind are; `rest` is a name, and a subresource."""
    return "/".join(("/apis/kubeflow.org/v1beta1/namespaces", namespace, f"{kind.lower()}s", *rest))


def install(client):
    """The definitions as katib-py has them, ready for use; whatever was there before is replaced."""
    return _applied(client, crds())


def install_katibs(client):
    """The definitions as Katib has them, ready for use."""
    return _applied(client, katibs())


def katibs():
    """Katib's definitions: any object goes."""
    definitions = crds()
    for definition in definitions:
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = PERMISSIVE
    return definitions


def _applied(client, definitions):
    names = [definition["metadata"]["name"] for definition in definitions]
    for name, definition in zip(names, definitions, strict=True):
        client.patch(f"{CRDS}/{name}", definition, "apply", fieldManager="tests", force="true")
    return [wait_for(lambda name=name: _established(client, name)) for name in names]


def _established(client, name):
    definition = client.get(f"{CRDS}/{name}")
    states = {entry["type"]: entry["status"] for entry in definition.get("status", {}).get("conditions") or ()}
    return definition if states.get("Established") == "True" else None
