"""What a run waits for is told once it has lasted, not with every word that changes, and its end at once."""

import json

import pytest

from katib_py.backends.k8s.errors import error_of
from katib_py.backends.k8s.pods import Trouble
from katib_py.backends.k8s.troubles import AGAIN_SECONDS, GRACE_SECONDS, Troubles, of_refusal

IMAGE, NODE = Trouble("ImagePullBackOff", "no such image"), Trouble("Unschedulable", "no node")


@pytest.fixture
def told():
    return []


@pytest.fixture
def troubles(told):
    return Troubles(told.append)


def test_a_trouble_that_passes_is_not_told(troubles, told):
    troubles.note(IMAGE, 0.0)
    assert troubles.pending
    troubles.note(None, 1.0)
    assert not told
    assert not troubles.pending


def test_a_trouble_that_lasts_is_told_once_and_so_is_its_end(troubles, told):
    for moment in range(10):
        troubles.note(IMAGE, moment)
    assert told == [IMAGE]
    troubles.note(None, 10.0)
    troubles.note(None, 11.0)
    assert told == [IMAGE, None]


def test_another_trouble_is_told_after_its_own_time(troubles, told):
    troubles.note(IMAGE, 0.0)
    troubles.note(IMAGE, GRACE_SECONDS)
    troubles.note(NODE, GRACE_SECONDS + 1)
    assert told == [IMAGE]
    troubles.note(NODE, 2 * GRACE_SECONDS + 1)
    assert told == [IMAGE, NODE]


def test_other_words_for_the_same_trouble_are_told_seldom(troubles, told):
    troubles.note(IMAGE, 0.0)
    troubles.note(IMAGE, GRACE_SECONDS)
    for moment in range(4, int(AGAIN_SECONDS)):
        troubles.note(IMAGE._replace(message=f"for the {moment}th time"), moment)
    assert told == [IMAGE]
    troubles.note(IMAGE._replace(message="still"), AGAIN_SECONDS + GRACE_SECONDS)
    assert told[1:] == [IMAGE._replace(message="still")]


def test_what_was_told_before_us_is_not_told_again(troubles, told):
    troubles.was_told(IMAGE)
    troubles.note(IMAGE, 0.0)
    troubles.note(IMAGE, 100.0)
    assert not told
    troubles.note(None, 101.0)
    assert told == [None]


@pytest.mark.parametrize(
    ("status", "reason", "message", "expected"),
    [
        (403, "Forbidden", 'jobs.batch "x" is forbidden: exceeded quota: full', "QuotaExceeded"),
        (403, "Forbidden", 'jobs.batch is forbidden: User "u" cannot create resource', "Forbidden"),
        (403, "", 'admission webhook "a.b" denied the request: no', "AdmissionDenied"),
        (400, "BadRequest", 'admission webhook "a.b" denied the request: no', "AdmissionDenied"),
        (422, "Invalid", "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", "AdmissionDenied"),
        (500, "InternalError", 'failed calling webhook "a.b": connection refused', "WebhookUnavailable"),
        (404, "NotFound", "the server could not find the requested resource", "KindNotFound"),
        (404, "NotFound", 'namespaces "team" not found', "NamespaceNotFound"),
        (409, "Terminating", "pods are still there", "Terminating"),
        (503, "", "", "ApiServerUnreachable"),
    ],
)
def test_a_refusal_has_a_reason(status, reason, message, expected):
    error = error_of(status, json.dumps({"reason": reason, "message": message}).encode())
    assert of_refusal(error).reason == expected
