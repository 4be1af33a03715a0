"""A study small enough for a test: real networks, 20 images, an epoch or three."""

from pathlib import Path

import torch
from torch import nn

from course_lib.files import CHECKOUT
from course_lib.profiles import Profile
from course_lib.study import queue, store
from course_lib.study.protocols import origin
from course_lib.study.runs import Run

TINY = Profile("tiny", "sample", 20, student_epochs=1, teacher_epochs=1, batch_size=10, test_images=20)


def furnish(folder: Path) -> str:
    """Make ``folder`` one that ``COURSE_HOME`` may name, with the images on board, unless it is; returns its name."""
    sample = folder / "data" / "sample"
    sample.parent.mkdir(parents=True, exist_ok=True)
    if not sample.exists():
        sample.symlink_to(CHECKOUT / "data" / "sample")
    return str(folder)


def runs(*keys: str, profile: Profile = TINY, recipe: str = "paper", seed: int = 0) -> list[Run]:
    """The runs behind some rows of one recipe."""
    return [Run(key, profile, origin(key, recipe), seed) for key in keys]


def finish(keys, *, profile: Profile = TINY, recipe: str = "paper", seeds=(0,), fresh: bool = False) -> list[str]:
    """Bring some rows and the teachers they need to their end; a line for each run that failed."""
    wanted = [run for seed in seeds for run in runs(*keys, profile=profile, recipe=recipe, seed=seed)]
    return queue.work(wanted, fresh=fresh).failures


def stored() -> dict:
    """The store as {key: row of the frame}."""
    return {row.key: row for row in store.load_results().itertuples()}


def network(
    name: str, width: float | None = None, num_classes: int = 10, seed: int | None = None, hidden: int = 8, **_
):
    """A stand-in for every network of the study: it learns, and takes no time."""
    with torch.random.fork_rng():
        torch.manual_seed(seed or 0)
        return nn.Sequential(
            nn.Flatten(), nn.Linear(3072, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, num_classes)
        )
