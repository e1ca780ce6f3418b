"""A server of one's own algorithm in a line."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import dataclass

import grpc
import pytest
from support.packages import CLIMB

from katib_py.core.errors import InvalidInput
from katib_py.wire import api, rpc
from suggestion_services import Algorithm, Bounds, Proposal, Request, serve, setting
from suggestion_services.serving import name_of


@dataclass(frozen=True)
class SameValue(Algorithm):
    """Proposes one value."""

    value: int = setting(3, "what is proposed", Bounds(at_least=1))

    def suggest(self, request: Request) -> list[Proposal]:
        return [Proposal((("x", str(self.value)),))] * request.count


def ask(address, experiment, name, **settings):
    experiment.spec.algorithm.algorithm_name = name
    for key, value in settings.items():
        experiment.spec.algorithm.algorithm_settings.add(name=key, value=value)
    request = api.GetSuggestionsRequest(experiment=experiment, current_request_number=2)
    with grpc.insecure_channel(address) as channel:
        reply = rpc.call(channel, "Suggestion", "GetSuggestions")(request)
    return [entry.assignments[0].value for entry in reply.parameter_assignments]


@pytest.mark.parametrize("given", [SameValue, SameValue()])
def test_a_class_or_an_instance_is_served_under_its_own_name(given, tmp_path, experiment):
    with serve(given, listen=f"unix:{tmp_path}/s", block=False) as serving:
        assert ask(serving.address, experiment, "same-value") == ["3", "3"]
        assert ask(serving.address, experiment, "same-value", value="5") == ["5", "5"]


def test_an_instance_keeps_what_the_user_does_not_set(tmp_path, experiment):
    with serve(SameValue(7), "seven", f"unix:{tmp_path}/s", block=False) as serving:
        assert ask(serving.address, experiment, "seven") == ["7", "7"]


def test_what_is_no_algorithm_is_refused_with_what_it_lacks():
    with pytest.raises(InvalidInput, match="object lacks suggest"):
        serve(object, block=False)


def test_a_port_that_is_taken_is_said(tmp_path):
    with serve(SameValue, listen="127.0.0.1:0", block=False) as serving, pytest.raises(OSError, match="cannot listen"):
        serve(SameValue, listen=serving.address, block=False)


@pytest.mark.parametrize(
    ("written", "name"),
    [("Climb", "climb"), ("HillClimb", "hill-climb"), ("MyGPSearch", "my-gp-search"), ("CMA2", "cma2")],
)
def test_a_class_is_named_as_an_experiment_writes_it(written, name):
    assert name_of(type(written, (), {})) == name


def test_a_program_of_ten_lines_serves_until_it_is_told_to_end(tmp_path, experiment):
    program = f"{CLIMB}\nfrom suggestion_services import serve\nserve(Climb(), listen='127.0.0.1:0')\n"
    (tmp_path / "climb.py").write_text(program)
    process = subprocess.Popen([sys.executable, tmp_path / "climb.py"], stdout=subprocess.PIPE, text=True)
    address = process.stdout.readline().removeprefix("listening on ").strip()
    assert len(ask(address, experiment, "climb", width="0.5")) == 2
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    process.stdout.close()


def test_the_package_is_light_and_its_names_are_those_it_lists():
    code = (
        "import sys, suggestion_services as s; light = not {'numpy', 'grpc', 'scipy'} & sys.modules.keys();"
        "print(light, [n for n in s.__all__ if getattr(s, n) is None], set(s.__all__) == set(s.MODULES))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True [] True\n"
