"""Stores that the tests of the report share: ``pytest_plugins = "stores"``."""

import numpy as np
import pandas as pd
import pytest
from fabricated import fake_result, fake_store

from course_lib.profiles import PROFILES
from course_lib.study import store
from course_lib.study.experiments import EXPERIMENTS


@pytest.fixture
def empty(tmp_path) -> pd.DataFrame:
    return store.load_results(tmp_path / "nothing")


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> pd.DataFrame:
    """Two baselines and two distilled students in laptop; one has a seed that its baseline lacks."""
    folder = tmp_path_factory.mktemp("store")
    fake_store(
        folder,
        {
            "gn-s-1.0x": {0: 30.0, 1: 34.0},
            "gn-s-1.0x<resnet50": {0: 31.0, 1: 36.0, 2: 50.0},
            "gn-d": {0: 25.0},
            "gn-d<ensemble": {0: 24.5},
        },
        profile=PROFILES["laptop"],
        test_images=10_000,
    )
    return store.load_results(folder)


@pytest.fixture(scope="session")
def own(tmp_path_factory) -> pd.DataFrame:
    """GN-S 1.0x alone and from ResNet-56 at both T, three seeds each: the first runs of laptop."""
    folder, labels = tmp_path_factory.mktemp("store"), store.known_test_labels(10_000)
    teacher = "gn-s-1.0x<resnet56"
    for key, recipe, accuracies in (
        ("gn-s-1.0x", "paper", (78.0, 79.0, 77.0)),
        (teacher, "paper", (78.5, 79.0, 77.25)),
        (teacher, "repaired", (80.0, 81.5, 79.0)),
    ):
        for seed, last in enumerate(accuracies):
            options = {"profile": PROFILES["laptop"], "recipe": recipe, "seed": seed, "test_images": 10_000}
            right = np.random.default_rng(len(recipe + key) + seed).random(10_000) < last / 100
            given = store.pack_predictions(np.where(right, labels, (labels + 1) % 10))
            store.save_result(fake_result(key, accuracies=(last - 20, last), **options) | given, folder)
    return store.load_results(folder)


@pytest.fixture(scope="session")
def every_row(tmp_path_factory) -> pd.DataFrame:
    """Every row of the paper: one run in laptop, three in full; and one in quick, which nobody may see."""
    folder = tmp_path_factory.mktemp("store")
    rng = np.random.default_rng(0)
    for name, low, count in (("quick", 30, 1), ("laptop", 78, 1), ("full", 91, 3)):
        seeds = {key: {seed: round(low + rng.random(), 2) for seed in range(count)} for key in EXPERIMENTS}
        fake_store(folder, seeds, profile=PROFILES[name], test_images=1000 if name == "quick" else 10_000)
    return store.load_results(folder)
