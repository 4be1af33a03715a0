"""How long runs will take: by their own epochs, by stored runs of the same row, or by what their networks cost."""

import contextlib
import functools
import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from course_lib.files import ResultError
from course_lib.models.cost import count_activations, count_macs
from course_lib.models.zoo import create_model
from course_lib.study import store
from course_lib.study.protocols import fed_size
from course_lib.study.runs import Run, epoch_seconds

# A network's work for an image is its multiply-accumulates and this many for each number that it puts out: GhostNets
# are bound by memory, dense networks by arithmetic. By GN-S 1.0x and ResNet-18 on two cores of a small server.
ACTIVATION = 50
SECONDS = {"cpu": 3e-11, "cuda": 1e-12}  # of a unit of work, until GN-S 1.0x has been measured; for a GPU a guess
BACKWARD = 3  # forward and backward together, in forward passes
COMPILING = 180.0  # seconds before the first step on a GPU, where a network is compiled: a guess


class Estimate(NamedTuple):
    """Seconds of the ``first`` epoch with all that comes before it, of an ``epoch`` with its evaluation, and of the
    whole ``run``; ``source``, how they are known: ``its own epochs``, ``measured on DEVICE`` or ``model``.
    """

    first: float
    epoch: float
    run: float
    source: str


def estimate(run: Run, device: str = "") -> Estimate:
    """What ``run`` takes on ``device``, named as in a result: ``cpu, 2 threads``; default the one that trains here.

    One thread does not take twice as long as two, nor one GPU as long as another: other devices' runs say nothing.
    """
    device = device or store.environment()["device"]
    kind, alone = device.split(",")[0], Run("gn-s-1.0x", run.profile)
    if seconds := _typical(epoch_seconds(run)):
        source = "its own epochs"
    elif seconds := _measured(run, device):
        source = f"measured on {device}"
    else:
        known, source = _measured(alone, device), "model"
        seconds = _work(run) * (known / _work(alone) if known else SECONDS.get(kind, SECONDS["cpu"]))
    start = COMPILING if kind == "cuda" and run.is_long else 0.0
    return Estimate(start + seconds, seconds, start + run.settings.epochs * seconds, source)


def _measured(run: Run, device: str) -> float:
    """Seconds of an epoch of the row's stored runs on ``device``, whatever their seed and protocol; 0 for none."""
    found, row = [], run.name.removesuffix(f".{run.recipe}.seed{run.seed}")
    for path in run.result.parent.glob(f"{row}.*.json"):
        with contextlib.suppress(ResultError):
            result = store.read_result(path)
            if result["device"] == device:
                found.append(_typical([epoch["seconds"] for epoch in result["history"]]))
    return statistics.median(found or [0.0])


def _typical(seconds: Sequence[float]) -> float:
    """The lower quartile, not the mean: a laptop that slept or shared its cores says nothing of the next epoch."""
    return float(np.quantile(seconds, 0.25)) if len(seconds) else 0.0


def _work(run: Run) -> float:
    """Of one epoch: the student forward and backward, its teachers forward, the test."""
    count, row = run.profile.train_images, run.experiment
    work = (BACKWARD * count + run.profile.asked_images) * _of_image(row.student, row.width, fed_size(row))
    for teacher in (one.experiment for one in run.teachers):
        work += count * _of_image(teacher.student, teacher.width, fed_size(teacher))
    return work


@functools.cache
def _of_image(student: str, width: float | None, size: int) -> float:
    with torch.device("meta"):
        model = create_model(student, width=width)
    return count_macs(model, size) + ACTIVATION * count_activations(model, size)
