"""python -m trial_templates.sklearn_digits.train: cross-validates a scikit-learn model on digits.

Prints `accuracy=` and `loss=` (cross entropy) on the pictures that the model did not see, over three folds that are
the same for every trial. With --default it prints how accurate each model is as scikit-learn makes it.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

# A trial is given one slot: more threads would take the others' cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from trial_templates import digits
from trial_templates.sklearn_digits.models import MODELS, Choice, defaults

FOLDS = 3
SPLIT_SEED = 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Validate the model of the command line, or every default."""
    options = _parser().parse_args(arguments)
    if options.default:
        _compare_defaults(options.seed)
        return
    choice = Choice(options.regularization, options.gamma, options.learning_rate, options.size, options.seed)
    accuracy, loss = validate(MODELS[options.model](choice), tell=print)
    print(f"accuracy={accuracy:.6f}\nloss={loss:.6f}")


def validate(model: Any, tell: Callable[[str], None] = lambda progress: None) -> tuple[float, float]:
    """Accuracy and cross entropy over all pictures, each judged by a model that was trained without it."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import StratifiedKFold

    pixels, truth = digits.load()
    guesses = np.zeros_like(truth)
    chances = np.zeros((len(truth), 10))
    with warnings.catch_warnings():
        # The number of epochs is bounded on purpose: whether a network converges in them is what the search finds out.
        warnings.simplefilter("ignore", ConvergenceWarning)
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SPLIT_SEED).split(pixels, truth)
        for number, (train, test) in enumerate(folds, start=1):
            model.fit(pixels[train], truth[train])
            guesses[test] = model.predict(pixels[test])
            chances[test] = _chances(model, pixels[test])
            tell(f"fold {number} of {FOLDS}: {(guesses[test] == truth[test]).mean():.4f}")
    loss = -np.log(np.maximum(chances[np.arange(len(truth)), truth], 1e-12)).mean()
    return float((guesses == truth).mean()), float(loss)


def _chances(model: Any, pixels: digits.Pixels) -> Any:
    if hasattr(model, "predict_proba"):
        return model.predict_proba(pixels)
    # Support vectors know margins only; their softmax makes losses that can be compared.
    margins = model.decision_function(pixels)
    odds = np.exp(margins - margins.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def _compare_defaults(seed: int) -> None:
    best = 0.0
    for name, model in defaults(seed).items():
        accuracy, _ = validate(model)
        best = max(best, accuracy)
        print(f"default {name}: accuracy {accuracy:.6f}", flush=True)
    print(f"accuracy={best:.6f}")


def _parser() -> argparse.ArgumentParser:
    standard = Choice()
    parser = argparse.ArgumentParser(prog="trial_templates.sklearn_digits.train", description=__doc__)
    parser.add_argument("--default", action="store_true", help="compare scikit-learn's defaults instead")
    parser.add_argument("--model", choices=MODELS, default="svm")
    parser.add_argument("--regularization", type=float, default=standard.regularization, help="svm, boosting, mlp")
    parser.add_argument("--gamma", type=float, default=standard.gamma, help="svm: width of the kernel")
    parser.add_argument("--learning-rate", type=float, default=standard.learning_rate, help="boosting, mlp")
    parser.add_argument("--size", type=int, default=standard.size, help="trees, leaves or hidden units")
    parser.add_argument("--seed", type=int, default=standard.seed)
    return parser


if __name__ == "__main__":
    main()
