"""The models that a trial may choose among, and what each makes of the search space's shared parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

BOOSTING_ROUNDS = 30
MLP_EPOCHS = 60


@dataclass(frozen=True, slots=True)
class Choice:
    """The parameters of one trial; a model ignores those that mean nothing to it."""

    regularization: float = 1.0
    gamma: float = 0.1
    learning_rate: float = 0.01
    size: int = 32
    seed: int = 0


def svm(choice: Choice) -> Any:
    """Support vectors: C is one over the regularization, gamma the width of its kernel."""
    from sklearn.svm import SVC

    return SVC(C=1 / choice.regularization, gamma=choice.gamma, random_state=choice.seed)


def forest(choice: Choice) -> Any:
    """A random forest of `size` trees."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=choice.size, random_state=choice.seed)


def boosting(choice: Choice) -> Any:
    """Gradient boosting of trees with at most `size` leaves."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        l2_regularization=choice.regularization,
        learning_rate=choice.learning_rate,
        max_leaf_nodes=choice.size,
        max_iter=BOOSTING_ROUNDS,
        early_stopping=False,
        random_state=choice.seed,
    )


def mlp(choice: Choice) -> Any:
    """A network with one hidden layer, `size` wide."""
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(
        hidden_layer_sizes=(choice.size,),
        alpha=choice.regularization,
        learning_rate_init=choice.learning_rate,
        max_iter=MLP_EPOCHS,
        random_state=choice.seed,
    )


MODELS: dict[str, Callable[[Choice], Any]] = {"svm": svm, "forest": forest, "boosting": boosting, "mlp": mlp}


def defaults(seed: int) -> dict[str, Any]:
    """Each model as scikit-learn makes it when nobody chooses anything."""
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import SVC

    return {
        "svm": SVC(random_state=seed),
        "forest": RandomForestClassifier(random_state=seed),
        "boosting": HistGradientBoostingClassifier(random_state=seed),
        "mlp": MLPClassifier(random_state=seed),
    }
