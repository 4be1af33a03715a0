"""Made-up results for the tests of the store and the report. They never leave a temporary folder."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F

from course_lib.profiles import PROFILES, Profile
from course_lib.study import store
from course_lib.study.runs import Run, result_of
from course_lib.training.loop import TrainingRun


def fake_result(
    key: str = "gn-s-1.0x",
    *,
    profile: Profile = PROFILES["quick"],
    accuracies: tuple[float, ...] = (20.0, 31.5),
    seed: int = 0,
    recipe: str = "paper",
    test_images: int = 1000,
    dataset: str = "cifar10",
) -> dict:
    """A sound result whose test accuracy after each epoch is given."""
    history = [
        {
            "epoch": epoch,
            "lr": 0.01 / epoch,
            "train_loss": 2.0 / epoch,
            "hard_loss": 1.234567891234 / epoch,
            "soft_loss": 0.0,
            "train_accuracy": accuracy + 0.5,
            "test_accuracy": accuracy,
            "test_loss": 2.5 / epoch,
            "seconds": 1.25,
            "images_per_second": 2000.0,
        }
        for epoch, accuracy in enumerate(accuracies, start=1)
    ]
    predictions = np.random.default_rng(seed).integers(0, 10, test_images)
    finished = TrainingRun(history, F.one_hot(torch.from_numpy(predictions)), 2.5, 2000.0)
    about = {"name": dataset, "subset": profile.subset, "source": "fabricated for a test"}
    images = SimpleNamespace(**about, train=range(profile.train_images))
    result = result_of(Run(key, profile, recipe, seed), finished, images, 483_554)
    return result | store.environment("cpu") | {"training": result["training"] | {"epochs": len(history)}}


def fake_store(folder, accuracies: dict[str, dict[int, float]], **options) -> None:
    """Save one run of two epochs for each key and seed; the value is its last accuracy."""
    for key, seeds in accuracies.items():
        for seed, last in seeds.items():
            result = fake_result(key, seed=seed, accuracies=(last - 10, last), **options)
            store.save_result(result, folder)


def resized(profile: str, **changes) -> Profile:
    """A profile of the same name with other settings."""
    return replace(PROFILES[profile], **changes)
