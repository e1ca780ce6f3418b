"""The suggestion service in Go of the examples: built once for each state of its files, kept in the user's cache."""

import hashlib
import os
import subprocess
from pathlib import Path

from support.cluster.binaries import alone, cache_folder, find_go

SOURCE = Path(__file__).parents[2] / "examples" / "suggestion-in-go"


def build():
    """The program's path; None where there is no Go."""
    go = find_go()
    if go is None:
        return None
    files = sorted(path for path in SOURCE.iterdir() if path.name in {"main.go", "go.mod", "go.sum"})
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]
    program = cache_folder() / f"suggestion-in-go-{digest}" / "hill-climb"
    with alone(program.parent):
        if not program.exists():
            draft = program.with_suffix(".draft")
            environment = {**os.environ, "CGO_ENABLED": "0"}
            command = [go, "build", "-trimpath", "-o", draft, "."]
            done = subprocess.run(command, cwd=SOURCE, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            draft.rename(program)
    return program
