"""The webhooks' server, as far as it needs no cluster."""

import socket

import pytest

from katib_py.backends.k8s.http_server import listening
from katib_py.backends.k8s.webhooks.reviews import Answer, Question, read_question, write_answer

QUESTION = Question("u1", "team-a", {}, None, "")


def test_answers_leave_at_once():
    """asyncio turns Nagle's wait off on sockets that name their protocol, and on no others."""
    with listening("127.0.0.1", 0) as made:
        assert made.proto == socket.IPPROTO_TCP


def test_a_port_in_use_is_said():
    with listening("127.0.0.1", 0) as made, pytest.raises(OSError, match="in use"):
        listening(*made.getsockname())


def test_an_answer_repeats_the_questions_uid():
    response = write_answer(QUESTION, Answer(({"op": "remove", "path": "/a"},)))["response"]
    assert (response["uid"], response["allowed"], response["patchType"]) == ("u1", True, "JSONPatch")
    refused = write_answer(QUESTION, Answer((), (), "no"))["response"]
    assert (refused["allowed"], refused["status"]["message"], "patch" in refused) == (False, "no", False)


def test_warnings_fit_what_an_api_server_passes_on():
    warnings = write_answer(QUESTION, Answer((), ("x" * 300,) * 30))["response"]["warnings"]
    assert len(warnings) == 16
    assert all(len(warning) == 256 for warning in warnings)


@pytest.mark.parametrize("body", [None, [], {}, {"kind": "AdmissionReview"}, {"kind": "Pod", "request": {"uid": "u"}}])
def test_what_is_no_review_is_no_question(body):
    with pytest.raises(ValueError, match="is no AdmissionReview"):
        read_question(body)
