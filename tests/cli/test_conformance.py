"""What a trial of a suggestion service finds: ours, somebody's to Katib's protocol, and broken ones."""

from __future__ import annotations

import json

import pytest
from support.shell import Shell
from support.third_party import Suggestion, serving

from katib_py.cli.conformance.checks import CHECKS
from katib_py.cli.conformance.subject import Subject
from katib_py.cli.conformance.trial import Plan, Result, conforms, findings
from katib_py.wire import api
from suggestion_services.registry import ALGORITHMS
from suggestion_services.server import serve

SETTINGS = {name: {"r_l": "27", "resource_name": "depth"} for name in ("hyperband", "asha", "bohb")}
RATES = [f"{0.001 + 0.0001 * n:.4f}" for n in range(900)]


@pytest.fixture
def ours(tmp_path):
    server, address = serve(f"unix:{tmp_path}/socket", ALGORITHMS)
    yield address
    server.stop(None).wait()


def lr(algorithm="theirs"):
    message = api.Experiment(name="given", uid="uid")
    space = api.FeasibleSpace(min="0.001", max="0.1")
    message.spec.parameter_specs.parameters.add(name="lr", parameter_type=api.DOUBLE, feasible_space=space)
    message.spec.objective.objective_metric_name = "acc"
    message.spec.objective.type = api.MAXIMIZE
    message.spec.algorithm.algorithm_name = algorithm
    return message


def tried(address, plan):
    subject = Subject(address, 20.0)
    try:
        return {item.name: item for item in findings(subject, plan)}
    finally:
        subject.close()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_of_ours_conforms(algorithm, ours):
    found = tried(ours, Plan(algorithm, SETTINGS.get(algorithm, {}), None, 200))
    assert {name: item.words for name, item in found.items() if item.result is Result.FAILED} == {}
    assert found["history as a delta"].result is found["health service"].result is Result.PASSED
    assert len(found) == len(CHECKS) + 2


def test_a_service_to_katibs_protocol_conforms_without_any_of_our_additions():
    with serving(Suggestion=Suggestion(RATES)) as address:
        found = tried(address, Plan("theirs", {}, lr(), 200))
    assert conforms(list(found.values()))
    assert found["history as a delta"].result is Result.SKIPPED
    assert found["health service"].result is found["unknown setting"].result is Result.ADVICE


class TooFew(Suggestion):
    def GetSuggestions(self, request, context):
        reply = super().GetSuggestions(request, context)
        del reply.parameter_assignments[1:]
        return reply


class Forgetful(Suggestion):
    def GetSuggestions(self, request, context):
        if any(trial.status.condition == api.TrialStatus.FAILED for trial in request.trials):
            raise ValueError("an unknown trial")
        return super().GetSuggestions(request, context)


class Once(Suggestion):
    def GetSuggestions(self, request, context):
        if any(request.SerializeToString() == earlier.SerializeToString() for earlier in self.requests):
            return api.GetSuggestionsReply()
        return super().GetSuggestions(request, context)


class Named(Suggestion):
    def GetSuggestions(self, request, context):
        reply = super().GetSuggestions(request, context)
        for entry in reply.parameter_assignments:
            entry.trial_name = "always-the-same"
        return reply


@pytest.mark.parametrize(
    ("service", "check", "words"),
    [
        (TooFew(RATES), "count and values", "3 asked for, 1 came"),
        (Suggestion(["7"] * 900), "count and values", "lr is '7', which is not between 0.001 and 0.1"),
        (Suggestion(["much"] * 900), "count and values", "lr is 'much', which is no number"),
        (Forgetful(RATES), "trials in every state", "UNKNOWN: Exception calling application: an unknown trial"),
        (Once(RATES), "repeated request", "the same request for 2 gets 2 and then 0"),
        (Named(RATES), "trial names", "are not unique: always-the-same"),
        (Suggestion(RATES[:60]), "large history", "2 asked for, 0 came"),
    ],
)
def test_what_breaks_the_protocol_is_found_and_said(service, check, words):
    with serving(Suggestion=service) as address:
        found = tried(address, Plan("theirs", {}, lr(), 200))
    assert found[check].result is Result.FAILED
    assert words in found[check].words
    assert not conforms(list(found.values()))


def test_duplicates_are_advice():
    with serving(Suggestion=Suggestion(["0.01", "0.02"] * 450)) as address:
        found = tried(address, Plan("theirs", {}, lr(), 200))
    assert found["duplicates"].result is Result.ADVICE
    assert "assignments repeat an earlier one" in found["duplicates"].words


def test_a_service_that_takes_no_space_says_of_each_why_not(ours):
    found = tried(ours, Plan("random", {"bad": "1"}))
    assert found["settings and space"].result is Result.FAILED
    assert "countable parameters: INVALID_ARGUMENT" in found["settings and space"].words
    assert len(found) == 2


def test_where_nobody_answers_nothing_is_asked():
    found = tried("unix:/nowhere", Plan("random", {}))
    assert [item.words for item in found.values()] == ["nobody answers at unix:/nowhere"]


def test_the_command_prints_a_table_or_json_and_exits_with_the_verdict(ours, tmp_path):
    shell = Shell(tmp_path)
    call = ("conformance", "--target", ours, "--trials", "50")
    table = shell(*call, "--algorithm", "grid", "--setting", "random_state=3")
    assert table.returncode == 0, table.stderr
    assert "grid keeps to the protocol: 20 passed" in table.stdout
    given = shell(*call, "--experiment", shell.write(algorithm={"algorithmName": "tpe"}), "-o", "json")
    report = json.loads(given.stdout)
    assert (report["algorithm"], report["conforms"]) == ("tpe", True)
    assert report["checks"][1]["message"].startswith("taken: that of demo")
    assert shell(*call, "--algorithm", "absent").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--target", "nowhere", "--algorithm", "a"), "--target: is 'nowhere'; must be HOST:PORT or unix:PATH"),
        (("--target", "a:1"), "--algorithm: is missing"),
        (("--target", "a:1", "--algorithm", "a", "--setting", "x"), "--setting: is 'x'; must be NAME=VALUE"),
        (("--target", "a:1", "--experiment", "absent.yaml"), "absent.yaml: cannot be read"),
    ],
)
def test_what_the_command_cannot_use_is_said(arguments, words, tmp_path):
    done = Shell(tmp_path)("conformance", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
