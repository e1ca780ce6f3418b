"""A training that goes on where it, or the trial before it, was left; with the way that its weights have come."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trial_templates.sgd_digits.network import ACTIVATIONS, Network, Settings, Training

FILE = "training.npz"


@dataclass(slots=True)
class Leg:
    """What one trial did for the weights: from epoch `begin` on, from the weights `given` to the weights `left`."""

    trial: str
    lr: float
    momentum: float
    begin: int
    end: int
    given: str
    left: str


@dataclass(slots=True)
class Journey:
    """A training, the legs that brought it here, the last of them this trial's own, and the folder where it is kept."""

    folder: Path
    training: Training
    legs: list[Leg]

    @classmethod
    def go_on(cls, folder: str, inputs: int, settings: Settings) -> Journey:
        """From the checkpoint in the folder, if there is one."""
        trial, path = os.environ.get("KATIB_TRIAL_NAME", ""), Path(folder)
        if (path / FILE).exists():
            training, legs = _load(path / FILE, settings)
        else:
            training, legs = Training.begin(inputs, settings), []
        if not legs or legs[-1].trial != trial:
            weights = digest(training.network)
            legs.append(Leg(trial, settings.lr, settings.momentum, training.epochs, training.epochs, weights, weights))
        return cls(path, training, legs)

    @property
    def leg(self) -> Leg:
        """This trial's own."""
        return self.legs[-1]

    def save(self) -> None:
        """Keep the training as it is now; a reader finds the whole of it or what was there before."""
        self.leg.end, self.leg.left = self.training.epochs, digest(self.training.network)
        network, state = self.training.network, self.training.random.bit_generator.state
        said = {"epochs": self.training.epochs, "random": state, "legs": [asdict(leg) for leg in self.legs]}
        arrays: dict[str, Any] = {f"weight{place}": array for place, array in enumerate(network.weights)}
        arrays |= {f"velocity{place}": array for place, array in enumerate(network.velocity)}
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{FILE}.new").open("wb") as file:
            np.savez(file, said=np.array(json.dumps(said)), **arrays)
        os.replace(self.folder / f"{FILE}.new", self.folder / FILE)


def legs_of(folder: Path) -> list[Leg]:
    """The way that the weights in the folder have come."""
    with np.load(folder / FILE) as kept:
        return [Leg(**leg) for leg in json.loads(str(kept["said"]))["legs"]]


def digest(network: Network) -> str:
    """The weights in sixteen letters."""
    return hashlib.blake2b(b"".join(array.tobytes() for array in network.weights), digest_size=8).hexdigest()


def _load(path: Path, settings: Settings) -> tuple[Training, list[Leg]]:
    with np.load(path) as kept:
        said = json.loads(str(kept["said"]))
        weights = (kept["weight0"], kept["weight1"], kept["weight2"], kept["weight3"])
        velocity = (kept["velocity0"], kept["velocity1"], kept["velocity2"], kept["velocity3"])
    random = np.random.default_rng()
    random.bit_generator.state = said["random"]
    network = Network(weights, velocity, ACTIVATIONS[settings.activation])
    return Training(network, random, said["epochs"]), [Leg(**leg) for leg in said["legs"]]
