"""Six mixed problems: int, log, categorical, stepped and discrete parameters, some of them bound to each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from katib_py.core.space import ParameterSpec

Values = Mapping[str, str]


@dataclass(frozen=True)
class Problem:
    """A search space and its loss; the least loss is 0."""

    name: str
    parameters: tuple[ParameterSpec, ...]
    loss: Callable[[Values], float]


def _range(name: str, kind: str, low: float, high: float, **more: Any) -> ParameterSpec:
    space = {"min": str(low), "max": str(high), **more}
    return ParameterSpec.model_validate({"name": name, "parameterType": kind, "feasibleSpace": space})


def _choice(name: str, *values: object, kind: str = "categorical") -> ParameterSpec:
    space = {"list": [str(value) for value in values]}
    return ParameterSpec.model_validate({"name": name, "parameterType": kind, "feasibleSpace": space})


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


KERNEL_MACHINE: Final = Problem(
    "kernel machine",
    (
        _range("C", "double", 0.001, 1000, distribution="logUniform"),
        _range("gamma", "double", 0.00001, 10, distribution="logUniform"),
        _choice("kernel", "linear", "poly", "rbf", "sigmoid"),
        _range("degree", "int", 2, 6),
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


NETWORK: Final = Problem(
    "network",
    (
        _range("lr", "double", 0.00001, 1, distribution="logUniform"),
        _range("units", "int", 8, 1024, distribution="logUniform"),
        _range("layers", "int", 1, 8),
        _range("dropout", "double", 0, 0.7, step="0.05"),
        _choice("batch", 16, 32, 64, 128, 256, kind="discrete"),
        _choice("optimizer", "sgd", "momentum", "adam", "rmsprop"),
        _choice("activation", "relu", "gelu", "tanh", "sigmoid", "elu"),
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


BOOSTING: Final = Problem(
    "boosting",
    (
        _range("eta", "double", 0.001, 1, distribution="logUniform"),
        _range("trees", "int", 10, 3000, distribution="logUniform"),
        _range("depth", "int", 1, 16),
        _range("subsample", "double", 0.3, 1, step="0.1"),
        _range("min_child", "int", 1, 40),
        _range("lambda", "double", 0.001, 100, distribution="logUniform"),
        _choice("booster", "tree", "dart", "linear"),
    ),
    _boosting,
)


def _valley(values: Values) -> float:
    """Rosenbrock's bent valley on a step grid, one of its coordinates counted in ints."""
    shift = {"a": 0.0, "b": 0.5, "c": 1.5}[values["shift"]]
    x, y, z = float(values["x"]), int(values["y"]) / 10, float(values["z"])
    bent = 20 * (y - x**2) ** 2 + (1 - x) ** 2 + 20 * (z - y**2) ** 2 + (1 - y) ** 2
    return math.log1p(bent) + shift


VALLEY: Final = Problem(
    "valley",
    (
        _range("x", "double", -2, 2),
        _range("y", "int", -20, 20),
        _range("z", "double", -2, 2, step="0.05"),
        _choice("shift", "a", "b", "c"),
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


RIDGES: Final = Problem(
    "ridges",
    tuple(
        parameter
        for index in range(3)
        for parameter in (
            _range(f"log{index}", "double", 0.0001, 1, distribution="logUniform"),
            _range(f"int{index}", "int", 1, 20),
            _range(f"step{index}", "double", 0, 1, step="0.05"),
            _choice(f"choice{index}", "p", "q", "r", "s"),
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


BASINS: Final = Problem(
    "basins",
    (
        _range("x", "double", 0, 1),
        _range("y", "double", 0.0001, 1, distribution="logUniform"),
        _range("level", "int", 0, 16),
        _choice("mode", "u", "v", "w"),
    ),
    _basins,
)

PROBLEMS: Final = (KERNEL_MACHINE, NETWORK, BOOSTING, VALLEY, RIDGES, BASINS)
