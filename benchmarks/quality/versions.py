"""The version of one of our algorithms is a digest of what it proposes: only another behaviour asks for new cells."""

from __future__ import annotations

import ast
import hashlib
import json
import os
from functools import cache
from pathlib import Path
from typing import Final

from benchmarks.quality import fidelity
from benchmarks.quality.analytic import NETWORK, VALLEY
from benchmarks.quality.environments import ENVIRONMENTS
from benchmarks.quality.search import Ours
from suggestion_services.registry import ALGORITHMS

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = "suggestion_services"
# What passes every suggestion on; the rest is what the algorithm's own module imports.
ALWAYS: Final = frozenset({f"{PACKAGE}.suggestion"})
SEED: Final = 1000  # no cell has it


@cache
def version_of_ours(algorithm: str, kept: Path = ENVIRONMENTS) -> str:
    """The digest of two searches of 128 trials; they are made anew when the code has changed."""
    path = kept / "versions" / f"{algorithm}-{code(algorithm)}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}")
        unfinished.write_text(behaviour(algorithm))
        unfinished.replace(path)
    return path.read_text()


def behaviour(algorithm: str) -> str:
    """The digest of what it proposes on a space of every kind of parameter and on a crooked valley."""
    if algorithm in fidelity.SETTINGS:
        return _digest(json.dumps(fidelity.run(algorithm, SEED, limit=1000)))
    texts = []
    for problem in (NETWORK, VALLEY):
        search = Ours(algorithm, problem.parameters, SEED)
        for _ in range(16):
            points = search.ask(8)
            search.tell([problem.loss(point) for point in points])
            texts.append(json.dumps(points))
    return _digest("".join(texts))


def code(algorithm: str) -> str:
    """The digest of the algorithm's module and all modules of the package that it imports, directly or not."""
    wanted = {ALGORITHMS[algorithm].partition(":")[0], *ALWAYS}
    seen: dict[str, str] = {}
    while wanted:
        module = wanted.pop()
        tree = ast.parse(_path(module).read_text())
        seen[module] = _bare(tree)
        wanted |= _imports(tree) - seen.keys()
    return _digest(repr(sorted(seen.items())))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _path(module: str) -> Path:
    return ROOT / f"{module.replace('.', '/')}.py"


def _imports(tree: ast.AST) -> set[str]:
    """The modules of the package that a module names, at its top or in a function."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith(PACKAGE)}
    return {name for name in found if _path(name).exists()}


def _bare(tree: ast.AST) -> str:
    """The code without docstrings and places."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            is_text = [isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant) for item in body]
            node.body = [item for item, text in zip(body, is_text, strict=True) if not text]  # type: ignore[attr-defined]
    return ast.dump(tree)
