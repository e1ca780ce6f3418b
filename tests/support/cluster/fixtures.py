"""A Kubernetes API server for these tests: a real one of the session's own, or one that is named on purpose."""

import os
import shutil
import subprocess
import uuid
from contextlib import suppress
from pathlib import Path

import pytest
from support.availability import cannot_run
from support.cluster import binaries, images
from support.cluster import node as nodes
from support.cluster.access import Access
from support.cluster.apiserver import CONTROLLERS, ApiServer
from support.cluster.controllers import Controller
from support.cluster.experiments import Objects
from support.cluster.installation import Installed, image
from support.cluster.kinds import install

# Never the default kubeconfig: whoever has one does not expect tests in that cluster.
GIVEN = "KATIB_TEST_KUBECONFIG"
PROGRAMS = {
    "api_server": (*binaries.API_SERVER, "kube-controller-manager"),
    "kubernetes": (
        *binaries.API_SERVER,
        "kube-controller-manager",
    ),  # a parameter of suites that run on several platforms
    "own_api_server": (*binaries.API_SERVER, "kube-controller-manager"),
    "node": nodes.PROGRAMS,
    "helm": ("helm",),
}


def pytest_collection_finish(session):
    """Build what the selected tests need here, since a build takes longer than any test may."""
    fixtures = {name for item in session.items for name in (*item.fixturenames, *parameters(item))}
    missing = binaries.absent(needed(fixtures)) if not session.config.option.collectonly else []
    for name in missing if binaries.find_go() else []:
        print(f"building {name}, once, some minutes …", flush=True)
        try:
            binaries.find(name)
        except binaries.Missing as problem:  # said again by the fixture, which skips or fails
            print(problem, flush=True)
            break
    if "installed" in fixtures and not session.config.option.collectonly and not images.missing():
        print("building the image …", flush=True)
        with suppress(images.Unbuilt):  # said again by the fixture
            image()


def parameters(item):
    callspec = getattr(item, "callspec", None)
    return [value for value in callspec.params.values() if isinstance(value, str)] if callspec else []


def needed(fixtures):
    wanted = {program for fixture in fixtures for program in PROGRAMS.get(fixture, ())}
    return [name for name in binaries.PROGRAMS if name in wanted]


def found_or_skipped(fixture):
    """Find a fixture's programs."""
    try:
        for name in needed({fixture}):
            binaries.find(name)
    except binaries.Missing as problem:
        cannot_run(str(problem))


@pytest.fixture(scope="session")
def api_server(tmp_path_factory):
    """An API server for all tests, with garbage collection; each test uses a `namespace` of its own."""
    folder = tmp_path_factory.mktemp("cluster")
    if given := os.environ.get(GIVEN):
        yield Access(Path(given), folder)
        return
    found_or_skipped("api_server")
    with ApiServer(folder) as server:
        server.start_controllers(*CONTROLLERS)
        yield server
    shutil.rmtree(folder / "etcd")


@pytest.fixture(scope="session")
def helm():
    """Runs Helm with these arguments and returns what it prints."""
    found_or_skipped("helm")

    def run(*arguments):
        command = [binaries.find("helm"), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def own_api_server(tmp_path_factory):
    """An API server of the module's own, to be killed and compacted; without any controller."""
    found_or_skipped("own_api_server")
    folder = tmp_path_factory.mktemp("own-cluster")
    with ApiServer(folder) as server:
        yield server
    shutil.rmtree(folder / "etcd")


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    """A cluster with a real node for all tests; it knows the image images.BASE, a Debian with Python."""
    if reason := nodes.missing() or images.missing():
        cannot_run(reason)
    found_or_skipped("node")
    try:
        archive = images.base()
    except images.Unbuilt as problem:
        cannot_run(str(problem))
    folder = tmp_path_factory.mktemp("node")
    with nodes.Node(folder) as node:
        node.load(archive)
        yield node
    shutil.rmtree(folder / "etcd")


@pytest.fixture(scope="session")
def installed(node, tmp_path_factory):
    """katib-py on the node, from the image that is built here, by the standalone manifests."""
    try:
        image()
    except images.Unbuilt as problem:
        cannot_run(str(problem))
    installed = Installed(node, tmp_path_factory.mktemp("installed"))
    installed.install()
    return installed


@pytest.fixture
def node_namespace(node):
    """The name of a new namespace on the node, deleted afterwards with all that is in it."""
    name = node.namespace(f"test-{uuid.uuid4().hex[:8]}")
    yield name
    node.client.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def namespace(api_server):
    """The name of a new namespace, deleted afterwards with all that is in it."""
    name = api_server.namespace(f"test-{uuid.uuid4().hex[:8]}")
    yield name
    api_server.client.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="session")
def crds(api_server):
    """The three kinds of Katib are known to the server."""
    return install(api_server.client)


@pytest.fixture
def objects(api_server, crds, namespace):
    """The objects of the test's own namespace."""
    return Objects(api_server.client, namespace)


@pytest.fixture
def controller(api_server, crds, namespace, tmp_path):
    """A controller of the test's own namespace, which acts."""
    with Controller(api_server.kubeconfig, tmp_path / "controller", namespace) as process:
        yield process


@pytest.fixture(scope="module")
def shared_namespace(api_server):
    """A namespace for all tests of a module."""
    name = api_server.namespace(f"test-{uuid.uuid4().hex[:8]}")
    yield name
    api_server.client.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="module")
def shared_controller(api_server, crds, shared_namespace, tmp_path_factory):
    """A controller of the module's namespace, which acts."""
    with Controller(api_server.kubeconfig, tmp_path_factory.mktemp("controller"), shared_namespace) as process:
        yield process
