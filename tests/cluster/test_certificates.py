"""The webhooks' certificates on a real API server: made, kept, renewed under way, left alone where they are others'."""

import base64
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support.cluster.client import Refused
from support.cluster.kinds import install
from support.cluster.webhooks import PLACE, Replica, asked, bundles, configure, unconfigure
from support.shell import wait_for

from katib_py.backends.k8s.pki import Bundle, Terms, renewed

HOUR = timedelta(hours=1)
# An authority is renewed four seconds after it was made.
RESTLESS = Terms(HOUR, HOUR - timedelta(seconds=4), HOUR, timedelta(0))
FOLLOWS = 1.0  # seconds between two looks of a replica that only follows


@pytest.fixture(scope="module")
def server(own_api_server):
    own_api_server.namespace("kubeflow")
    own_api_server.namespace("team-a")
    install(own_api_server.client)
    return own_api_server


@pytest.fixture
def place():
    """A Secret of the test's own."""
    return replace(PLACE, secret=f"cert-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def secret(server, place):
    path = f"/api/v1/namespaces/{place.namespace}/secrets"

    def read():
        try:
            return server.client.get(f"{path}/{place.secret}")
        except Refused:
            return None

    read.create = lambda **body: server.client.post(path, {"metadata": {"name": place.secret}, **body})
    read.delete = lambda: server.client.delete(f"{path}/{place.secret}")
    return read


@pytest.fixture
def replica(server, place):
    """Starts one, and tells the API server of the last."""
    entered = []

    def start(**options):
        replica = Replica(server.kubeconfig, place=place, **options)
        entered.append(replica.__enter__())
        configure(server.client, replica.url)
        return replica

    yield start
    for replica in entered:
        replica.__exit__()
    unconfigure(server.client)


def test_a_secret_is_made_and_the_api_server_trusts_it(server, secret, replica):
    replica()
    bundle = Bundle.of(secret()["data"])
    trusted = base64.b64encode(b"".join(bundle.authorities)).decode()
    wait_for(lambda: set(bundles(server.client)) == {trusted})
    wait_for(lambda: asked(server.client, "team-a"))


@pytest.mark.parametrize("data", [{}, {"ca.crt": "", "tls.crt": "eA==", "tls.key": "eA=="}])
def test_a_secret_without_certificates_is_filled(server, secret, replica, data):
    secret.create(data=data)
    replica()
    assert Bundle.of(secret()["data"])


def test_a_secret_that_is_deleted_is_made_anew(server, secret, replica):
    replica()
    first = Bundle.of(secret()["data"])
    secret.delete()
    wait_for(secret)
    assert Bundle.of(secret()["data"]) != first
    wait_for(lambda: asked(server.client, "team-a"))


def test_a_secret_of_somebody_elses_is_served_and_not_touched(server, secret, replica, place):
    def theirs():
        data = renewed(None, place.names, datetime.now(UTC)).data()
        return {name: data[name] for name in ("ca.crt", "tls.crt", "tls.key")}

    secret.create(data=theirs())
    annotations = {"cert-manager.io/certificate-name": "katib"}
    path = f"/api/v1/namespaces/{place.namespace}/secrets/{place.secret}"
    for data in (theirs(), theirs()):
        server.client.patch(path, {"metadata": {"annotations": annotations}, "data": data})
        leader = replica()
        shown = base64.b64decode(data["tls.crt"]).decode().strip()
        wait_for(lambda leader=leader, shown=shown: leader.certificate() == shown)
        assert secret()["data"] == data


def test_authorities_and_certificates_are_renewed_while_requests_go_on(server, secret, replica):
    """The replica that answers only follows, and late; whoever leads renews again and again."""
    leader = replica(terms=RESTLESS, every=FOLLOWS)
    answering = replica(leads=False, every=FOLLOWS)
    wait_for(lambda: answering.serving() and asked(server.client, "team-a"))
    configure(server.client, answering.url, failurePolicy="Fail")
    seen, requests = set(), 0
    while len(seen) < 4:
        assert asked(server.client, "team-a")
        for each in (leader, answering):
            each.shake_hands(bundles(server.client)[0])
        seen.add(secret()["data"]["tls.crt"])
        requests += 1
    assert requests > 10


def test_two_leaders_that_begin_at_once_agree(server, secret, replica):
    replicas = [replica(), replica()]
    wait_for(lambda: asked(server.client, "team-a"))
    shown = base64.b64decode(secret()["data"]["tls.crt"]).decode().strip()
    wait_for(lambda: {each.certificate() for each in replicas} == {shown})
