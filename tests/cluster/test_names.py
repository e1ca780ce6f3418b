"""The names of Services resolve as a cluster's DNS has it."""

import struct

import pytest
from support.cluster.names import Names, answer

ENDPOINT = {"addresses": ["10.1.0.7"], "hostname": "worker-0", "conditions": {"ready": True}}
LATE = {"addresses": ["10.1.0.8"], "conditions": {"ready": False}}


def learned(kind, name, **fields):
    labels = {"kubernetes.io/service-name": "headless"}
    return {"type": kind, "object": {"metadata": {"name": name, "namespace": "ns", "labels": labels}, **fields}}


@pytest.fixture
def names():
    names = Names()
    names.service(learned("ADDED", "web", spec={"clusterIP": "10.0.0.9"}))
    names.service(learned("ADDED", "headless", spec={"clusterIP": "None"}))
    names.slice(learned("ADDED", "headless-x", endpoints=[ENDPOINT, LATE]))
    return names


KNOWN = {
    "web.ns.svc.cluster.local": ["10.0.0.9"],
    "headless.ns.svc.cluster.local": ["10.1.0.7"],
    "worker-0.headless.ns.svc.cluster.local": ["10.1.0.7"],
    "worker-1.headless.ns.svc.cluster.local": None,
    "web.other.svc.cluster.local": None,
    "web.ns": None,
    "debian.org": None,
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_name_has_the_addresses_of_its_service(names, name):
    assert names.addresses(name) == KNOWN[name]


def test_a_deleted_service_has_no_name(names):
    names.service(learned("DELETED", "web"))
    assert names.addresses("web.ns.svc.cluster.local") is None


def test_a_question_gets_one_answer_in_the_wires_format(names):
    labels = b"".join(bytes([len(word)]) + word for word in b"web.ns.svc.cluster.local".split(b"."))
    query = struct.pack("!6H", 77, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)
    reply = answer(query, names)
    assert struct.unpack_from("!4H", reply) == (77, 0x8580, 1, 1)
    assert reply.endswith(bytes([0, 4, 10, 0, 0, 9]))
