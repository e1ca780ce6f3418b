"""Every problem and every optimiser by name."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.quality import analytic
from benchmarks.quality.bbob import BBOB
from benchmarks.quality.environments import PEERS, python_of
from benchmarks.quality.problems import Problem
from benchmarks.quality.search import Optimiser, Ours, Parameters, Peer
from benchmarks.quality.tables import TUNING
from benchmarks.quality.versions import version_of_ours
from suggestion_services.registry import ALGORITHMS

_ALL: Final[tuple[Problem, ...]] = (*BBOB, *TUNING, *analytic.PROBLEMS)
PROBLEMS: Final = {problem.name: problem for problem in _ALL}
GROUPS: Final = ("bbob", "tuning", "mixed")
# Cheap ones first. Of ours, those that search any space with one objective and no resource.
OURS: Final = tuple(
    name
    for name in ("random", "sobol", "tpe", "multivariate-tpe", "cmaes", "auto", "bayesianoptimization")
    if name in ALGORITHMS
)
OPTIMISERS: Final = (*OURS, *PEERS)
MULTI_FIDELITY: Final = tuple(name for name in ("hyperband", "asha", "bohb") if name in ALGORITHMS)


def version(optimiser: str) -> str:
    """What a cell is measured of: the release of a peer, a digest of the code of ours."""
    if optimiser in PEERS:
        return PEERS[optimiser].requirements[0].partition("==")[2]
    return version_of_ours(optimiser)


def search(optimiser: str, parameters: Parameters, seed: int, environments: Path) -> Optimiser:
    """Begin a search; raises NotInstalled for a peer that cannot be."""
    if optimiser in PEERS:
        return Peer(optimiser, parameters, seed, python_of(PEERS[optimiser], environments))
    return Ours(optimiser, parameters, seed)


def install(optimiser: str, environments: Path) -> None:
    """Make the environment that it needs, if any; raises NotInstalled."""
    if optimiser in PEERS:
        python_of(PEERS[optimiser], environments)
