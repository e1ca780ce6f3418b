"""Tables of trials on terminals of any width."""

import io

import pytest
from rich.console import Console

from katib_py.cli.report import trials_table
from katib_py.core.objective import Metric, ObjectiveSpec, ObjectiveType
from katib_py.core.trial import Assignment, TrialRecord, TrialState

OBJECTIVE = ObjectiveSpec(type=ObjectiveType.MAXIMIZE, objective_metric_name="accuracy")


@pytest.mark.parametrize("width", [50, 60, 80, 200])
def test_names_and_values_are_never_cut(width):
    assignment = Assignment("a-rather-long-name-x2k9w7bq", 0, (("rate", "0.125"), ("momentum", "0.75")))
    trial = TrialRecord(
        assignment, 0.0, TrialState.SUCCEEDED, observation=(Metric("accuracy", "0.912345", "0.912345", "0.912345"),)
    )
    out = Console(file=io.StringIO(), width=width)
    out.print(trials_table(OBJECTIVE, [trial], width))
    shown = out.file.getvalue()
    assert "…" not in shown
    assert "0.912345" in shown
    assert "0.125" in shown
    assert "".join(line.split("  ")[0].strip() for line in shown.splitlines()[3:]) == "a-rather-long-name-x2k9w7bq"
