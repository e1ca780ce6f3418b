"""python -m trial_templates.torch_digits.train: trains a convolutional network on digits.

Prints `loss=` and `accuracy=` on pictures that it has not seen, after every epoch, and writes the same for TensorBoard
into the folder `--events` (where none is given: KATIB_METRICS_PATH, or nowhere). Needs `pip install 'katib-py[torch]'`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from trial_templates import digits
from trial_templates.events import event_file

Record = Callable[[int, Mapping[str, float]], None]


def main(arguments: Sequence[str] | None = None) -> None:
    """Train as the command line says."""
    options = _parser().parse_args(arguments)
    torch.manual_seed(options.seed)
    # A trial is given one slot: more threads would take the others' cores.
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = convolutional(options.channels, options.dropout).to(device)
    descent = torch.optim.SGD(network.parameters(), lr=options.lr, momentum=options.momentum)
    with _recorder(options.events) as record:
        for epoch, scalars in train(network, descent, options, device):
            print(f"epoch={epoch} loss={scalars['loss']:.6g} accuracy={scalars['accuracy']:.6g}", flush=True)
            record(epoch, scalars)


def convolutional(channels: int, dropout: float) -> nn.Module:
    """Two convolutions, each followed by pooling, and one hidden layer."""
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, 2 * channels, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(2 * channels * 4, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def train(
    network: nn.Module, descent: torch.optim.Optimizer, options: argparse.Namespace, device: torch.device
) -> Iterator[tuple[int, dict[str, float]]]:
    """Train for `options.epochs`; after each, its number and how good the network is."""
    data = digits.split()
    pixels, truth = _tensors(data.train_pixels, data.train_digits, device)
    unseen = _tensors(data.validation_pixels, data.validation_digits, device)
    for epoch in range(1, options.epochs + 1):
        network.train()
        for batch in torch.randperm(len(truth), device=device).split(options.batch_size):
            descent.zero_grad()
            nn.functional.cross_entropy(network(pixels[batch]), truth[batch]).backward()
            descent.step()
        yield epoch, judge(network, *unseen)


def judge(network: nn.Module, pixels: torch.Tensor, truth: torch.Tensor) -> dict[str, float]:
    """Cross entropy and accuracy."""
    network.eval()
    with torch.no_grad():
        scores = network(pixels)
    loss = nn.functional.cross_entropy(scores, truth).item()
    return {"loss": loss, "accuracy": (scores.argmax(dim=1) == truth).float().mean().item()}


def _tensors(pixels: digits.Pixels, truth: digits.Digits, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(pixels.reshape(-1, 1, 8, 8)).to(device), torch.from_numpy(truth).to(device)


def _recorder(folder: str) -> AbstractContextManager[Record]:
    return event_file(folder) if folder else nullcontext(lambda step, scalars: None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trial_templates.torch_digits.train", description=__doc__)
    parser.add_argument("--lr", type=float, default=0.05, help="learning rate")
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument(
        "--channels", type=int, default=8, help="of the first convolution; the second has twice as many"
    )
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--events", default=os.environ.get("KATIB_METRICS_PATH", ""), help="folder for TensorBoard")
    return parser


if __name__ == "__main__":
    main()
