"""How long runs will take: by their own epochs, by stored runs of the same work, or by a model of networks' costs."""

import functools
import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from course_lib.profiles import Profile
from course_lib.study import store
from course_lib.study.experiments import ROWS
from course_lib.study.protocols import STUDENTS, fed_size, teacher_sees
from course_lib.study.runs import Run, epoch_seconds


class Speed(NamedTuple):
    """Seconds that one forward pass costs: per multiply-accumulate, per activation, and for every image besides."""

    mac: float
    activation: float
    image: float


# Dense networks are bound by arithmetic, GhostNets by memory, and on a GPU by the launching of their many small
# kernels. cpu: fitted to two cores of a small server (GN-S 1.0x, ResNet-18, InceptionV3). cuda: a guess at an H200.
# What was measured on this very device corrects the model, for each of the two kinds apart.
SPEEDS = {"cpu": Speed(1.2e-11, 2.0e-9, 0.0), "cuda": Speed(2.5e-14, 3.0e-12, 1.0e-5)}
BACKWARD = 3.0  # forward and backward together, in forward passes
START = {"cpu": 0.0, "cuda": 180.0}  # seconds that a network is compiled before its first step, a guess for GN-S 1.0x


class Estimate(NamedTuple):
    """Seconds of an ``epoch``, its evaluation included, and of what comes before the first one, the ``start``.

    ``run`` is both for all epochs; ``source``, how they are known: ``its own epochs``, ``measured on DEVICE`` or
    ``model``.
    """

    start: float
    epoch: float
    run: float
    source: str

    @property
    def first(self) -> float:
        """Until an epoch is in the checkpoint."""
        return self.start + self.epoch


class Estimates:
    """What runs of one profile take on one device, one run after another.

    A run that is begun is judged by its own epochs, else by stored runs of the same work, else by a model of what its
    networks cost, corrected by all that was measured on the device.

    Args:
        profile: whose runs.
        stored: ``store.load_results()``; runs of this profile on this device are measurements. One thread does not
            take twice as long as two, nor one GPU as long as another: others say nothing.
        device: as a result names it: ``cpu, 2 threads``, ``cuda, NVIDIA H200``.
    """

    def __init__(self, profile: Profile, stored: pd.DataFrame, device: str):
        self.profile, self.device, self.kind = profile, device, device.split(",")[0]
        alike = stored[(stored["profile"] == profile.name) & (stored["device"] == device) & stored["key"].isin(ROWS)]
        epochs: dict[tuple, list[float]] = {}
        for row in alike.to_dict("records"):
            work = _work(Run(row["key"], profile, row["recipe"]))
            epochs.setdefault(work, []).append(_typical([epoch["seconds"] for epoch in row["history"]]))
        self.measured = {work: statistics.median(seconds) for work, seconds in epochs.items()}

    def of(self, run: Run) -> Estimate:
        """What ``run`` takes."""
        start, (epoch, source) = START.get(self.kind, 0.0), self._epoch(run)
        return Estimate(start, epoch, start + run.settings.epochs * epoch, source)

    def _epoch(self, run: Run) -> tuple[float, str]:
        """Seconds of an epoch, and how they are known."""
        own = epoch_seconds(run)
        if own:
            return _typical(own), "its own epochs"
        if _work(run) in self.measured:
            return self.measured[_work(run)], f"measured on {self.device}"
        parts = _parts(run, self.kind)
        return sum(self.corrections[part] * seconds for part, seconds in parts.items()), "model"

    @functools.cached_property
    def corrections(self) -> dict[str, float]:
        """How much longer than the model says GhostNets (``ghost``) and big networks (``dense``) took.

        A kind of which nothing was measured alone gets what all measured runs say; 1 where there is none.
        """
        ratios: dict[str, list[float]] = {"ghost": [], "dense": [], "mixed": []}
        for (key, sees), seconds in self.measured.items():
            parts = _parts(Run(key, self.profile, "as_run" if sees == "scraps" else "paper"), self.kind)
            ratios[next(iter(parts)) if len(parts) == 1 else "mixed"].append(seconds / sum(parts.values()))
        every = [ratio for kind in ratios.values() for ratio in kind] or [1.0]
        return {part: statistics.median(ratios[part] or every) for part in ("ghost", "dense")}


def estimates_for(runs: Iterable[Run], device: str = "") -> dict[Profile, Estimates]:
    """By profile, what ``runs`` take on ``device``, named as a result names it; default the one that trains here."""
    stored, device = store.load_results(skip_damaged=True), device or store.environment()["device"]
    return {profile: Estimates(profile, stored, device) for profile in {run.profile for run in runs}}


def _typical(seconds: Sequence[float]) -> float:
    """The lower quartile, not the mean: a laptop that slept or shared its cores says nothing of the next epoch."""
    return float(np.quantile(seconds, 0.25))


def _work(run: Run) -> tuple[str, str]:
    """Seeds do the same work, and so do protocols, but where the teacher is shown scraps: those are small pictures."""
    return run.key, teacher_sees(run.experiment, run.recipe)


def _parts(run: Run, device: str) -> dict[str, float]:
    """Seconds of one epoch by kind of network: the student forward and backward, its teachers forward, the test."""
    profile = run.profile
    parts: dict[str, float] = {}
    for member in (run, *run.teachers):
        passes = profile.train_images if member is not run else BACKWARD * profile.train_images + profile.asked_images
        row = member.experiment
        part = "ghost" if row.student in STUDENTS else "dense"
        seconds = _forward_seconds(row.student, row.width, fed_size(row), device)
        parts[part] = parts.get(part, 0.0) + passes * seconds
    return parts


@functools.cache
def _forward_seconds(student: str, width: float | None, size: int, device: str) -> float:
    import torch

    from course_lib.models.cost import count_activations, count_macs
    from course_lib.models.zoo import create_model

    with torch.device("meta"):
        model = create_model(student, width=width)
    speed = SPEEDS.get(device, SPEEDS["cpu"])
    return speed.mac * count_macs(model, size) + speed.activation * count_activations(model, size) + speed.image
