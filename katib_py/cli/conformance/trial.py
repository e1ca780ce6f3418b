"""A whole trial of a service: a search space that it takes, every check, and the findings."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import grpc

from katib_py.cli.conformance.checks import CHECKS, Broken, Check, NotAsked, Trying
from katib_py.cli.conformance.played import Player, experiment, renewed
from katib_py.cli.conformance.spaces import SPACES
from katib_py.cli.conformance.subject import Refused, Subject
from katib_py.wire import api


class Result(StrEnum):
    """What became of a check."""

    PASSED = "passed"
    ADVICE = "advice"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, in words, and how long it took."""

    name: str
    result: Result
    words: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is tried: an algorithm with its settings, on the experiment's own space or on one of ours."""

    algorithm: str
    settings: Mapping[str, str]
    given: api.Experiment | None = None
    large: int = 1000

    def candidates(self) -> Iterator[tuple[str, api.Experiment]]:
        """Experiments to try, each with what its space is called."""
        if self.given is not None:
            yield f"that of {self.given.name}", self.given
            return
        for words, parameters in SPACES.items():
            yield words, experiment(parameters, self.algorithm, self.settings)


def findings(subject: Subject, plan: Plan) -> Iterator[Finding]:
    """Every finding as it is made; nothing follows one that leaves nothing to ask."""
    begin = time.monotonic()
    if not subject.reach():
        yield Finding("connection", Result.FAILED, f"nobody answers at {subject.target}", time.monotonic() - begin)
        return
    yield Finding("connection", Result.PASSED, subject.target, time.monotonic() - begin)
    trying = None
    complaints = []
    for words, message in plan.candidates():
        try:
            trying = _begun(subject, plan, message)
        except (Refused, Broken) as error:
            complaints.append(f"{words}: {error}")
            continue
        features = ", ".join(sorted(trying.features)) or "nothing beyond Katib's protocol"
        yield Finding("settings and space", Result.PASSED, f"taken: {words}; announces {features}")
        break
    if trying is None:
        yield Finding("settings and space", Result.FAILED, "; ".join(complaints))
        return
    for check in CHECKS:
        yield _finding(check, trying)


def _begun(subject: Subject, plan: Plan, message: api.Experiment) -> Trying:
    """The service at an experiment that it takes; raises Refused, Broken."""
    trying = Trying(subject, message, plan.large)
    try:
        trying.features = subject.validate(message)
    except Refused as error:
        # A service need not check anything: Katib's controller takes this for consent.
        if error.code is not grpc.StatusCode.UNIMPLEMENTED:
            raise
    if plan.given is None and not Player(subject, renewed(message)).ask(1):
        raise Broken("1 asked for, none came")
    return trying


def _finding(check: Check, trying: Trying) -> Finding:
    begin = time.monotonic()
    try:
        result, words = Result.PASSED, check.run(trying)
    except NotAsked as error:
        result, words = Result.SKIPPED, str(error)
    except (Broken, Refused) as error:
        result, words = Result.FAILED if check.must else Result.ADVICE, str(error)
    return Finding(check.name, result, words, time.monotonic() - begin)


def as_json(target: str, plan: Plan, found: list[Finding]) -> dict[str, Any]:
    """The findings as an object."""
    return {
        "target": target,
        "algorithm": plan.algorithm,
        "conforms": conforms(found),
        "checks": [
            {"name": item.name, "result": item.result, "message": item.words, "seconds": round(item.seconds, 3)}
            for item in found
        ],
    }


def conforms(found: list[Finding]) -> bool:
    """Whether nothing failed that must not."""
    return all(item.result is not Result.FAILED for item in found)
