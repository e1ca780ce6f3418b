"""python -m trial_templates.keras_digits.train: trains a convolutional network on digits.

Keras writes its metrics for TensorBoard into the folder `--events` (where none is given: KATIB_METRICS_PATH, or
nowhere); `validation/epoch_accuracy` and `validation/epoch_loss` are about pictures that it has not seen. The same is
printed as `accuracy=` and `loss=` after every epoch. Needs `pip install 'katib-py[tensorflow]'`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow

from trial_templates import digits


def main(arguments: Sequence[str] | None = None) -> None:
    """Train as the command line says."""
    options = _parser().parse_args(arguments)
    # A trial is given one slot: more threads would take the others' cores.
    tensorflow.config.threading.set_intra_op_parallelism_threads(1)
    keras.utils.set_random_seed(options.seed)
    data = digits.split()
    model = convolutional(options.filters, options.dropout)
    descent = keras.optimizers.get({"class_name": options.optimizer, "config": {"learning_rate": options.lr}})
    model.compile(optimizer=descent, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    tellers: list[Any] = [keras.callbacks.LambdaCallback(on_epoch_end=tell)]
    if options.events:
        tellers.append(keras.callbacks.TensorBoard(options.events, write_graph=False))
    model.fit(
        data.train_pixels.reshape(-1, 8, 8, 1),
        data.train_digits,
        validation_data=(data.validation_pixels.reshape(-1, 8, 8, 1), data.validation_digits),
        batch_size=options.batch_size,
        epochs=options.epochs,
        callbacks=tellers,
        verbose=0,
    )


def convolutional(filters: int, dropout: float) -> Any:
    """Two convolutions, each followed by pooling, and one hidden layer."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(filters, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(2 * filters, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(dropout),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def tell(epoch: int, logs: dict[str, float]) -> None:
    """One line; Keras counts epochs from 0."""
    print(f"epoch={epoch + 1} loss={logs['val_loss']:.6g} accuracy={logs['val_accuracy']:.6g}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trial_templates.keras_digits.train", description=__doc__)
    parser.add_argument("--optimizer", choices=("sgd", "adam", "rmsprop"), default="adam")
    parser.add_argument("--lr", type=float, default=0.003, help="learning rate")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--filters", type=int, default=8, help="of the first convolution; the second has twice as many")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--events", default=os.environ.get("KATIB_METRICS_PATH", ""), help="folder for TensorBoard")
    return parser


if __name__ == "__main__":
    main()
