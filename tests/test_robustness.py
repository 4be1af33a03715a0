"""What a teacher changes besides accuracy: the spoilt images, the calibration error, and the kept numbers."""

import numpy as np
import pandas as pd
import pytest
import torch

from course_lib.data import load_dataset
from course_lib.data.cifar import ImageSet
from course_lib.files import repo_path
from course_lib.study import store
from tools.make_robustness import CONDITIONS, calibration_error, lines


@pytest.fixture(scope="module")
def images():
    return load_dataset("cifar10", "sample").test[:20]


@pytest.mark.parametrize("name", CONDITIONS)
def test_each_way_spoils_the_images_alike_every_time(images, name):
    first, again = (CONDITIONS[name](images.images.clone()) for _ in range(2))
    assert first.dtype == torch.uint8 and first.shape == images.images.shape and torch.equal(first, again)
    changed = (first.int() - images.images.int()).abs().float().mean()
    assert changed == 0 if name == "as it is" else 2 < changed < 80


def test_the_images_themselves_stay(images):
    before = images.images.clone()
    for change in CONDITIONS.values():
        change(images.images)
    assert torch.equal(images.images, before)


def test_calibration_error_by_hand():
    """Of ten answers at 79 % nine are right, of ten at 61 % five: both bins are 11 points off."""
    confidence = torch.tensor([0.79] * 10 + [0.61] * 10)
    right = torch.tensor([True] * 9 + [False] + [True] * 5 + [False] * 5)
    assert calibration_error(confidence, right) == pytest.approx(11.0, abs=1e-5)
    assert calibration_error(torch.tensor([0.5, 0.5]), torch.tensor([True, False])) == pytest.approx(0.0, abs=1e-5)


def test_a_network_that_is_sure_and_wrong_is_told_so(images):
    class Sure(torch.nn.Module):
        def forward(self, shown):
            return torch.nn.functional.one_hot(torch.zeros(len(shown), dtype=torch.int64), 10) * 50.0

    (line,) = lines(Sure(), {"run": "sure"}, {"as it is": ImageSet(images.images, torch.ones(20, dtype=torch.int64))})
    assert (line["accuracy"], round(line["confidence"]), round(line["ece"]), round(line["nll"])) == (0, 100, 100, 50)


def test_the_kept_numbers_are_of_the_stored_runs():
    kept = pd.read_csv(repo_path("data", "robustness.csv"))
    stored = store.load_results().set_index("run")["last_accuracy"]
    clean = kept[kept["condition"] == "as it is"].set_index("run")["accuracy"]
    for run, accuracy in clean.drop("resnet56.published").items():
        assert accuracy == pytest.approx(stored[run], abs=0.1)  # folded, sums in another order
    assert set(kept["condition"]) == set(CONDITIONS) and (kept.groupby("run").size() == len(CONDITIONS)).all()
    logits = store.load_logits("resnet56")
    published = 100 * (logits.logits.argmax(dim=1) == logits.labels).double().mean().item()
    assert clean["resnet56.published"] == pytest.approx(published, abs=0.1)
    assert np.isfinite(kept[["accuracy", "confidence", "nll", "ece"]].to_numpy()).all()
