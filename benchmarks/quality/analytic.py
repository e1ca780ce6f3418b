"""Six mixed problems: int, log, categorical, stepped and discrete parameters, some of them bound to each other."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from benchmarks.quality.problems import Function, Values, among, within
from katib_py.core.space import ParameterSpec


@dataclass(frozen=True)
class Analytic:
    """A search space and its loss; the least loss is 0."""

    name: str
    parameters: tuple[ParameterSpec, ...]
    loss: Callable[[Values], float]
    group: str = "mixed"

    def instance(self, seed: int) -> int:
        """There is but one."""
        return 0

    def open(self, seed: int) -> Function:
        """The loss itself."""
        return Function(self.loss)


def _kernel_machine(values: Values) -> float:
    """A ridge in log C and log gamma, whose place depends on the kernel."""
    cost, width = math.log10(float(values["C"])), math.log10(float(values["gamma"]))
    degree = int(values["degree"])
    match values["kernel"]:
        case "rbf":
            return (cost + width) ** 2 * 0.3 + (width + 2.2) ** 2 * 0.1
        case "poly":
            return 0.08 + (cost - 0.5 * width - 1) ** 2 * 0.2 + 0.05 * (degree - 3) ** 2
        case "sigmoid":
            return 0.3 + (width + 3) ** 2 * 0.2 + cost**2 * 0.05
    return 0.15 + (cost + 1) ** 2 * 0.1


KERNEL_MACHINE: Final = Analytic(
    "kernel machine",
    (
        within("C", "double", 0.001, 1000, distribution="logUniform"),
        within("gamma", "double", 0.00001, 10, distribution="logUniform"),
        among("kernel", "linear", "poly", "rbf", "sigmoid"),
        within("degree", "int", 2, 6),
    ),
    _kernel_machine,
)


def _network(values: Values) -> float:
    """The best learning rate depends on the optimizer and the batch, the best width on the depth."""
    rate, width = math.log10(float(values["lr"])), math.log2(int(values["units"]))
    layers, dropout, batch = int(values["layers"]), float(values["dropout"]), math.log2(int(values["batch"]))
    best_rate = {"sgd": -1.0, "momentum": -1.8, "adam": -3.0, "rmsprop": -3.2}[values["optimizer"]]
    offset = {"sgd": 0.12, "momentum": 0.03, "adam": 0.0, "rmsprop": 0.05}[values["optimizer"]]
    activation = {"relu": 0.02, "gelu": 0.0, "tanh": 0.08, "sigmoid": 0.25, "elu": 0.03}[values["activation"]]
    rate_loss = 0.12 * (rate - best_rate - 0.25 * (batch - 6)) ** 2
    size_loss = 0.02 * (width + layers - 10) ** 2 + 0.01 * (layers - 3) ** 2
    return offset + activation + rate_loss + size_loss + 0.8 * (dropout - 0.25) ** 2 + 0.004 * (batch - 6) ** 2


NETWORK: Final = Analytic(
    "network",
    (
        within("lr", "double", 0.00001, 1, distribution="logUniform"),
        within("units", "int", 8, 1024, distribution="logUniform"),
        within("layers", "int", 1, 8),
        within("dropout", "double", 0, 0.7, step="0.05"),
        among("batch", 16, 32, 64, 128, 256, kind="discrete"),
        among("optimizer", "sgd", "momentum", "adam", "rmsprop"),
        among("activation", "relu", "gelu", "tanh", "sigmoid", "elu"),
    ),
    _network,
)


def _boosting(values: Values) -> float:
    """Shrinkage against the number of trees; the rest nearly on their own."""
    rate, trees = math.log10(float(values["eta"])), math.log10(int(values["trees"]))
    depth, rows = int(values["depth"]), float(values["subsample"])
    leaf, penalty = int(values["min_child"]), math.log10(float(values["lambda"]))
    shrinkage = 0.5 * (rate + trees - 1.4) ** 2 + 0.05 * (trees - 2.8) ** 2
    trees_loss = 0.02 * (depth - 6) ** 2 + 0.6 * (rows - 0.8) ** 2 + 0.0008 * (leaf - 5) ** 2
    booster = {"tree": 0.0, "dart": 0.02, "linear": 0.2}[values["booster"]]
    return shrinkage + trees_loss + 0.01 * (penalty - 0.3) ** 2 + booster


BOOSTING: Final = Analytic(
    "boosting",
    (
        within("eta", "double", 0.001, 1, distribution="logUniform"),
        within("trees", "int", 10, 3000, distribution="logUniform"),
        within("depth", "int", 1, 16),
        within("subsample", "double", 0.3, 1, step="0.1"),
        within("min_child", "int", 1, 40),
        within("lambda", "double", 0.001, 100, distribution="logUniform"),
        among("booster", "tree", "dart", "linear"),
    ),
    _boosting,
)


def _valley(values: Values) -> float:
    """Rosenbrock's bent valley on a step grid, one of its coordinates counted in ints."""
    shift = {"a": 0.0, "b": 0.5, "c": 1.5}[values["shift"]]
    x, y, z = float(values["x"]), int(values["y"]) / 10, float(values["z"])
    bent = 20 * (y - x**2) ** 2 + (1 - x) ** 2 + 20 * (z - y**2) ** 2 + (1 - y) ** 2
    return math.log1p(bent) + shift


