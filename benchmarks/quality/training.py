"""Computes the tables of losses: real trainings on scikit-learn's own data sets, seeded, validated on rows held out.

Classifiers are judged by the quadratic loss of their probabilities (Brier, 1950), support vector machines by 1 - AUC,
regression by the squared error relative to that of the mean. Trees, rounds, neighbours and epochs come of one training
each: every prefix of it is a configuration of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, Final

import numpy as np

from benchmarks.quality.networks import Rates, Shape, Split, brier_curves
from benchmarks.quality.tables import DIGITS_CURVES, EPOCHS, TUNING, Array, Axis, Table

Data = tuple[Array, Array]
# A regression that is worse than twice the variance is as bad as one that is just that.
WORST: Final = 2.0
FOLDS: Final = {"svm": 3, "forest": 2, "boosting": 2, "knn": 5}


def load(name: str, raw: bool = False) -> Data:
    """A data set, its columns standardised unless it is wanted raw; targets of regression always are."""
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name.replace('-', '_')}")(return_X_y=True)
    if not raw:
        x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-12)
    return x, ((y - y.mean()) / y.std() if name == "diabetes" else y.astype(np.int64))


def folds(data: Data, count: int) -> Iterator[tuple[Array, Array]]:
    """Rows to train on and rows to judge by, `count` times."""
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = StratifiedKFold if data[1].dtype.kind == "i" else KFold
    yield from kind(count, shuffle=True, random_state=1).split(*data)


def squared(predicted: Array, y: Array) -> float:
    """The loss of a regression."""
    return min(float(((predicted - y) ** 2).mean()), WORST)


def brier(chances: Array, y: Array) -> float:
    """The loss of a classifier."""
    return float(((chances - np.eye(chances.shape[1])[y]) ** 2).sum(axis=1).mean())


def one_hot(y: Array) -> Any:
    """Class numbers as rows of zeros and a one."""
    return np.eye(int(y.max()) + 1, dtype=np.float32)[y]


def values_of(axis: Axis) -> list[Any]:
    """The levels as numbers, where they are numbers."""
    if axis.kind == "categorical":
        return list(axis.levels)
    return [float(level) if axis.kind == "double" else int(level) for level in axis.levels]


def machines(table: Table, data: Data) -> Array:
    """Support vector machines; a parameter that a kernel lacks changes nothing."""
    from sklearn.metrics import roc_auc_score
    from sklearn.svm import SVC, SVR

    regression = data[1].dtype.kind == "f"
    splits, known = list(folds(data, FOLDS["svm"])), {}

    def judge(settings: dict[str, Any]) -> float:
        losses = []
        for train, valid in splits:
            if regression:
                model = SVR(max_iter=20_000, **settings).fit(data[0][train], data[1][train])
                losses.append(squared(model.predict(data[0][valid]), data[1][valid]))
            else:
                model = SVC(max_iter=20_000, **settings).fit(data[0][train], data[1][train])
                losses.append(1 - float(roc_auc_score(data[1][valid], model.decision_function(data[0][valid]))))
        return float(np.mean(losses))

    losses = np.empty(table.shape)
    unused = {"rbf": {"degree", "coef0"}, "linear": {"degree", "coef0", "gamma"}, "sigmoid": {"degree"}, "poly": set()}
    for place in np.ndindex(table.shape):
        settings = {axis.name: values_of(axis)[level] for axis, level in zip(table.axes, place, strict=True)}
        settings = {key: value for key, value in settings.items() if key not in unused[settings["kernel"]]}
        if settings.get("class_weight") == "none":
            settings["class_weight"] = None
        key = tuple(settings.items())
        if key not in known:
            known[key] = judge(settings)
        losses[place] = known[key]
    return losses


def forests(table: Table, data: Data) -> Array:
    """Random forests; the first trees of a forest are a smaller one."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    regression = data[1].dtype.kind == "f"
    criteria = ("squared_error", "friedman_mse") if regression else ("gini", "entropy")
    kind, loss = (RandomForestRegressor, squared) if regression else (RandomForestClassifier, brier)
    sizes = values_of(table.axes[0])
    losses = np.zeros(table.shape)
    for place in np.ndindex(table.shape[1:]):
        settings = {axis.name: values_of(axis)[level] for axis, level in zip(table.axes[1:], place, strict=True)}
        settings["criterion"] = criteria[("first", "second").index(settings["criterion"])]
        for train, valid in folds(data, FOLDS["forest"]):
            model = kind(sizes[-1], random_state=1, **settings).fit(data[0][train], data[1][train])
            method = "predict" if regression else "predict_proba"
            each = np.array([getattr(tree, method)(data[0][valid]) for tree in model.estimators_])
            means = np.cumsum(each, axis=0)
            for index, size in enumerate(sizes):
                losses[(index, *place)] += loss(means[size - 1] / size, data[1][valid]) / FOLDS["forest"]
    return losses


