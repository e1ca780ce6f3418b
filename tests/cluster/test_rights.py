"""A controller that may not create a kind of run says so, and goes on once it may."""

import dataclasses

import pytest
from support.cluster.async_client import AsyncClient
from support.cluster.controllers import Controller
from support.cluster.experiments import condition, experiment, last
from support.cluster.kind_definitions import define
from support.cluster.operator import Operator
from support.cluster.played_kinds import KINDS
from support.cluster.waits import Waits

ACCOUNT = "controller"
GUARDED = dataclasses.replace(KINDS["Training"], kind="Guarded", plural="guardeds")
EVERYTHING = ["get", "list", "watch", "create", "patch", "update", "delete"]
RULES = (
    {"apiGroups": ["kubeflow.org"], "resources": ["*"], "verbs": EVERYTHING},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": EVERYTHING},
    {"apiGroups": [""], "resources": ["pods", "pods/log", "configmaps"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["list", "create", "patch"]},
)
RIGHT = {"apiGroups": ["example.com"], "resources": ["guardeds"], "verbs": EVERYTHING}


@pytest.fixture
def limited(api_server, crds, namespace, tmp_path):
    """A controller that runs as a service account with the rights to run Jobs."""
    kubeconfig = api_server.account(namespace, ACCOUNT)
    api_server.grant(namespace, ACCOUNT, *RULES)
    with Controller(kubeconfig, tmp_path / "controller", namespace) as process:
        yield process


async def completes(operator, run):
    await operator.set(run, "Succeeded")


async def test_a_kind_that_may_not_be_created_is_waited_for_until_it_may(api_server, namespace, limited):
    define(api_server.client, GUARDED)
    template = {**GUARDED.template, "retain": False}
    async with (
        AsyncClient(api_server.kubeconfig) as client,
        Operator(api_server.kubeconfig, GUARDED, completes, namespace),
    ):
        waits = Waits(client, namespace)
        await client.post(
            waits.path("experiments"),
            experiment("guarded", run=GUARDED.run, trialTemplate=template, maxTrialCount=1, parallelTrialCount=1),
        )
        trial, _ = await waits.told("guarded", "Forbidden")
        assert "guardeds" in condition(trial, "Waiting")["message"]
        api_server.grant(namespace, ACCOUNT, RIGHT)
        await waits.ended("guarded")
        assert last(await waits.trial("guarded"))[0] == "MetricsUnavailable"  # it pushes none, but it has run