VALLEY: Final = Analytic(
    "valley",
    (
        within("x", "double", -2, 2),
        within("y", "int", -20, 20),
        within("z", "double", -2, 2, step="0.05"),
        among("shift", "a", "b", "c"),
    ),
    _valley,
)


def _ridges(values: Values) -> float:
    """Twelve parameters of unequal weight, pairs of them bound."""
    total = 0.0
    for index in range(3):
        scale, number = math.log10(float(values[f"log{index}"])), int(values[f"int{index}"])
        stepped, choice = float(values[f"step{index}"]), values[f"choice{index}"]
        weight = 1 / (1 + index)
        total += weight * 0.4 * (scale + 2 - 0.1 * (number - 8)) ** 2 + weight * 0.015 * (number - 7) ** 2
        total += weight * 2 * (stepped - 0.35) ** 2
        total += weight * {"p": 0.3, "q": 0.0, "r": 0.15, "s": 0.4}[choice]
    return total


RIDGES: Final = Analytic(
    "ridges",
    tuple(
        parameter
        for index in range(3)
        for parameter in (
            within(f"log{index}", "double", 0.0001, 1, distribution="logUniform"),
            within(f"int{index}", "int", 1, 20),
            within(f"step{index}", "double", 0, 1, step="0.05"),
            among(f"choice{index}", "p", "q", "r", "s"),
        )
    ),
    _ridges,
)


def _basins(values: Values) -> float:
    """Several basins; the deepest is narrow and off-centre, and its place differs by mode."""
    x, y = float(values["x"]), math.log10(float(values["y"]))
    level = int(values["level"])
    centre = {"u": (0.2, -3.0, 4), "v": (0.75, -1.0, 12), "w": (0.5, -2.0, 8)}[values["mode"]]
    depth = {"u": 0.2, "v": 0.0, "w": 0.1}[values["mode"]]
    distance = ((x - centre[0]) / 0.5) ** 2 + ((y - centre[1]) / 2) ** 2 + ((level - centre[2]) / 8) ** 2
    ripple = 0.05 * (1 - math.cos(6 * math.pi * (x - centre[0]))) + 0.03 * (1 - math.cos(math.pi * (level - centre[2])))
    return depth + distance + ripple


BASINS: Final = Analytic(
    "basins",
    (
        within("x", "double", 0, 1),
        within("y", "double", 0.0001, 1, distribution="logUniform"),
        within("level", "int", 0, 16),
        among("mode", "u", "v", "w"),
    ),
    _basins,
)

PROBLEMS: Final = (KERNEL_MACHINE, NETWORK, BOOSTING, VALLEY, RIDGES, BASINS)