def boosting(table: Table, data: Data) -> Array:
    """Gradient boosting; its first rounds are a shorter one."""
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    regression = data[1].dtype.kind == "f"
    kind, loss = (GradientBoostingRegressor, squared) if regression else (GradientBoostingClassifier, brier)
    rounds = values_of(table.axes[0])
    losses = np.zeros(table.shape)
    for place in np.ndindex(table.shape[1:]):
        settings = {axis.name: values_of(axis)[level] for axis, level in zip(table.axes[1:], place, strict=True)}
        settings["max_features"] = "sqrt" if settings["max_features"] == "sqrt" else None
        for train, valid in folds(data, FOLDS["boosting"]):
            model = kind(n_estimators=rounds[-1], random_state=1, **settings).fit(data[0][train], data[1][train])
            stages = list(getattr(model, "staged_predict" if regression else "staged_predict_proba")(data[0][valid]))
            for index, count in enumerate(rounds):
                losses[(index, *place)] += loss(stages[count - 1], data[1][valid]) / FOLDS["boosting"]
    return losses


def neighbours(table: Table, data: Data) -> Array:
    """Nearest neighbours, weighted by a power of their nearness, on principal components."""
    from scipy.spatial.distance import cdist

    counts, metrics, powers, components, scalings = (values_of(axis) for axis in table.axes)
    losses = np.zeros(table.shape)
    for (train, valid), (at, scaling) in product(folds(data, FOLDS["knn"]), enumerate(scalings)):
        x = _scaled(data[0], train, scaling)
        axes = np.linalg.svd(x[train] - x[train].mean(axis=0), full_matrices=False)[2]
        targets = one_hot(data[1])
        for (m, metric), (c, count) in product(enumerate(metrics), enumerate(components)):
            z = (x - x[train].mean(axis=0)) @ axes[:count].T
            distances = cdist(z[valid], z[train], metric)
            nearest = np.argsort(distances, axis=1, kind="stable")[:, : counts[-1]]
            near = np.maximum(np.take_along_axis(distances, nearest, axis=1), 1e-9)
            for p, power in enumerate(powers):
                weights = (near[:, :1] / near) ** power
                votes = np.cumsum(weights[:, :, None] * targets[train][nearest], axis=1)
                chances = votes / np.cumsum(weights, axis=1)[:, :, None]
                wrong = ((chances - targets[valid][:, None, :]) ** 2).sum(axis=2).mean(axis=0)
                losses[:, m, p, c, at] += wrong[np.array(counts) - 1] / FOLDS["knn"]
    return losses


def _scaled(x: Array, train: Array, scaling: str) -> Array:
    """As measured, or with columns made equal by deviation or by range."""
    if scaling == "none":
        return x
    spread = x[train].std(axis=0) if scaling == "standard" else np.ptp(x[train], axis=0)
    return x / np.where(spread > 0, spread, 1)


def split(data: Data, rows: int) -> Split:
    """The first rows of a shuffled data set to train on, the others to validate on."""
    order = np.random.default_rng(1).permutation(len(data[1]))
    x, y = data[0][order].astype(np.float32), one_hot(data[1])[order]
    return Split(x[:rows], y[:rows], x[rows:], y[rows:])


def networks(table: Table, data: Data) -> Array:
    """Small networks; their first epochs are a shorter training."""
    rate, momentum, l2, units, batches, activations, epochs = (values_of(axis) for axis in table.axes)
    rows = split(data, 400)
    losses = np.empty(table.shape)
    rates = Rates(*(np.array(part, dtype=np.float32) for part in zip(*product(rate, momentum, l2), strict=True)))
    for (u, size), (b, batch), (a, activation) in product(*map(enumerate, (units, batches, activations))):
        curves = list(brier_curves(rows, Shape(size, batch, activation), rates, epochs[-1]))
        for index, epoch in enumerate(epochs):
            losses[:, :, :, u, b, a, index] = curves[epoch - 1].reshape(table.shape[:3])
    return losses


def curves(table: Table, data: Data) -> Array:
    """Learning curves on digits, epoch by epoch."""
    rate, momentum, l2, units, batches = (values_of(axis) for axis in table.axes)
    rows = split(data, 1000)
    losses = np.empty((*table.shape, EPOCHS))
    rates = Rates(*(np.array(part, dtype=np.float32) for part in zip(*product(rate, momentum, l2), strict=True)))
    for (u, size), (b, batch) in product(enumerate(units), enumerate(batches)):
        for epoch, found in enumerate(brier_curves(rows, Shape(size, batch), rates, EPOCHS)):
            losses[:, :, :, u, b, epoch] = found.reshape(table.shape[:3])
    return losses


MAKERS: Final[dict[str, Callable[[Table, Data], Array]]] = {
    "svm": machines,
    "forest": forests,
    "boosting": boosting,
    "knn": neighbours,
    "mlp": networks,
    "curves": curves,
}


def make(again: bool = False) -> Iterator[tuple[Table, int]]:
    """Compute the tables that are missing, or all; yields each with its number of cells."""
    for table in (DIGITS_CURVES, *TUNING):
        if again or not table.path.exists():
            maker, data = table.name.split(" ")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # an iteration limit reached is a loss like any other
                table.keep(MAKERS[maker](table, load(data, raw=maker == "knn")))
        yield table, table.cells.size


if __name__ == "__main__":
    import time

    begin = time.time()
    for table, size in make():
        print(
            f"{table.name}: {size} cells, {table.path.stat().st_size // 1024} KiB, {time.time() - begin:.0f} s",
            flush=True,
        )
