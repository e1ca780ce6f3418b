"""A small chaos campaign; benchmarks/chaos.py runs the big ones."""

import subprocess
import sys
from pathlib import Path

import pytest

CHAOS = Path(__file__).parents[2] / "benchmarks" / "chaos.py"
COUNTS = ["--trials", "36", "--parallel", "3", "--kills", "4", "--service-kills", "1", "--server-kills", "1"]
TIMES = ["--seconds", "1.5", "3.0", "--pause", "0.8"]


@pytest.mark.parametrize("collector", ["StdOut", "Push"])
def test_kills_lose_no_trial_and_no_metric(collector):
    command = [sys.executable, str(CHAOS), "--collector", collector, *COUNTS, *TIMES]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
