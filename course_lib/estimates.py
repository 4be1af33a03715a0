"""How long a run will take: measured where one like it is in the store, else by a model of what its networks cost."""

import functools
import statistics
from typing import NamedTuple

import pandas as pd

from course_lib.plan import Run
from course_lib.profiles import Profile
from course_lib.recipes import fed_size, training_recipe

TEST_IMAGES = {"full": 10_000, "sample": 1_000, "synthetic": 500}


class Speed(NamedTuple):
    """Seconds that one forward pass costs: per multiply-accumulate, per activation, and for every image besides."""

    mac: float
    activation: float
    image: float


# Dense networks are bound by arithmetic, GhostNets by memory, and on a GPU by the launching of their many small
# kernels. cpu: fitted to two cores of a small server (GN-S 1.0x, ResNet-18, InceptionV3). cuda: a guess at an H200.
# Stored runs of the same profile on such a device correct both.
SPEEDS = {"cpu": Speed(1.2e-11, 2.0e-9, 0.0), "cuda": Speed(2.5e-14, 3.0e-12, 1.0e-5)}
BACKWARD = 3.0  # forward and backward together, in forward passes


class Estimate(NamedTuple):
    """``epoch`` and ``run`` in seconds, evaluation included; ``source`` is ``measured`` or ``model``."""

    epoch: float
    run: float
    source: str


class Estimates:
    """What runs of one profile take on one kind of device.

    Args:
        profile: whose runs.
        stored: ``results.load_results()``; runs of this profile and kind of device are measurements.
        device: ``cpu`` or ``cuda``.
    """

    def __init__(self, profile: Profile, stored: pd.DataFrame, device: str):
        self.profile, self.device = profile, device
        alike = stored[(stored["profile"] == profile.name) & stored["device"].astype(str).str.startswith(device)]
        # The median epoch, not the whole run: a laptop that slept half an hour says nothing of the next one.
        epochs = alike["history"].map(lambda history: statistics.median(row["seconds"] for row in history))
        self.measured: dict[str, float] = epochs.astype(float).groupby(alike["key"]).median().to_dict()

    def of(self, run: Run) -> Estimate:
        """Seconds for an epoch and for all epochs of ``run``."""
        epochs = training_recipe(run.experiment, run.profile, run.seed, run.recipe, pretrained=run.pretrained).epochs
        if run.key in self.measured:
            return Estimate(self.measured[run.key], epochs * self.measured[run.key], "measured")
        epoch = self.correction * model_seconds(run, self.device)
        return Estimate(epoch, epochs * epoch, "model")

    @functools.cached_property
    def correction(self) -> float:
        """How much longer the measured runs took than the model says; 1 where none was measured."""
        ratios = [
            seconds / model_seconds(Run(key, self.profile), self.device) for key, seconds in self.measured.items()
        ]
        return statistics.median(ratios) if ratios else 1.0


def model_seconds(run: Run, device: str) -> float:
    """Seconds of one epoch by the networks' costs: the student forward and backward, its teachers forward, the test."""
    experiment, profile = run.experiment, run.profile
    own, *others = (
        _forward_seconds(row.student, row.width, fed_size(row.student, profile, pretrained=run.pretrained), device)
        for row in (experiment, *(teacher.experiment for teacher in run.teachers))
    )
    test_images = profile.test_images or TEST_IMAGES[profile.subset]
    return profile.train_images * (BACKWARD * own + sum(others)) + test_images * own


@functools.cache
def _forward_seconds(student: str, width: float | None, size: int, device: str) -> float:
    import torch

    from course_lib.models.cost import count_activations, count_macs
    from course_lib.models.zoo import create_model

    with torch.device("meta"):
        model = create_model(student, width=width)
    speed = SPEEDS[device]
    return speed.mac * count_macs(model, size) + speed.activation * count_activations(model, size) + speed.image
