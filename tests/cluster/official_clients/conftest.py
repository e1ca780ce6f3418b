"""The official clients, unmodified, in environments of their own; a controller with webhooks; what runs is played."""

import random
import sys

import pytest
from support.availability import cannot_run
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


@pytest.fixture
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


@pytest.fixture
def db_manager(tmp_path):
    """The db-manager of the test, as HOST:PORT: at the built-in port of an address of its own."""
    host = f"127.{random.randint(16, 250)}.{random.randint(1, 250)}.{random.randint(1, 250)}"
    command = [sys.executable, "-m", "katib_py.cli", "db-manager", "--listen", f"{host}:{PORT}", "--db", db(tmp_path)]
    server = Server("db-manager", command, tmp_path).start()
    server.wait_until(lambda: "listening" in server.log.read_text())
    yield f"{host}:{PORT}"
    server.stop()


def db(folder):
    return f"sqlite:///{folder}/katib.db"


@pytest.fixture
def controller(api_server, crds, namespace, tmp_path, db_manager):
    """A controller of the test's namespace, its webhooks, and the db-manager that it tells trials of."""
    arguments = ("--db-manager", f"{DB_MANAGER}:{PORT}", "--db", db(tmp_path))
    with admitting(api_server, tmp_path / "controller", namespace, arguments) as process:
        yield process


@pytest.fixture
def playing(api_server, namespace, katib_python, db_manager, tmp_path):
    """Jobs, TrainJobs and PyTorchJobs of the namespace run their programs; `playing` is the node with their logs."""
    if reason := programs.missing():
        cannot_run(reason)
    operators.install(api_server.client)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "torchrun").write_text('#!/bin/sh\nexec python -u "$@"\n')
    (tools / "torchrun").chmod(0o755)
    kubeconfig = api_server.kubeconfig

    async def enter(stack):
        node = await stack.enter_async_context(PlayedNode(kubeconfig, f"node-{namespace}"))
        found = programs.Programs(node, [tools, katib_python.parent], {DB_MANAGER: db_manager.partition(":")[0]})
        trainer, training = operators.TRAINER, "/apis/kubeflow.org/v1"
        acts = {
            f"{trainer}/namespaces/{namespace}/trainjobs": operators.runs_trainjobs(found, node),
            f"{training}/namespaces/{namespace}/pytorchjobs": operators.runs_pytorchjobs(found, node),
        }
        for path, act in acts.items():
            await stack.enter_async_context(PlayedKind(kubeconfig, path, act))
        await stack.enter_async_context(PlayedJobs(kubeconfig, operators.runs_jobs(found, node), namespace))
        return node

    with beside(enter) as node:
        yield node


@pytest.fixture
def katib(katib_python, user, namespace, tmp_path):
    """KatibClient 0.19.0 of the namespace."""
    with Remote(katib_python, "katib.py", tmp_path / "katib.log", user, namespace) as client:
        yield client


@pytest.fixture
def optimizer(kubeflow_python, user, namespace, tmp_path):
    """OptimizerClient 0.5.0 of the namespace."""
    with Remote(kubeflow_python, "optimizer.py", tmp_path / "optimizer.log", user, namespace) as client:
        yield client
