"""A slice of the mutated experiments; benchmarks/fuzz.py runs the rest."""

import subprocess
import sys
from pathlib import Path

FUZZ = Path(__file__).parents[2] / "benchmarks" / "fuzz.py"


def test_mutated_experiments_end_in_a_clear_error_or_a_correct_run(tmp_path):
    command = [sys.executable, str(FUZZ), "--cases", "150", "--processes", "2", "--seed", "slice", "--seconds", "5"]
    done = subprocess.run(
        [*command, "--keep", str(tmp_path)], check=False, capture_output=True, text=True, timeout=600, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
