"""python -m trial_templates.sgd_digits.train: trains a small network on digits and tells its metrics every epoch."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

# A trial is given one slot: more threads would take the others' cores, and small matrices gain nothing by them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from trial_templates import digits
from trial_templates.sgd_digits.checkpoint import Journey
from trial_templates.sgd_digits.network import ACTIVATIONS, Epoch, Settings, train
from trial_templates.sgd_digits.reports import FORMS, reporter


def main(arguments: Sequence[str] | None = None) -> None:
    """Train as the command line says."""
    options = _parser().parse_args(arguments)
    settings = Settings(
        lr=options.lr,
        momentum=options.momentum,
        batch_size=options.batch_size,
        hidden=options.hidden,
        activation=options.activation,
        epochs=options.epochs,
        seed=options.seed,
    )
    with reporter(options.format, options.to, options.port) as report:
        for epoch in _epochs(settings, options):
            if report(epoch):
                break


def _epochs(settings: Settings, options: argparse.Namespace) -> Iterator[Epoch]:
    """The epochs, each saved before it is told where there is a folder for it."""
    split = digits.split()
    if not options.checkpoint:
        yield from train(split, settings)
        return
    journey = Journey.go_on(options.checkpoint, split.train_pixels.shape[1], settings)
    if options.further:
        settings = replace(settings, epochs=journey.leg.begin + settings.epochs)
    for epoch in train(split, settings, journey.training):
        journey.save()
        yield epoch


def _parser() -> argparse.ArgumentParser:
    default = Settings()
    parser = argparse.ArgumentParser(prog="trial_templates.sgd_digits.train", description=__doc__)
    parser.add_argument("--lr", type=float, default=default.lr, help="learning rate")
    parser.add_argument("--momentum", type=float, default=default.momentum, help="share of the last step that is kept")
    parser.add_argument("--batch-size", type=int, default=default.batch_size)
    parser.add_argument("--hidden", type=int, default=default.hidden, help="width of the hidden layer")
    parser.add_argument("--activation", choices=ACTIVATIONS, default=default.activation)
    parser.add_argument("--epochs", type=int, default=default.epochs)
    parser.add_argument("--further", action="store_true", help="that many epochs more than the checkpoint has had")
    folder = os.environ.get("KATIB_CHECKPOINT_DIR", "")
    parser.add_argument("--checkpoint", nargs="?", default="", const=folder, help="go on from here, and save here")
    seed = int(os.environ.get("KATIB_SEED", default.seed))
    parser.add_argument("--seed", type=int, default=seed, help="a repeat of a trial is given another")
    parser.add_argument("--format", choices=FORMS, default="text", help="how the metrics are told")
    metrics_path = os.environ.get("KATIB_METRICS_PATH", "")
    parser.add_argument("--to", default=metrics_path, help="a file, or a folder for tensorboard; else standard output")
    parser.add_argument("--port", type=int, default=8080, help="where --format=prometheus serves its page")
    return parser


if __name__ == "__main__":
    main()
