"""Stores that the tests of the report share: ``pytest_plugins = "stores"``."""

import numpy as np
import pandas as pd
import pytest
from fabricated import fake_store

from course_lib.profiles import PROFILES
from course_lib.study import store
from course_lib.study.experiments import EXPERIMENTS


@pytest.fixture
def empty(tmp_path) -> pd.DataFrame:
    return store.load_results(tmp_path / "nothing")


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> pd.DataFrame:
    """Two baselines and a distilled student; the student has a seed that its baseline lacks."""
    folder = tmp_path_factory.mktemp("store")
    fake_store(
        folder,
        {
            "gn-s-1.0x": {0: 30.0, 1: 34.0},
            "gn-s-1.0x<resnet50": {0: 31.0, 1: 36.0, 2: 50.0},
            "gn-d": {0: 25.0},
            "gn-d<ensemble": {0: 24.5},
        },
    )
    return store.load_results(folder)


@pytest.fixture(scope="session")
def every_row(tmp_path_factory) -> pd.DataFrame:
    """One run of everything in quick, three seeds of everything in full."""
    folder = tmp_path_factory.mktemp("store")
    rng = np.random.default_rng(0)
    fake_store(folder, {key: {0: round(30 + rng.random(), 1)} for key in EXPERIMENTS})
    seeds = {key: {seed: round(91 + rng.random(), 2) for seed in range(3)} for key in EXPERIMENTS}
    fake_store(folder, seeds, profile=PROFILES["full"], test_images=10_000)
    return store.load_results(folder)
