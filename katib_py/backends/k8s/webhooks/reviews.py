"""AdmissionReview of admission.k8s.io/v1: the question, and the answer to it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from katib_py.core.json_patch import Operation

API_VERSION: Final = "admission.k8s.io/v1"
KIND: Final = "AdmissionReview"
REFUSED: Final = 400  # Katib's own
# What an API server passes on of warnings: of each, and of all.
WARNING_LENGTH: Final = 256
WARNINGS_LENGTH: Final = 4096

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """May this object be stored? `old` is what it replaces, None for a new one."""

    uid: str
    namespace: str
    new: Any
    old: Any
    subresource: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Yes, unless `refusal` says in words why not; `patch` is what is to be changed first."""

    patch: tuple[Operation, ...] = ()
    warnings: tuple[str, ...] = ()
    refusal: str = ""


ALLOWED: Final = Answer()


def read_question(body: Any) -> Question:
    """The question in a review; raises ValueError for a body that is none."""
    request = body.get("request") if isinstance(body, Mapping) and body.get("kind") == KIND else None
    uid = request.get("uid") if isinstance(request, Mapping) else None
    if request is None or not uid:
        raise ValueError(f"the body is no {KIND} of {API_VERSION} with a request")
    return Question(
        str(uid),
        str(request.get("namespace") or ""),
        request.get("object"),
        request.get("oldObject"),
        str(request.get("subResource") or ""),
    )


def write_answer(question: Question, answer: Answer) -> Json:
    """The review that answers the question."""
    response: Json = {"uid": question.uid, "allowed": not answer.refusal}
    if answer.refusal:
        response["status"] = {"code": REFUSED, "reason": "BadRequest", "message": answer.refusal}
    elif answer.patch:
        patch = json.dumps(answer.patch).encode()
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(patch).decode()}
    if warnings := list(_fitting(answer.warnings)):
        response["warnings"] = warnings
    return {"apiVersion": API_VERSION, "kind": KIND, "response": response}


def _fitting(warnings: Iterable[str]) -> Iterator[str]:
    left = WARNINGS_LENGTH
    for warning in warnings:
        text = warning if len(warning) <= WARNING_LENGTH else f"{warning[: WARNING_LENGTH - 1]}…"
        left -= len(text)
        if left < 0:
            return
        yield text
