"""The official clients, unmodified, in environments of their own; a controller with webhooks; what runs is played."""

import random
import sys
from pathlib import Path

import pytest
from support.availability import cannot_run
from support.clients import remote
from support.clients.remote import Remote
from support.cluster import operators, programs
from support.cluster.admitting import admitting
from support.cluster.beside import beside
from support.cluster.played import PlayedJobs
from support.cluster.played_kind import PlayedKind
from support.cluster.played_node import PlayedNode
from support.cluster.processes import Server
from support.environments import Unmade, environment

# The newest Kubernetes client that both work with.
KUBERNETES = "kubernetes<36"
DB_MANAGER = "katib-db-manager.kubeflow"  # both clients have this name, and this port, built in
PORT = 6789
TRAINER_IMAGE = "docker.io/kubeflow/trainer-huggingface"  # of trials that tune() makes for a language model
TRAINER = Path(remote.__file__).with_name("trainer_image.py")
# What a user of the clients may do, in its namespace.
RULES = (
    {
        "apiGroups": ["kubeflow.org"],
        "resources": ["experiments", "suggestions", "trials"],
        "verbs": ["get", "list", "create", "patch", "delete"],
    },
    {"apiGroups": [""], "resources": ["pods", "pods/log", "events"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["create"]},
    {
        "apiGroups": ["trainer.kubeflow.org"],
        "resources": ["trainjobs", "trainingruntimes"],
        "verbs": ["get", "list"],
    },
)


@pytest.fixture(scope="session")
def katib_python():
    return made("kubeflow-katib", "kubeflow-katib==0.19.0", KUBERNETES)


@pytest.fixture(scope="session")
def kubeflow_python():
    return made("kubeflow", "kubeflow==0.5.0", KUBERNETES)


def made(name, *packages):
    try:
        return environment(name, *packages)
    except Unmade as problem:
        cannot_run(str(problem))


@pytest.fixture(scope="module")
def namespace(shared_namespace):
    """One for all tests of a module."""
    return shared_namespace


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("official-clients")


@pytest.fixture(scope="module")
def user(api_server, namespace):
    """The kubeconfig of a service account that may do what its user needs, and no more."""
    path = api_server.account(namespace, "user")
    api_server.grant(namespace, "user", *RULES)
    name = f"{namespace}-runtimes"
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    rule = {"apiGroups": ["trainer.kubeflow.org"], "resources": ["clustertrainingruntimes"], "verbs": ["get", "list"]}
    subject = {"kind": "ServiceAccount", "name": "user", "namespace": namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    metadata = {"metadata": {"name": name}}
    api_server.client.post(f"{rbac}/clusterroles", {**metadata, "rules": [rule]})
    api_server.client.post(f"{rbac}/clusterrolebindings", {**metadata, "roleRef": reference, "subjects": [subject]})
    yield path
    api_server.client.delete(f"{rbac}/clusterrolebindings/{name}")
    api_server.client.delete(f"{rbac}/clusterroles/{name}")


@pytest.fixture(scope="module")
def db_manager(folder):
    """The address of a db-manager: the built-in port, at a host of its own."""
    host = f"127.{random.randint(16, 250)}.{random.randint(1, 250)}.{random.randint(1, 250)}"
    serving = ["--listen", f"{host}:{PORT}", "--db", f"sqlite:///{folder}/katib.db"]
    command = [sys.executable, "-m", "katib_py.cli", "db-manager", *serving]
    server = Server("db-manager", command, folder).start()
    server.wait_until(lambda: "listening" in server.log.read_text())
    yield f"{host}:{PORT}"
    server.stop()


@pytest.fixture(scope="module")
def controller(api_server, crds, namespace, folder, db_manager):
    """A controller of the test's namespace with its webhooks."""
    with admitting(api_server, folder / "controller", namespace, ["--db-manager", db_manager]) as process:
        yield process


@pytest.fixture(scope="module")
def playing(api_server, namespace, katib_python, db_manager, folder):
    """Jobs, TrainJobs and PyTorchJobs of the namespace run their programs; `playing` is the node with their logs."""
    if reason := programs.missing():
        cannot_run(reason)
    operators.install(api_server.client)
    tools = folder / "tools"
    tools.mkdir()
    # pip installs nothing here: an objective function that asks for packages goes on without them, as in a pod.
    for tool, program in (("torchrun", 'exec python -u "$@"'), ("pip", "exit 1")):
        (tools / tool).write_text(f"#!/bin/sh\n{program}\n")
        (tools / tool).chmod(0o755)
    kubeconfig = api_server.kubeconfig

    async def enter(stack):
        node = await stack.enter_async_context(PlayedNode(kubeconfig, f"node-{namespace}"))
        hosts = {DB_MANAGER: db_manager.partition(":")[0]}
        found = programs.Programs(node, [tools, katib_python.parent], hosts, {TRAINER_IMAGE: ["python", TRAINER]})
        acts = {
            f"{operators.TRAINER}/namespaces/{namespace}/trainjobs": operators.runs_trainjobs(found, node),
            f"{operators.TRAINING}/namespaces/{namespace}/pytorchjobs": operators.runs_pytorchjobs(found, node),
        }
        for path, act in acts.items():
            await stack.enter_async_context(PlayedKind(kubeconfig, path, act))
        await stack.enter_async_context(PlayedJobs(kubeconfig, operators.runs_jobs(found, node), namespace))
        return node

    with beside(enter) as node:
        yield node


@pytest.fixture(scope="module")
def katib(katib_python, user, namespace, folder):
    """KatibClient 0.19.0 of the namespace."""
    with Remote(katib_python, "katib.py", folder / "katib.log", user, namespace) as client:
        yield client


@pytest.fixture(scope="module")
def optimizer(kubeflow_python, user, namespace, folder):
    """OptimizerClient 0.5.0 of the namespace."""
    with Remote(kubeflow_python, "optimizer.py", folder / "optimizer.log", user, namespace) as client:
        yield client
